"""A problem of a YAML file: where it is, what is wrong, and the nearest valid word.

Pure. What pydantic finds wrong with the values of a file is said here as an administrator would.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]
_LISTED = 30  # words in one hint
# pydantic's words for what an administrator would say shorter.
_TEXTS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a group of keys and values",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list, such as [one, two]",
    "model_type": "must be a group of keys and values",
    "string_too_short": "must not be empty",
    "string_type": 'must be text; put it in quotes, such as "true"',
    "too_short": "must not be empty",
}


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


def problem_of(
    detail: ErrorDetails,
    data: Any,
    model: type[BaseModel],
    exactly: Callable[[type[BaseModel], Any], type[BaseModel]] = lambda kind, _: kind,
) -> Problem:
    """One error of pydantic as a problem at a key path of the file whose values are `data`, a `model`.

    `exactly` gives the class that some values are really of, where the annotation names one above it.
    """
    path = path_in(detail["loc"], data)
    kind, text = detail["type"], detail["msg"]
    if kind == "missing":
        return Problem(path, f'the key "{detail["loc"][-1]}" is missing')
    if kind == "extra_forbidden":
        return Problem(path, f"unknown key{hint(path[-1], _keys_at(path[:-1], data, model, exactly))}")
    if detail["loc"][-1] == "[key]" and kind != "enum":
        return Problem(path, "a name is made of a-z, 0-9, _ and -, and begins with a letter or digit")
    if detail["input"] is None:
        return Problem(path, "is empty: give it a value, or remove the key")
    if kind in ("literal_error", "enum"):
        words = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        return Problem(path, f"not a valid word{hint(detail['input'], words)}")
    return Problem(path, _TEXTS.get(kind) or text.removeprefix("Value error, ").replace("Input should", "must"))


def path_in(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that is in the file; it also names missing keys and members of unions."""
    path: list[str | int] = []
    for step in loc:
        here = range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ()
        if step in here:
            data = data[step]
            path.append(step)
    return tuple(path)


def _keys_at(
    path: KeyPath, data: Any, model: type[BaseModel], exactly: Callable[[type[BaseModel], Any], type[BaseModel]]
) -> list[str]:
    """The keys that the group at `path` may hold."""
    kind: Any = model
    for step in path:
        data = data[step]
        fields = _fields(kind)
        kind = _inner(fields[str(step)] if fields else get_args(kind)[-1])
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = exactly(kind, data)
    return list(_fields(kind))


def _fields(kind: Any) -> dict[str, Any]:
    """What the fields of a settings class are, by the keys that name them in a file; nothing for another type."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def _inner(annotation: Any) -> Any:
    """The type of an annotation without its metadata and its None."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _inner(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation
