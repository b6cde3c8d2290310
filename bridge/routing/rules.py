"""Routes and inbound rules: their settings, and the routers compiled from them.

Pure. The first rule that matches wins; a rule without a condition matches everything. A pattern is exact or uses the
shell's `*` (any run of characters) and `?` (any one character).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bridge.errors import ConfigError
from bridge.message import Inbound, Message, Plan
from bridge.values import Duration, ListenerKind, Settings

_NUMBER_PATTERN = re.compile(r"[0-9*?]+")
_WILDCARD = re.compile(r"[*?]")
_PUNCTUATION = ".,:;!?"


def _text(value: Any) -> Any:
    # YAML reads an unquoted +380501234567 as an integer; the administrator meant the number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number_pattern(value: Any) -> Any:
    if not isinstance(value := _text(value), str):
        return value
    digits = value.strip().removeprefix("+")
    if not _NUMBER_PATTERN.fullmatch(digits):
        raise ValueError("a number pattern is digits with * and ?, such as +380* or 4915?????????")
    if digits.startswith("0"):
        raise ValueError("a number pattern begins with the country code, such as +380*, not with 0")
    return digits


def _source_pattern(value: Any) -> Any:
    if not isinstance(value := _text(value), str):
        return value
    if not value.strip():
        raise ValueError("a sender pattern is not empty; leave the key out to match every sender")
    bare = value.strip().removeprefix("+")
    return bare if _NUMBER_PATTERN.fullmatch(bare) else value.strip()


def _keyword(value: Any) -> Any:
    if not isinstance(value := _text(value), str):
        return value
    if len(value.split()) != 1:
        raise ValueError("a keyword is one word")
    return value.strip()


NumberPattern = Annotated[str, BeforeValidator(_number_pattern)]
SourcePattern = Annotated[str, BeforeValidator(_source_pattern)]
Keyword = Annotated[str, BeforeValidator(_keyword)]


class Route(Settings):
    """One rule for messages: every condition that is given must hold; `send` names providers, best first."""

    to: NumberPattern | None = None  # pattern on the destination's E.164 digits, + optional
    source: SourcePattern | None = Field(default=None, alias="from")  # pattern on the sender, in any case
    account: str | None = None
    listener: ListenerKind | None = None
    send: list[str] = Field(min_length=1, max_length=16)
    else_after: Duration | None = None  # not delivered by then, or reported as failed: the next provider goes too

    @field_validator("send")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("a route names each provider once")
        return value

    @model_validator(mode="after")
    def _else_after_has_a_next(self) -> Route:
        if self.else_after is not None and len(self.send) < 2:
            raise ValueError("else_after needs a second provider in send")
        return self

    @property
    def plan(self) -> Plan:
        """Its providers, each but the last with the time that it has to deliver."""
        return Plan(self.send, [*[self.else_after or 0.0] * (len(self.send) - 1), 0.0])


class InboundRule(Settings):
    """One rule for messages from handsets: every condition that is given must hold; `account` gets the message."""

    to: NumberPattern | None = None  # pattern on the number the handset wrote to, + optional
    keyword: Keyword | None = None  # the first word, in any case
    account: str


class _Compiled(NamedTuple):
    """A route as `Router.plan` tests it; what its bucket already settles is not tested again."""

    order: int
    to: Callable[[str], object] | None
    source: Callable[[str], object] | None
    plan: Plan


class _Table:
    """The routes that can apply to one account and listener, in buckets of (literal prefix of `to`, exact sender).

    Of a hundred routes only those that agree in both are looked at, so a lookup costs by the number of different
    prefix lengths, not of routes.
    """

    def __init__(self, routes: Iterable[tuple[int, Route]]) -> None:
        self._buckets: dict[tuple[str, str | None], list[_Compiled]] = {}
        for order, route in routes:
            prefix = literal_prefix(route.to or "*")
            source = None if route.source is None else route.source.casefold()
            exact = source if source is not None and not _WILDCARD.search(source) else None
            compiled = _Compiled(
                order,
                None if route.to in (None, prefix + "*") else matcher(route.to or "*"),
                None if source is None or exact is not None else matcher(source),
                route.plan,
            )
            self._buckets.setdefault((prefix, exact), []).append(compiled)
        self._lengths = sorted({len(prefix) for prefix, _ in self._buckets})

    def plan(self, destination: str, source: str) -> Plan | None:
        """The providers of the first route that matches, or None."""
        first: _Compiled | None = None
        get = self._buckets.get
        for length in self._lengths:
            prefix = destination[:length]
            for bucket in (get((prefix, source)), get((prefix, None))):
                for route in bucket or ():
                    if first is not None and first.order < route.order:
                        break
                    if (route.to is None or route.to(destination)) and (route.source is None or route.source(source)):
                        first = route
                        break
        return None if first is None else first.plan


class Router:
    """The routes of a configuration, compiled."""

    def __init__(self, routes: Sequence[Route], providers: Collection[str]) -> None:
        """`providers`: the names that exist. Raises ConfigError when a route sends to another."""
        self._routes = tuple(routes)
        problems = [
            f"route {number}: there is no provider {name!r}"
            for number, route in enumerate(self._routes, 1)
            for name in route.send
            if name not in providers
        ]
        if problems:
            raise ConfigError(problems)
        self._tables: dict[tuple[str, str], _Table] = {}

    def plan(self, message: Message) -> Plan | None:
        """The providers to try, in order, by the first route that matches; None: no route matches.

        A message without a sender is matched as an empty one: by `from: "*"` and by routes without `from`.
        """
        key = (message.account, message.listener)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = _Table(
                (order, route)
                for order, route in enumerate(self._routes)
                if route.account in (None, message.account) and route.listener in (None, message.listener)
            )
        return table.plan(message.destination, (message.source or "").casefold())

    def explain(self, message: Message) -> list[str]:
        """One line for each route, in order: that it decides, that an earlier one did, or which condition fails.

        Lines show the patterns of the configuration, never the number or sender of the message.
        """
        lines, decided = [], 0
        for number, route in enumerate(self._routes, 1):
            failed = _failed(route, message)
            if failed:
                verdict = f"no: {', '.join(failed)}"
            elif decided:
                verdict = f"matches too, but route {decided} comes first"
            else:
                joint = ", then " if route.else_after is None else f", if not delivered within {route.else_after:g} s "
                verdict, decided = f"matches: send to {joint.join(route.send)}", number
            lines.append(f"route {number}: {verdict}")
        return lines


class InboundRouter:
    """The inbound rules of a configuration, compiled."""

    def __init__(self, rules: Sequence[InboundRule]) -> None:
        self._rules = [
            (
                None if rule.to is None else matcher(rule.to),
                None if rule.keyword is None else _bare(rule.keyword),
                rule.account,
            )
            for rule in rules
        ]

    def account_of(self, inbound: Inbound) -> str | None:
        """The account that gets `inbound`, by the first rule that matches; None: no rule matches.

        The keyword is the first word, in any case and without punctuation after it (`Stop!` is `stop`).
        """
        destination = inbound.destination.removeprefix("+")
        word = _bare(next(iter(inbound.text.split(maxsplit=1)), ""))
        for to, keyword, account in self._rules:
            if (to is None or to(destination)) and keyword in (None, word):
                return account
        return None


def literal_prefix(pattern: str) -> str:
    """What stands before the first wildcard of `pattern`."""
    wildcard = _WILDCARD.search(pattern)
    return pattern[: wildcard.start()] if wildcard else pattern


def matcher(pattern: str) -> Callable[[str], object]:
    """A function that is true for the texts `pattern` matches as a whole; only `*` and `?` are special."""
    if not _WILDCARD.search(pattern):
        return pattern.__eq__
    # fnmatch has character classes too, which nobody asked for; its translation is proof against endless backtracking.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match


def _failed(route: Route, message: Message) -> list[str]:
    conditions = (
        (route.to, f"the destination is not +{route.to}", lambda to: matcher(to)(message.destination)),
        (
            route.source,
            f"the sender is not {route.source}",
            lambda source: matcher(source.casefold())((message.source or "").casefold()),
        ),
        (route.account, f"the account is not {route.account}", message.account.__eq__),
        (route.listener, f"the listener is not {route.listener}", message.listener.__eq__),
    )
    return [failure for condition, failure, holds in conditions if condition is not None and not holds(condition)]


def _bare(word: str) -> str:
    return (word.rstrip(_PUNCTUATION) or word).casefold()
