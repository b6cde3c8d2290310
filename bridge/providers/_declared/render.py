"""Bodies, queries and headers: what a declaration says, with values in it, escaped by what it becomes.

A declared structure is compiled once. Whatever has no value is left out: a key of a group, an item of a list, a field.
`{each: X}` is a list with an X for each message; `join: ","` makes one text of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode
from xml.sax.saxutils import escape, quoteattr

import msgspec

from bridge.problems import KeyPath
from bridge.providers._declared.template import Template, TemplateError, text_of

Compile = Callable[[str, KeyPath], Template]  # a template at a place; what is wrong with it is noted there
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2
_XML_NAME = re.compile(r"[A-Za-z_][\w.:-]*")
_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f]+")


class Leaf:
    """A template; what it makes is a value."""

    __slots__ = ("template",)

    def __init__(self, template: Template) -> None:
        self.template = template

    def make(self, scopes: Sequence[Any]) -> Any:
        """The value of the first message."""
        return self.template.value(scopes[0])


class Fixed:
    """A value that is the same for all."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def make(self, scopes: Sequence[Any]) -> Any:
        """Always the same."""
        return self.value


class Mapping:
    """A group; what has no value is left out, and so is a group of nothing else."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, Node]]) -> None:
        self.items = items

    def make(self, scopes: Sequence[Any]) -> Any:
        """The group, None when nothing in it has a value."""
        made = {key: value for key, node in self.items if (value := node.make(scopes)) is not None}
        return made if made or not self.items else None


class Listing:
    """A list; what has no value is left out."""

    __slots__ = ("items",)

    def __init__(self, items: list[Node]) -> None:
        self.items = items

    def make(self, scopes: Sequence[Any]) -> Any:
        """The list, None when nothing in it has a value."""
        made = [value for node in self.items if (value := node.make(scopes)) is not None]
        return made if made or not self.items else None


class Each:
    """One item for each message."""

    __slots__ = ("item", "join")

    def __init__(self, item: Node, join: str | None) -> None:
        self.item = item
        self.join = join

    def make(self, scopes: Sequence[Any]) -> Any:
        """The list, or the text that it is joined to; what has no value keeps its place there."""
        made = [self.item.make((scope,)) for scope in scopes]
        return made if self.join is None else self.join.join("" if item is None else text_of(item) for item in made)


Node = Leaf | Fixed | Mapping | Listing | Each


def compiled(value: Any, path: KeyPath, template: Compile) -> Node:
    """A declared structure, ready to be made. Raises TemplateError."""
    if isinstance(value, dict):
        if "each" in value:
            return _each(value, path, template)
        return Mapping([(key, compiled(item, (*path, key), template)) for key, item in value.items()])
    if isinstance(value, list):
        return Listing([compiled(item, (*path, number), template) for number, item in enumerate(value)])
    return Leaf(template(value, path)) if isinstance(value, str) else Fixed(value)


def _each(value: dict[str, Any], path: KeyPath, template: Compile) -> Each:
    if set(value) - {"each", "join"} or not isinstance(value.get("join", ""), str):
        raise TemplateError("each stands alone, or with join and a text")
    return Each(compiled(value["each"], (*path, "each"), template), value.get("join"))


def templates_in(node: Node, *, of_each: bool) -> Iterator[Template]:
    """The templates outside of `each` (those that must come out alike for all messages of a request), or inside."""
    if isinstance(node, Leaf):
        if not of_each:
            yield node.template
    elif isinstance(node, Mapping):
        for _, item in node.items:
            yield from templates_in(item, of_each=of_each)
    elif isinstance(node, Listing):
        for item in node.items:
            yield from templates_in(item, of_each=of_each)
    elif isinstance(node, Each) and of_each:
        yield from templates_in(node.item, of_each=False)


def fields(made: Any) -> bytes:
    """A form or a query, in UTF-8; a list repeats its name."""
    pairs = [
        (name, text_of(each))
        for name, value in (made or {}).items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs, quote_via=quote_plus, errors="replace").encode()


def json(made: Any) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(made)


def xml(made: Any) -> bytes:
    """A group with one root as XML: `@name` is an attribute, `#text` the text, a list an element of that name each."""
    return b'<?xml version="1.0" encoding="UTF-8"?>' + "".join(_elements(made or {})).encode("utf-8", "replace")


def header(text: str) -> str:
    """A value of a header field, which has one line."""
    return _LINE_ENDS.sub(" ", text)


def xml_problem(value: Any, *, root: bool = True) -> str | None:
    """Why a declared structure cannot be XML, None when it can."""
    if isinstance(value, list):
        return next((told for item in value if (told := xml_problem(item, root=False))), None)
    if not isinstance(value, dict):
        return None
    if "each" in value:
        return xml_problem(value["each"], root=False)
    if root and (len(value) != 1 or isinstance(next(iter(value.values())), list)):
        return "XML has one root: a group with one key"
    for name, item in value.items():
        if name != "#text" and not _XML_NAME.fullmatch(name.removeprefix("@")):
            return f'"{name}" is no name in XML'
        if told := xml_problem(item, root=False):
            return told
    return None


def _elements(group: dict[str, Any]) -> Iterator[str]:
    for name, value in group.items():
        for each in value if isinstance(value, list) else [value]:
            yield from _element(name, each)


def _element(name: str, value: Any) -> Iterator[str]:
    inner = value if isinstance(value, dict) else {"#text": value}
    attributes = (f" {key[1:]}={quoteattr(_xml_text(each))}" for key, each in inner.items() if key[0] == "@")
    yield f"<{name}{''.join(attributes)}>"
    yield escape(_xml_text(inner.get("#text", "")))
    yield from _elements({key: each for key, each in inner.items() if key[0] not in "@#"})
    yield f"</{name}>"


def _xml_text(value: Any) -> str:
    return _NOT_XML.sub("", text_of(value))
