"""Where a configuration keeps things, for commands that need nothing else of it.

A person who looks at a running bridge may not be able to read its secrets, which systemd gives to the service alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from bridge.config.schema import Config
from bridge.config.secrets import Substitution
from bridge.document import Document


def store_of(config: Path) -> Path:
    """The file of the store. Exits 2 when it cannot be told."""
    return _config_of(config, _read(config)).store_path


def control_of(config: Path) -> Path:
    """The control socket. Exits 2 when it cannot be told."""
    keys = _read(config)
    return _config_of(config, keys, **({"control": keys["control"]} if "control" in keys else {})).control_path


def _read(config: Path) -> dict[str, Any]:
    try:
        document = Document(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"{config}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}", err=True)
        raise typer.Exit(2) from None
    return document.data if isinstance(document.data, dict) else {}


def _config_of(path: Path, keys: dict[str, Any], **more: Any) -> Config:
    """A configuration of the store and of `more` alone."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    wanted = {"store": keys.get("store"), **more}
    found = Substitution(wanted, env=os.environ, credentials_dir=Path(credentials) if credentials else None)
    if found.problems:
        where, text = found.problems[0].path[0], found.problems[0].text
    else:
        try:
            return Config.model_validate(found.data)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]
            where = detail["loc"][0]
            text = "is not sqlite:PATH" if where == "store" else detail["msg"].removeprefix("Value error, ")
    typer.echo(f"{path.name}: {where}: {text}", err=True)
    raise typer.Exit(2)
