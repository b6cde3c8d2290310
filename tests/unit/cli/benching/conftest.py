"""What the tests of the bench share: somebody who is called back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web


class Receiver:
    """Takes callbacks; the first ones may be refused."""

    def __init__(self) -> None:
        self.url = ""
        self.refuse = 0
        self.bodies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        assert request.path == "/told"
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=503)
        self.bodies.put_nowait(msgspec.json.decode(body))
        return web.Response(body=b"ok")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.take))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{site.port}/told"
    yield receiver
    await runner.cleanup()
