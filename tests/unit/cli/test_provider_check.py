"""`smsbridge provider check FILE CASES`: ok and 0, what is not as a case says and 1, what cannot be used and 2."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from bridge import providers
from bridge.cli.provider_check import add_to

CASES = Path(__file__).parents[2] / "providers"

app = typer.Typer()
app.callback()(lambda: None)
add_to(app)


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    """A declaration that is nobody's but the user's."""
    return Path(shutil.copy(providers.FOLDER / "46elks.yaml", tmp_path / "acme.yaml"))


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    text = (CASES / "46elks.yaml").read_text().replace("type: 46elks", "type: acme")
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    return path


def checked(declaration: Path, cases: Path) -> Result:
    return CliRunner().invoke(app, ["check", str(declaration), str(cases)])


def test_sound_declaration_is_ok(declaration: Path, cases: Path) -> None:
    done = checked(declaration, cases)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "acme.yaml: ok, 7 cases\n", "")


def test_type_of_the_settings_is_the_name_of_the_file(declaration: Path, cases: Path) -> None:
    cases.write_text(cases.read_text().replace("{type: acme, username: u1, password", "{username: u1, password"))
    assert checked(declaration, cases).exit_code == 0


def test_each_case_that_differs_is_told(declaration: Path, cases: Path) -> None:
    text = (
        cases.read_text()
        .replace("provider_ref: s1", "provider_ref: s2", 1)
        .replace("message: Hello", "message: Bye", 1)
    )
    cases.write_text(text.replace("failed: undeliverable}", "failed: expired}"))
    done = checked(declaration, cases)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "cases.yaml: sends: accepted: the form is {'message': 'Hello'} and should be {'message': 'Bye'}",
        "cases.yaml: statuses: failed is <State.UNDELIVERABLE: 5>",
    ]


def test_broken_promise_is_told(declaration: Path, cases: Path) -> None:
    text = declaration.read_text()
    declaration.write_text(text.replace("  rules:", "  rules:\n    - {status: 5xx, then: refused}\n#", 1))
    done = checked(declaration, cases)
    assert done.exit_code == 1
    assert "cases.yaml: shared meanings: HTTP 500 loses the message" in done.stderr


def test_strange_cases_are_told(declaration: Path, cases: Path) -> None:
    cases.write_text(cases.read_text().replace("outcomes:", "outcome:"))
    done = checked(declaration, cases)
    assert done.exit_code == 1
    assert "cases.yaml: cases are complete: " in done.stderr


def test_wrong_declaration_is_told_with_its_line(declaration: Path, cases: Path) -> None:
    declaration.write_text(declaration.read_text().replace("{text}", "{txt}"))
    done = checked(declaration, cases)
    assert done.exit_code == 2
    assert done.stderr.startswith("acme.yaml:")
    assert 'send.form.message: no variable is called "txt"; did you mean "text"?' in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "settings: x", "a: [", "\0"])
def test_cases_that_cannot_be_used_are_told(declaration: Path, cases: Path, text: str) -> None:
    cases.write_text(text)
    done = checked(declaration, cases)
    assert done.exit_code == 2
    assert "cases.yaml" in done.stderr


def test_files_that_are_not_there_are_told(declaration: Path, cases: Path, tmp_path: Path) -> None:
    assert checked(tmp_path / "gone.yaml", cases).exit_code == 2
    assert checked(declaration, tmp_path / "gone.yaml").exit_code == 2
