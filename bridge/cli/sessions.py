"""`smsbridge sessions`: who is bound to the running daemon, and what they say."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bridge.cli.check import CONFIG
from bridge.cli.pcap import PcapFile
from bridge.cli.places import control_of
from bridge.cli.remote import Daemon
from bridge.listeners.smpp.capture import Caught
from bridge.listeners.smpp.seen import Seen, Window
from bridge.steering import Begun, Connections, Lost

_WATCH_EVERY_S = 2.0
_WIDTH = 180  # where there is no terminal to measure


def sessions(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration of the daemon.")] = CONFIG,
    socket: Annotated[
        Path | None, typer.Option("--socket", help="The daemon's control socket, in place of --config.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in one line.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
    capture: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--capture",
            metavar="ACCOUNT FILE",
            help="Write the PDUs of an account's binds to a file for Wireshark; - is the standard output.",
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="With --capture: end after so long.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="With --capture: end after so many PDUs.")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="With --capture: hide texts and numbers.")] = False,
) -> None:
    """Show who is bound to the running daemon: since when, how busy, with what error last.

    With --capture, write what they say instead; passwords are never in it. Times are UTC, rates those of the last
    minute. Exits 1 when the daemon cannot be reached or knows no such account, 2 when the configuration or FILE cannot
    be used.
    """
    daemon = Daemon(socket if socket is not None else control_of(config))
    if capture is not None:
        _capture(daemon, *capture, seconds=seconds, count=count, mask=mask)
        return
    if seconds is not None or count is not None or mask:
        raise typer.BadParameter("--seconds, --count and --mask go with --capture")
    try:
        if as_json:
            _show(daemon, watch, lambda found: typer.echo(msgspec.json.encode(found).decode()))
        elif watch:
            with Live(console=_console(), auto_refresh=False) as live:
                _show(daemon, watch, lambda found: live.update(_shown(found), refresh=True))
        else:
            _show(daemon, watch, lambda found: _console().print(_shown(found)))
    except KeyboardInterrupt:
        pass  # that is how a watch ends


def _show(daemon: Daemon, watch: bool, show: Callable[[Connections], None]) -> None:
    show(daemon.get("/v1/sessions", Connections))
    while watch:
        time.sleep(_WATCH_EVERY_S)
        show(daemon.get("/v1/sessions", Connections))


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


# --- the table ----------------------------------------------------------------------------------------------------


def _shown(found: Connections) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("account", "peer", "bind", "version", "since"):
        table.add_column(name, no_wrap=True)
    for name in ("in/s", "out/s", "window in", "window out", "pending"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("last error", overflow="fold")
    for each in found.sessions:
        table.add_row(*(Text(cell) for cell in _cells(each, found.now)))
    others = f"{_counted(len(found.sessions), 'bind')}; besides: {_counted(found.unbound, 'SMPP connection')} without "
    others += f"a bind, {found.smtp} SMTP, {found.http} HTTP"
    return Group(*([table] if found.sessions else []), Text(others))


def _cells(seen: Seen, now: float) -> Iterator[str]:
    yield seen.account
    yield seen.peer
    yield seen.kind
    yield f"{seen.version} {seen.tls}" if seen.tls else seen.version
    yield f"{_time(seen.since)} ({_ago(now - seen.since)})"
    yield f"{seen.taken_per_s:g}"
    yield f"{seen.handed_per_s:g}"
    yield _used(seen.window_in)
    yield _used(seen.window_out) + (" clogged" if seen.clogged else "")
    yield str(seen.pending)
    fault = seen.fault
    if fault is None:
        yield ""
    else:
        status = fault.status if fault.status != "unknown" else f"0x{fault.code:08X}"
        yield f"{fault.command} {status} {'from' if fault.incoming else 'to'} it, {_ago(now - fault.at)} ago"


def _used(window: Window) -> str:
    return f"{window.used}/{window.size}" if window.size else ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ago(seconds: float) -> str:
    """A time that has passed, in its largest unit."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"


# --- the capture --------------------------------------------------------------------------------------------------


def _capture(daemon: Daemon, account: str, file: Path, *, seconds: float | None, count: int | None, mask: bool) -> None:
    query: dict[str, Any] = {"account": account, **({"mask": 1} if mask else {})}
    if seconds is not None:
        query["seconds"] = seconds
    with closing(daemon.lines("/v1/capture", query, Begun | Caught | Lost)) as lines:
        # Before the file is touched: an account that does not exist must not empty it.
        begun = next(lines, None)
        if not isinstance(begun, Begun):
            typer.echo("the daemon ends", err=True)
            raise typer.Exit(1)
        with _opened(file) as stream:
            typer.echo(f"capturing {account}, {_counted(begun.binds, 'bind')} now; Ctrl-C ends it", err=True)
            told = _write(lines, PcapFile(stream), count)
    typer.echo(f"{told} in {file}", err=True)


def _write(lines: Iterator[Caught | Lost], pcap: PcapFile, count: int | None) -> str:
    """Writes what is told, up to so many PDUs; gives what came of it."""
    written = lost = 0
    try:
        for line in lines:
            if isinstance(line, Lost):
                lost += line.count
                continue
            pcap.write(line)
            written += 1
            if written == count:
                break
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # that is how it ends; and whoever read along has enough
    missing = f" ({lost} were lost, because this was too slow)" if lost else ""
    return f"{_counted(written, 'PDU')} of {_counted(pcap.connections, 'connection')}{missing}"


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file, which nobody else may read: what clients write to each other is in it."""
    if str(file) == "-":
        # Unbuffered, so that somebody who reads along sees everything; and it is not ours to close.
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as stream:
            yield stream
        return
    try:
        stream = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
    except OSError as error:
        typer.echo(f"{file}: cannot be written: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    with stream:
        yield stream
