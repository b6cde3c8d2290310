"""The small language of declarations: text with `{variable|filter:argument|…}` in it.

A leaf that is nothing but one placeholder keeps the kind of its value (number, truth); everything else becomes text.
A placeholder without a value makes its whole leaf absent. `{{` and `}}` are braces. What a value is escaped for is
decided by who asks: `Template.text` joins as it is, `quoted` escapes each value and never the text around it.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Getter = Callable[[Any], Any]  # a variable's value in a scope
Names = Mapping[str, Getter]

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BYTES = frozenset({"binary", "udh"})
_NEUTRAL = frozenset({"default", "or", "then"})  # filters that also see that there is no value
_FIELDS = "fields"
_OF_FIELDS = frozenset({"pairs", "without", "clean"})


class TemplateError(ValueError):
    """A template that cannot be used; `word` is what is wrong in it, of the valid `known` ones."""

    def __init__(self, text: str, word: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.word = word
        self.known = known


class Expression:
    """One placeholder: a variable, then filters from left to right."""

    __slots__ = ("_get", "_steps", "name", "names")

    def __init__(self, source: str, names: Names) -> None:
        """Raises TemplateError."""
        self.name, *filters = (part.strip() for part in source.split("|"))
        self._get = _getter(self.name, names)
        self.names = {self.name}
        self._steps: list[tuple[Callable[[Any, Any], Any], bool]] = []  # (value, scope) -> value; also without a value
        for each in filters:
            word, colon, argument = each.partition(":")
            self._steps.append((self._step(word, argument if colon else None, names), word in _NEUTRAL))
        words = {each.partition(":")[0] for each in filters}
        if self.name in _BYTES and not words & {"hex", "base64"}:
            raise TemplateError(f"{{{self.name}}} are bytes: say |hex or |base64")
        if self.name != _FIELDS and words & _OF_FIELDS:
            raise TemplateError(f"only {{{_FIELDS}}} can be filtered so: {', '.join(sorted(words & _OF_FIELDS))}")

    def _step(self, word: str, argument: str | None, names: Names) -> Callable[[Any, Any], Any]:
        if word == "or":
            get = _getter(argument or "", names)
            self.names.add(argument or "")
            return lambda value, scope: get(scope) if value is None else value
        if word not in FILTERS:
            raise TemplateError(f'no filter is called "{word}"', word, (*FILTERS, "or"))
        function, convert = FILTERS[word]
        if convert is None:
            if argument is not None:
                raise TemplateError(f"the filter {word} takes no argument")
            return lambda value, _: function(value, None)
        try:
            given = convert(argument or "")
        except ValueError as error:
            raise TemplateError(f"the filter {word} needs an argument: {error}") from None
        return lambda value, _: function(value, given)

    def value(self, scope: Any) -> Any:
        """The value in a scope, None when there is none."""
        value = self._get(scope)
        for step, neutral in self._steps:
            if value is None and not neutral:
                return None
            value = step(value, scope)
        return value


class Template:
    """One text of a declaration."""

    __slots__ = ("_expressions", "_pieces", "names")

    def __init__(self, source: str, names: Names) -> None:
        """Raises TemplateError."""
        self._pieces: list[str | Expression] = []
        at = 0
        for found in _PIECE.finditer(source):
            self._add(source[at : found.start()])
            at = found.end()
            if found[1] is not None:
                self._pieces.append(Expression(found[1], names))
            elif len(found[0]) == 2:
                self._add(found[0][0])
            else:
                raise TemplateError(f'a brace that is alone; write "{found[0] * 2}" for the character')
        self._add(source[at:])
        self.names = {name for each in self._pieces if isinstance(each, Expression) for name in each.names}

    def _add(self, text: str) -> None:
        if text:
            self._pieces.append(text)

    def value(self, scope: Any) -> Any:
        """The value of a single placeholder, the text of anything else; None when a value is missing."""
        pieces = self._pieces
        if len(pieces) == 1:
            return pieces[0] if isinstance(pieces[0], str) else pieces[0].value(scope)
        return self.quoted(scope, lambda text, _: text)

    def text(self, scope: Any) -> str | None:
        """The text; None when a value is missing."""
        return self.quoted(scope, lambda text, _: text)

    def quoted(self, scope: Any, quote: Callable[[str, str], str]) -> str | None:
        """The text, each value escaped by `quote(value, name of the variable)`; None when a value is missing."""
        parts = []
        for each in self._pieces:
            if isinstance(each, str):
                parts.append(each)
                continue
            value = each.value(scope)
            if value is None:
                return None
            parts.append(quote(text_of(value), each.name))
        return "".join(parts)

    def octets(self, scope: Any) -> bytes | None:
        """The bytes: text as UTF-8, bytes as they are; None when a value is missing."""
        parts = []
        for each in self._pieces:
            value = each if isinstance(each, str) else each.value(scope)
            if value is None:
                return None
            parts.append(value if isinstance(value, bytes) else text_of(value).encode("utf-8", "surrogateescape"))
        return b"".join(parts)


def text_of(value: Any) -> str:
    """A value as text: truth in lower case, whole numbers without a point."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _getter(name: str, names: Names) -> Getter:
    if name in names:
        return names[name]
    open_ended = names.get(name.partition(".")[0] + ".*")
    if open_ended is not None and "." in name:
        key = name.partition(".")[2]
        return lambda scope: open_ended(scope).get(key)
    raise TemplateError(f'no variable is called "{name}"', name, tuple(names))


