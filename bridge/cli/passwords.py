"""`smsbridge hash-password`: the argon2 hash that a configuration may hold in place of a password or API key."""

from __future__ import annotations

import sys

import typer

from bridge.listeners import passwords


def hash_password() -> None:
    """Print the argon2 hash of a password: asked for on a terminal, else the first line of the standard input."""
    if sys.stdin.isatty():
        # The prompt goes to the other stream, so that the hash alone can be sent to a file.
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        typer.echo("no password was given", err=True)
        raise typer.Exit(2)
    typer.echo(passwords.hash_password(password))
