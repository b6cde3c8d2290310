"""A real store, a provider's API on a free port, and a clock to set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from unit.reports.hands import SlowReads
from unit.world import Api, Clock, Store, api_served, store_at

from bridge.transport import Transport


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
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


@pytest.fixture
async def slow_store(tmp_path: Path, clock: Clock) -> AsyncIterator[SlowReads]:
    store = SlowReads(tmp_path / "slow.db", clock())
    yield store
    await store.close()
