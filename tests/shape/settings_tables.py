"""The settings as tables: every key with its value, its default, and what config/bridge.yaml says beside it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge import providers
from bridge.admission import Quota
from bridge.config.schema import Account, Config, Limits, Lockout, Log
from bridge.document import Document
from bridge.listeners.certificates import Certificate
from bridge.listeners.control.settings import Control
from bridge.listeners.http.settings import HttpAccount, HttpListener
from bridge.listeners.smpp import profiles
from bridge.listeners.smpp.settings import Outbind, SmppAccount, SmppListener
from bridge.listeners.smtp.settings import Dns, Mail, SmtpAccount, SmtpListener, WithoutAuth
from bridge.problems import KeyPath
from bridge.providers._contract import ProviderSettings
from bridge.providers._declared.compiling import _networks
from bridge.routing import rules, senders
from bridge.routing.numbers import source_of
from bridge.values import Tls, base_url, duration_s, listen_address, rate_per_s, size_bytes

COMPLETE = Path(__file__).parents[2] / "config" / "bridge.yaml"
# A setting that is commented out: `#key: value`; `# Text` is a comment.
_SETTING = re.compile(r"^( *)#((?:  )*[a-z_]+:(?: .*)?)$", re.MULTILINE)
_WORDS = {
    duration_s: "duration",
    rate_per_s: "rate",
    size_bytes: "size",
    listen_address: "`host:port`",
    base_url: "URL",
    _networks: "list",
    rules._number_pattern: "pattern",
    rules._source_pattern: "pattern",
    rules._keyword: "word",
    profiles._characters: "`true`, `false`, or 0 to 50",
    source_of: "sender",
    bool: "`true` or `false`",
    int: "whole number",
    str: "text",
    SecretStr: "secret",
    list: "list",
    dict: "group",
    Path: "path",
}
Row = tuple[str, str, str, str]  # key, value, default, remark
_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Section(NamedTuple):
    """A group of settings: where it stands in a file, and where in bridge.yaml an example of it is."""

    title: str
    kind: type[BaseModel]
    path: KeyPath


SECTIONS = (
    Section("The file itself", Config, ()),
    Section("listeners.smpp[]", SmppListener, ("listeners", "smpp", 0)),
    Section("listeners.smtp[]", SmtpListener, ("listeners", "smtp", 0)),
    Section("listeners.smtp[].dns", Dns, ("listeners", "smtp", 0, "dns")),
    Section("listeners.http[]", HttpListener, ("listeners", "http", 0)),
    Section("tls", Tls, ("listeners", "smpp", 0, "tls")),
    Section("accounts.NAME", Account, ("accounts", "acme")),
    Section("accounts.NAME.quota", Quota, ("accounts", "acme", "quota")),
    Section("accounts.NAME.senders", senders.Senders, ("accounts", "acme", "senders")),
    Section("accounts.NAME.smpp", SmppAccount, ("accounts", "acme", "smpp")),
    Section("accounts.NAME.smpp.certificate", Certificate, ("accounts", "acme", "smpp", "certificate")),
    Section("accounts.NAME.smpp.receipts", profiles.Receipts, ("accounts", "acme", "smpp", "receipts")),
    Section("accounts.NAME.smpp.outbind", Outbind, ("accounts", "acme", "smpp", "outbind")),
    Section("accounts.NAME.smtp", SmtpAccount, ("accounts", "acme", "smtp")),
    Section("accounts.NAME.smtp.without_auth", WithoutAuth, ("accounts", "acme", "smtp", "without_auth")),
    Section("accounts.NAME.http", HttpAccount, ("accounts", "acme", "http")),
    Section("providers.NAME", ProviderSettings, ("providers", "bsg")),
    Section("routes[]", rules.Route, ("routes", 1)),
    Section("inbound[]", rules.InboundRule, ("inbound", 0)),
    Section("mail", Mail, ("mail",)),
    Section("control", Control, ("control",)),
    Section("limits", Limits, ("limits",)),
    Section("lockout", Lockout, ("lockout",)),
    Section("log", Log, ("log",)),
)


def tables_of_settings() -> Iterator[tuple[str, str, list[Row]]]:
    """Title, text and rows of every group of settings."""
    for section in SECTIONS:
        yield section.title, " ".join((inspect.getdoc(section.kind) or "").split()), _rows(section.kind, section.path)


def rows_of_provider(name: str) -> list[Row]:
    """The rows of what a provider's own settings add to those that all have."""
    return _rows(providers.load(name).Settings, ("providers", name))


