"""The words and the shape of the source: names that say something, files that can be read, docstrings, no strangers."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

import bridge

ROOT = Path(__file__).parents[2]
EMPTY_WORDS = {"manager", "handler", "helper", "util", "utils", "base", "impl", "service", "processor"}
LINES_MAX = {"bridge": 400, "tests": 600}  # a test file mirrors its source, and tells more
PROVIDER_LINES_MAX = {".py": 300, ".yaml": 40}  # of a provider, its tables included
# Places where this is made, and hosts that packages are fetched from: nothing here depends on either. In pieces, so
# that this file does not hold them.
FOREIGN = re.compile(
    "|".join(
        re.escape(start + end)
        for start, end in [
            ("/wo", "rk/"),
            ("/tmp/", "brief"),
            ("shared/", "facts"),
            ("DESIGN", ".md"),
            ("MODELS", ".md"),
            ("pypi", ".org"),
            ("python", "hosted.org"),
            ("npmjs", ".com"),
            ("proxy.", "golang.org"),
            ("crates", ".io"),
            ("ghcr", ".io"),
            ("docker", ".io"),
        ]
    )
)


def python_files(root: Path) -> Iterator[Path]:
    """Our Python files under `root`."""
    for folder in ("bridge", "tests"):
        yield from sorted((root / folder).rglob("*.py"))


def our_files(root: Path) -> Iterator[Path]:
    """Every file that belongs to the project; what tools leave behind begins with a dot."""
    for top in sorted(root.iterdir()):
        if top.is_file() and top.name != ".git":
            yield top
        elif top.is_dir() and (top.name[0] != "." or top.name == ".ci") and top.name not in ("build", "dist"):
            yield from (path for path in sorted(top.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def modules() -> list[str]:
    """The names of all modules of the package."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "bridge").rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]


def words(name: str) -> set[str]:
    """The words of a name, whichever way they are joined, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def empty_names(root: Path) -> list[str]:
    """Modules and classes whose names hold a word that says nothing."""
    found = []
    for path in python_files(root):
        where = str(path.relative_to(root))
        if words(path.stem) & EMPTY_WORDS:
            found.append(where)
        classes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))
        found += [f"{where}: {node.name}" for node in classes if words(node.name) & EMPTY_WORDS]
    return found


def long_files(root: Path) -> list[str]:
    """Python files of more lines than `LINES_MAX` allows in their folder."""
    names = [(path, path.relative_to(root)) for path in python_files(root)]
    return [str(name) for path, name in names if len(path.read_text().splitlines()) > LINES_MAX[name.parts[0]]]


def long_providers(root: Path) -> list[str]:
    """Files of providers, those beside a coded one included, of more lines than `PROVIDER_LINES_MAX` allows."""
    folder = root / "bridge" / "providers"
    names = [path.stem for path in folder.glob("[!_]*.py")]
    files = [
        *folder.glob("[!_]*.py"),
        *folder.glob("[!_]*.yaml"),
        *(path for name in names for path in folder.glob(f"_{name}_*.py")),
    ]
    return sorted(path.name for path in files if len(path.read_text().splitlines()) > PROVIDER_LINES_MAX[path.suffix])


def foreign_words(root: Path) -> list[str]:
    """Lines that speak of where this is made or fetched from."""
    found = []
    for path in our_files(root):
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(root)}: {match[0]}" for match in FOREIGN.finditer(text)]
    return found


def undocumented(module: object) -> list[str]:
    """Public classes, functions and methods of a module without a docstring, their own or an inherited one."""
    name = getattr(module, "__name__", "")
    found = []
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        # A class without a docstring would get that of its base.
        if not (value.__doc__ if inspect.isclass(value) else inspect.getdoc(value)):
            found.append(f"{name}.{key}")
        if inspect.isclass(value):
            found += [f"{name}.{key}.{method}" for method in _undocumented_methods(value)]
    return found


def _undocumented_methods(kind: type) -> Iterator[str]:
    # The attributes of a protocol are written as properties, and say all by their types.
    kinds = (property,) if Protocol not in kind.__bases__ else ()
    for key, value in vars(kind).items():
        public = not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
        if public and not inspect.getdoc(getattr(kind, key)):
            yield key


def test_names_say_something() -> None:
    assert empty_names(ROOT) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("utils.py", ""),
        ("message_handler.py", ""),
        ("lane.py", "class LaneManager: ..."),
        ("a.py", "class BaseLane: 0"),
    ],
)
def test_empty_name_would_be_found(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / file).write_text(text)
    assert len(empty_names(tmp_path)) == 1


def test_files_can_be_read() -> None:
    assert long_files(ROOT) == []


def test_long_file_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / "short.py").write_text("0\n" * LINES_MAX["bridge"])
    (tmp_path / "bridge" / "long.py").write_text("0\n" * (LINES_MAX["bridge"] + 1))
    assert long_files(tmp_path) == ["bridge/long.py"]


def test_providers_are_short() -> None:
    assert long_providers(ROOT) == []


def test_long_provider_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "bridge" / "providers"
    folder.mkdir(parents=True)
    for name, lines in {
        "short.py": 300, "_contract.py": 301, "long.py": 301, "_short_said.py": 301, "short.yaml": 40, "long.yaml": 41,
    }.items():  # fmt: skip
        (folder / name).write_text("0\n" * lines)
    assert long_providers(tmp_path) == ["_short_said.py", "long.py", "long.yaml"]


def test_project_speaks_of_itself_alone() -> None:
    assert foreign_words(ROOT) == []


def test_foreign_word_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("see " + "/wo" + "rk/main")
    assert len(foreign_words(tmp_path)) == 1


@pytest.mark.parametrize("name", modules())
def test_public_names_have_docstrings(name: str) -> None:
    assert undocumented(importlib.import_module(name)) == []


def test_missing_docstring_would_be_found() -> None:
    class Documented:
        """Says what it is."""

        def told(self) -> None:
            """Says what it does."""

        def untold(self) -> None: ...

    module = type(bridge)("made_up")
    Documented.__module__ = "made_up"
    module.__dict__["Documented"] = Documented
    assert undocumented(module) == ["made_up.Documented.untold"]
