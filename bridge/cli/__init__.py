"""What a person types: `smsbridge COMMAND`. Thin, over the same functions as the API."""

from __future__ import annotations

import typer

from bridge.cli import provider_api, provider_check
from bridge.cli.bench import bench
from bridge.cli.check import check
from bridge.cli.demo import demo
from bridge.cli.passwords import hash_password
from bridge.cli.provider import provider
from bridge.cli.run import run
from bridge.cli.send import send
from bridge.cli.sessions import sessions
from bridge.cli.trace import trace

app = typer.Typer(
    name="smsbridge",
    help="A durable bridge from SMPP, SMTP and HTTP clients to HTTP messaging providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (run, check, demo, send, trace, sessions, bench, hash_password):
    app.command(_command.__name__.replace("_", "-"))(_command)
provider_api.add_to(provider)
provider_check.add_to(provider)
app.add_typer(provider)


def main() -> None:
    """The entry point of the installed command."""
    app()
