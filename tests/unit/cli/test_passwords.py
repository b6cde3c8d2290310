"""`smsbridge hash-password`: what it prints is what a listener accepts."""

from __future__ import annotations

from contextlib import closing

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from bridge.cli.passwords import hash_password
from bridge.listeners.passwords import Passwords

app = typer.Typer()
app.command()(hash_password)


async def test_printed_hash_is_the_password_s() -> None:
    done = CliRunner().invoke(app, [], input="  pass word\nnext line\n")
    assert (done.exit_code, done.stderr) == (0, "")
    printed = SecretStr(done.stdout.removesuffix("\n"))
    assert printed.get_secret_value().startswith("$argon2id$")
    with closing(Passwords()) as passwords:
        assert await passwords.verify("  pass word", printed)
        assert not await passwords.verify("pass word", printed)


@pytest.mark.parametrize("given", ["", "\n"])
def test_no_password_is_refused(given: str) -> None:
    done = CliRunner().invoke(app, [], input=given)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "no password was given\n")
