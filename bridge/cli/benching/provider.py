"""The simulated provider: BSG's `POST /sms/create`, answered as fast as Python can, and a report for each message.

It checks nothing that the bench does not need: the daemon's own tests do. A reference that comes again is answered 23,
as BSG does, and not sent twice; a destination that is taken twice is counted as doubled.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import msgspec

from bridge.cli.benching.callbacks import Callbacks
from bridge.cli.benching.tally import Tally, number_of

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAKEN = '{"error":0,"errorDescription":"No errors","reference":"%s","id":"%d","price":"0.0100000","currency":"EUR"}'
_KNOWN = '{"error":23,"errorDescription":"External id already exists","reference":"%s"}'
_REPORT = (
    '{"error":0,"errorDescription":"No errors","id":"%d","msisdn":"%s","reference":"%s",'
    '"time_in":"%s","time_sent":"%s","time_dr":"%s","status":"delivered","price":"0.0100000","currency":"EUR"}'
)
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class _Phone(msgspec.Struct):
    msisdn: str
    reference: str


class _Send(msgspec.Struct):
    msisdn: str = ""
    reference: str = ""
    phones: list[_Phone] = []


_decode = msgspec.json.Decoder(_Send).decode


class SimulatedProvider:
    """One address of the API; `away`: it answers 503 to everything."""

    def __init__(self, tally: Tally, callbacks: Callbacks, clock: Callable[[], float] = time.monotonic) -> None:
        self.away = False
        self.report_delay_s = 0.0
        self.repeated = 0  # references that came again
        self.requests = 0
        self._tally = tally
        self._callbacks = callbacks
        self._clock = clock
        self._references: dict[str, int] = {}  # reference -> id
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._second = (0, "")

    async def start(self) -> str:
        """Listens on a free port of this machine; gives the base URL."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, self._connections), "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/rest"

    async def stop(self) -> None:
        """Closes the address and its connections."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.abort()
            await self._server.wait_closed()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The octets that answer one request."""
        self.requests += 1
        if self.away:
            return _AWAY
        if not head.startswith(b"POST /rest/sms/create "):
            return _NOT_FOUND
        send = _decode(body)
        now = self._clock()
        if send.phones:
            items = ",".join([self._take(phone.msisdn, phone.reference, now) for phone in send.phones])
            content = f'{{"task_id":"1","result":[{items}],"total_price":"0.01","currency":"EUR"}}'
        else:
            content = f'{{"result":{self._take(send.msisdn, send.reference, now)}}}'
        return _OK % (len(content), content.encode())

    def _take(self, msisdn: str, reference: str, now: float) -> str:
        if reference in self._references:
            self.repeated += 1
            return _KNOWN % reference
        provider_ref = len(self._references) + 1_000_000
        self._references[reference] = provider_ref
        self._tally.send(number_of(msisdn), now)
        self._callbacks.post(partial(self._report, provider_ref, msisdn, reference), self.report_delay_s)
        return _TAKEN % (reference, provider_ref)

    def _report(self, provider_ref: int, msisdn: str, reference: str) -> bytes:
        second = int(time.time())
        if self._second[0] != second:
            self._second = (second, time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second)))
        at = self._second[1]
        return (_REPORT % (provider_ref, msisdn, reference, at, at, at)).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, provider: SimulatedProvider, connections: set[_Connection]) -> None:
        self._provider = provider
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        received = self._received + data if self._received else data
        while (end := received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(received, 0, end)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(received) < total:
                break
            self._transport.write(self._provider.answer(received[:end], received[end + 4 : total]))
            received = received[total:]
        self._received = received
