"""`smsbridge demo`: a whole bridge on this machine, a message over each protocol, and their reports coming back.

Everything is real but the provider, which is `BsgSimulator`, and nothing leaves the machine: the daemon on free ports
with a store of its own, clients that are not ours, a mail server that takes the reports sent by mail, and a receiver of
signed callbacks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from email import message_from_bytes
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bridge.app import App
from bridge.cli.clients import CLIENTS, NotSent, Order, Protocol, Taken, credentials_of
from bridge.cli.simulator import BsgSimulator
from bridge.cli.trace import describe
from bridge.config.loader import load
from bridge.errors import ConfigError, StoreUnavailable
from bridge.store import Event
from bridge.telemetry import logs

_PROVIDER_KEY = "demo-provider-key"
_PROVIDER_CALLBACK = "/callbacks/bsg/demo-token"
_CALLBACK_KEY = b"thirty-two octets, known to both"
_NUMBERS = {Protocol.SMPP: "+380501234501", Protocol.SMTP: "+380501234502", Protocol.HTTP: "+380501234503"}
_STATUS_DELAY_S = 0.5  # slow enough to watch
_GIVE_UP_S = 30.0
_LOOK_EVERY_S = 0.05
_GRACE_S = 1.0


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End when the reports are back, or after 30 seconds when one is missing.")
    ] = False,
) -> None:
    """Run a bridge with a simulated provider, and send a message over each protocol; Ctrl-C ends it.

    Nothing leaves this machine, and nothing of it stays. Exits 1 when a report did not come back, else 0.
    """
    logs.configure("warning", "console")
    raise typer.Exit(uvloop.run(_run(once=once)))


async def _run(*, once: bool, give_up_s: float = _GIVE_UP_S) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console = Console(highlight=False)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smsbridge-demo-")))
        stage = Stage(directory)
        stack.push_async_callback(stage.stop)
        try:
            await stage.start()
        except (ConfigError, StoreUnavailable, OSError) as error:
            typer.echo(str(error), err=True)
            return 1
        journeys = [Journey(protocol) for protocol in Protocol]
        stage.on_told = lambda message_id, how: _note_told(journeys, message_id, how)
        show = asyncio.create_task(_show(stage, journeys, console))
        stopped = asyncio.create_task(stop.wait())
        senders = [asyncio.create_task(_send(stage, journey)) for journey in journeys]
        await asyncio.wait((show, stopped), timeout=give_up_s, return_when=asyncio.FIRST_COMPLETED)
        show.cancel()
        await asyncio.gather(show, return_exceptions=True)
        missing = [journey for journey in journeys if not journey.over or journey.failed]
        for journey in [] if stop.is_set() else missing:
            console.print(Text(f"{journey.protocol}: {journey.failed or 'its report did not come back'}"))
        if not once and not stop.is_set():
            stage.on_told = lambda message_id, how: console.print(Text(f"message {message_id}: {how}"), soft_wrap=True)
            console.print(Text(_invitation(stage)), soft_wrap=True)
            await stop.wait()
        stopped.cancel()
        # The clients that still wait end with their connections.
        await stage.stop()
        await asyncio.gather(*senders)
    return 1 if missing else 0


# --- what runs --------------------------------------------------------------------------------------------------------


class Stage:
    """The bridge and all that it meets on this machine."""

    def __init__(self, directory: Path) -> None:
        """`directory` is for the store."""
        self.on_told: Callable[[int, str], None] = lambda message_id, how: None
        self._directory = directory
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Starts everything, on free ports. Raises ConfigError, StoreUnavailable, OSError."""
        loop = asyncio.get_running_loop()
        simulator = BsgSimulator(
            _PROVIDER_KEY, None, report_delay_s=_STATUS_DELAY_S, states=lambda message: ("sent", "delivered")
        )
        self._stack.push_async_callback(simulator.stop)
        provider_url = await simulator.start()
        mailbox = await loop.create_server(lambda: SMTP(self, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
        self._stack.callback(mailbox.close)
        receiver = web.ServerRunner(web.Server(self._take_callback, access_log=None), shutdown_timeout=_GRACE_S)
        await receiver.setup()
        self._stack.push_async_callback(receiver.cleanup)
        site = web.TCPSite(receiver, "127.0.0.1", 0)
        await site.start()
        env = {
            "DEMO_DIR": str(self._directory),
            "DEMO_PROVIDER": provider_url,
            "DEMO_CALLBACK": f"http://127.0.0.1:{site.port}/reports",
            "DEMO_SMARTHOST_PORT": str(mailbox.sockets[0].getsockname()[1]),
        }
        with resources.as_file(_config_file()) as path:
            config = load(path, env=env)
        self.app = App(config)
        await self.app.start()
        self._stack.push_async_callback(self.app.stop, _GRACE_S)
        self.ports = {
            Protocol.SMPP: self.app.smpp[0].port,
            Protocol.SMTP: self.app.smtp[0].port,
            Protocol.HTTP: self.app.http[0].port,
        }
        self.store_path = config.store_path
        self.credentials = {protocol: credentials_of(protocol, config.accounts["demo"]) for protocol in Protocol}
        simulator.callback_url = f"http://127.0.0.1:{self.ports[Protocol.HTTP]}{_PROVIDER_CALLBACK}"

    async def stop(self) -> None:
        """Stops what was started."""
        await self._stack.aclose()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Takes a mail, and finds the report in it (RFC 3464)."""
        mail = message_from_bytes(envelope.original_content or b"")
        text = "".join(str(part.get_payload()) for part in mail.walk() if part.get_content_type() == "text/plain")
        named = re.search(r"^Message: ([0-9]+)", text, re.MULTILINE)
        if named is not None:
            self.on_told(int(named[1]), f'mail to {", ".join(envelope.rcpt_tos)}: "{mail["Subject"]}"')
        return "250 2.0.0 Ok"

    async def _take_callback(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if not _is_signed(request, body):
            return web.Response(status=401)
        content = json.loads(body)
        self.on_told(int(content["data"]["id"]), f"callback {content['type']}, rightly signed")
        return web.Response(status=204)


def _config_file() -> Traversable:
    """`demo.yaml`, which an installed package has beside this file, and a working copy among its configurations."""
    packaged = resources.files("bridge.cli") / "demo.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "config" / "demo.yaml"


def _is_signed(request: web.BaseRequest, body: bytes) -> bool:
    """Checks a callback as any receiver would (Standard Webhooks 1.0): the signature, and that it is not an old one."""
    stamp = request.headers.get("webhook-timestamp", "")
    signed = f"{request.headers.get('webhook-id', '')}.{stamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(_CALLBACK_KEY, signed, hashlib.sha256)).decode()
    fresh = stamp.isdecimal() and abs(time.time() - int(stamp)) < 300
    return fresh and hmac.compare_digest(request.headers.get("webhook-signature", ""), wanted)


# --- the messages -----------------------------------------------------------------------------------------------------

Hop = tuple[str, str, str]


class Journey:
    """What is known of one message."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.message_id: int | None = None
        self.timeline: Sequence[Event] = ()  # as the bridge wrote it
        self.seen: list[tuple[float, str]] = []  # when its client was told, and how
        self.failed: str | None = None

    @property
    def over(self) -> bool:
        """True when the report is back, the client says so and the bridge knows it; or when it failed."""
        told = any(event["event"] == "reported" for event in self.timeline)
        return self.failed is not None or (told and bool(self.seen))

    def hops(self) -> Iterator[Hop]:
        """Milliseconds since it was accepted, what, and its details: what both sides say, in the order of time."""
        if not self.timeline:
            return
        begun = self.timeline[0]["at"]
        for at, event, how in sorted(
            [(event["at"], event, "") for event in self.timeline] + [(at, None, how) for at, how in self.seen],
            key=lambda hop: hop[0],
        ):
            since_ms = f"{(at - begun) * 1000:.0f}"
            yield (since_ms, "the client has it", how) if event is None else (since_ms, *describe(event, show=True))


async def _send(stage: Stage, journey: Journey) -> None:
    """Sends one message by its client, in a thread, because it blocks."""
    loop = asyncio.get_running_loop()
    order = Order(
        port=stage.ports[journey.protocol],
        to=_NUMBERS[journey.protocol],
        text=f"Hello over {journey.protocol.upper()}",
        # Over HTTP the report comes by callback: nobody needs to ask.
        wait_s=0.0 if journey.protocol is Protocol.HTTP else _GIVE_UP_S,
        **stage.credentials[journey.protocol],
    )

    def run() -> None:
        for step in CLIENTS[journey.protocol](order):
            loop.call_soon_threadsafe(_note_step, journey, step)

    try:
        await asyncio.to_thread(run)
    except NotSent as error:
        journey.failed = str(error)


def _note_step(journey: Journey, step: Any) -> None:
    if isinstance(step, Taken):
        journey.message_id = int(step.ids[0])
    else:
        journey.seen.append((time.time(), f"deliver_sm: {step.state}"))


def _note_told(journeys: Sequence[Journey], message_id: int, how: str) -> None:
    for journey in journeys:
        if journey.message_id == message_id:
            journey.seen.append((time.time(), how))


# --- the screen -------------------------------------------------------------------------------------------------------


async def _show(stage: Stage, journeys: Sequence[Journey], console: Console) -> None:
    """Shows each hop as it happens, until all are over: a table on a terminal, else a line each."""
    shown: set[tuple[Journey, Hop]] = set()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    if live is not None:
        live.start()
    try:
        while True:
            over = all(journey.over for journey in journeys)
            for journey in journeys:
                if journey.message_id is not None:
                    record = await stage.app.store.find(journey.message_id)
                    journey.timeline = record.timeline if record is not None else ()
            if live is not None:
                live.update(_table(journeys), refresh=True)
            else:
                _print_new(journeys, shown, console)
            if over:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        if live is not None:
            live.stop()


def _table(journeys: Sequence[Journey]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("over", "message", "+ms", "hop", "details"):
        table.add_column(name, justify="right" if name == "+ms" else "left")
    for journey in journeys:
        hops = list(journey.hops()) or [("", journey.failed or "...", "")]
        for number, (since_ms, hop, details) in enumerate(hops):
            titles = ("", "") if number else (str(journey.protocol), str(journey.message_id or ""))
            table.add_row(*titles, since_ms, Text(hop), Text(details))
    return table


def _print_new(journeys: Sequence[Journey], shown: set[tuple[Journey, Hop]], console: Console) -> None:
    for journey in journeys:
        # What the client saw may come to light before what the bridge wrote, and so be put in the wrong place.
        for hop in journey.hops():
            if (journey, hop) not in shown:
                shown.add((journey, hop))
                line = f"{journey.protocol:<4} {journey.message_id:>4} {hop[0]:>6} ms  {hop[1]:<22} {hop[2]}"
                console.print(Text(line), soft_wrap=True)


def _invitation(stage: Stage) -> str:
    smpp, smtp, http = (f"127.0.0.1:{stage.ports[protocol]}" for protocol in Protocol)
    bind, mail, key = (stage.credentials[protocol] for protocol in Protocol)
    return f"""
The bridge goes on until Ctrl-C. Play with it:

  SMPP  {smpp}  system_id {bind["login"]}, password {bind["password"]}
  SMTP  {smtp}  login {mail["login"]}, password {mail["password"]}, from {mail["mail_from"]}, to NUMBER@sms.example.com
  HTTP  {http}  POST /v1/messages with the API key {key["password"]}; also GET /metrics, /livez, /readyz

  smsbridge send smpp --server {smpp} --to +380501234567 --text Hello
  smsbridge send smtp --server {smtp} --to +380501234567 --text Hello
  smsbridge send http --server {http} --to +380501234567 --text Hello
  curl http://{http}/v1/messages -H "Authorization: Bearer {key["password"]}" \\
       -H "Content-Type: application/json" -d '{{"to": "+380501234567", "text": "Hello"}}'
  smsbridge trace 1 --show --store {stage.store_path}

Numbers that begin with +999 go to the built-in provider "virtual", whose last two digits choose what becomes of a
message: +99900000001 is switched off, +99900000002 refused, +99900000003 put off once and then delivered.
"""
