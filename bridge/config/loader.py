"""A YAML file -> `Config`, or every problem of it at once.

Document, references, schema, agreement and files are each checked as far as the one before leaves something to check,
and a problem names its line, its key path and the nearest valid word: `bridge.yaml:14: accounts.acme.smpp.pasword:
unknown key; did you mean "password"?`. Values that came from `${…}` are never shown.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr, ValidationError

from bridge import providers
from bridge.config.agreement import disagreements
from bridge.config.files import unusable_files
from bridge.config.schema import Config
from bridge.config.secrets import Substitution
from bridge.document import Document, read, value_at
from bridge.errors import ConfigError
from bridge.listeners.control.settings import SOCKET_PATH_MAX
from bridge.problems import KeyPath, Problem, path_in, problem_of
from bridge.providers._contract import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LISTENERS = ("smpp", "smtp", "http")


def load(path: Path, *, env: Mapping[str, str] | None = None, credentials_dir: Path | None = None) -> Config:
    """The configuration in the file `path`. Raises ConfigError with every problem, in the order of lines.

    `env` is the process's own when not given; `credentials_dir` is its `CREDENTIALS_DIRECTORY` when not given.
    """
    env = os.environ if env is None else env
    if credentials_dir is None and env.get("CREDENTIALS_DIRECTORY"):
        credentials_dir = Path(env["CREDENTIALS_DIRECTORY"])
    document = read(path)
    substitution = Substitution(document.data, env=env, credentials_dir=credentials_dir)
    problems = [*document.problems, *substitution.problems]
    told = {problem.path for problem in problems}
    config, found, paths = None, [], _provider_paths(substitution.data)
    try:
        config = Config.model_validate(substitution.data, context={"provider_paths": paths})
    except ValidationError as error:
        exactly = partial(_settings, paths)
        found = [problem_of(each, substitution.data, Config, exactly) for each in error.errors(include_url=False)]
    found += [*disagreements(substitution.data), *unusable_files(substitution.data)]
    # What could not be read, or was written twice, has been told: what follows from it is noise.
    problems += [problem for problem in found if problem.path not in told]
    if config is None or problems:
        hidden = [Problem(each.path, substitution.hide(each.text, each.path), each.line) for each in problems]
        raise ConfigError(document.tell(hidden, path))
    return config


def warnings(config: Config, path: Path) -> list[str]:
    """What is allowed but hardly meant in `config`, which was loaded from `path`, told as problems are."""
    document = read(path)
    return document.tell([*_doubts(config), *_bared(config, document, path)], path)


def _provider_paths(data: Any) -> Sequence[Path]:
    """Where the configuration says that a user's own providers are; what has the wrong shape is told by `schema`."""
    paths = value_at(data, "provider_paths")
    if isinstance(paths, list) and all(isinstance(path, str) for path in paths):
        return [Path(path) for path in paths]
    return providers.PATHS


def _settings(paths: Sequence[Path], kind: type[BaseModel], data: Any) -> type[BaseModel]:
    """The class that the settings of one provider are of; any other class is what it says."""
    return providers.load(data["type"], paths).Settings if kind is ProviderSettings else kind


def _doubts(config: Config) -> Iterator[Problem]:
    served = {kind for kind in _LISTENERS if getattr(config.listeners, kind)}
    if not served:
        yield Problem(("listeners",), "nothing listens, so nobody can connect")
    if not config.routes:
        yield Problem(("routes",), "there are none, so every message is refused")
    sides = [account.smtp for account in config.accounts.values() if account.smtp is not None]
    if sides and all(side.without_auth is None for side in sides):
        for number, listener in enumerate(config.listeners.smtp):
            if listener.tls is None and not listener.auth_without_tls and listener.dialect is None:
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
        capabilities = providers.load(settings.type, config.provider_paths).Provider.capabilities
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
        for step in path_in(place, document.data):
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
