"""Cases: made into our objects, and compared with what a provider makes of them.

Pure. What is not as a case says is an AssertionError, which says what it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec.structs import asdict
from pydantic import SecretStr

from bridge.message import Accepted, Content, Inbound, Message, Outcome, Reason, Refused, Report, Retry, State, Unsure
from bridge.providers import (
    Attempt,
    Callback,
    Heard,
    Provider,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
)

REFERENCES = References("0123456789ab")
NOW = 1_700_000_000.0

CALLBACK_URL = "https://sms.example.com/callbacks/provider/t0ken"
SECTIONS = ("sends", "callbacks", "polls", "inboxes", "balances", "prices", "setups", "logins")

KEYS = {
    "cases": {"settings", "wrong_settings", "variants", "codes", "statuses", *SECTIONS},
    "sends": {"name", "settings", "messages", "request", "answer", "outcomes"},
    "callbacks": {"name", "settings", "callback", "reports", "refused"},
    "polls": {"name", "settings", "wanted", "requests", "answer", "reports"},
    "inboxes": {"name", "settings", "request", "answer", "reports"},
    "balances": {"name", "settings", "request", "answer", "money"},
    "prices": {"name", "settings", "messages", "request", "answer", "money"},
    "setups": {"name", "settings", "steps", "done", "refused"},
    "logins": {"name", "settings", "request", "answer", "token", "headers"},
    "codes": {"answer", "outcomes"},
    "statuses": {"callback", "poll", "states"},
    "message": {
        *(
            "destination",
            "text",
            "source",
            "binary",
            "udh",
            "flash",
            "content",
            "valid_s",
            "deliver_in_s",
            "attempt",
            "turn",
        ),
    },
}
_NOTHING = object()
KINDS: dict[str, type[Outcome]] = {"accepted": Accepted, "refused": Refused, "retry": Retry, "unsure": Unsure}


@dataclass(frozen=True)
class Subject:
    """A provider and its cases, as the checks see them."""

    name: str
    settings: type[ProviderSettings]
    provider: type[Provider]
    codes: Mapping[Any, Outcome]
    states: Mapping[str, Any]
    cases: dict[str, Any]

    def make(self, **more: Any) -> Provider:
        """The provider with the settings of the cases, changed by `more`."""
        settings = self.settings.model_validate(self.cases["settings"] | more)
        provider = self.provider(self.name, settings, REFERENCES)
        provider.callback_url = CALLBACK_URL
        return provider

    def variants(self) -> Iterator[Subject]:
        """The same provider with the other settings that its cases name."""
        for settings in self.section("variants"):
            yield replace(self, cases=self.cases | {"settings": self.cases["settings"] | settings})

    def section(self, name: str) -> Any:
        """One section of the cases, empty when there is none."""
        return self.cases.get(name) or ({} if name in ("codes", "statuses") else [])


# --- from cases to objects, and back ----------------------------------------------------------------------------------


def attempts_of(messages: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Attempts of the messages of a case, whose ids are 1, 2, ..."""
    return [attempt_of(case, message_id) for message_id, case in enumerate(messages, 1)]


def attempt_of(case: Mapping[str, Any], message_id: int = 1) -> Attempt:
    """An attempt of one message of a case."""
    assert set(case) <= KEYS["message"], f"unknown keys in a message: {set(case) - KEYS['message']}"
    octets: dict[str, Any] = {key: base64.b64decode(case[key]) for key in ("binary", "udh") if key in case}
    message = Message(
        message_id=message_id,
        account="acme",
        listener="http",
        destination=case["destination"],
        accepted_at=NOW,
        expires_at=NOW + case.get("valid_s", 3600),
        deliver_at=NOW + case["deliver_in_s"] if "deliver_in_s" in case else None,
        source=case.get("source"),
        text=case.get("text"),
        flash=case.get("flash", False),
        content=Content(**case["content"]) if "content" in case else None,
        **octets,
    )
    return Attempt(message, REFERENCES.of(message_id), case.get("attempt", 1), case.get("turn", 1))


def body_of(case: Mapping[str, Any]) -> bytes:
    """The body that `json`, `form` or `text` is."""
    if "json" in case:
        return json.dumps(case["json"]).encode()
    if "form" in case:
        return urlencode(case["form"]).encode()
    return str(case.get("text", "")).encode()


def response_of(case: Mapping[str, Any]) -> Response:
    """The answer of a case."""
    return Response(status=case.get("status", 200), headers=case.get("headers", {}), body=body_of(case))


