"""The language of declared providers as tables: all groups of keys, variables and filters, from their source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from bridge.providers._declared import checks, requests, schema, template

Table = tuple[str, str, tuple[str, ...], list[tuple[str, ...]]]  # title, text, columns, rows

# Where each group stands, in the order of a declaration.
GROUPS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file itself", schema.Declaration),
    ("settings.NAME", schema.Setting),
    ("capabilities", schema.Able),
    ("auth", schema.Auth),
    ("auth.oauth2", schema.OAuth2),
    ("send", schema.Call),
    ("answer", schema.Answer),
    ("answer.rules[]", schema.Rule),
    ("answer.items", schema.Items),
    ("report", schema.Told),
    ("inbound", schema.Heard),
    ("at", schema.Moment),
    ("reply", schema.Reply),
    ("poll", schema.Poll),
    ("verify[]", schema.Check),
    ("verify[].secret", schema.Secret),
    ("verify[].hmac", schema.Hmac),
    ("verify[].hash", schema.Hash),
    ("verify[].ed25519", schema.Ed25519),
    ("verify[].jwt", schema.Jwt),
)


def tables() -> Iterator[Table]:
    """Every table of the page."""
    for title, kind in GROUPS:
        rows = [
            (f"`{field.alias or name}`", "required" if field.is_required() else _default(field.get_default()), remark)
            for name, field in kind.model_fields.items()
            for remark in [_remark(kind, name)]
        ]
        yield title, " ".join((inspect.getdoc(kind) or "").split()), ("Key", "Default", ""), rows
    for title, text, module, name in (
        ("Variables of send", "In everything that is sent, beside `settings.NAME`.", requests, "SEND_NAMES"),
        ("Variables of poll", "In what is asked, beside `settings.NAME`.", requests, "POLL_NAMES"),
        ("Variables of verify", "Of a callback, beside `settings.NAME`.", checks, "NAMES"),
        ("Filters", "From left to right: `{validity_s|minutes|most:2880}`.", template, "FILTERS"),
    ):
        yield title, text, ("Word", ""), [(f"`{word}`", remark) for word, remark in _words(module, name)]


def _remark(kind: type[BaseModel], name: str) -> str:
    """What stands beside a key, in its class or the nearest one above it."""
    for each in kind.__mro__:
        if each.__module__ == schema.__name__ and name in inspect.get_annotations(each):
            found = re.search(rf"^    {name}: .*?  # (.+)$", inspect.getsource(each), re.MULTILINE)
            assert found, f"{each.__name__}.{name} has no remark"
            return found[1] + _choices(each.model_fields[name].annotation)
    raise AssertionError(f"{kind.__name__} has no {name}")


def _choices(annotation: Any) -> str:
    return f" ({', '.join(map(str, get_args(annotation)))})" if get_origin(annotation) is Literal else ""


def _default(value: Any) -> str:
    if value in (None, "", [], {}) or isinstance(value, BaseModel) or value is False:
        return ""
    text = ", ".join(value) if isinstance(value, list) else value
    return "`true`" if value is True else f"`{text:g}`" if isinstance(value, float) else f"`{text}`"


def _words(module: ModuleType, name: str) -> list[tuple[str, str]]:
    """The words of a table in the source, each with the comment beside it; all of them have one."""
    source = inspect.getsource(module)
    body = source[source.index(f"\n{name}: ") :].partition("\n}\n")[0]
    found = re.findall(r'^    "([\w.*]+)": .*?  # (.+)$', body, re.MULTILINE)
    assert [word for word, _ in found] == list(getattr(module, name)), f"a word of {name} has no remark"
    if name == "FILTERS":
        found.append(("or", "another variable, where there is no value: `or:settings.sender`"))
    return found
