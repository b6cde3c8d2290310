"""The folder is the registry."""

from __future__ import annotations

import pytest

from bridge import providers
from bridge.errors import ConfigError


def test_every_module_without_an_underscore_is_known() -> None:
    names = providers.known()
    assert names == sorted(names)
    assert {"bsg", "virtual"} <= set(names)
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize("name", providers.known())
def test_known_provider_loads(name: str) -> None:
    module = providers.load(name)
    assert issubclass(module.Settings, providers.ProviderSettings)
    assert issubclass(module.Provider, providers.Provider)
    assert module.__doc__


def test_misspelt_type_is_told_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no provider of type 'virtul'; did you mean 'virtual'") as caught:
        providers.load("virtul")
    assert len(caught.value.problems) == 1


def test_strange_type_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"there are: .*bsg.*virtual"):
        providers.load("carrier-pigeon")


@pytest.mark.parametrize("name", ["", "_contract", "_template", "__init__", "os", "bsg.Settings", "../bsg", "BSG"])
def test_nothing_else_can_be_loaded(name: str) -> None:
    with pytest.raises(ConfigError):
        providers.load(name)