def callback_of(case: Mapping[str, Any], provider: Provider | None = None) -> Callback:
    """The callback of a case; with `signed: true`, signed as the provider would."""
    callback = Callback(
        method=case["method"],
        path=case.get("path", ""),
        query=case.get("query", {}),
        headers={name.lower(): value for name, value in case.get("headers", {}).items()},
        body=body_of(case),
        remote=case.get("remote"),
        received_at=case.get("received_at"),
    )
    if not case.get("signed"):
        return callback
    sign = getattr(provider, "signed", None)
    assert sign is not None, "signed: true is for declared providers"
    signed: Callback = sign(callback)
    return signed


def references_of(wanted: Sequence[Mapping[str, Any]]) -> list[Reference]:
    """The references that a case asks for."""
    return [
        Reference(each["message_id"], REFERENCES.of(each["message_id"]), each.get("provider_ref")) for each in wanted
    ]


def filled(template: Any, word: str, value: str) -> Any:
    """The template with `value` wherever `word` stands, alone or behind the # of an address."""
    if isinstance(template, dict):
        return {key: filled(each, word, value) for key, each in template.items()}
    if isinstance(template, list):
        return [filled(each, word, value) for each in template]
    if template == word:
        return value
    return template.replace(f"#{word}", f"#{value}") if isinstance(template, str) else template


def exchange(provider: Provider, request: Request, answer: Mapping[str, Any] | None) -> Response:
    """The answer of a case, or that of a provider which needs no network."""
    if answer is not None:
        return response_of(answer)
    response = provider.answer(request)
    assert response is not None, "a case without an answer, and the provider does not answer by itself"
    return response


def same(what: str, found: object, expected: object) -> None:
    """Fails when they differ; of two groups, only what differs is told."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [key for key in {**found, **expected} if found.get(key, _NOTHING) != expected.get(key, _NOTHING)]
        found, expected = ({key: each[key] for key in keys if key in each} for each in (found, expected))
    assert found == expected, f"{what} is {found!r} and should be {expected!r}"


def same_request(request: Request, expected: Mapping[str, Any]) -> None:
    """The request must be as expected; of header fields, those that are named."""
    same("the request", (request.method, request.url), (expected["method"], expected["url"]))
    for name, value in expected.get("headers", {}).items():
        same(f"header {name}", request.headers.get(name), value)
    body = (request.body or b"").decode()
    if "json" in expected:
        same("the body", json.loads(body or "null"), expected["json"])
    elif "form" in expected:
        fields: dict[str, Any] = {}
        for name, value in parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body)):
            fields[name] = value if name not in fields else [*_list(fields[name]), value]
        same("the form", fields, expected["form"])
    else:
        same("the body", body, expected.get("text", ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def same_outcome(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    """Every field but what was said in their words must be as expected, or as by default."""
    ((kind, fields),) = expected.items()
    assert kind in KINDS, f'no outcome is called "{kind}"; there are: {", ".join(KINDS)}'
    words: dict[str, Any] = {"reason": None} if kind in ("refused", "retry") else {}
    words |= {name: State[word.upper()] if name == "state" else word for name, word in fields.items()}
    wanted = KINDS[kind](**words)
    free = {"native", "provider_ref"} - set(fields)
    assert type(outcome) is KINDS[kind], f"{outcome} is not {kind}"
    same("the outcome", *({**asdict(each), **dict.fromkeys(free)} for each in (outcome, wanted)))


def same_item(item: Report | Inbound, expected: Mapping[str, Any]) -> None:
    """Every field but what was said in their words must be as expected, or as by default."""
    fields = dict(expected)
    wanted: Report | Inbound
    if "state" in fields:
        fields["state"] = State[fields["state"].upper()]
        fields["reason"] = Reason(fields["reason"]) if "reason" in fields else None
        wanted = Report(**fields)
    else:
        wanted = Inbound(**fields)
    assert type(item) is type(wanted), f"{item} is not a {type(wanted).__name__}"
    free = {"native", "provider_ref"} - set(expected)
    same("what is said", *({**asdict(each), **dict.fromkeys(free)} for each in (item, wanted)))


def same_items(heard: Heard, expected: Sequence[Mapping[str, Any]]) -> None:
    """What was heard must be as expected, item by item."""
    assert len(heard.items) == len(expected), f"{list(heard.items)}"
    for item, each in zip(heard.items, expected, strict=True):
        same_item(item, each)


def secrets_of(settings: ProviderSettings) -> list[str]:
    """All the secrets in some settings."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def sample(subject: Subject, **more: Any) -> Attempt:
    """An attempt that any provider can carry, changed by `more`."""
    return attempt_of({"destination": "380972000000", "text": "hello"} | more)
