"""`smsbridge provider`: the lanes to providers in the running daemon."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.check import CONFIG
from bridge.cli.places import control_of
from bridge.cli.remote import Daemon, in_path
from bridge.steering import LaneState

_WIDTH = 180  # where there is no terminal to measure
_MEANINGS = {
    "open": "sends",
    "held": "held by an administrator",
    "paused": "paused: it refuses our account with it",
    "unreachable": "does not answer",
    "throttled": "has asked for less",
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="The provider's name in the configuration.")]
Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration of the daemon.")]
Socket = Annotated[Path | None, typer.Option("--socket", help="The daemon's control socket, in place of --config.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, in one line.")]

provider = typer.Typer(
    name="provider",
    help="Ask providers, and steer how the running daemon sends to them.",
    no_args_is_help=True,
)


class _Providers(msgspec.Struct):
    providers: list[LaneState]


@provider.command()
def status(config: Config = CONFIG, socket: Socket = None, as_json: AsJson = False) -> None:
    """Show every provider: whether it is sent to, what waits for it, and its last trouble.

    Exits 1 when the daemon cannot be reached, 2 when the configuration cannot be read.
    """
    found = _daemon(config, socket).get("/v1/providers", _Providers)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("provider", "type", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("queued", "rate"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("last trouble", overflow="fold")
    for lane in found.providers:
        rate = "" if lane.rate is None else f"{lane.rate:g}/s"
        queued = "" if lane.queued is None else str(lane.queued)
        table.add_row(*(Text(cell) for cell in (lane.name, lane.type, _state(lane), queued, rate, _trouble(lane))))
    console.print(table)


@provider.command()
def pause(name: Name, config: Config = CONFIG, socket: Socket = None) -> None:
    """Send nothing more to a provider, until `resume` or a restart of the daemon.

    Requests under way are finished. What waits goes to the next provider of its plan where it has one, else it waits.
    Exits 1 when the daemon cannot be reached or has no such provider, 2 when the configuration cannot be read.
    """
    _tell(_daemon(config, socket).post(f"/v1/providers/{in_path(name)}/pause", LaneState))


@provider.command()
def resume(name: Name, config: Config = CONFIG, socket: Socket = None) -> None:
    """Send to a provider again: one that was paused by you, or by its refusal of the account with it.

    One that had not worked gets one request first. Exits 1 when the daemon cannot be reached or has no such provider,
    2 when the configuration cannot be read.
    """
    _tell(_daemon(config, socket).post(f"/v1/providers/{in_path(name)}/resume", LaneState))


def _daemon(config: Path, socket: Path | None) -> Daemon:
    return Daemon(socket if socket is not None else control_of(config))


def _tell(lane: LaneState) -> None:
    typer.echo(f"{lane.name}: {_state(lane)}")


def _state(lane: LaneState) -> str:
    wait = "" if lane.wait_s is None else f", next attempt in {lane.wait_s:g} s"
    return f"{_MEANINGS.get(lane.state, lane.state)}{wait}"


def _trouble(lane: LaneState) -> str:
    trouble = lane.trouble
    if trouble is None:
        return ""
    words = [trouble.outcome, *([str(trouble.reason)] if trouble.reason else [])]
    native = f' "{trouble.native}"' if trouble.native else ""
    return f"{', '.join(words)}{native}, {max(0.0, time.time() - trouble.at):.0f} s ago"
