"""A whole bridge from the text of a configuration, started and stopped as often as a test likes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from bridge.app import App
from bridge.config.loader import load
from bridge.store import Record

T = TypeVar("T")


class Bridge:
    """One configuration and its store; at most one app runs on it."""

    def __init__(self, folder: Path, text: str) -> None:
        """`text`: the configuration without its `store`."""
        self.path = folder / "bridge.yaml"
        self.store = folder / "bridge.db"
        self.path.write_text(f"store: sqlite:{self.store}\n{text}")
        self.ahead_s = 0.0  # of the real time: what the app takes for now
        self.running: App | None = None

    def clock(self) -> float:
        """The time that the app goes by."""
        return time.time() + self.ahead_s

    @property
    def app(self) -> App:
        assert self.running is not None
        return self.running

    @property
    def smpp(self) -> int:
        return self.app.smpp[0].port

    @property
    def smtp(self) -> int:
        return self.app.smtp[0].port

    @property
    def http(self) -> int:
        return self.app.http[0].port

    async def start(self) -> None:
        app = App(load(self.path), clock=self.clock)
        await app.start()
        self.running = app

    async def stop(self, grace_s: float = 2.0) -> None:
        app, self.running = self.running, None
        if app is not None:
            await app.stop(grace_s)

    async def skip(self, seconds: float) -> None:
        """Lets time pass at once: whatever is owed and has become due is looked for."""
        self.ahead_s += seconds
        await self.app.delivery.recover()

    async def record(self, message_id: int | str) -> Record:
        """All that the store knows of a message."""
        record = await self.app.store.find(int(message_id))
        assert record is not None
        return record

    async def final(self, message_id: int | str, timeout_s: float = 15.0) -> Record:
        """The record of a message once it is final."""

        async def look() -> Record | None:
            record = await self.record(message_id)
            return record if record.state.final else None

        found = await until(look, timeout_s)
        assert found is not None
        return found

    async def settled(self, timeout_s: float = 15.0) -> None:
        """Waits until nobody is owed anything."""

        async def look() -> bool:
            return not await self.app.store.owing()

        await until(look, timeout_s)


async def until(look: Callable[[], Awaitable[T]], timeout_s: float = 15.0) -> T:
    """What `look` gives once it is something: for what has no event to wait for."""
    async with asyncio.timeout(timeout_s):
        while not (found := await look()):  # noqa: ASYNC110 - there is none
            await asyncio.sleep(0.02)
        return found
