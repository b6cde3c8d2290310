"""A page for each provider and the matrix of all, from their docstrings, settings, capabilities and cases.

The folder of providers is the list: a page comes and goes with its provider, and the cases beside the tests are the
samples that it shows, so that what a page says is what the tests have seen.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from msgspec.structs import replace
from providers.subjects import subject
from pydantic import SecretStr
from shape.settings_tables import rows_of_provider

from bridge import providers
from bridge.message import Message
from bridge.providers import Capabilities, Provider, fit
from bridge.providers._cases.making import KINDS, Subject, attempt_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference" / "providers"
_SOURCES = ROOT / "bridge" / "providers"
_UNICODE = "Привіт, 世界 👋"
_WIDTH = 100  # of what a sample shows
_Table = Callable[[Iterable[str], Iterable[Iterable[str]]], str]


@dataclass(frozen=True)
class Known:
    """A provider with all that is told of it."""

    name: str

    @cached_property
    def subject(self) -> Subject:
        return subject(self.name)

    @cached_property
    def can(self) -> Capabilities:
        """What it can with one or another of the settings that its cases try: yes wins, and more does."""
        most = self.subject.provider.capabilities
        each = [most, *(variant.make().capabilities for variant in (self.subject, *self.subject.variants()))]
        united = {
            name: any(getattr(can, name) for can in each)
            for name in Capabilities.__struct_fields__
            if isinstance(getattr(most, name), bool)
        }
        content = frozenset(kind for can in each for kind in can.content)
        return replace(most, batch_size=max(can.batch_size for can in each), content=content, **united)

    @cached_property
    def source(self) -> Path:
        declared = _SOURCES / f"{self.name}.yaml"
        return declared if declared.is_file() else _SOURCES / f"{self.name}.py"

    @cached_property
    def about(self) -> str:
        return inspect.cleandoc(providers.load(self.name).__doc__ or "")

    @property
    def line(self) -> str:
        """The first sentence."""
        return re.split(r"\.(?:\s|$)", " ".join(self.about.split()), maxsplit=1)[0]

    def has(self, verb: str) -> bool:
        """Whether it overrides a verb of the contract that says that there is none."""
        return getattr(self.subject.provider, verb) is not getattr(Provider, verb)


@cache
def all_known() -> list[Known]:
    """Every provider of the package, those of other packages excepted."""
    found = [Known(name) for name in providers.known()]
    return [each for each in found if each.source.is_file()]


# --- what it can ------------------------------------------------------------------------------------------------------


def _channels(known: Known) -> str:
    """Those of its setting `channel`; without one, SMS where it speaks of that, else its own."""
    field = known.subject.settings.model_fields.get("channel")
    if field is not None and get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    return "sms" if re.search(r"\bSMS\b", known.line) else known.name


def _text(known: Known) -> str:
    """Whether a text in any script gets as far as a request that differs from that of another text."""
    one, other = (_request(known, text) for text in (_UNICODE, _UNICODE[::-1]))
    return "yes" if one and other and one != other else ""


def _request(known: Known, text: str) -> tuple[str, bytes | None] | None:
    provider = known.subject.make()
    attempt = attempt_of({"destination": "380972000000", "text": text, "source": "15017122661"})
    if not isinstance(fit(attempt.message, provider.capabilities), Message):
        return None
    request = provider.build([attempt])
    return request.url, request.body


def _reports(known: Known) -> str:
    ways = {"push": known.can.push_reports, "poll": known.can.poll_reports}
    return ", ".join(way for way, holds in ways.items() if holds)


def _signature(known: Known) -> str:
    """Whether a case shows a callback that is refused because it is not theirs."""
    return _yes(any(case.get("refused") == 401 for case in known.subject.section("callbacks")))


def _yes(holds: object) -> str:
    return "yes" if holds else ""


# Each feature: its head in the matrix, what it means, and how it is seen.
FEATURES: dict[str, tuple[str, Callable[[Known], str]]] = {
    "Channels": ("what a message goes out as; the first unless `channel` says otherwise", _channels),
    "Batch": ("messages in one request, at most", lambda known: str(known.can.batch_size)),
    "Unicode": ("a text in any script", _text),
    "Binary": ("octets, and user data headers", lambda known: _yes(known.can.binary)),
    "Flash": ("shown at once and not kept", lambda known: _yes(known.can.flash)),
    "Content": ("what can be sent beside text", lambda known: ", ".join(sorted(known.can.content))),
    "Validity": ("it gives up when the message is no longer valid", lambda known: _yes(known.can.validity)),
    "Schedule": ("it can be told when to send; without that, we wait", lambda known: _yes(known.can.schedule)),
    "Idempotent": ("what is sent again is recognised and not sent twice", lambda known: _yes(known.can.idempotent)),
    "Lookup": ("a message never answered can be found", lambda known: _yes(known.can.lookup)),
    "Reports": ("`push`: it calls us; `poll`: we ask", _reports),
    "Inbound": ("messages from handsets", lambda known: _yes(known.can.inbound or known.has("inbox"))),
    "Signature": ("callbacks are verified beyond the token of their address", _signature),
    "Balance": ("`smsbridge provider balance`", lambda known: _yes(known.has("balance"))),
    "Price": ("`smsbridge provider try --price`", lambda known: _yes(known.has("price"))),
    "Setup": ("`smsbridge provider setup` tells it where to call us", lambda known: _yes(known.has("setup"))),
}


def matrix(table: _Table) -> str:
    """Every provider with what it can."""
    rows = [
        [f"[{known.name}](providers/{known.name}.md)", *(seen(known) for _, seen in FEATURES.values())]
        for known in all_known()
    ]
    told = table(("Feature", "What it means"), ((name, text) for name, (text, _) in FEATURES.items()))
    return f"{table(('Provider', *FEATURES), rows)}\n\n{told}"


# --- a page -----------------------------------------------------------------------------------------------------------


def provider_pages(table: _Table) -> dict[Path, str]:
    """All pages by their paths."""
    return {FOLDER / f"{known.name}.md": page(known, table) for known in all_known()}


def page(known: Known, table: _Table) -> str:
    """The page of a provider."""
    source, cases = known.source.relative_to(ROOT), Path("tests", "providers", f"{known.name}.yaml")
    head = (
        f"Made by `tests/shape/generate.py` from [{source}](../../../{source}) and [its cases](../../../{cases});"
        " all providers are in [the matrix](../providers.md)."
    )
    parts = [f"# {known.name}", _prose(known.about), head, *_settings(known, table), *_abilities(known, table)]
    parts += [*_samples(known), *_codes(known, table), *_states(known, table)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _prose(text: str) -> str:
    """A docstring as Markdown: its tables as they stand, its addresses as links."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if "====" in paragraph:
            paragraphs.append(f"```text\n{paragraph}\n```")
        else:
            paragraphs.append(re.sub(r"(?<![<(\"`])https?://[^\s,;)]*[^\s,;:.)]", r"<\g<0>>", paragraph))
    return "\n\n".join(paragraphs)


