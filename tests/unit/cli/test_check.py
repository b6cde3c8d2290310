"""`smsbridge check`: ok and 0, or every problem on the error stream and 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli.check import check
from bridge.config.schema import json_schema

GOOD = """\
store: sqlite:bridge.db
listeners: {http: [{listen: 127.0.0.1:8080}]}
accounts: {acme: {http: {api_key: key}}}
providers: {virtual: {type: virtual}}
routes: [{send: [virtual]}]
"""

app = typer.Typer()
app.command()(check)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(GOOD)
    path.chmod(0o640)
    return path


def test_good_configuration_is_ok(config: Path) -> None:
    done = CliRunner().invoke(app, ["--config", str(config)])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "bridge.yaml: ok\n", "")


def test_every_problem_is_told_and_the_code_is_2(config: Path) -> None:
    config.write_text(GOOD.replace("api_key", "apikey").replace("[virtual]", "[virtuall]"))
    done = CliRunner().invoke(app, ["-c", str(config)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        'bridge.yaml:3: accounts.acme.http: the key "api_key" is missing',
        'bridge.yaml:3: accounts.acme.http.apikey: unknown key; did you mean "api_key"?',
        'bridge.yaml:5: routes[0].send[0]: no provider is called "virtuall"; did you mean "virtual"?',
    ]


def test_warning_is_told_and_does_not_fail(config: Path) -> None:
    config.chmod(0o644)
    done = CliRunner().invoke(app, ["-c", str(config)])
    assert (done.exit_code, done.stdout) == (0, "bridge.yaml: ok\n")
    assert done.stderr.startswith("warning: bridge.yaml:3: accounts.acme.http.api_key: a plain secret")


def test_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["-c", str(tmp_path / "gone.yaml")])
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr


def test_schema_is_printed_without_a_configuration() -> None:
    done = CliRunner().invoke(app, ["--schema"])
    assert done.exit_code == 0
    assert done.stdout == json_schema()
    assert json.loads(done.stdout)["title"] == "Config"
