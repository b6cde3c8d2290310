"""`smsbridge provider check FILE CASES`: whether a declared provider does what its cases say, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from bridge import providers
from bridge.errors import ConfigError
from bridge.providers._cases.making import Subject
from bridge.providers._cases.promises import CHECKS

_TEXT = 2000  # characters of one problem


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The declaration, NAME.yaml.")],
    cases: Annotated[Path, typer.Argument(metavar="CASES", help="Its cases.")],
) -> None:
    """Check a declared provider against its cases: says ok, or what is not as a case or a promise says.

    Exits 1 when something is not, 2 when the declaration or the cases cannot be used.
    """
    if not __debug__:  # promises are assertions
        typer.echo("python -O leaves assertions out, so nothing would be checked", err=True)
        raise typer.Exit(2)
    subject = _subject(file, cases)
    broken = 0
    for promise in CHECKS:
        try:
            promise(subject)
        except AssertionError as error:
            told = str(error)
        except Exception as error:  # noqa: BLE001 - cases are foreign: a key of them may be missing anywhere
            told = f"the cases are not as cases are: {type(error).__name__}: {error}"
        else:
            continue
        broken += 1
        what = promise.__name__.removeprefix("check_").replace("_", " ")
        for line in told.splitlines():
            typer.echo(f"{cases.name}: {what}: {line[:_TEXT]}", err=True)
    if broken:
        raise typer.Exit(1)
    shown = sum(len(subject.section(name)) for name in ("sends", "callbacks", "polls"))
    typer.echo(f"{file.name}: ok, {shown} cases")


def _subject(file: Path, cases: Path) -> Subject:
    """The declaration with its cases. Exits 2 when either cannot be used."""
    try:
        module = providers.declared(file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    try:
        said: Any = yaml.safe_load(cases.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        typer.echo(f"{cases}: {error}", err=True)
        raise typer.Exit(2) from None
    if not isinstance(said, dict) or not isinstance(said.get("settings"), dict):
        typer.echo(f'{cases.name}: cases are a group of keys, one of which is "settings"', err=True)
        raise typer.Exit(2)
    said["settings"] = {"type": file.stem, **said["settings"]}
    return Subject(file.stem, module.Settings, module.Provider, module.CODES, module.STATES, said)


def add_to(group: typer.Typer) -> None:
    """Gives a group of commands this one."""
    group.command("check")(check)
