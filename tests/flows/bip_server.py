"""BiP as strict as its documents: the three methods, reports at the feedback URL, notifications, and what users do.

It believes nothing it is sent, refuses a txnid that it has seen whatever became of it, sends to one user only within a
session, and tells what became of a list at `/report` alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

_BASE = "/tes/rest/spi"
_METHODS = ("sendmsgserv", "sendmsgservlist", "sendmultiusermulticontent")
Json = dict[str, Any]


@dataclass
class Delivery:
    """What one receiver was sent in one request."""

    txnid: str
    receiver: str
    texts: list[str]
    reportids: list[str]
    ttl: int | None


@dataclass
class BipServer:
    """The server; `taken` is what it sent to users, in order."""

    username: str = "acme"
    password: str = "the-password"
    feedback_url: str | None = None
    reports: bool = True  # the service has the authority to get them
    code: Callable[[str], int] = lambda receiver: 0  # of a receiver
    session: Callable[[str], bool] = lambda receiver: True
    notices: tuple[str, ...] = ("delivered", "read")
    quota: Callable[[int], bool] = lambda number: False  # the n-th request is over it
    silent: Callable[[int], bool] = lambda number: False  # the n-th request is taken, and not answered
    busy: Callable[[int], bool] = lambda number: False  # the n-th request is answered by 503
    notice_first: bool = False  # notifications overtake the report at `/report`
    taken: list[Delivery] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)  # by method
    refused: Counter[int] = field(default_factory=Counter)  # by code
    requests: int = 0
    port: int = 0
    _seen: set[str] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> BipServer:
        application = web.Application()
        for method in _METHODS:
            application.router.add_post(f"{_BASE}/{method}", self._handler(method))
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        assert self._session is not None
        assert self._runner is not None
        await self._session.close()
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{_BASE}"

    # --- the methods ------------------------------------------------------------------------------------------------

    def _handler(self, method: str) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            number, self.requests = self.requests, self.requests + 1
            self.asked[method] += 1
            who = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            if request.headers.get("Authorization") != f"Basic {who}":
                return web.Response(status=401)
            if self.busy(number):
                return web.Response(status=503, headers={"Retry-After": "0"})
            assert request.content_type == "application/json"
            said: Json = json.loads(await request.read())
            txnid = said.get("txnid")
            wanted = _wanted(method, said)
            if wanted is None or not isinstance(txnid, str) or not 0 < len(txnid) <= 64:
                return self._code(1, "", status=400)
            for _, composition, _ in wanted:
                if wrong := _wrong(composition):
                    return self._code(wrong, txnid, status=400)
            if txnid in self._seen:
                return self._code(310, txnid)
            self._seen.add(txnid)
            alone = method == "sendmsgserv" and said["receiver"]["type"] != 1
            if self.quota(number):
                return self._code(312, txnid)
            items = [item for each in wanted for item in self._send(txnid, *each, said.get("ttl"), alone=alone)]
            self._later(self._notify(items) if alone else self._tell(txnid, items))
            if self.silent(number):
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if not alone:
                return web.Response(status=200)
            shown = {"list": items} if self.reports else {}
            code = 0 if any(item["resultcode"] == 0 for item in items) else items[0]["resultcode"]
            if code:
                self.refused[code] += 1
            return web.json_response({"txnid": txnid, "resultcode": code, **shown})

        return answer

    def _code(self, code: int, txnid: str, *, status: int = 200) -> web.Response:
        self.refused[code] += 1
        return web.json_response({"txnid": txnid, "resultcode": code}, status=status)

    def _send(
        self, txnid: str, receiver: Json, composition: list[Json], expire: int | None, ttl: int | None, *, alone: bool
    ) -> list[Json]:
        address = receiver.get("address", "everybody")
        code = self.code(address) or (302 if alone and not self.session(address) else 0)
        total = len(composition)
        if code:
            return [{"receiver": address, "resultcode": code, "reportid": None, "numberofmessage": None,
                     "totalnumberofmessage": total}]  # fmt: skip
        ids = [f"6a7Q8-{len(self.taken)}-{place}" for place in range(1, total + 1)]
        texts = [item["message"] for item in composition if item["type"] == 0]
        self.taken.append(Delivery(txnid, address, texts, ids, ttl))
        return [
            {"receiver": address, "resultcode": 0, "reportid": reportid, "numberofmessage": place,
             "totalnumberofmessage": total}
            for place, reportid in enumerate(ids, 1)
        ]  # fmt: skip

    # --- the feedback URL -------------------------------------------------------------------------------------------

    def _later(self, call: Any) -> None:
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _tell(self, txnid: str, items: list[Json]) -> None:
        """The report on a list, and the notifications, one of which may be faster."""
        if self.notice_first:
            await self._notify(items)
        if self.reports:
            await self.call({"reqid": 12, "txnid": txnid, "resultcode": 0, "list": items}, "/report")
        if not self.notice_first:
            await self._notify(items)

    async def _notify(self, items: list[Json]) -> None:
        if self.reports:
            for word in self.notices:
                for item in items:
                    if item["reportid"] is not None:
                        await self.call({"reportid": item["reportid"], "status": word})

    async def call(self, said: object, path: str = "") -> int:
        """One call of the feedback URL; the status that it was answered with."""
        assert self._session is not None
        if self.feedback_url is None:
            return 0
        async with self._session.post(f"{self.feedback_url}{path}", json=said) as response:
            return response.status


def _wanted(method: str, said: Json) -> list[tuple[Json, list[Json], int | None]] | None:
    """Receiver, contents and `expire` of each; None when the request is not as it should be."""
    try:
        if method == "sendmsgserv":
            _only(said, {"txnid", "receiver", "composition", "expire", "ttl"})
            if not isinstance(said.get("ttl", 1), int) or said.get("ttl", 1) < 1:
                return None
            wanted = [(said["receiver"], said)]
        elif method == "sendmsgservlist":
            _only(said, {"txnid", "receivers", "composition", "expire"})
            wanted = [(receiver, said) for receiver in said["receivers"]]
        else:
            _only(said, {"txnid", "receivercontentlist"})
            wanted = [(each["receiver"], each) for each in said["receivercontentlist"]]
            for each in said["receivercontentlist"]:
                _only(each, {"receiver", "composition", "expire"})
        for receiver, what in wanted:
            _receiver(receiver, everybody=method == "sendmsgserv")
            _only(what["composition"], {"list"})
            if not what["composition"]["list"] or what.get("expire", 3) not in (3, 5, 10, 60):
                return None
        return [(receiver, what["composition"]["list"], what.get("expire")) for receiver, what in wanted] or None
    except (KeyError, TypeError, AssertionError):
        return None


def _only(said: Json, names: set[str]) -> None:
    assert said.keys() <= names, said.keys() - names


def _receiver(receiver: Json, *, everybody: bool) -> None:
    _only(receiver, {"type", "address"})
    if receiver["type"] == 1:
        assert everybody
        assert "address" not in receiver
    else:
        assert receiver["type"] in (0, 2)
        assert isinstance(receiver["address"], str)
        assert receiver["type"] == 0 or (receiver["address"].isdigit() and receiver["address"].startswith("905"))


def _wrong(composition: list[Json]) -> int:
    """The validation code of contents, 0 when they are fine."""
    for item in composition:
        if item["type"] != 0:
            continue
        if not isinstance(item.get("message"), str) or not 0 < len(item["message"]) <= 2048:
            return 1004
        for name, code in (("size", 1005), ("ratio", 1006), ("itemid", 1007)):
            if name in item:
                return code
    return 0
