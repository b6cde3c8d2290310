"""References to values outside the file: every source, every way it can fail, and that values stay hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.config.secrets import Substitution

SECRET = "hunter2hunter2"


def substitute(data: Any, credentials_dir: Path | None = None, **env: str) -> Substitution:
    return Substitution(data, env=env, credentials_dir=credentials_dir)


def test_environment_variable_stands_anywhere_in_a_text() -> None:
    done = substitute({"a": ["smtp://x:${env:P}@${env:H}", 5, None, True]}, P=SECRET, H="host")
    assert done.problems == []
    assert done.data == {"a": [f"smtp://x:{SECRET}@host", 5, None, True]}


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"one", "one"), (b"one\n", "one"), (b"one\r\n", "one"), (b"one\n\n", "one\n"), ("ключ\n".encode(), "ключ")],
)
def test_file_without_its_last_line_end(content: bytes, value: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    assert substitute(f"${{file:{tmp_path}/key}}").data == value
    assert substitute("${credential:key}", credentials_dir=tmp_path).data == value


def test_value_is_not_substituted_again() -> None:
    assert substitute("${env:A}", A="${env:B}", B="b").data == "${env:B}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${env:NOPE}", "the environment variable NOPE is not set"),
        ("${env:EMPTY}", "the environment variable EMPTY is empty"),
        ("${file:/nowhere/key}", "the file /nowhere/key cannot be read: No such file or directory"),
        ("${file:\0}", "cannot be read"),
        ("${credential:key}", "only under systemd"),
        ("${vault:key}", '"vault" is no source of values'),
        ("${env:}", "begins a reference"),
        ("${env:NOPE", "begins a reference"),
        ("${BSG_KEY}", 'did you mean "${env:BSG_KEY}"?'),
    ],
)
def test_reference_that_leads_nowhere_is_a_problem_at_its_place(text: str, words: str) -> None:
    done = substitute({"a": [{"b": text}]}, EMPTY="")
    [problem] = done.problems
    assert problem.path == ("a", 0, "b")
    assert words in problem.text
    assert done.data == {"a": [{"b": text}]}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"\xff", "is not UTF-8"), (b"x" * 65537, "is larger than 65536 bytes")],
)
def test_file_that_is_no_secret_is_a_problem(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    [problem] = substitute("${credential:key}", credentials_dir=tmp_path).problems
    assert words in problem.text
    assert "the credential key" in problem.text


@pytest.mark.parametrize("name", ["../key", "..", "/etc/passwd"])
def test_credential_stays_in_its_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / "inner").mkdir()
    [problem] = substitute(f"${{credential:{name}}}", credentials_dir=tmp_path / "inner").problems
    assert "without /" in problem.text


@pytest.mark.parametrize("path", [("a",), ("a", "b"), ("a", "b", 0), ()])
def test_value_is_hidden_in_what_is_said_of_its_place(path: tuple[str | int, ...]) -> None:
    done = substitute({"a": {"b": "${env:P}"}}, P=SECRET)
    assert done.hide(f"bad {SECRET}!", path) == "bad ***!"


def test_what_is_said_elsewhere_stays() -> None:
    done = substitute({"a": {"b": "${env:P}"}}, P="key")
    assert done.hide("unknown key", ("a", "c")) == "unknown key"
