"""A small provider that takes what comes, knows nothing again, and reports each message that it took; and how it is
declared.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from flows.bsg_server import Trouble, at_once

DECLARATION = """\
about: "Acme: SMS, one in a request."
documents: https://acme.example
settings: {base_url: url}
send: {url: "{settings.base_url}/sms", json: {to: "{to|plus}", text: "{text}", ref: "{reference}"}}
answer: {ref: uid}
report: {id: uid, reference: ref, status: state}
states: {DONE: delivered, LOST: undeliverable}
"""


@dataclass
class AcmeServer:
    """The server; `taken` counts how often it took each number."""

    trouble: Callable[[int], Trouble | None] = lambda number: None  # of the n-th request, from 0
    before: Callable[[int], Awaitable[None]] = at_once
    callback_url: str | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)  # reports go out from then on
    taken: Counter[str] = field(default_factory=Counter)
    met: Counter[Trouble] = field(default_factory=Counter)
    requests: int = 0
    refused: int = 0  # reports that were not taken
    base_url: str = ""
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> AcmeServer:
        application = web.Application()
        application.router.add_post("/sms", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        assert self._session is not None
        assert self._runner is not None
        await self._session.close()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        number, self.requests = self.requests, self.requests + 1
        trouble = self.trouble(number)
        if trouble is not None:
            self.met[trouble] += 1
        if trouble is Trouble.UNREAD:
            return _hang_up(request)
        body = await request.json()
        await self.before(number)
        if trouble is Trouble.BUSY:
            return web.Response(status=503)
        self.taken[body["to"]] += 1
        call = asyncio.create_task(self._report({"uid": str(number), "ref": body["ref"], "state": "DONE"}))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        if trouble is Trouble.TAKEN_SILENT:
            await self._stopped.wait()
        if trouble in (Trouble.TAKEN_SILENT, Trouble.TAKEN_CLOSED):
            return _hang_up(request)
        return web.json_response({"uid": str(number)})

    async def _report(self, body: dict[str, Any]) -> None:
        await self.told.wait()
        assert self._session is not None
        assert self.callback_url is not None
        async with self._session.post(self.callback_url, json=body) as answer:
            self.refused += answer.status != 200


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:  # else whoever asked was the first
        request.transport.abort()
    return web.Response()
