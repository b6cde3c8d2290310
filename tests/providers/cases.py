"""Cases of providers: read from YAML, made into our objects, and compared with what a provider makes of them."""

from __future__ import annotations

import base64
import importlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode

import yaml
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

FOLDER = Path(__file__).parent
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
        *("destination", "text", "source", "binary", "udh", "flash", "content", "valid_s", "deliver_in_s", "attempt"),
    },
}
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
        return self.provider(self.name, self.settings.model_validate(self.cases["settings"] | more), REFERENCES)

    def variants(self) -> Iterator[Subject]:
        """The same provider with the other settings that its cases name."""
        for settings in self.section("variants"):
            yield replace(self, cases=self.cases | {"settings": self.cases["settings"] | settings})

    def section(self, name: str) -> Any:
        return self.cases.get(name) or ({} if name in ("codes", "statuses") else [])


@cache
def subject(name: str) -> Subject:
    """The provider `name` with the cases beside this file."""
    module = importlib.import_module(f"bridge.providers.{name}")
    path = FOLDER / f"{name}.yaml"
    assert path.is_file(), f"provider {name} has no cases: write tests/providers/{name}.yaml"
    cases = yaml.safe_load(path.read_text())
    return Subject(name, module.Settings, module.Provider, module.CODES, module.STATES, cases)


@contextmanager
def no_network() -> Iterator[None]:
    """Any socket or name lookup is an AssertionError."""

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a provider opened a socket")

    with (
        mock.patch.object(socket, "socket", refuse),
        mock.patch.object(socket, "create_connection", refuse),
        mock.patch.object(socket, "getaddrinfo", refuse),
    ):
        yield


# --- from cases to objects, and back ----------------------------------------------------------------------------------


def attempts_of(messages: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    return [attempt_of(case, message_id) for message_id, case in enumerate(messages, 1)]


def attempt_of(case: Mapping[str, Any], message_id: int = 1) -> Attempt:
    assert set(case) <= KEYS["message"], f"unknown keys in a message: {set(case) - KEYS['message']}"
    octets = {key: base64.b64decode(case[key]) for key in ("binary", "udh") if key in case}
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
    return Attempt(message, REFERENCES.of(message_id), case.get("attempt", 1))


def body_of(case: Mapping[str, Any]) -> bytes:
    if "json" in case:
        return json.dumps(case["json"]).encode()
    if "form" in case:
        return urlencode(case["form"]).encode()
    return str(case.get("text", "")).encode()


def response_of(case: Mapping[str, Any]) -> Response:
    return Response(status=case.get("status", 200), headers=case.get("headers", {}), body=body_of(case))


def callback_of(case: Mapping[str, Any]) -> Callback:
    body = body_of(case)
    return Callback(
        method=case["method"],
        path=case.get("path", ""),
        query=case.get("query", {}),
        headers=case.get("headers", {}),
        body=body,
    )


def references_of(wanted: Sequence[Mapping[str, Any]]) -> list[Reference]:
    return [
        Reference(each["message_id"], REFERENCES.of(each["message_id"]), each.get("provider_ref")) for each in wanted
    ]


def filled(template: Any, word: str, value: str) -> Any:
    """The template with `value` wherever `word` stands."""
    if isinstance(template, dict):
        return {key: filled(each, word, value) for key, each in template.items()}
    if isinstance(template, list):
        return [filled(each, word, value) for each in template]
    return value if template == word else template


def exchange(provider: Provider, request: Request, answer: Mapping[str, Any] | None) -> Response:
    if answer is not None:
        return response_of(answer)
    response = provider.answer(request)
    assert response is not None, "a case without an answer, and the provider does not answer by itself"
    return response


def same_request(request: Request, expected: Mapping[str, Any]) -> None:
    assert (request.method, request.url) == (expected["method"], expected["url"])
    for name, value in expected.get("headers", {}).items():
        assert request.headers.get(name) == value, f"header {name}"
    if "json" in expected:
        assert json.loads(request.body or b"null") == expected["json"]
    elif "form" in expected:
        fields = dict(parse_qsl((request.body or b"").decode(), keep_blank_values=True, strict_parsing=True))
        assert fields == expected["form"]
    else:
        assert (request.body or b"").decode() == expected.get("text", "")


def same_outcome(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    """Every field but what was said in their words must be as expected, or as by default."""
    ((kind, fields),) = expected.items()
    words = {name: State[word.upper()] if name == "state" else word for name, word in fields.items()}
    wanted = KINDS[kind](**({"reason": None} if kind in ("refused", "retry") else {}) | words)
    free = {"native", "provider_ref"} - set(fields)
    left, right = asdict(outcome), asdict(wanted)
    assert type(outcome) is KINDS[kind], f"{outcome} is not {kind}"
    assert {**left, **dict.fromkeys(free)} == {**right, **dict.fromkeys(free)}


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
    left, right = asdict(item), asdict(wanted)
    assert {**left, **dict.fromkeys(free)} == {**right, **dict.fromkeys(free)}


def same_items(heard: Heard, expected: Sequence[Mapping[str, Any]]) -> None:
    assert len(heard.items) == len(expected), f"{list(heard.items)}"
    for item, each in zip(heard.items, expected, strict=True):
        same_item(item, each)


def secrets_of(settings: ProviderSettings) -> list[str]:
    values = [getattr(settings, name) for name in type(settings).model_fields]
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def sample(subject: Subject, **more: Any) -> Attempt:
    """An attempt that any provider can carry, changed by `more`."""
    return attempt_of({"destination": "380972000000", "text": "hello"} | more)