def _rows(kind: type[BaseModel], path: KeyPath) -> list[Row]:
    document, lines = _complete()
    comments = _comments_in(kind)
    rows = []
    for name, field in _own_fields(kind).items():
        key = field.alias or name
        remark = _remark(lines, document.line_of((*path, key)), key) or comments.get(name, "")
        rows.append((f"`{key}`", _value(field), _default(field), remark))
    return rows


@cache
def _complete() -> tuple[Document, list[str]]:
    """The configuration that holds every key, what is commented out included; and its lines."""
    text = _SETTING.sub(r"\1\2", COMPLETE.read_text())
    return Document(text), text.splitlines()


def _own_fields(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields to show: of a provider, those that not every provider has, or that differ from theirs."""
    if kind is ProviderSettings or not issubclass(kind, ProviderSettings):
        return dict(kind.model_fields)
    shared = ProviderSettings.model_fields
    return {
        name: field
        for name, field in kind.model_fields.items()
        if name not in shared or field.get_default() != shared[name].get_default()
    }


def _comments_in(kind: type[BaseModel]) -> dict[str, str]:
    """What stands beside a field in the source; of a declared provider, what its declaration says."""
    if kind.__module__.startswith("bridge.providers._declared") and issubclass(kind, ProviderSettings):
        return {name: field.description for name, field in kind.model_fields.items() if field.description}
    found = re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(kind), re.MULTILINE)
    return dict(found)


def _remark(lines: list[str], number: int, key: str) -> str:
    """The comment beside a key, or above it where it stands at the margin."""
    if match := re.match(rf"\s*(?:- )?{key}:.*?\s# (.+)$", lines[number - 1]):
        return match[1]
    above: list[str] = []
    if lines[number - 1].startswith(f"{key}:"):
        for line in reversed(lines[: number - 1]):
            if not line.startswith("# ") or line.startswith("# ---"):
                break
            above.insert(0, line[2:])
    return " ".join(above)


def _value(field: FieldInfo) -> str:
    """What may stand there."""
    word, limits = _word(field.annotation, field.metadata)
    least, most = limits.get("ge"), limits.get("le")
    if least is not None:
        return f"{least} to {most}" if most is not None else f"{word}, at least {least}"
    longest = limits.get("max_length")
    return f"{word}, at most {longest} characters" if longest else word


def _word(annotation: Any, metadata: list[Any]) -> tuple[str, dict[str, Any]]:
    limits = {
        name: getattr(item, name) for item in metadata for name in ("ge", "le", "max_length") if hasattr(item, name)
    }
    for item in metadata:
        if (function := getattr(item, "func", None)) in _WORDS:
            return _WORDS[function], limits
    origin, inner = get_origin(annotation), [each for each in get_args(annotation) if each is not type(None)]
    if origin is Annotated:
        word, more = _word(inner[0], inner[1:])
        return word, limits | more
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in inner), limits
    if origin in (list, dict):
        return _WORDS[origin], {}
    if len(inner) == 1:
        word, more = _word(inner[0], [])
        return word, limits | more
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "group", limits
    return _WORDS[annotation], limits


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    word = _word(field.annotation, field.metadata)[0]
    if default is None or isinstance(default, BaseModel) or default in ({}, []):
        return ""
    if word == "duration":
        return f"`{_duration(default)}`"
    if word == "size":
        return f"`{default // 1024**2}MiB`" if default % 1024**2 == 0 else f"`{default}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _duration(seconds: float) -> str:
    unit = next(unit for unit, length in _UNITS_S.items() if seconds % length == 0)
    return f"{seconds / _UNITS_S[unit]:g}{unit}"
