"""The folder is the registry."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

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


# --- a user's own, and those of other packages ----------------------------------------------------------------------


def own(folder: Path, name: str, about: str) -> None:
    text = (providers.FOLDER / "46elks.yaml").read_text()
    (folder / f"{name}.yaml").write_text(text.replace('about: "46elks', f'about: "{about}', 1))


def test_own_declaration_is_known_where_it_is_looked_for(tmp_path: Path) -> None:
    own(tmp_path, "acme", "Acme")
    assert "acme" in providers.known([tmp_path])
    assert "acme" not in providers.known()
    assert (providers.load("acme", [tmp_path]).__doc__ or "").startswith("Acme")
    with pytest.raises(ConfigError):
        providers.load("acme")


def test_own_declaration_comes_before_what_is_shipped_and_the_first_directory_before_the_second(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        own(tmp_path / str(number), "bsg", f"Mine {number}")
    paths = [tmp_path / "gone", tmp_path / "1", tmp_path / "2"]
    assert (providers.load("bsg", paths).__doc__ or "").startswith("Mine 1")
    assert providers.known(paths) == providers.known()


@pytest.mark.parametrize("name", ["_acme", "Acme", "a b", "acme.yaml"])
def test_other_names_are_no_types(tmp_path: Path, name: str) -> None:
    own(tmp_path, name, "Acme")
    assert providers.known([tmp_path]) == providers.known()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of other packages."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(providers, "_installed", lambda: {point.name: point for point in points})
    return points


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "smsbridge.providers")


def test_provider_of_another_package_is_known(installed: list[EntryPoint]) -> None:
    installed.append(point("acme", "bridge.providers._template"))
    assert "acme" in providers.known()
    assert issubclass(providers.load("acme").Provider, providers.Provider)


def test_what_is_shipped_comes_before_another_package(installed: list[EntryPoint]) -> None:
    installed += [point("bsg", "bridge.providers._template"), point("46elks", "bridge.providers._template")]
    assert providers.load("bsg").Settings.__module__ == "bridge.providers.bsg"
    assert (providers.load("46elks").__doc__ or "").startswith("46elks")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_package", "cannot be imported"),
        ("bridge.errors:Gone", "cannot be imported"),
        ("bridge.errors", "no Settings"),
    ],
)
def test_what_is_no_provider_is_told(installed: list[EntryPoint], value: str, told: str) -> None:
    installed.append(point("acme", value))
    with pytest.raises(ConfigError, match=told):
        providers.load("acme")
