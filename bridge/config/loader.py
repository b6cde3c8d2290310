"""A YAML file -> `Config`, or every problem of it at once.

Document, references, schema, agreement and files are each checked as far as the one before leaves something to check,
and a problem names its line, its key path and the nearest valid word: `bridge.yaml:14: accounts.acme.smpp.pasword:
unknown key; did you mean "password"?`. Values that came from `${…}` are never shown.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from bridge import providers
from bridge.config.agreement import disagreements
from bridge.config.document import Document
from bridge.config.files import unusable_files
from bridge.config.problems import KeyPath, Problem, hint, written
from bridge.config.schema import Config
from bridge.config.secrets import Substitution
from bridge.errors import ConfigError
from bridge.listeners.control.settings import SOCKET_PATH_MAX
from bridge.providers._contract import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

_LISTENERS = ("smpp", "smtp", "http")
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


def load(path: Path, *, env: Mapping[str, str] | None = None, credentials_dir: Path | None = None) -> Config:
    """The configuration in the file `path`. Raises ConfigError with every problem, in the order of lines.

    `env` is the process's own when not given; `credentials_dir` is its `CREDENTIALS_DIRECTORY` when not given.
    """
    env = os.environ if env is None else env
    if credentials_dir is None and env.get("CREDENTIALS_DIRECTORY"):
        credentials_dir = Path(env["CREDENTIALS_DIRECTORY"])
    document = _document(path)
    substitution = Substitution(document.data, env=env, credentials_dir=credentials_dir)
    problems = [*document.problems, *substitution.problems]
    told = {problem.path for problem in problems}
    config, found = None, []
    try:
        config = Config.model_validate(substitution.data)
    except ValidationError as error:
        found = [_problem(detail, substitution.data) for detail in error.errors(include_url=False)]
    found += [*disagreements(substitution.data), *unusable_files(substitution.data)]
    # What could not be read, or was written twice, has been told: what follows from it is noise.
    problems += [problem for problem in found if problem.path not in told]
    if config is None or problems:
        hidden = [Problem(each.path, substitution.hide(each.text, each.path), each.line) for each in problems]
        raise ConfigError(_told(hidden, document, path))
    return config


def warnings(config: Config, path: Path) -> list[str]:
    """What is allowed but hardly meant in `config`, which was loaded from `path`, told as problems are."""
    document = _document(path)
    return _told([*_doubts(config), *_bared(config, document, path)], document, path)


def _document(path: Path) -> Document:
    """What the file says. Raises ConfigError when it cannot be read, or there is nothing to check in it."""
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
        raise ConfigError(_told(problems, document, path))
    return document


def _told(problems: Iterable[Problem], document: Document, path: Path) -> list[str]:
    lines = sorted((each.line or document.line_of(each.path), written(each.path), each.text) for each in problems)
    return [": ".join(filter(None, (f"{path.name}:{line}", where, text))) for line, where, text in lines]


def _problem(detail: ErrorDetails, data: Any) -> Problem:
    """One error of pydantic as a problem at a key path of the file."""
    path = _path_in(detail["loc"], data)
    kind, text = detail["type"], detail["msg"]
    if kind == "missing":
        return Problem(path, f'the key "{detail["loc"][-1]}" is missing')
    if kind == "extra_forbidden":
        return Problem(path, f"unknown key{hint(path[-1], _keys_at(path[:-1], data))}")
    if detail["loc"][-1] == "[key]" and kind != "enum":
        return Problem(path, "a name is made of a-z, 0-9, _ and -, and begins with a letter or digit")
    if detail["input"] is None:
        return Problem(path, "is empty: give it a value, or remove the key")
    if kind in ("literal_error", "enum"):
        words = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        return Problem(path, f"not a valid word{hint(detail['input'], words)}")
    return Problem(path, _TEXTS.get(kind) or text.removeprefix("Value error, ").replace("Input should", "must"))


def _path_in(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that is in the file; it also names missing keys and members of unions."""
    path: list[str | int] = []
    for step in loc:
        here = range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ()
        if step in here:
            data = data[step]
            path.append(step)
    return tuple(path)


def _keys_at(path: KeyPath, data: Any) -> list[str]:
    """The keys that the group at `path` may hold."""
    kind: Any = Config
    for step in path:
        data = data[step]
        fields = _fields(kind)
        kind = _inner(fields[str(step)] if fields else get_args(kind)[-1])
        if kind is ProviderSettings:
            kind = providers.load(data["type"]).Settings
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


def _doubts(config: Config) -> Iterator[Problem]:
    served = {kind for kind in _LISTENERS if getattr(config.listeners, kind)}
    if not served:
        yield Problem(("listeners",), "nothing listens, so nobody can connect")
    if not config.routes:
        yield Problem(("routes",), "there are none, so every message is refused")
    if any(account.smtp is not None for account in config.accounts.values()):
        for number, listener in enumerate(config.listeners.smtp):
            if listener.tls is None and not listener.auth_without_tls:
                yield Problem(
                    ("listeners", "smtp", number),
                    "nobody can log in here, so no mail is taken: it has neither tls nor auth_without_tls: true",
                )
    if "smtp" in served and config.mail is None:
        yield Problem(("listeners", "smtp"), 'reports by mail need "mail", which is missing')
    for name, account in config.accounts.items():
        for kind in _LISTENERS:
            if getattr(account, kind) is not None and served and kind not in served:
                yield Problem(("accounts", name, kind), f"there is no {kind} listener for it")
    asked_for = any(each.tls is not None and each.tls.client_ca is not None for each in config.listeners.smpp)
    for name, account in config.accounts.items():
        if account.smpp is not None and account.smpp.certificate is not None and served and not asked_for:
            yield Problem(
                ("accounts", name, "smpp", "certificate"),
                "no smpp listener asks for certificates (tls.client_ca), so this account cannot bind",
            )
    yield from _control_doubts(config)
    for name, settings in config.providers.items():
        capabilities = providers.load(settings.type).Provider.capabilities
        if capabilities.push_reports and config.public_url is None:
            rest = "only polling tells of them" if capabilities.poll_reports else "nothing else tells of them"
            yield Problem(("providers", name), f'its reports come by callback, which needs a "public_url"; {rest}')


def _control_doubts(config: Config) -> Iterator[Problem]:
    """Whether the control socket can be made, as far as that can be told from here."""
    path, group = config.control_path, config.control.group
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        yield Problem(
            ("store",), 'a control socket beside it has too long a path; set "control.socket" to a shorter one'
        )
    elif config.control.socket is not None and not path.parent.is_dir():
        yield Problem(("control", "socket"), f"there is no folder {path.parent} yet, and the daemon will not make it")
    if group is not None:
        try:
            grp.getgrnam(group)
        except KeyError:
            yield Problem(("control", "group"), f'this machine has no group "{group}"')


def _bared(config: Config, document: Document, path: Path) -> Iterator[Problem]:
    """Whether secrets stand plainly in a file which everybody on the machine may read."""
    if not path.stat().st_mode & 0o004:
        return
    bare = []
    for place, secret in _secrets(config, ()):
        value: Any = document.data
        for step in _path_in(place, document.data):
            value = value[step]
        if str(value) == secret and not secret.startswith("$argon2"):
            bare.append(place)
    if bare:
        others = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        yield Problem(bare[0], f"a plain secret{others}, and everybody may read this file: chmod 640 {path.name}")


def _secrets(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every secret of some settings and where it stands in the file."""
    if isinstance(value, SecretStr):
        yield path, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _secrets(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _secrets(item, (*path, number))
