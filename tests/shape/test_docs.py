"""The documentation is true: its configurations load, its commands run, its links lead somewhere.

What a fenced block is, is in the words behind its fence:

==================  ==============================================================================================
yaml                a configuration; without `store` a fragment, which is laid over config/minimal.yaml
yaml cases          a piece of tests/providers/_template.yaml
json                JSON
sh                  run, in a folder of its page that holds a copy of `config`; the blocks of a page in their order
sh daemon           the same, in the background from when it says `ready` until the page ends
sh tree             run in a copy of the source tree
sh network          not run here, because it fetches packages
console             not run; its `smsbridge` commands and options exist
text, ini           only shown
==================  ==============================================================================================
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import yaml
from pydantic import BaseModel
from shape.generate import command_group, pages, parts_in, renewed, stale
from shape.provider_pages import FOLDER
from shape.settings_tables import SECTIONS

from bridge.config.loader import load
from bridge.config.schema import Config, Listeners

ROOT = Path(__file__).parents[2]
MINIMAL = ROOT / "config" / "minimal.yaml"
KINDS = {
    "yaml", "yaml cases", "json", "sh", "sh daemon", "sh tree", "sh network", "console", "text", "ini",
}  # fmt: skip
TOP = {"pyproject.toml", "README.md", "LICENSE", "bridge", "config", "systemd", "tests", "docs"}
BUILT = {"build", "dist"}  # what tools make there, and .gitignore names
TIMEOUT_S = 30  # of one block; they take a few seconds
_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PORTS = (2775, 2525, 8080)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*kinds: str) -> list[Block]:
    """The blocks of these kinds on all pages; all blocks, when none is named."""
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in pages()
        for text in [page.read_text()]
        for match in _FENCE.finditer(text)
        if not kinds or match[1] in kinds
    ]


# --- what is shown ------------------------------------------------------------------------------------------------


def laid_over(under: Any, over: Any) -> Any:
    """Groups are joined key by key; everything else is replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: laid_over(under.get(key), value) for key, value in over.items()}}
    return over


def loads(text: str, folder: Path) -> None:
    """Loads a configuration, or a fragment of one, with a value for all that it takes from elsewhere."""
    data = yaml.safe_load(text)
    if "store" not in data:
        data = laid_over(yaml.safe_load(MINIMAL.read_text()), data)
    names = re.findall(r"\$\{(env|credential):(\w+)\}", text)
    for _, name in names:
        (folder / name).write_text("value")
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(data))
    load(path, env={name: "value" for kind, name in names if kind == "env"}, credentials_dir=folder)


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block_is_of_a_known_kind(block: Block) -> None:
    assert block.kind in KINDS


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_configuration_loads(block: Block, tmp_path: Path) -> None:
    loads(block.text, tmp_path)


