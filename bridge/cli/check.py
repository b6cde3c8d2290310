"""`smsbridge check`: whether a configuration can be used, and every problem when it cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bridge.config.loader import load, warnings
from bridge.config.schema import json_schema
from bridge.errors import ConfigError

CONFIG = Path("/etc/smsbridge/bridge.yaml")


def check(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")] = CONFIG,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a configuration instead.")] = False,
) -> None:
    """Check a configuration: says ok, or every problem with its line; then the exit code is 2."""
    if schema:
        sys.stdout.write(json_schema())
        return
    try:
        doubts = warnings(load(config), config)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(2) from None
    for doubt in doubts:
        typer.echo(f"warning: {doubt}", err=True)
    typer.echo(f"{config.name}: ok")
