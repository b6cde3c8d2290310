"""Who may import whom: the contracts of pyproject.toml are kept, and each of them can be broken."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS, INDEPENDENCE, SMPP, PURE = (contract["name"] for contract in CONTRACTS)
_VERDICT = re.compile(r"^(.+) (KEPT|BROKEN)$", re.MULTILINE)


def verdicts(tree: Path) -> dict[str, bool]:
    """Each contract of a tree by its name, and whether it is kept."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    told = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    found = {name: verdict == "KEPT" for name, verdict in _VERDICT.findall(told.stdout)}
    assert list(found) == [LAYERS, INDEPENDENCE, SMPP, PURE], told.stdout + told.stderr
    assert (told.returncode == 0) == all(found.values())
    return found


def rooms() -> set[str]:
    """What stands directly in the package."""
    return {path.stem for path in (ROOT / "bridge").iterdir() if path.stem[0] != "_" and path.suffix in ("", ".py")}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package and its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "bridge", tmp_path / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_contracts_are_kept() -> None:
    assert verdicts(ROOT) == {LAYERS: True, INDEPENDENCE: True, SMPP: True, PURE: True}


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        pytest.param(LAYERS, "bridge/store/__init__.py", "from bridge import intake", id="a lower row, a higher one"),
        pytest.param(LAYERS, "bridge/intake.py", "import bridge.reports.correlate", id="a loop, another loop"),
        pytest.param(LAYERS, "bridge/errors.py", "def late():\n    import bridge.values", id="inside a function"),
        pytest.param(LAYERS, "bridge/novelty.py", "", id="a room in no row"),
        pytest.param(
            INDEPENDENCE,
            "bridge/listeners/http/settings.py",
            "import bridge.listeners.smtp.settings",
            id="a listener, another listener",
        ),
        pytest.param(SMPP, "bridge/smpp/wire.py", "import bridge.errors", id="SMPP, a room of ours"),
        pytest.param(PURE, "bridge/message.py", "import time", id="a pure room, the clock"),
        pytest.param(
            PURE, "bridge/providers/bsg.py", "from aiohttp import ClientSession", id="a provider, the network"
        ),
        pytest.param(PURE, "bridge/dispatch/retry.py", "import structlog", id="a pure module, a logger"),
    ],
)
def test_contract_can_be_broken(tree: Path, name: str, module: str, line: str) -> None:
    with (tree / module).open("a") as file:
        file.write(f"\n{line}\n")
    assert not verdicts(tree)[name]


def test_smpp_may_not_import_any_other_room() -> None:
    forbidden = {module.removeprefix("bridge.") for module in CONTRACTS[2]["forbidden_modules"]}
    assert forbidden == rooms() - {"smpp"}


def test_what_calls_itself_pure_is_kept_pure() -> None:
    kept = tuple(f"{module}." for module in CONTRACTS[3]["source_modules"])
    told = []
    for path in sorted((ROOT / "bridge").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if re.search(r"\bpure\b", text, re.IGNORECASE) and module != "bridge":
            told.append(module)
    assert "bridge.message" in told
    assert [module for module in told if not f"{module}.".startswith(kept)] == []
