"""A provider that costs nothing: BSG's REST API of the first generation on a port of this machine.

It stands where the real one does, behind a socket, for the demonstration, the benchmark and the tests: `sms/create`
in its three forms, `sms/{id}`, `sms/reference/{reference}`, `common/balance`, and a status callback by POST. Documents:
https://bsg.world/documentations/rest-api/. What they leave open is decided so: an error of the whole request stands
alone, one of an item in the `result`, both under HTTP 200; a reference is required; a callback that is not answered 2xx
comes again each second. Callbacks leave in the order in which they fall due, over kept connections.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

_BATCH = 50  # phones in one request
_ORIGINATOR = 14  # characters
_VALIDITY_H = range(1, 73)
_PRICE = 0.01  # of a message, in _CURRENCY
_CURRENCY = "EUR"
_CREDIT = 1_000_000.0
_FIRST_ID = 1001
_CONNECTIONS = 64
_RETRY_S = 1.0
_TRIES = 30  # after which only a question tells the state

_MSISDN = re.compile(r"[0-9]{7,15}")
_REFERENCE = re.compile(r"[A-Za-z0-9_]{1,32}")
_FORMS = ("phone", "phones", "individual")
_ERRORS = {
    0: "No errors",
    1: "API key invalid",
    3: "Parameters missing",
    4: "Unsupported function",
    6: "Bad tariff number",
    7: "Parameters invalid",
    12: "Package too large",
    20: "SMS not found",
    21: "Bad phone",
    22: "External id missing",
    23: "External id already exists",
    25: "Bad originator",
    26: "Text empty or too long",
    27: "Bad external id",
    28: "Bad validity",
    31: "Phone already in this list",
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class SimulatedMessage(msgspec.Struct, kw_only=True):
    """One message that was taken; times are Unix seconds, `status` is BSG's word."""

    id: str
    reference: str
    msisdn: str
    body: str
    originator: str | None
    time_in: float
    status: str = "accepted"
    time_dr: float | None = None  # when the status last changed


States = Callable[[SimulatedMessage], Sequence[str]]


def deliver(message: SimulatedMessage) -> Sequence[str]:
    """Every message arrives."""
    return ("delivered",)


def failing(share: float) -> States:
    """That share of the messages (0 to 1), spread evenly by their ids, cannot be delivered; the others arrive."""

    def states(message: SimulatedMessage) -> Sequence[str]:
        number = int(message.id)
        fails = int(number * share) > int((number - 1) * share)
        return ("undeliverable",) if fails else ("delivered",)

    return states


