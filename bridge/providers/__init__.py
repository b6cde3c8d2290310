"""The registry: the folder is the list of providers, and nothing else names them.

Every module here without a leading underscore is a provider type: `type: bsg` in the configuration is `bsg.py`.
What such a module holds is written in `_contract.py`; `_template.py` is the one to copy.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from typing import Protocol, cast

from bridge.errors import ConfigError
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
    "fit",
    "known",
    "load",
]


class ProviderModule(Protocol):
    """What every module of this folder has: how it is configured, and what it does."""

    Settings: type[ProviderSettings]
    Provider: type[Provider]


def known() -> list[str]:
    """The provider types there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(provider_type: str) -> ProviderModule:
    """The module of a provider type. Raises ConfigError with the nearest known word."""
    names = known()
    if provider_type not in names:
        near = get_close_matches(provider_type, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise ConfigError([f"no provider of type {provider_type[:40]!r}; {hint}"])
    return cast("ProviderModule", importlib.import_module(f"{__name__}.{provider_type}"))
