"""The simulated provider's reports: callbacks over kept connections, one request at a time on each, as providers do."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

_CONNECTIONS = 64
_AGAIN_S = 0.5
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Body = Callable[[], bytes]


class Callbacks:
    """Posts bodies to one URL, each after a delay, again until it is answered 200."""

    def __init__(self, url: str) -> None:
        """`url`: http://host:port/path."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode()
        self._delayed: deque[tuple[float, Body]] = deque()  # one delay for all, so they are in order
        self._due: deque[Body] = deque()
        self._idle: list[_Caller] = []
        self._open: set[_Caller] = set()
        self._opening = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self.first_at: float | None = None  # when the first callback since `rewind` was due, by `time.monotonic`
        self.repeated = 0  # callbacks that were not answered 200, and came again

    @property
    def waiting(self) -> int:
        """Callbacks that have not left yet."""
        return len(self._delayed) + len(self._due)

    def rewind(self) -> None:
        """Forgets when the first callback was due."""
        self.first_at = None

    def post(self, body: Body, delay_s: float) -> None:
        """Posts what `body` gives when it is due. `delay_s` may change only while nothing waits."""
        now = time.monotonic()
        if self.first_at is None:
            self.first_at = now + delay_s
        if delay_s <= 0:
            self._due.append(body)
            self._pump()
            return
        self._delayed.append((now + delay_s, body))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ripen)

    def stop(self) -> None:
        """Drops what waits, and the connections."""
        self._stopped = True
        self._delayed.clear()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        for caller in list(self._open):
            caller.abort()

    def _ripen(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._due.append(self._delayed.popleft()[1])
        self._timer = None
        if self._delayed:
            wait_s = max(self._delayed[0][0] - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ripen)
        self._pump()

    def _pump(self) -> None:
        while self._due and self._idle:
            self._idle.pop().call(self._due.popleft())
        wanted = min(len(self._due), _CONNECTIONS - len(self._open)) - self._opening
        for _ in range(wanted):
            self._opening += 1
            asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Caller(self), self._host, self._port)
        except OSError:
            asyncio.get_running_loop().call_later(_AGAIN_S, self._failed_to_connect)
        else:
            self._opening -= 1

    def _failed_to_connect(self) -> None:
        self._opening -= 1
        if not self._stopped:
            self._pump()

    # --- what callers say -------------------------------------------------------------------------------------------

    def opened(self, caller: _Caller) -> None:
        """A connection is there."""
        if self._stopped:
            caller.abort()
            return
        self._open.add(caller)
        self.freed(caller)

    def freed(self, caller: _Caller) -> None:
        """A connection may take the next callback."""
        if self._due:
            caller.call(self._due.popleft())
        else:
            self._idle.append(caller)

    def closed(self, caller: _Caller) -> None:
        """A connection is gone."""
        self._open.discard(caller)
        if caller in self._idle:
            self._idle.remove(caller)

    def refused(self, body: Body) -> None:
        """A callback was not taken."""
        if not self._stopped:
            self.repeated += 1
            asyncio.get_running_loop().call_later(_AGAIN_S, self.post, body, 0.0)

    def request(self, body: bytes) -> bytes:
        """The octets of a request."""
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)


class _Caller(asyncio.Protocol):
    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._transport: asyncio.Transport | None = None
        self._body: Body | None = None
        self._received = b""

    def call(self, body: Body) -> None:
        assert self._transport is not None
        self._body = body
        self._transport.write(self._callbacks.request(body()))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._callbacks.opened(self)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        status, length = _STATUS_LINE.match(received), _LENGTH.search(received)
        if end < 0 or status is None or len(received) < end + 4 + (int(length[1]) if length else 0):
            self._received = received
            return
        self._received = b""
        body, self._body = self._body, None
        if status[1] != b"200" and body is not None:
            self._callbacks.refused(body)
        self._callbacks.freed(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._callbacks.closed(self)
        if self._body is not None:
            self._callbacks.refused(self._body)