# --- filters --------------------------------------------------------------------------------------------------------


def _octets(value: Any) -> bytes:
    return value if isinstance(value, bytes) else text_of(value).encode("utf-8", "surrogatepass")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _up(divisor: float) -> Callable[[Any, Any], int]:
    return lambda value, _: math.ceil(_number(value) / divisor)


def _plus(value: Any, _: None) -> str:
    text = text_of(value)
    return f"+{text}" if text.isascii() and text.isdigit() else text


def _moment(value: Any, form: str) -> str:
    return datetime.fromtimestamp(_number(value), UTC).strftime(form)


def _digest(value: Any, algorithm: str) -> bytes:
    return hashlib.new(algorithm, _octets(value)).digest()


def _default(value: Any, text: str) -> Any:
    return text if value is None or value is False else value


def _pairs(value: Any, marks: str) -> str:
    """Names and values in the order of the names, `&=` between them when the argument is that."""
    before, between = (marks[:1], marks[1:2]) if marks else ("", "")
    return "".join(f"{before}{name}{between}{value[name]}" for name in sorted(value))


def _clean(value: Any, characters: str) -> dict[str, str]:
    table = str.maketrans(dict.fromkeys(characters, "_"))
    return {name: text.translate(table) for name, text in value.items()}


def _without(value: Any, names: str) -> dict[str, str]:
    left_out = names.split(",")
    return {name: text for name, text in value.items() if name not in left_out}


def _whole(argument: str) -> int:
    if not argument.isascii() or not argument.isdigit():
        raise ValueError("a whole number")
    return int(argument)


def _algorithm(argument: str) -> str:
    if argument not in hashlib.algorithms_guaranteed or argument.startswith("shake"):
        raise ValueError("the name of a digest, such as sha256")
    return argument


# What each does is one line of the reference: docs/reference/declared-providers.md
FILTERS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[str], Any] | None]] = {
    "plus": (_plus, None),  # a number with + before it; letters stay as they are
    "upper": (lambda value, _: text_of(value).upper(), None),  # in capital letters
    "lower": (lambda value, _: text_of(value).lower(), None),  # in small letters
    "cut": (lambda value, length: text_of(value)[:length], _whole),  # the first characters: cut:160
    "text": (lambda value, _: text_of(value), None),  # a number as text
    "number": (lambda value, _: int(_number(value)), None),  # text as a whole number
    "default": (_default, str),  # something fixed, where there is no value: default:0
    "then": (lambda value, text: text if value else None, str),  # something fixed, where there is a value: then:yes
    "minutes": (_up(60), None),  # seconds as minutes, rounded up
    "hours": (_up(3600), None),  # seconds as hours, rounded up
    "days": (_up(86400), None),  # seconds as days, rounded up
    "ms": (lambda value, _: int(_number(value) * 1000), None),  # seconds as milliseconds
    "least": (lambda value, limit: int(max(_number(value), limit)), _whole),  # not below: least:60
    "most": (lambda value, limit: int(min(_number(value), limit)), _whole),  # not above: most:4320
    "iso": (lambda value, _: _moment(value, "%Y-%m-%dT%H:%M:%SZ"), None),  # a moment, such as 2026-01-31T12:00:00Z
    "time": (_moment, str),  # a moment in UTC by strftime: time:%Y-%m-%d %H:%M
    "hex": (lambda value, _: _octets(value).hex(), None),  # bytes, or text as UTF-8
    "base64": (lambda value, _: base64.b64encode(_octets(value)).decode(), None),  # bytes, or text as UTF-8
    "ucs2hex": (lambda value, _: text_of(value).encode("utf-16-be", "surrogatepass").hex(), None),  # text as UCS-2
    "sha256": (lambda value, _: hashlib.sha256(_octets(value)).hexdigest(), None),  # a digest in hex
    "digest": (_digest, _algorithm),  # a digest as bytes: digest:sha256
    "pairs": (_pairs, str),  # fields by name, each with its value; pairs:&= puts these before and between
    "without": (_without, str),  # fields but these: without:sig
    "clean": (_clean, str),  # fields, these characters in their values made _: clean:&=
}
