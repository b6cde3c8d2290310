"""Bridges, the servers that they call, and the clients that call them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from flows.bridges import Bridge
from flows.bsg_server import BsgServer
from flows.sinks import Callbacks, Mailbox

Start = Callable[[str], Awaitable[Bridge]]


@pytest.fixture
async def bsg() -> AsyncIterator[BsgServer]:
    async with BsgServer() as server:
        yield server


@pytest.fixture
async def callbacks() -> AsyncIterator[Callbacks]:
    async with Callbacks() as sink:
        yield sink


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as sink:
        yield sink


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a bridge with the text of a configuration, the store excepted."""
    bridges: list[Bridge] = []

    async def begin(text: str) -> Bridge:
        folder = tmp_path / str(len(bridges))
        folder.mkdir()
        bridge = Bridge(folder, text)
        bridges.append(bridge)
        await bridge.start()
        return bridge

    yield begin
    for bridge in bridges:
        await bridge.stop()
