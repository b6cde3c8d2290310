"""One declaration made into parts, or every problem of it, each at its place in the file."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from bridge.message import Message, Outcome, Reason, State
from bridge.problems import KeyPath, Problem, hint
from bridge.providers._contract import Attempt, Capabilities, Heard, ProviderSettings, Reference, References
from bridge.providers._declared import checks, schema
from bridge.providers._declared.conditions import Conditions
from bridge.providers._declared.paths import Format, Path
from bridge.providers._declared.provider import Declared, Parts
from bridge.providers._declared.requests import POLL_NAMES, SEND_NAMES, Login, Plan
from bridge.providers._declared.sayings import Inbounds, Reports, state_of
from bridge.providers._declared.template import Getter, Names, Template, TemplateError
from bridge.providers._declared.verdicts import OUTCOMES, Answer, Rule, outcome_of
from bridge.values import BaseUrl, Secret

T = TypeVar("T")


def _networks(values: list[str]) -> list[Any]:
    return [ipaddress.ip_network(value) for value in values]


_KINDS: dict[str, Any] = {
    "text": Annotated[str, Field(min_length=1)],
    "secret": Secret,
    "url": BaseUrl,
    "number": int,
    "flag": bool,
    "networks": Annotated[list[str], AfterValidator(_networks)],
}
# What stands in for settings when a declaration is tried.
_SAMPLES: dict[str, Any] = {
    "text": "sample",
    "secret": "sample",
    "url": "https://sample.example",
    "flag": True,
    "networks": ["192.0.2.0/24"],
}
# Keys that hold paths; `text` and `message` of other groups are never inspected.
_PATHS = frozenset(
    {"ref", "code", "message", "items", "at", "id", "reference", "status", "reason", "path", "from_", "to", "text"}
)
_TRIED = References("0" * 12)


class Compiling:
    """The parts of a declaration; with `problems`, some of them are missing, and it cannot be used."""

    def __init__(self, name: str, declaration: schema.Declaration) -> None:
        self.problems: list[Problem] = []
        self._declared = declaration
        self._own: Names = {f"settings.{key}": _setting_getter(key) for key in declaration.settings}
        self._urls = frozenset(f"settings.{key}" for key, each in declaration.settings.items() if each.kind == "url")
        self.settings = self._settings(name)
        self.codes: dict[str, Outcome] = dict(self._table("codes", declaration.codes, outcome_of, (*OUTCOMES, *Reason)))
        words = (*(state.word for state in State), *Reason)
        self.states = dict(self._table("states", declaration.states, state_of, words))
        self._reasons = dict(self._table("reasons", declaration.reasons, _reason_of, tuple(Reason)))
        parts = self._parts()
        self.capabilities = self._capabilities(parts) if parts else Capabilities()
        if parts is not None and not self.problems:
            self.parts = parts
            self._try()

    # --- pieces -----------------------------------------------------------------------------------------------------

    def _settings(self, name: str) -> type[ProviderSettings]:
        fields: dict[str, Any] = {"type": (Literal[name], ...)}
        for key, each in self._declared.settings.items():
            path: KeyPath = ("settings", key)
            if key in ProviderSettings.model_fields:
                self.problems.append(Problem(path, "every provider has this setting; call yours something else"))
                continue
            kind: Any = (
                Literal[tuple(each.choices)] if each.kind == "choice" and each.choices else _KINDS.get(each.kind)
            )
            if kind is None:
                self.problems.append(Problem(path, "a choice needs choices, such as [eu, us]"))
                continue
            if each.optional and each.default is None:
                kind = kind | None
            required = not each.optional and each.default is None
            field: FieldInfo = Field(
                ... if required else each.default, ge=each.least, le=each.most, description=each.about or None
            )
            fields[key] = (kind, field)
        about = f"{self._declared.about}\n\nDeclared in `{name}.yaml`; {self._declared.documents}"
        try:
            return create_model("Settings", __base__=ProviderSettings, __doc__=about, __module__=__name__, **fields)
        except (TypeError, RuntimeError) as error:
            self.problems.append(Problem(("settings",), f"cannot be: {error}"))
            return ProviderSettings

    def _table(
        self, section: str, table: Mapping[str, str], of: Callable[[str], T], words: tuple[str, ...]
    ) -> Iterator[tuple[str, T]]:
        for key, value in table.items():
            found = self._made((section, key), words, of, value)
            if found is not None:
                yield key.lower(), found

    def _made(self, path: KeyPath, words: tuple[str, ...], make: Callable[..., T], *given: Any) -> T | None:
        """What `make` gives; or a problem at `path`, with the nearest of `words` where a word is wrong."""
        try:
            return make(*given)
        except KeyError as error:
            word = str(error.args[0])
            self.problems.append(Problem(path, f'no valid word: "{word}"{hint(word, words)}'))
        except TemplateError as error:
            self.problems.append(Problem(path, f"{error}{hint(error.word, error.known) if error.known else ''}"))
        except ValueError as error:
            self.problems.append(Problem(path, str(error)))
        return None

    def _maker(self, names: Names) -> Callable[[str, KeyPath], Template]:
        """Makes templates; one that is wrong becomes an empty one, and a problem."""
        known = {**names, **self._own}

        def make(source: str, path: KeyPath) -> Template:
            return self._made(path, (), Template, source, known) or Template("", {})

        return make

    def _sound(self, section: str) -> bool:
        """True when every path, rule and condition of a section can be used; what cannot is noted at its own place."""
        before = len(self.problems)
        self._inspect(getattr(self._declared, section), (section,), None)
        return len(self.problems) == before

    def _inspect(self, group: Any, path: KeyPath, form: Format | None) -> None:
        form = getattr(group, "as_", form) or "json"
        for name, field in type(group).model_fields.items():
            value, place = getattr(group, name), (*path, field.alias or name)
            if name in _PATHS and isinstance(value, str):
                self._made(place, (), Path, value, form)
            elif name == "where":
                for key, wanted in value.items():
                    self._made((*place, key), (), Conditions, {key: wanted}, form)
            elif name == "by":
                for key in value:
                    self._made((*place, key), (), Path, key, form)
            elif name == "rules":
                for number, rule in enumerate(value):
                    self._made((*place, number), (*OUTCOMES, *Reason), Rule, rule, form)
            elif isinstance(value, schema.Items | schema.Moment):
                self._inspect(value, place, form)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _parts(self) -> Parts | None:
        declared = self._declared
        sending, polling = self._maker(SEND_NAMES), self._maker(POLL_NAMES)
        send = self._made(("send",), (), Plan, declared.send, ("send",), declared.auth, sending, self._urls)
        login = None
        if declared.auth.oauth2 is not None:
            login = self._made(("auth", "oauth2"), (), Login, declared.auth.oauth2, self._maker({}))
        items = declared.answer.items
        by = [(key, sending(text, ("answer", "items", "by", key))) for key, text in items.by.items()] if items else []
        answer = Answer(declared.answer, self.codes, by) if self._sound("answer") else None
        if not (declared.answer.ref or declared.answer.rules or declared.answer.code or items):
            self.problems.append(Problem(("answer",), "nothing says when a message is accepted: ref, rules or code"))
        report, inbound, poll, polled = declared.report, declared.inbound, None, None
        reports = inbounds = None
        if report is not None:
            if self._sound("report"):
                reports = self._made(("report", "at"), (), Reports, report, self.states, self._reasons)
            if report.id is None and report.reference is None:
                self.problems.append(Problem(("report",), "needs id or reference: of which message it is"))
        if inbound is not None and self._sound("inbound"):
            inbounds = self._made(("inbound", "at"), (), Inbounds, inbound)
        if declared.poll is not None:
            poll = self._made(("poll",), (), Plan, declared.poll, ("poll",), declared.auth, polling, self._urls)
            if self._sound("poll"):
                polled = self._made(("poll", "at"), (), Reports, declared.poll, self.states, self._reasons)
        if (report or declared.poll) and not declared.states:
            self.problems.append(Problem(("states",), "reports have words, and nothing says what they mean"))
        form = report.as_ if report else inbound.as_ if inbound else "json"
        ignore = [
            self._made(("ignore", number), (), Conditions, where, form) for number, where in enumerate(declared.ignore)
        ]
        tests = [self._test(number, check) for number, check in enumerate(declared.verify)]
        key = next((check.hmac for check in declared.verify if check.hmac is not None), None)
        make = self._maker(checks.NAMES)
        sign = checks.signing(key, lambda text, _: make(text, ("verify",))) if key and not self.problems else None
        if send is None or answer is None:
            return None
        reply = declared.reply
        return Parts(
            send=send,
            answer=answer,
            login=login,
            report=(frozenset(report.method), reports) if report and reports else None,
            inbound=(frozenset(inbound.method), inbounds) if inbound and inbounds else None,
            ignore=[each for each in ignore if each is not None],
            reply=Heard(status=reply.status, body=reply.body.encode(), content_type=reply.type),
            tests=[each for each in tests if each is not None],
            sign=sign,
            poll=poll,
            polled=polled,
            polled_alone=declared.poll is not None and declared.poll.id is None and declared.poll.reference is None,
        )

    def _test(self, number: int, check: schema.Check) -> checks.Test | None:
        path: KeyPath = ("verify", number)
        make, kind = self._maker(checks.NAMES), next(iter(check.model_fields_set), "")
        inner = getattr(check, kind, None)

        def make_at(source: str, key: str) -> Template:
            place: KeyPath = (*path, kind, int(key)) if isinstance(inner, list) else (*path, kind, key)
            return make(source, place)

        return self._made(path, (), checks.compiled, check, make_at, self._declared.settings)

    def _capabilities(self, parts: Parts) -> Capabilities:
        """What the API can carry: what is in the templates, and what is declared beside them."""
        able, names, poll = self._declared.capabilities, parts.send.names, parts.poll
        return Capabilities(
            **(able.model_dump() | {"alphanumeric_source": able.alphanumeric_source and "from" in names}),
            batch_size=self._declared.send.max,
            binary={"binary", "udh"} <= names,
            flash="flash" in names,
            validity=bool({"validity_s", "expires_at"} & names),
            schedule="deliver_at" in names,
            push_reports=parts.report is not None,
            inbound=parts.inbound is not None,
            poll_reports=poll is not None,
            lookup=poll is not None and "reference" in poll.names,
            poll_size=self._declared.poll.max if self._declared.poll else 1,
        )

    # --- tried ------------------------------------------------------------------------------------------------------

    def _try(self) -> None:
        """Builds requests of the barest and of the fullest message, with few settings and with all."""
        everything = {key: self._sample(each) for key, each in self._declared.settings.items()}
        needed = {
            key: everything[key]
            for key, each in self._declared.settings.items()
            if not each.optional and each.default is None
        }
        kind = type("Provider", (Declared,), {"parts": self.parts, "capabilities": self.capabilities})
        name = cast("str", self.settings.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]
        for given in (needed, everything):
            try:
                settings = self.settings.model_validate({"type": name, **given})
            except ValidationError as error:
                for detail in error.errors(include_url=False, include_input=False):
                    self.problems.append(Problem(("settings", *detail["loc"], "default"), detail["msg"]))
                return
            provider = self._made(("send",), (), kind, name, settings, _TRIED)
            if provider is None:
                break
            attempts = [Attempt(message, _TRIED.of(message.message_id)) for message in _messages(self.capabilities)]
            for attempt in attempts:
                self._made(("send",), (), provider.build, [attempt])
            self._made(("poll",), (), provider.poll, [Reference(1, _TRIED.of(1)), Reference(2, _TRIED.of(2), "id")])
        unique = {(each.path, each.text): each for each in self.problems}
        self.problems[:] = unique.values()

    @staticmethod
    def _sample(setting: schema.Setting) -> Any:
        if setting.default is not None:
            return setting.default
        if setting.kind == "choice":
            return setting.choices[0]
        return setting.least or 1 if setting.kind == "number" else _SAMPLES[setting.kind]


def _messages(can: Capabilities) -> Iterator[Message]:
    """The barest and the fullest message."""
    bare: dict[str, Any] = {"account": "a", "listener": "http", "accepted_at": 0.0, "expires_at": 60.0}
    yield Message(message_id=1, destination="1", text="a", **bare)
    more: dict[str, Any] = {"binary": b"a", "udh": b"a"} if can.binary else {"text": "\u20ac\u4e00"}
    yield Message(message_id=2, destination="1" * 15, source="1", flash=True, deliver_at=30.0, **more, **bare)


def _setting_getter(key: str) -> Getter:
    return lambda scope: scope.settings[key]


def _reason_of(word: str) -> Reason:
    if word not in list(Reason):
        raise KeyError(word)
    return Reason(word)
