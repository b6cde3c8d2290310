"""The registry: the folder is the list of providers, and nothing else names them.

A provider type `bsg` is, where there is one, the first of:

- `bsg.yaml` in a directory of the configuration's `provider_paths`: a user's own declaration;
- `bsg.py` or `bsg.yaml` here, without a leading underscore;
- the module that an installed package names `bsg` in its entry point group `smsbridge.providers`.

What such a module holds is written in `_contract.py`; `_template.py` is the one to copy. A declaration becomes such a
module in `_declared`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from bridge.errors import ConfigError
from bridge.message import Outcome
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    Money,
    NotSetUp,
    Provider,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    Token,
)
from bridge.providers._exports import EXPORT_STATES, Export, Exports, NotExported
from bridge.providers._fit import fit

__all__ = [
    "EXPORT_STATES",
    "PATHS",
    "Attempt",
    "BadCallback",
    "Callback",
    "Capabilities",
    "Export",
    "Exports",
    "Heard",
    "Money",
    "NotExported",
    "NotSetUp",
    "Provider",
    "ProviderModule",
    "ProviderSettings",
    "Reference",
    "References",
    "Request",
    "Response",
    "Token",
    "declared",
    "fit",
    "known",
    "load",
]


class ProviderModule(Protocol):
    """What every module of this folder has: how it is configured, and what it does."""

    Settings: type[ProviderSettings]
    Provider: type[Provider]
    CODES: Mapping[Any, Outcome]  # the codes of an answer to a send, each of which is in a case
    STATES: Mapping[str, Any]  # the words of a report, each of which is in a case


FOLDER = Path(__file__).parent
PATHS = (Path("/etc/smsbridge/providers"),)  # where users put theirs, unless the configuration says otherwise
_GROUP = "smsbridge.providers"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def known(paths: Sequence[Path] = ()) -> list[str]:
    """The provider types there are, sorted; `paths` are directories with declarations beside those of the package."""
    return sorted({*_installed(), *_modules(), *_declarations((FOLDER, *paths))})


def load(provider_type: str, paths: Sequence[Path] = ()) -> ProviderModule:
    """The module of a provider type. Raises ConfigError with the nearest known word, or what a declaration lacks."""
    if (own := _declarations(paths).get(provider_type)) is not None:
        return declared(own)
    if provider_type in _modules():
        return cast("ProviderModule", importlib.import_module(f"{__name__}.{provider_type}"))
    if (shipped := _declarations((FOLDER,)).get(provider_type)) is not None:
        return declared(shipped)
    if (installed := _installed().get(provider_type)) is not None:
        return _module_of(installed)
    names = known(paths)
    near = get_close_matches(provider_type, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    raise ConfigError([f"no provider of type {provider_type[:40]!r}; {hint}"])


def declared(path: Path) -> ProviderModule:
    """The provider that the file `path` declares. Raises ConfigError with every problem of it."""
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _read(path: Path, changed_ns: int, size: int) -> ProviderModule:
    """A declaration is read again when its file has changed."""
    # What declarations need (XML, JWT, JSONPath) is imported by those who use one.
    return cast("ProviderModule", importlib.import_module(f"{__name__}._declared").module_of(path))


@lru_cache(maxsize=1)
def _modules() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def _declarations(paths: Sequence[Path]) -> dict[str, Path]:
    """The declarations in some directories by their names, of which the first counts."""
    found: dict[str, Path] = {}
    for folder in paths:
        for path in folder.glob("*.yaml"):
            if _NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    return found


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, EntryPoint]:
    """The providers of other packages: what is installed does not change while we run."""
    return {point.name: point for point in entry_points(group=_GROUP) if _NAME.fullmatch(point.name)}


def _module_of(point: EntryPoint) -> ProviderModule:
    """The module that another package names. Raises ConfigError when there is none, or it is no provider."""
    try:
        module = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError([f"the provider {point.name!r} of {point.value} cannot be imported: {error}"]) from None
    if not hasattr(module, "Settings") or not hasattr(module, "Provider"):
        raise ConfigError([f"{point.value}, named as provider {point.name!r}, has no Settings and Provider"])
    return cast("ProviderModule", module)