def _settings(known: Known, table: _Table) -> list[str]:
    """A configuration with the settings of the cases, and every key beside those that all providers have."""
    fields = known.subject.settings.model_fields
    shown = {
        key: f"${{env:{known.name}_{key}}}".upper().replace("${ENV:", "${env:") if _secret(fields, key) else value
        for key, value in known.subject.cases["settings"].items()
    }
    text = yaml.safe_dump({"providers": {known.name: shown}}, sort_keys=False, allow_unicode=True, width=_WIDTH)
    told = inspect.cleandoc(known.subject.settings.__doc__ or "") if known.source.suffix == ".py" else ""
    rows = rows_of_provider(known.name)
    every = "Beside [what every provider has](../configuration.md#providersname)" + (":" if rows else ", nothing.")
    keys = table(("Key", "Value", "Default", ""), rows) if rows else ""
    return ["## Settings", _prose(told), f"```yaml\n{text}```", every, keys]


def _secret(fields: Mapping[str, Any], key: str) -> bool:
    kinds = [fields[key].annotation, *get_args(fields[key].annotation)]
    return any(kind is SecretStr or SecretStr in get_args(kind) for kind in kinds)


def _abilities(known: Known, table: _Table) -> list[str]:
    rows = [(name, value) for name, (_, seen) in FEATURES.items() if (value := seen(known))]
    can = known.can
    rows += [("Sender", f"at most {can.source_max} characters{_letters(can)}")]
    rows += [("Text", f"at most {can.text_max} characters")] if can.text_max else []
    lacks = [name for name, (_, seen) in FEATURES.items() if not seen(known)]
    return ["## What it can", table(("Feature", ""), rows), f"Not: {', '.join(lacks).lower()}." if lacks else ""]


