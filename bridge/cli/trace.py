"""`smsbridge trace`: what happened to one message, hop by hop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.check import CONFIG
from bridge.cli.places import store_of
from bridge.errors import StoreUnavailable
from bridge.message import Message
from bridge.store import Event, Record
from bridge.store.lookup import find_record
from bridge.telemetry.logs import mask

_ID = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19}")
_MAX_ID = 2**63 - 1  # what a store can hold
_NUMBER = re.compile(r"[0-9]{7,15}")
_WIDTH = 160  # where there is no terminal to measure


def trace(
    message_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a message or a part: decimal, or hexadecimal as 0x...")
    ],
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration whose store has it.")] = CONFIG,
    store: Annotated[Path | None, typer.Option("--store", help="The file of the store, in place of --config.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Numbers and text as they are, not masked.")] = False,
) -> None:
    """Show what happened to one message, also while the daemon runs.

    Times are UTC. Exits 1 when there is no such message, 2 when the id, the configuration or the store cannot be read.
    """
    wanted = _id_of(message_id)
    path = store if store is not None else store_of(config)
    try:
        record = find_record(path, wanted)
    except StoreUnavailable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if record is None:
        typer.echo(f"{path} has no message or part {wanted}; finished ones are kept for a time only", err=True)
        raise typer.Exit(1)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    for line in _summary(record, show=show):
        console.print(Text(line))
    console.print(_table(record, show=show))


def describe(event: Event, *, show: bool) -> tuple[str, str]:
    """One event of a timeline as a person says it: the hop, and its details; `show`: numbers are not masked."""
    provider = event.get("provider", "")
    hop = {
        "accepted": "accepted",
        "sent": f"{provider} took it",
        "refused": f"{provider} refused it" if provider else "refused",
        "retry": f"{provider}: again later",
        "unsure": f"{provider} did not answer",
        "expired": "expired before it was sent",
        "report": f"{provider} reports {event.get('state', '')}",
        "reported": "told to the client",
        "report_given_up": "the client was never told",
    }.get(event["event"], str(event["event"]))
    return hop, ", ".join(_details(event, show=show))


def _details(event: Event, *, show: bool) -> Iterator[str]:
    if "listener" in event:
        yield f"over {event['listener']}"
    if event.get("attempt", 1) > 1:
        yield f"attempt {event['attempt']}"
    if "provider_ref" in event:
        yield f"known there as {event['provider_ref']}"
    if event["event"] in ("reported", "report_given_up") and "id" in event:
        yield f"as {event['id']}"
    if "status" in event:
        yield f"HTTP {event['status']}"
    if event.get("reason"):
        yield str(event["reason"])
    if event.get("why"):
        yield str(event["why"])
    if event.get("native") and event["native"] != event.get("state"):
        native = event["native"] if show else _NUMBER.sub(lambda found: mask(found[0]), event["native"])
        yield f'"{native}"'


def _id_of(text: str) -> int:
    if not _ID.fullmatch(text):
        raise typer.BadParameter(f"an id is a number, decimal or as 0x..., not {text!r}")
    number = int(text, 16 if text[:2].lower() == "0x" else 10)
    if not 0 < number <= _MAX_ID:
        raise typer.BadParameter(f"an id is 1 to {_MAX_ID}")
    return number


def _summary(record: Record, *, show: bool) -> Iterator[str]:
    message = record.message
    reason = f" ({record.reason})" if record.reason else ""
    yield f"message {message.message_id}: {record.state.word}{reason}"
    yield f"  account   {message.account}, over {message.listener}"
    source = "the provider's default" if message.source is None else message.source if show else mask(message.source)
    yield f"  from      {source}"
    yield f"  to        {message.destination if show else mask(message.destination)}"
    yield f"  content   {content_of(message, show=show)}"
    if message.client_ref is not None:
        yield f"  ref       {message.client_ref}"
    if message.parts:
        yield f"  parts     {', '.join(str(part.part_id) for part in message.parts)}"
    yield f"  expires   {_time(message.expires_at)}"


def content_of(message: Message, *, show: bool) -> str:
    """What a message says; `show`: its text as it is."""
    carried = "" if message.content is None else f"{message.content.kind}, "
    if message.text is None:
        return carried.rstrip(", ") or f"{len(message.binary or b'')} octets"
    return carried + (message.text if show else f"{len(message.text)} characters")


def _table(record: Record, *, show: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("time", no_wrap=True)
    table.add_column("+ms", justify="right", no_wrap=True)
    table.add_column("hop", no_wrap=True)
    table.add_column("details", overflow="fold")
    for event in record.timeline:
        hop, details = describe(event, show=show)
        since_ms = (event["at"] - record.message.accepted_at) * 1000
        table.add_row(_time(event["at"]), f"{since_ms:.0f}", Text(hop), Text(details))
    return table


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
