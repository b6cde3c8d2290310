"""A problem of a configuration: where it is, what is wrong, and the nearest valid word.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
_LISTED = 30  # words in one hint


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one value; `line` (1-based) only where the key path alone does not tell it."""

    path: KeyPath
    text: str
    line: int | None = None


def written(path: KeyPath) -> str:
    """A key path as a person writes it: `routes[0].send`; indices count from 0."""
    words = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(words).removeprefix(".")


def hint(word: object, known: Iterable[str]) -> str:
    """The end of a problem's text: the valid word nearest to `word`, or a few of them when none is near."""
    words = sorted(known)
    if not words:
        return "; there are none yet"
    near = get_close_matches(str(word).lower(), words, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(words[:_LISTED])}" + (" and others" if len(words) > _LISTED else "")
