"""Somebody who steers, and clients of the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from bridge.errors import StoreUnavailable


class Lines:
    """Something that goes on."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Sequence[object] | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def next(self) -> Sequence[object] | None:
        return await self.queue.get()

    def close(self) -> None:
        self.closed.set()
        self.queue.put_nowait(None)


class Wheel:
    """Steers nothing, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.lines = Lines()
        self.full = False

    def sessions(self) -> object:
        return {"sessions": []}

    def capture(self, account: str, *, masked: bool) -> Lines:
        if account != "acme":
            raise LookupError(f'no account is called "{account}"')
        self.asked.append(("capture", account, masked))
        return self.lines

    async def lanes(self) -> object:
        if self.full:
            raise StoreUnavailable("the disk is gone")
        return [{"name": "virtual"}]

    def pause(self, provider: str) -> object:
        return self._steer("pause", provider)

    def resume(self, provider: str) -> object:
        return self._steer("resume", provider)

    def _steer(self, verb: str, provider: str) -> object:
        if provider != "virtual":
            raise LookupError(f'no provider is called "{provider}"')
        self.asked.append((verb, provider))
        return {"name": provider}


def client(path: Path) -> aiohttp.ClientSession:
    """A client of the socket."""
    return aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(path)))


async def ask(path: Path, method: str, target: str) -> tuple[int, Any]:
    """Status and content of one answer."""
    async with client(path) as session, session.request(method, target) as answer:
        return answer.status, await answer.json()
