"""The files in `config/`: they load, and bridge.yaml shows every setting with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config.loader import load
from bridge.config.schema import Config
from bridge.document import Document
from bridge.providers._contract import ProviderSettings

CONFIG = Path(__file__).parents[3] / "config"
COMPLETE = CONFIG / "bridge.yaml"
ENV = {
    "BSG_KEY": "key",
    "DEMO_DIR": "/tmp/demo",
    "DEMO_CALLBACK": "http://127.0.0.1:1/reports",
    "DEMO_PROVIDER": "http://127.0.0.1:1",
    "DEMO_SMARTHOST_PORT": "1025",
}
# `#key: value`, or `#  key: value` inside a group that is commented out: a setting. `# Text` is a comment.
_SETTING = re.compile(r"^( *)#((?:  )*[a-z_]+:(?: .*)?)$", re.MULTILINE)


class Group(NamedTuple):
    """One group of settings: its value, what the file shows of it, and what of that is in no comment."""

    value: BaseModel
    shown: dict[str, Any]
    plain: dict[str, Any]

    def fields(self) -> Iterator[tuple[str, str, FieldInfo]]:
        """Key, name and field of each setting."""
        for name, field in type(self.value).model_fields.items():
            yield field.alias or name, name, field


def groups(value: Any, shown: Any, plain: Any) -> Iterator[Group]:
    """Every group in `value`, from the outside in."""
    if isinstance(value, BaseModel):
        group = Group(value, shown, plain or {})
        yield group
        for key, name, _ in group.fields():
            if key in shown:
                yield from groups(getattr(value, name), shown[key], group.plain.get(key))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, BaseModel):
                yield from groups(item, shown[key], plain[key])
    elif isinstance(value, list) and shown and isinstance(shown[0], dict):
        for item, part, rest in zip(value, shown, plain, strict=True):
            yield from groups(item, part, rest)


def everything() -> list[Group]:
    """All that bridge.yaml shows, comments included."""
    text = COMPLETE.read_text()
    document = Document(_SETTING.sub(r"\1\2", text))
    assert document.problems == []
    config = Config.model_validate(document.data)
    assert type(config.providers["bsg"]) is not type(config.providers["virtual"])
    return list(groups(config, document.data, Document(text).data))


def settings_classes(kind: Any) -> Iterator[type[BaseModel]]:
    """Every class of settings that `kind` is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from settings_classes(field.annotation)
    for inner in get_args(kind):
        yield from settings_classes(inner)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_file_loads(path: Path) -> None:
    load(path, env=ENV)


def test_complete_file_shows_every_setting() -> None:
    fields: dict[type[BaseModel], set[str]] = {}
    shown: dict[type[BaseModel], set[str]] = {}
    for group in everything():
        kind = type(group.value)
        fields[kind] = {key for key, _, _ in group.fields()}
        shown.setdefault(kind, set()).update(group.shown)
    of_all_providers = set(ProviderSettings.model_fields)
    assert of_all_providers <= set().union(
        *(keys for kind, keys in shown.items() if issubclass(kind, ProviderSettings))
    )
    # What every provider has is shown at one of them.
    passed = {kind: of_all_providers if issubclass(kind, ProviderSettings) else set() for kind in fields}
    assert {kind: fields[kind] - shown[kind] - passed[kind] for kind in fields} == {kind: set() for kind in fields}
    # A class that the file never uses would escape the line above; a provider's is always a subclass.
    assert {*settings_classes(Config)} - set(fields) == {ProviderSettings}


def test_settings_in_comments_show_their_defaults() -> None:
    compared, wrong = [], []
    for group in everything():
        for key, name, field in group.fields():
            default = field.get_default(call_default_factory=True)
            if key in group.plain or key not in group.shown or field.is_required() or default is None:
                continue
            if not isinstance(default, BaseModel):
                compared.append(key)
                if getattr(group.value, name) != default:
                    wrong.append((type(group.value), key, getattr(group.value, name), default))
    assert wrong == []
    assert {"max_binds", "validity", "memory", "level", "report_timeout"} <= set(compared)
