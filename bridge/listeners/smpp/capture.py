"""Watching the PDUs of an account's binds, as they are on the wire.

A `Tap` sits on a connection and cuts what passes into PDUs; a `Capture` is one watcher's queue of them. A watcher that
is slow loses PDUs and is told how many; the connection never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from bridge.smpp.codec import decode
from bridge.smpp.masking import masked, without_password
from bridge.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter
from bridge.smpp.wire import HEADER_OCTETS, PduError, unpack_length

_QUEUE_OCTETS: Final = 4 * 1024 * 1024  # of PDUs that a watcher has not fetched
_PDU_COST: Final = 300  # octets that a PDU takes in memory besides its own
_LARGEST: Final = 1024 * 1024  # what claims to be larger is no PDU
_UNDECIDED: Final = 32  # PDUs kept of a connection of which it is not known whose it is

End = tuple[str, int]  # address and port


class Caught(msgspec.Struct, frozen=True, gc=False, tag="pdu"):
    """A PDU on the wire; octets that are no PDU come as they are."""

    at: float  # Unix time
    connection: int  # tells the connections of a capture apart
    incoming: bool  # from the client to us
    client: End
    server: End
    offset: int  # octets that went the same way before it, since the connection is watched
    pdu: bytes


class Ends(msgspec.Struct, frozen=True):
    """The two ends of a connection, and a number that no other connection has had."""

    number: int
    client: End
    server: End


class Capture:
    """One watcher's view on the binds of an account."""

    def __init__(self, account: str, system_id: str, *, hidden: bool, limit: int = _QUEUE_OCTETS) -> None:
        """`system_id`: whose binds are meant; `hidden`: texts and numbers are masked; `limit`: octets in memory."""
        self.account = account
        self.system_id = system_id
        self.caught = 0
        self.lost = 0
        self._hidden = hidden
        self._limit = limit
        self._queue: list[Caught] = []
        self._octets = 0
        self._lost = 0  # since the last fetch
        self._closed = False
        self._news = asyncio.Event()

    def put(self, caught: Caught) -> None:
        """A PDU has passed."""
        cost = len(caught.pdu) + _PDU_COST
        if self._octets + cost > self._limit:
            self._lost += 1
            self.lost += 1
        else:
            hide = masked if self._hidden else without_password
            self._queue.append(msgspec.structs.replace(caught, pdu=hide(caught.pdu)))
            self._octets += cost
            self.caught += 1
        self._news.set()

    async def next(self) -> tuple[list[Caught], int] | None:
        """What has passed since the last time, once there is something, and how many were lost behind it.

        None when the capture is closed and nothing is left of it.
        """
        while not (self._queue or self._lost):
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        found, self._queue = self._queue, []
        lost, self._lost = self._lost, 0
        self._octets = 0
        return found, lost

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._news.set()


class Tap:
    """Cuts what passes through one connection, and gives it to those who watch."""

    def __init__(
        self, ends: Ends, captures: Iterable[Capture], *, system_id: str | None = None, unread: bytes = b""
    ) -> None:
        """`system_id`: who has bound, None: nobody yet. `unread`: octets that came in but were not handled.

        Of what is unread, only a PDU that has not come wholly is still to be shown.
        """
        self._captures: list[Capture] = []
        self._ends = ends
        self._system_id = system_id
        self._waiting: list[Caught] = []
        self._partial = bytearray(unread)
        self._offsets = {True: 0, False: 0}
        self._cut()
        for capture in captures:
            self.add(capture)

    def add(self, capture: Capture) -> None:
        """One more watches, if this is what it wants to see."""
        if self._system_id is None or self._system_id == capture.system_id:
            self._captures.append(capture)

    def remove(self, capture: Capture) -> bool:
        """One watches no more; True when nobody is left."""
        if capture in self._captures:
            self._captures.remove(capture)
        return not self._captures

    def bound(self, system_id: str) -> None:
        """It is known now whose connection this is."""
        if self._system_id is None:
            self._system_id = system_id
            self._captures = [capture for capture in self._captures if capture.system_id == system_id]
            for each in self._waiting:
                for capture in self._captures:
                    capture.put(each)
            self._waiting.clear()

    def received(self, data: bytes, at: float) -> None:
        """Octets came from the client, cut anywhere."""
        if self._captures:
            self._partial += data
            for pdu in self._cut():
                self._pass(pdu, at, incoming=True)

    def sent(self, data: bytes, at: float) -> None:
        """Whole PDUs go to the client."""
        position = 0
        while self._captures and position < len(data):
            (length,) = unpack_length(data, position)
            self._pass(data[position : position + length], at, incoming=False)
            position += length

    def _cut(self) -> list[bytes]:
        buffer, found, position = self._partial, [], 0
        while len(buffer) - position >= 4:
            (length,) = unpack_length(buffer, position)
            if not HEADER_OCTETS <= length <= _LARGEST:
                length = len(buffer) - position  # not framed: the connection will end
            if len(buffer) - position < length:
                break
            found.append(bytes(buffer[position : position + length]))
            position += length
        del buffer[:position]
        return found

    def _pass(self, pdu: bytes, at: float, *, incoming: bool) -> None:
        ends = self._ends
        caught = Caught(at, ends.number, incoming, ends.client, ends.server, self._offsets[incoming], pdu)
        self._offsets[incoming] += len(pdu)
        if self._system_id is not None:
            for capture in self._captures:
                capture.put(caught)
            return
        # Before the bind it is not known whose connection this is; it says so itself, also when it is refused.
        self._waiting.append(caught)
        claimed = _system_id_of(pdu) if incoming else None
        if claimed is not None:
            self.bound(claimed)
        elif len(self._waiting) >= _UNDECIDED:
            self._captures.clear()
            self._waiting.clear()


def _system_id_of(pdu: bytes) -> str | None:
    """Who binds with this PDU; `""` where that cannot be read, None where it is no bind."""
    try:
        found = decode(pdu)
    except PduError as error:
        return "" if error.header.command_id in _BINDS else None
    return found.system_id if isinstance(found, BindReceiver | BindTransmitter | BindTransceiver) else None


_BINDS: Final = frozenset(kind.command for kind in (BindReceiver, BindTransmitter, BindTransceiver))
