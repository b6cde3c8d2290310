"""Lanes that send for real: intake in front, the store behind, and a provider's API on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from unit.desk import Limits
from unit.world import Api, Clock, Store, api_served, store_at

from bridge.dispatch.lane import Lane
from bridge.intake import Intake
from bridge.message import Message, Owed
from bridge.providers._contract import Provider
from bridge.routing.rules import Route, Router
from bridge.transport import Transport

ACCOUNTS = {"acme": Limits(max_parts=10)}


class Dispatch:
    """Lanes that know each other, and the intake that fills them; the plan is every lane in the order it was made."""

    def __init__(self, store: Store, transport: Transport, clock: Clock) -> None:
        self.store = store
        self.transport = transport
        self.clock = clock
        self.lanes: dict[str, Lane] = {}
        self.owed: list[Owed] = []

    def lane(self, provider: Provider, *, memory: int = 1000, start: bool = True) -> Lane:
        lane = Lane(
            provider,
            self.store,
            self.transport,
            self.lanes,
            memory=memory,
            clock=self.clock,
            on_owed=self.owed.extend,
        )
        self.lanes[provider.name] = lane
        self.intake = Intake(
            self.store,
            Router([Route(send=list(self.lanes))], self.lanes),
            ACCOUNTS,
            {name: lane.provider.capabilities for name, lane in self.lanes.items()},
            self.lanes,
            queue_max=1_000_000,
            clock=self.clock,
            on_owed=self.owed.extend,
        )
        if start:
            lane.start()
        return lane

    def submit(self, *messages: Message) -> asyncio.Future[None]:
        """Done when they are on disk."""
        verdicts, stored = self.intake.accept(messages)
        assert verdicts == [None] * len(messages)
        assert stored is not None
        return stored

    async def stop(self, grace_s: float = 5.0) -> None:
        await asyncio.gather(*(lane.stop(grace_s) for lane in self.lanes.values()))


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
async def dispatch(store: Store, transport: Transport, clock: Clock) -> AsyncIterator[Dispatch]:
    made = Dispatch(store, transport, clock)
    yield made
    await made.stop()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come after hundredths of a second, not seconds."""
    monkeypatch.setattr("bridge.dispatch.retry._FIRST_DELAY_S", 0.01)
    monkeypatch.setattr("bridge.dispatch.lane._STORE_RETRY_S", 0.02)
    monkeypatch.setattr("bridge.dispatch.lane._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("bridge.dispatch.lane._TIMER_MAX_S", 0.05)
