"""A wire between a client and a bridge that somebody listens to: what went over it, as tshark reads it."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_SMPP = 2775


class Read(NamedTuple):
    """A PDU as tshark reads it."""

    command_id: int
    status: int | None  # of a response
    length: int


class Tap:
    """Listens on a port of its own, passes everything on to another, and keeps it."""

    def __init__(self, port_of: Callable[[], int]) -> None:
        """`port_of` is asked anew for each connection."""
        self._port_of = port_of
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.sent: list[tuple[str, bytes]] = []  # PDUs in their order: I to the bridge, O from it
        self.port = 0

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends every connection."""
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port_of())
        except OSError:
            writer.close()
            return
        for direction, source, sink in (("I", reader, inner_writer), ("O", inner_reader, writer)):
            pump = asyncio.create_task(self._pump(direction, source, sink))
            self._pumps.add(pump)

    async def _pump(self, direction: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.closing(sink), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                length = await source.readexactly(4)
                pdu = length + await source.readexactly(struct.unpack(">I", length)[0] - 4)
                self.sent.append((direction, pdu))
                sink.write(pdu)
                await sink.drain()

    def write_capture(self, path: Path) -> None:
        """Writes all that went over the wire as a capture, by Wireshark's own text2pcap."""
        text = "".join(f"{direction}\n000000 {octets.hex(' ')}\n" for direction, octets in self.sent)
        subprocess.run(
            ["text2pcap", "-q", "-D", "-T", f"40000,{_SMPP}", "-", str(path)],
            input=text.encode(), check=True, capture_output=True,
        )  # fmt: skip


def dissect(tshark: str, path: Path) -> list[Read]:
    """The PDUs of a capture. Raises AssertionError for whatever the dissector calls malformed or wrong."""
    fields = ["smpp.command_id", "smpp.command_status", "smpp.command_length", "_ws.malformed", "_ws.expert.message"]
    command = [tshark, "-r", str(path), "-n", "-d", f"tcp.port=={_SMPP},smpp", "-T", "fields", "-E", "separator=;"]
    options = [word for field in fields for word in ("-e", field)]
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    found = []
    for line in done.stdout.splitlines():
        command_id, status, length, malformed, expert = line.split(";", 4)
        assert not malformed, line
        assert not expert, line
        found.append(Read(int(command_id, 16), int(status, 16) if status else None, int(length)))
    return found
