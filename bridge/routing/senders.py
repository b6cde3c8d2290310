"""The senders that an account may use: settings, and the rules compiled from them. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.errors import Refusal
from bridge.message import Reason
from bridge.routing.numbers import source_of
from bridge.routing.rules import SourcePattern, matcher
from bridge.values import Settings

_REMEMBERED = 4096  # senders whose fate is known without matching


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# NumberError, too, is a ValueError.
Sender = Annotated[str, BeforeValidator(_text), AfterValidator(source_of)]


class Senders(Settings):
    """What the sender of an account's messages may be; patterns use * and ?, in any case."""

    allowed: list[SourcePattern] | None = Field(default=None, min_length=1)  # None: any
    default: Sender | None = None  # of messages that have none; None: the provider's default
    rewrite: dict[SourcePattern, Sender] | None = None  # another in place of one; the first pattern that matches


class SenderRules:
    """The rules of one account, compiled."""

    def __init__(self, settings: Senders) -> None:
        self._default = settings.default
        self._rewrite = [(matcher(pattern.casefold()), sender) for pattern, sender in (settings.rewrite or {}).items()]
        self._allowed = None if settings.allowed is None else [matcher(p.casefold()) for p in settings.allowed]
        self._known: dict[str, str | None] = {}

    def sender_of(self, source: str | None) -> str | None:
        """The sender that a message has in the end. Raises Refusal.

        What the configuration itself names, as the default or in place of another, needs no permission. No sender and
        no default is the provider's own sender, which is nobody else's.
        """
        if source is None:
            return self._default
        if source not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[source] = self._decide(source)
        sender = self._known[source]
        if sender is None:
            raise Refusal(Reason.SOURCE_NOT_ALLOWED, "the account may not use this sender", field="from")
        return sender

    def _decide(self, source: str) -> str | None:
        folded = source.casefold()
        for matches, sender in self._rewrite:
            if matches(folded):
                return sender
        allowed = self._allowed is None or any(matches(folded) for matches in self._allowed)
        return source if allowed else None
