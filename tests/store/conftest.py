"""A store of each engine, on a disk of its own; the same tests run on all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store.samples import ENGINES, NOW, Open

from bridge.store import Store


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def open_store(engine: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the store, the same one each time; what was left open is closed at the end."""
    opened: list[Store] = []

    def start(now: float = NOW) -> Store:
        opened.append(ENGINES[engine](tmp_path / "bridge.db", now))
        return opened[-1]

    yield start
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: Open) -> Store:
    return open_store()