def test_wrong_configuration_would_be_found(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unknown key"):
        loads("limits: {memmory: 1}", tmp_path)


@pytest.mark.parametrize("block", blocks("yaml cases"), ids=str)
def test_cases_are_those_of_the_template(block: Block) -> None:
    assert block.text in (ROOT / "tests" / "providers" / "_template.yaml").read_text()


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


# --- what is run --------------------------------------------------------------------------------------------------


class Terminal:
    """Where the blocks of a page are run; the ports of config/minimal.yaml are free ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemon: subprocess.Popen[str] | None = None
        self._env = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
        }
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in _PORTS]
        self._ports = {str(port): str(each.getsockname()[1]) for port, each in zip(_PORTS, sockets, strict=True)}
        for each in sockets:
            each.close()
        shutil.copytree(ROOT / "config", folder / "config")
        config = folder / "config" / "minimal.yaml"
        config.write_text(self._moved(config.read_text()))

    def _moved(self, text: str) -> str:
        return re.sub(rf"\b({'|'.join(self._ports)})\b", lambda port: self._ports[port[0]], text)

    def run(self, block: Block) -> None:
        """Runs a block. Fails when it does, or takes too long."""
        if block.kind == "sh daemon":
            self._start(block)
            return
        folder = self._folder
        if block.kind == "sh tree":
            folder = self._folder / "tree"
            if not folder.exists():
                _copy_tree(folder)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._moved(block.text)],
            cwd=folder, env=self._env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}: exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def _start(self, block: Block) -> None:
        with (self._folder / "log").open("w") as log:
            self._daemon = subprocess.Popen(
                ["bash", "-c", f"exec {self._moved(block.text)}"],
                cwd=self._folder, env=self._env, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._daemon.stdout is not None
        said = self._daemon.stdout.readline()
        assert said == "ready\n", f"{block}: {(self._folder / 'log').read_text()}"

    def close(self) -> None:
        """Ends the daemon, which must go well."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.communicate(timeout=TIMEOUT_S)
            log = (self._folder / "log").read_text()
            assert self._daemon.returncode == 0, log
            assert '"level": "error"' not in log


def _copy_tree(folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    folder.mkdir()
    for name in sorted(TOP):
        copy = shutil.copy if (ROOT / name).is_file() else lambda a, b: shutil.copytree(a, b, ignore=ignore)
        copy(ROOT / name, folder / name)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of its own."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


RUN = blocks("sh", "sh daemon", "sh tree")


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run(page: Path, terminal: Terminal) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for block in RUN:
        if block.page == page:
            terminal.run(block)


def test_failing_command_would_be_found(terminal: Terminal) -> None:
    with pytest.raises(AssertionError, match="exit code 2"):
        terminal.run(Block(ROOT / "README.md", 1, "sh", "smsbridge check --config absent.yaml"))


# --- what is named ------------------------------------------------------------------------------------------------


def unknown_commands(text: str) -> list[str]:
    """Commands and options of `smsbridge` in a shell's text that do not exist."""
    known = command_group().commands
    wrong = []
    for line in text.replace("\\\n", " ").splitlines():
        words = list(shlex.shlex(line.lstrip("$ "), posix=True, punctuation_chars=True))
        starts = [0] + [number + 1 for number, word in enumerate(words) if set(word) <= set("&|;()")]
        for start, end in zip(starts, [*starts[1:], len(words) + 1], strict=True):
            command = words[start : end - 1]
            while command and (command[0] in ("sudo", "!") or re.fullmatch(r"\w+=.*", command[0])):
                command.pop(0)
            if not command or command[0].rpartition("/")[2] != "smsbridge" or command[1:] == ["--help"]:
                continue
            if len(command) == 1 or command[1] not in known:
                wrong.append(" ".join(command[:2]))
                continue
            named, rest = known[command[1]], command[2:]
            if hasattr(named, "commands"):  # a group: its own commands follow
                if not rest or rest[0] not in named.commands:
                    wrong += [" ".join(command[:3])] if rest else []  # the group alone shows its help
                    continue
                named, rest = named.commands[rest[0]], rest[1:]
            options = {option for each in named.params for option in each.opts}
            wrong += [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
    return wrong


@pytest.mark.parametrize("block", blocks("console", "sh", "sh daemon", "sh network"), ids=str)
def test_commands_exist(block: Block) -> None:
    assert unknown_commands(block.text) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text())
    named = [code for code in re.findall(r"`(smsbridge [^`]+)`", prose) if not code.startswith("smsbridge COMMAND")]
    assert [wrong for code in named for wrong in unknown_commands(code.replace("[", "").replace("]", ""))] == []


@pytest.mark.parametrize(
    "text",
    [
        "$ sudo smsbridge chek",
        "true && smsbridge run --confg x",
        "$ A=1 /opt/x/bin/smsbridge simulate | cat",
        "smsbridge provider resum virtual",
        "smsbridge provider resume virtual --confg x",
    ],
)
def test_unknown_command_would_be_found(text: str) -> None:
    assert len(unknown_commands(text)) == 1


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page, other than to the web, that lead nowhere."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        if path.startswith("https://"):
            continue
        target = (page.parent / path).resolve() if path else page
        known = target.exists() and target.is_relative_to(ROOT if page.is_relative_to(ROOT) else page.parent)
        if not known or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md#one) [b](#two) [c](absent.md) [d](../outside) [e](https://example.com/)\n")
    assert broken_links(page) == ["#two", "absent.md", "../outside"]


def test_every_page_can_be_found() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in pages() for link in _LINK.findall(page.read_text())
    }
    assert [str(page.relative_to(ROOT)) for page in pages()[1:] if page not in linked] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_exist(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")) if named else ""
    assert [name for name in sorted(named) if f"def {name}(" not in text] == []


# --- what is generated, and what is told twice --------------------------------------------------------------------


def test_generated_parts_are_fresh() -> None:
    assert list(stale()) == [], "python tests/shape/generate.py writes them anew"


def settings_classes(kind: Any) -> Iterator[type[BaseModel]]:
    """Every class of settings that `kind` is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from settings_classes(field.annotation)
    for inner in get_args(kind):
        yield from settings_classes(inner)


def test_every_group_of_settings_has_a_table() -> None:
    shown = {section.kind for section in SECTIONS}
    assert set(settings_classes(Config)) - shown == {Listeners}  # which holds nothing but three others


def test_stale_part_would_be_found() -> None:
    page = ROOT / "docs" / "glossary.md"
    assert parts_in(page.read_text()) == ["states", "reasons"]
    spoiled = page.read_text().replace("| `delivered` |", "| `arrived` |")
    assert renewed(spoiled) == page.read_text() != spoiled


def test_stale_page_of_a_provider_would_be_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    folder = tmp_path / FOLDER.relative_to(ROOT)
    changed, gone, *_ = sorted(folder.glob("*.md"))
    changed.write_text(changed.read_text().replace("## Settings", "## Setting"))
    gone.unlink()
    (folder / "nobody.md").write_text("# nobody\n")
    found = [folder / "nobody.md", changed, gone]
    assert sorted(stale(tmp_path)) == sorted(str(path.relative_to(tmp_path)) for path in found)


def test_dependencies_are_decided_on() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    text = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    told = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert [f"{name}>={floor}" for name, floor in told] == wanted


def test_rows_are_those_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    shown = next(block for block in blocks("text") if block.page.name == "0001-layers.md")
    assert shown.text.splitlines() == contract["layers"]


def test_minimal_configuration_is_the_one_of_the_tutorial() -> None:
    shown = next(block for block in blocks("yaml") if block.page.name == "tutorial.md")
    assert yaml.safe_load(shown.text) == yaml.safe_load(MINIMAL.read_text())


def test_continuous_check_runs_what_the_readme_says() -> None:
    command = [block.text.strip() for block in blocks("sh network") if block.page.name == "README.md"][1]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_top_level_holds_nothing_else() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - BUILT == TOP