class BsgSimulator:
    """The provider's side of the API; give its URL to a provider of the type `bsg` as `base_url`.

    `messages` are those taken, by reference. `refused` counts items and requests answered with an error, `repeated`
    those among them whose reference had been taken before: a message is never taken twice. `reported` counts callbacks
    that were answered 2xx, `lost` those given up.
    """

    def __init__(
        self, api_key: str, callback_url: str | None, *, report_delay_s: float = 0.0, states: States | None = None
    ) -> None:
        """`states` gives the statuses of a message in their order, each `report_delay_s` after the one before.

        They all arrive when it is None. `callback_url` is http, and may be set until the first
        status falls due: while it is None, nobody is called. Raises ValueError when it is something else.
        """
        self._api_key = api_key
        self._report_delay_s = report_delay_s
        self._states = states or deliver
        self._by_id: dict[str, SimulatedMessage] = {}
        self._due: deque[tuple[float, SimulatedMessage, Iterator[str], str]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._runner: web.ServerRunner | None = None
        self._callbacks = _Callbacks()
        self.messages: dict[str, SimulatedMessage] = {}
        self.requests = 0
        self.refused = 0
        self.repeated = 0
        self.callback_url = callback_url

    @property
    def callback_url(self) -> str | None:
        """Where status callbacks go."""
        return self._callbacks.url

    @callback_url.setter
    def callback_url(self, url: str | None) -> None:
        self._callbacks.aim(url)

    @property
    def reported(self) -> int:
        """Callbacks that were answered 2xx."""
        return self._callbacks.taken

    @property
    def lost(self) -> int:
        """Callbacks that were given up."""
        return self._callbacks.lost

    async def start(self, port: int = 0) -> str:
        """Listens on 127.0.0.1, on any free port unless one is given; the base URL. Raises OSError."""
        server = web.Server(self._answer, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        self._callbacks.open()
        return f"http://127.0.0.1:{site.port}/rest"

    async def stop(self) -> None:
        """Closes; reports that have not left never will."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        await self._callbacks.close()

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.requests += 1
        content = self._content(request.method, request.path, request.headers, await request.read())
        if content.get("error"):
            self.refused += 1
        return web.Response(body=_encode(content), headers={"Content-Type": "application/json"})

    def _content(self, method: str, path: str, headers: Any, body: bytes) -> dict[str, Any]:
        if headers.get("X-API-KEY") != self._api_key:
            return _error(1)
        if path == "/rest/sms/create" and method in ("POST", "PUT"):
            try:
                return self._create(_decode(body))
            except msgspec.DecodeError:
                return _error(7)
        if method == "GET" and path.startswith("/rest/sms/"):
            place, _, name = path.removeprefix("/rest/sms/").rpartition("/")
            message = {"": self._by_id, "reference": self.messages}.get(place, {}).get(name)
            return _error(20) if message is None else _status(message)
        if method == "GET" and path == "/rest/common/balance":
            amount = round(_CREDIT - _PRICE * len(self.messages), 2)
            return {**_error(0), "amount": amount, "currency": _CURRENCY, "limit": 0}
        return _error(4)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        form = request.get("destination")
        phones = [request] if form == "phone" else request.get("phones")
        if form is None or not phones:
            return _error(3)
        if form not in _FORMS or "send_time" in request:
            return _error(4)
        if not isinstance(phones, list) or not all(isinstance(phone, dict) for phone in phones):
            return _error(7)
        if len(phones) > _BATCH:
            return _error(12)
        if not _is_number(request.get("validity", 72), _VALIDITY_H):
            return _error(28)
        if not _is_number(request.get("tariff", 0), range(10)):
            return _error(6)
        now = time.time()
        listed: set[str] = set()
        results = [self._take(phone, request if form == "phones" else phone, listed, now) for phone in phones]
        if form == "phone":
            return {"result": results[0]}
        total = round(sum(result.get("price", 0.0) for result in results), 2)
        return {"task_id": self.requests, "result": results, "total_price": total, "currency": _CURRENCY}

    def _take(self, phone: dict[str, Any], content: dict[str, Any], listed: set[str], now: float) -> dict[str, Any]:
        """The result of one item; `listed`: the numbers that the request had before it."""
        reference = phone.get("reference")
        if error := self._fault(phone, content, listed):
            self.refused += 1
            self.repeated += error == 23
            return {**_error(error), "reference": reference}
        listed.add(phone["msisdn"])
        message = SimulatedMessage(
            id=str(_FIRST_ID + len(self.messages)),
            reference=phone["reference"],
            msisdn=phone["msisdn"],
            body=content["body"],
            originator=content.get("originator"),
            time_in=now,
        )
        self.messages[message.reference] = self._by_id[message.id] = message
        self._schedule(message, iter(self._states(message)))
        return {**_error(0), "reference": reference, "id": message.id, "price": _PRICE, "currency": _CURRENCY}

    def _fault(self, phone: dict[str, Any], content: dict[str, Any], listed: set[str]) -> int:
        """The code of what is wrong with one item, 0 when nothing is."""
        msisdn, reference = phone.get("msisdn"), phone.get("reference")
        body, originator = content.get("body"), content.get("originator")
        if not isinstance(msisdn, str) or not _MSISDN.fullmatch(msisdn):
            return 21
        if reference is None or reference == "":
            return 22
        if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
            return 27
        if reference in self.messages:
            return 23
        if msisdn in listed:
            return 31
        if not isinstance(body, str) or not body:
            return 26
        if originator is not None and not (isinstance(originator, str) and 1 <= len(originator) <= _ORIGINATOR):
            return 25
        return 0

    # --- reports ----------------------------------------------------------------------------------------------------

    def _schedule(self, message: SimulatedMessage, states: Iterator[str]) -> None:
        """The next status, if there is one; since all wait equally long, the queue is in the order of time."""
        status = next(states, None)
        if status is None:
            return
        loop = asyncio.get_running_loop()
        self._due.append((loop.time() + self._report_delay_s, message, states, status))
        if self._timer is None:
            self._timer = loop.call_later(self._report_delay_s, self._report)

    def _report(self) -> None:
        loop = asyncio.get_running_loop()
        due, now = loop.time(), time.time()
        for _ in range(len(self._due)):
            if self._due[0][0] > due:
                break
            _, message, states, status = self._due.popleft()
            message.status, message.time_dr = status, now
            self._callbacks.call(_encode(_status(message)))
            self._schedule(message, states)
        self._timer = loop.call_at(self._due[0][0], self._report) if self._due else None


class _Callbacks:
    """Calls a URL over kept connections, oldest first; what is not taken is repeated.

    Streams by hand, HTTP/1.1 as far as this takes: a client library costs several times as much, and in the benchmark
    each message is one callback.
    """

    def __init__(self) -> None:
        self.url: str | None = None
        self.taken = 0
        self.lost = 0
        self._host = ""
        self._port = 0
        self._head = b""
        self._waiting: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()  # a body, and how often it was tried
        self._callers: list[asyncio.Task[None]] = []

    def aim(self, url: str | None) -> None:
        """Sets the URL. Raises ValueError."""
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme != "http" or not parts.hostname:
                raise ValueError("a callback URL begins with http:// and a host")
            self._host, self._port = parts.hostname, parts.port or 80
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            head = (
                f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
            )
            self._head = head.encode("ascii")
        self.url = url

    def open(self) -> None:
        """Starts to call; needs a running loop."""
        loop = asyncio.get_running_loop()
        self._callers = [loop.create_task(self._call_forever()) for _ in range(_CONNECTIONS)]

    async def close(self) -> None:
        """Closes every connection."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._callers.clear()

    def call(self, body: bytes, tries: int = 0) -> None:
        """Queues one callback, if there is anybody to call."""
        if self.url is not None:
            self._waiting.put_nowait((body, tries))

    async def _call_forever(self) -> None:
        """One caller with a connection of its own, made when there is something to tell."""
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                body, tries = await self._waiting.get()
                try:
                    if connection is not None and connection[0].at_eof():
                        connection[1].close()
                        connection = None
                    if connection is None:
                        connection = await asyncio.open_connection(self._host, self._port)
                    connection[1].write(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
                    taken = await _is_taken(connection[0])
                except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                    taken = False
                    if connection is not None:
                        connection[1].close()
                        connection = None
                self._settle(body, tries, taken)
        finally:
            if connection is not None:
                connection[1].close()

    def _settle(self, body: bytes, tries: int, taken: bool) -> None:
        if taken:
            self.taken += 1
        elif tries + 1 < _TRIES:
            asyncio.get_running_loop().call_later(_RETRY_S, self.call, body, tries + 1)
        else:
            self.lost += 1


async def _is_taken(reader: asyncio.StreamReader) -> bool:
    """True for an answer 2xx. Raises EOFError, ValueError, asyncio.LimitOverrunError when it is not HTTP."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"\r\ncontent-length: *([0-9]+)", head)
    if length is None:
        raise ValueError("an answer without its length")
    await reader.readexactly(int(length[1]))
    return re.match(rb"http/1\.[01] 2[0-9][0-9] ", head) is not None


def _error(code: int) -> dict[str, Any]:
    return {"error": code, "errorDescription": _ERRORS[code]}


def _status(message: SimulatedMessage) -> dict[str, Any]:
    """The status of a message, the same whether it was asked for or is told."""
    return {
        **_error(0),
        "id": message.id,
        "msisdn": message.msisdn,
        "reference": message.reference,
        "time_in": _time(message.time_in),
        "time_sent": _time(message.time_in),
        "time_dr": None if message.time_dr is None else _time(message.time_dr),
        "status": message.status,
        "price": f"{_PRICE:.7f}",
        "currency": _CURRENCY,
    }


def _time(at: float) -> str:
    return _second(int(at))


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _is_number(value: object, allowed: range) -> bool:
    """True for a whole number in the range, or its digits."""
    return str(value).isdecimal() and not isinstance(value, bool) and int(str(value)) in allowed