def _letters(can: Capabilities) -> str:
    if not can.alphanumeric_source:
        return ", no letters"
    return f", {can.alphanumeric_max} with letters" if can.alphanumeric_max else ""


def _samples(known: Known) -> list[str]:
    """The first message that is accepted, the first report."""
    found = []
    for case in known.subject.section("sends"):
        if "request" in case and "answer" in case and "accepted" in case["outcomes"][0]:
            said = f"```text\n{_asked(case['request'])}\n\n{_answered(case['answer'])}\n```"
            found += ["## A message", f"From its cases, *{case['name']}*:", said]
            break
    for case in known.subject.section("callbacks"):
        if any("state" in report for report in case.get("reports", ())):
            callback = case["callback"]
            asked = _asked({"url": f"/callbacks/{known.name}/TOKEN{_tail(callback)}", **callback})
            found += ["## A report", f"From its cases, *{case['name']}*:", f"```text\n{asked}\n```"]
            break
    return found


def _tail(callback: Mapping[str, Any]) -> str:
    path, query = callback.get("path", ""), callback.get("query", {})
    pairs = "&".join(f"{name}={value}" for name, value in query.items())
    return ("/" + path.lstrip("/") if path else "") + (f"?{pairs}" if pairs else "")


def _asked(request: Mapping[str, Any]) -> str:
    headers = [f"{name}: {value}" for name, value in request.get("headers", {}).items()]
    return "\n".join([f"{request['method']} {request['url']}", *headers, *_body(request)])


def _answered(answer: Mapping[str, Any]) -> str:
    headers = [f"{name}: {value}" for name, value in answer.get("headers", {}).items()]
    return "\n".join([f"HTTP {answer.get('status', 200)}", *headers, *_body(answer)])


def _body(case: Mapping[str, Any]) -> list[str]:
    """The body, one field a line where it has fields."""
    if "json" in case:
        short = json.dumps(case["json"], ensure_ascii=False)
        return ["", short if len(short) <= _WIDTH else json.dumps(case["json"], ensure_ascii=False, indent=2)]
    if "form" in case:
        return ["", *(f"{name}={value}" for name, value in case["form"].items())]
    return ["", str(case["text"]).rstrip("\n")] if case.get("text") else []


def _codes(known: Known, table: _Table) -> list[str]:
    """What each documented code of an answer means for the message."""
    outcomes = known.subject.section("codes").get("outcomes", {})
    if not outcomes:
        return []
    remarks = _remarks(known)
    rows = [(f"`{code}`", _outcome(outcome), remarks.get(str(code), "")) for code, outcome in outcomes.items()]
    columns = ("Code", "Outcome", "What it says")
    if not any(row[2] for row in rows):
        return ["## Codes", table(columns[:2], (row[:2] for row in rows))]
    return ["## Codes", table(columns, rows)]


def _outcome(expected: Mapping[str, Any]) -> str:
    ((kind, fields),) = expected.items()
    assert kind in KINDS
    fields = fields or {}
    words = [f"`{fields[name]}`" for name in ("reason", "state") if fields.get(name)]
    after = [f"after {fields['after_s']:g} s"] if fields.get("after_s") else []
    paused = ["and the provider is paused"] if fields.get("pause") else []
    return ", ".join([" ".join([kind, *words, *after]), *paused])


def _remarks(known: Known) -> dict[str, str]:
    """The comments beside the codes of a coded provider, in its file or one that belongs to it."""
    for path in [known.source, *sorted(_SOURCES.glob(f"_{known.name}_*.py"))]:
        body = re.search(r"^CODES\b.*?=.*?\{\n(.*?)^\}", path.read_text(), re.MULTILINE | re.DOTALL)
        if body and path.suffix == ".py":
            found = re.findall(r'^    "?([\w.-]+)"?: .*?  # (.+)$', body[1], re.MULTILINE)
            return {code: text for code, text in found if "noqa" not in text}
    return {}


def _states(known: Known, table: _Table) -> list[str]:
    """What each documented word of a report means."""
    states = known.subject.section("statuses").get("states", {})
    if not states:
        return []
    return [
        "## States",
        table(("In its words", "State"), ((f"`{word}`", _state(state)) for word, state in states.items())),
    ]


def _state(state: object) -> str:
    return " ".join(f"`{each}`" for each in (state.values() if isinstance(state, dict) else [state]))
