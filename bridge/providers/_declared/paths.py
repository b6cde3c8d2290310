"""Where a value is in what a provider says: JSONPath in JSON, XPath in XML, a name in a form, a pattern in text.

Whatever the bytes are: what cannot be read as it should be is None, and a path that leads nowhere finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

import jsonpath
from lxml import etree

from bridge.providers._contract import decode
from bridge.providers._declared.template import text_of

Format = Literal["json", "xml", "form", "text"]
Find = Callable[[Any], list[Any]]

_FIELDS_MAX = 1000
_PLAIN = re.compile(r"""(?:\.?([A-Za-z_@][\w@-]*)|\['([^']+)'\]|\["([^"]+)"\]|\[(\d{1,6})\]|(\[\*\]|\.\*))""")
# No entities, no DTD, no network, no documents of a size that only an attack has.
_XML = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False, "remove_comments": True}


class Path:
    """One path, compiled; `PATH ~ PATTERN` is what the first group of the pattern takes of the text that is there."""

    __slots__ = ("_find", "_pick")

    def __init__(self, source: str, form: Format) -> None:
        """Raises ValueError when it is not valid in its format."""
        path, mark, pattern = source.partition(" ~ ")
        self._find: Find = _COMPILE[form](path.strip() if mark else source)
        self._pick = _pattern(pattern.strip()) if mark else None

    def all(self, node: Any) -> list[Any]:
        """Everything that is there, in its order."""
        return self._find(node)

    def text(self, node: Any) -> str | None:
        """The first value as text without spaces around it; None when there is none, or it is a group or empty."""
        for found in self._find(node):
            value = _scalar(found)
            if self._pick is not None and value is not None:
                value = next(iter(self._pick(text_of(value))), None)
            if value is not None and (text := text_of(value).strip()):
                return text
        return None

    def exists(self, node: Any) -> bool:
        """True when there is anything but null."""
        return any(each is not None for each in self._find(node))


def parse(body: bytes, form: Format, fields: Mapping[str, str] | None = None) -> Any:
    """What is said, as paths of `form` look at it; None when it is something else. `fields` are those of a query.

    Of a name that comes twice, the first value counts.
    """
    if form == "json":
        return decode(body, object)
    if form == "xml":
        return _xml(body)
    if form == "text":
        return body.decode("utf-8", "replace") if body else None
    return {**(fields or {}), **dict(reversed(form_pairs(body)))} or None


@lru_cache(maxsize=4)
def form_pairs(body: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a form in their order; nothing for what is no form. Checks and reports look at the same one."""
    try:
        return tuple(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX))
    except ValueError:
        return ()


def _xml(body: bytes) -> Any:
    try:
        return etree.fromstring(body, etree.XMLParser(**_XML))
    except (etree.XMLSyntaxError, ValueError):
        return None


def _scalar(found: Any) -> Any:
    """A value that can be text: of an element of XML, all the text in it."""
    if isinstance(found, str | int | float):
        return found
    return "".join(found.itertext()) if isinstance(found, etree._Element) else None


# --- compiled, each kind in its way ---------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _json(source: str) -> Find:
    """Plain paths are walked here, in a tenth of the time; everything else of JSONPath (RFC 9535) by the library."""
    whole = source if source.startswith("$") else f"${source}" if source.startswith("[") else f"$.{source}"
    steps, at = [], 1
    while at < len(whole):
        found = _PLAIN.match(whole, at)
        if found is None:
            return _jsonpath(whole)
        name = found[1] or found[2] or found[3]
        steps.append(name if name is not None else int(found[4]) if found[4] else None)
        at = found.end()
    return lambda node: _walk(node, steps)


def _walk(node: Any, steps: list[str | int | None]) -> list[Any]:
    found = [node]
    for step in steps:
        nearer: list[Any] = []
        for each in found:
            if isinstance(each, dict):
                if step is None:
                    nearer += each.values()
                elif step in each:
                    nearer.append(each[step])
            elif isinstance(each, list):
                if step is None:
                    nearer += each
                elif isinstance(step, int) and step < len(each):
                    nearer.append(each[step])
        found = nearer
    return found


def _jsonpath(source: str) -> Find:
    try:
        compiled = jsonpath.compile(source)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"not a JSONPath: {error}".partition("\n")[0]) from None

    def find(node: Any) -> list[Any]:
        try:
            return list(compiled.findall(node)) if isinstance(node, dict | list) else []
        except (jsonpath.JSONPathError, RecursionError):
            return []

    return find


def _xpath(source: str) -> Find:
    try:
        compiled = etree.XPath(source)
    except etree.XPathSyntaxError as error:
        raise ValueError(f"not an XPath: {error}") from None

    def find(node: Any) -> list[Any]:
        try:
            found = compiled(node)
        except (etree.XPathError, TypeError):
            return []
        return found if isinstance(found, list) else [found]

    return find


def _name(source: str) -> Find:
    return lambda node: [node[source]] if isinstance(node, dict) and source in node else []


def _pattern(source: str) -> Find:
    """What the first group of a pattern takes, or all of it where there is no group."""
    try:
        compiled = re.compile(source, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a pattern: {error}") from None
    group = 1 if compiled.groups else 0
    return lambda node: [found[group] for found in compiled.finditer(node)] if isinstance(node, str) else []


_COMPILE: dict[str, Callable[[str], Find]] = {"json": _json, "xml": _xpath, "form": _name, "text": _pattern}
