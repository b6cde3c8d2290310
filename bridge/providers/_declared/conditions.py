"""Conditions on what a provider says: `{path: what is there}`, all of them; and on a status: `2xx`, `400-404`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bridge.providers._declared.paths import Format, Path
from bridge.providers._declared.template import text_of

Test = Callable[[Any], bool]
_STATUS = re.compile(r"([1-5])xx|(\d{3})(?:-(\d{3}))?")


def statuses(words: list[str]) -> frozenset[int]:
    """The HTTP statuses that are meant. Raises ValueError."""
    found: set[int] = set()
    for word in words:
        match = _STATUS.fullmatch(word)
        if match is None:
            raise ValueError(f'"{word}" is no status: 200, 2xx or 400-404')
        if match[1]:
            found.update(range(int(match[1]) * 100, int(match[1]) * 100 + 100))
        else:
            found.update(range(int(match[2]), int(match[3] or match[2]) + 1))
    return frozenset(found)


class Conditions:
    """What must be so; nothing is always so."""

    __slots__ = ("_tests",)

    def __init__(self, where: Mapping[str, Any], form: Format) -> None:
        """Raises ValueError."""
        self._tests = [_test(Path(path, form), wanted) for path, wanted in where.items()]

    def hold(self, node: Any) -> bool:
        """True when all of them are so."""
        return all(test(node) for test in self._tests)


def _test(path: Path, wanted: Any) -> Test:
    if wanted is True:
        return path.exists
    if wanted is False:
        return lambda node: not path.exists(node)
    if isinstance(wanted, dict) or wanted is None:
        raise ValueError("a condition is a value, a list of them, /a pattern/, true (anything) or false (nothing)")
    values = wanted if isinstance(wanted, list) else [wanted]
    if len(values) == 1 and isinstance(values[0], str) and len(values[0]) > 1 and values[0][0] == values[0][-1] == "/":
        try:
            pattern = re.compile(values[0][1:-1], re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"not a pattern: {error}") from None
        return lambda node: pattern.search(path.text(node) or "") is not None
    # A provider that answers "true" and one that answers true say the same.
    known = frozenset(text_of(value).lower() for value in values)
    return lambda node: (path.text(node) or "").lower() in known
