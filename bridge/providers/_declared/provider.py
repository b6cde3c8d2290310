"""The provider that a declaration is: the parts of it, put behind the contract that coded ones keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec.structs import replace
from pydantic import SecretStr

from bridge.message import Inbound, Message, Outcome, Report
from bridge.providers import _contract
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Heard,
    Reference,
    References,
    Request,
    Response,
    Token,
)
from bridge.providers._declared import checks
from bridge.providers._declared.conditions import Conditions
from bridge.providers._declared.paths import Format, parse
from bridge.providers._declared.requests import Asking, Login, Own, Plan, Sending, token_of
from bridge.providers._declared.sayings import Inbounds, Reports
from bridge.providers._declared.verdicts import Answer


@dataclass(frozen=True)
class Parts:
    """A declaration, compiled."""

    send: Plan
    answer: Answer
    login: Login | None
    report: tuple[frozenset[str], Reports] | None  # methods, and what is found
    inbound: tuple[frozenset[str], Inbounds] | None
    ignore: Sequence[Conditions]
    reply: Heard
    tests: list[checks.Test]
    sign: Callable[[checks.Scope], Callback] | None  # as the provider would
    poll: Plan | None
    polled: Reports | None
    polled_alone: bool  # the answer to a poll does not say of which message it is


class Declared(_contract.Provider):
    """One provider by declaration; its own class has its `parts` and its capabilities."""

    parts: ClassVar[Parts]

    def __init__(self, name: str, settings: Any, references: References) -> None:
        super().__init__(name, settings, references)
        self._values = values_of(settings)
        send = self.parts.send
        self._head = send.head(Own(self._values)) if send.one_head else None

    def batch_key(self, message: Message) -> object:
        """What stands outside of every `each`."""
        send = self.parts.send
        return send.key(self._sending(Attempt(message, ""))) if send.shared and self.batch_size > 1 else None

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """The declared request."""
        return self.parts.send.make([self._sending(attempt) for attempt in attempts], self._head)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """What the rules say."""
        return self.parts.answer.outcomes(response, [self._sending(attempt) for attempt in attempts])

    def reports(self, callback: Callback) -> Heard:
        """Reports and inbound messages, once it is known that the provider sent them."""
        parts = self.parts
        sayings = [each for each in (parts.report, parts.inbound) if each is not None]
        if not sayings:
            raise BadCallback("no callbacks are declared", status=404)
        sayings = [each for each in sayings if callback.method in each[0]]
        if not sayings:
            raise BadCallback("not a method that is declared", status=405)
        checks.verify(parts.tests, self._scope(callback))
        items: list[Report | Inbound] = []
        ignored = False
        read: dict[Format, Any] = {}
        for _, saying in sayings:
            form = saying.form
            if form not in read:
                read[form] = parse(callback.body, form, callback.query)
            whole = read[form]
            if whole is None:
                continue
            if isinstance(saying, Reports):
                items += saying.found(whole, self.references)
            else:
                items += saying.found(whole)
            ignored = ignored or any(conditions.hold(whole) for conditions in parts.ignore)
        if not items and not ignored:
            raise BadCallback("nothing of what is declared is found in it")
        return replace(parts.reply, items=items)

    def signed(self, callback: Callback) -> Callback:
        """The callback as the provider would sign it, for cases. Raises ValueError where only the provider can."""
        if self.parts.sign is None:
            raise ValueError("only a digest with a key can be made here")
        return self.parts.sign(self._scope(callback))

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """One request for as many as fit in one; none for what cannot be named."""
        plan = self.parts.poll
        if plan is None:
            return []
        by_their_id = "provider_ref" in plan.names and "reference" not in plan.names
        asked = [Asking(each, self._values) for each in wanted if each.provider_ref or not by_their_id]
        size = self.capabilities.poll_size
        return [plan.make(asked[start : start + size]) for start in range(0, len(asked), size)]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """The reports in an answer of success."""
        polled, parts = self.parts.polled, self.parts
        if polled is None or not 200 <= response.status < 300:
            return Heard()
        whole = parse(response.body, polled.form)
        alone = wanted[0].message_id if parts.polled_alone and len(wanted) == 1 else None
        return Heard(items=list(polled.found(whole, self.references, alone)) if whole is not None else [])

    def login(self) -> Request | None:
        """By client credentials, where that is declared."""
        login = self.parts.login
        return login.request(Own(self._values)) if login else None

    def token_of(self, response: Response) -> Token | None:
        """The token of an answer."""
        return token_of(response)

    def _scope(self, callback: Callback) -> checks.Scope:
        return checks.Scope(callback, self._values, self.callback_url)

    def _sending(self, attempt: Attempt) -> Sending:
        return Sending(attempt, self._values, self.callback_url)


def values_of(settings: Any) -> Mapping[str, Any]:
    """The plain values of settings, as templates take them."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()}
