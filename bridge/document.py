"""A YAML file as plain values, with the line of every key path.

Values mean what they look like: only `true` and `false` are truth, only plain decimals are numbers, everything else is
text. So `region: NO`, `to: +38050`, `password: 0123` and `at: 1:30` stay as they were written, which YAML 1.1 would
turn into false, 38050, 83 and 90. Keys are always text, and none may come twice. Aliases and tags are refused: nothing
here needs them, and they can make a small file huge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from bridge.errors import ConfigError
from bridge.problems import KeyPath, Problem, written

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq"))
_QUOTE = 'a value that begins with one of * & ! % @ ` { [ | > must stand in quotes, such as "*"'


class Document:
    """What one file says: `data`, and `problems` of its form; with a syntax error `data` is None."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.problems: list[Problem] = []
        self._lines: dict[KeyPath, int] = {}
        try:
            node = _Composer(text).get_single_node()
            if node is not None:
                self.data = self._value(node, ())
        except yaml.MarkedYAMLError as error:
            self.problems.append(_syntax_problem(error))
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.problems.append(Problem((), f"a character that YAML does not allow: {error.character!r}", line))
        except RecursionError:
            self.problems.append(Problem((), "nested too deeply", 1))

    def line_of(self, path: KeyPath) -> int:
        """The line (1-based) of a key path, or of the deepest part of it that is there."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def tell(self, problems: Iterable[Problem], path: Path) -> list[str]:
        """Problems of this document, read from `path`, as lines to read: `bridge.yaml:14: a.b: what is wrong`."""
        lines = sorted((each.line or self.line_of(each.path), written(each.path), each.text) for each in problems)
        return [": ".join(filter(None, (f"{path.name}:{line}", where, text))) for line, where, text in lines]

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag not in _TAGS and node.tag != f"{_TAG}merge":
            self.problems.append(Problem(path, f"the tag {node.tag.removeprefix(_TAG)} is not supported"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for number, item in enumerate(node.value):
                here = (*path, number)
                self._lines[here] = item.start_mark.line + 1
                items.append(self._value(item, here))
            return items
        text = str(node.value)
        return _plain(text) if isinstance(node, yaml.ScalarNode) and node.style is None else text

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(path, "a key must be one word", line))
                continue
            here = (*path, str(key_node.value))
            if here in self._lines:
                self.problems.append(Problem(here, f"written twice, first in line {self._lines[here]}", line))
                continue
            self._lines[here] = line
            values[str(key_node.value)] = self._value(value_node, here)
        return values


def read(path: Path) -> Document:
    """What the file says, a group of keys. Raises ConfigError when it cannot be read, or there is nothing to check."""
    try:
        document = Document(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path.name}:{line}: not UTF-8 text"]) from None
    if document.data is None and not document.problems:
        document.problems.append(Problem((), "the file is empty"))
    if not isinstance(document.data, dict):
        problems = document.problems or [Problem((), "must be a group of keys and values")]
        raise ConfigError(document.tell(problems, path))
    return document


def value_at(data: Any, *path: str) -> Any:
    """The value at a path of keys, None where there is none."""
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def keys_at(data: Any, *path: str) -> list[str]:
    """The keys of the group at a path, none when it is no group."""
    value = value_at(data, *path)
    return list(value) if isinstance(value, dict) else []


def items_at(data: Any, *path: str) -> Iterator[tuple[KeyPath, Any]]:
    """The items of the list at a path, each with its own path; none when it is no list."""
    value = value_at(data, *path)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield (*path, number), item


class _Composer(yaml.SafeLoader):
    """Makes nodes only, never objects, and refuses aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"aliases are not supported, and {_QUOTE}", mark)
        return super().compose_node(parent, index)


def _plain(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    # Only where nothing is lost: 1.10 may be a version, and stays text.
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    text = error.problem or "not understood"
    if "cannot start any token" in text or "scanning an a" in (error.context or ""):  # an alias or an anchor
        text = f"{text}; {_QUOTE}"
    if not isinstance(error, yaml.composer.ComposerError):
        text = f"not YAML: {text}"
    return Problem((), text, mark.line + 1 if mark else 1)
