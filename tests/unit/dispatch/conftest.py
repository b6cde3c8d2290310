"""Lanes that send for real: store, transport, and a provider's API on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from unit.world import Api, Clock, Store, api_served, store_at

from bridge.dispatch.lane import Lane
from bridge.message import Owed
from bridge.providers._contract import Provider
from bridge.transport import Transport

MakeLane = Callable[..., Lane]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with store_at(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with api_served() as served:
        yield served


@pytest.fixture
async def second_api() -> AsyncIterator[Api]:
    async with api_served() as served:
        yield served


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


@pytest.fixture
def owed() -> list[Owed]:
    """What lanes said is owed."""
    return []


@pytest.fixture
async def make_lane(store: Store, transport: Transport, clock: Clock, owed: list[Owed]) -> AsyncIterator[MakeLane]:
    """Makes lanes that know each other; what was made is stopped."""
    lanes: dict[str, Lane] = {}

    def make(provider: Provider, *, memory: int = 1000, start: bool = True) -> Lane:
        def on_owed(items: Sequence[Owed]) -> None:
            owed.extend(items)

        lane = Lane(provider, store, transport, lanes, memory=memory, clock=clock, on_owed=on_owed)
        lanes[provider.name] = lane
        if start:
            lane.start()
        return lane

    yield make
    for lane in lanes.values():
        await lane.stop(5.0)
