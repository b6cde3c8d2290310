"""Handing over one by one: some at a time, and what came of each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from unit.reports.hands import on_disk, owe
from unit.world import Clock, Store, until

from bridge.message import Owed
from bridge.reports.delivery import Outbox
from bridge.reports.sender import NotTaken, Sender
from bridge.store import Event


class Account:
    """Who is called; takes everything once `open` is set, unless it has an error for it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.errors: dict[int, Exception] = {}
        self.called: list[int] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, owed: Owed) -> Event:
        self.called.append(owed.known_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if owed.known_id in self.errors:
            raise self.errors.pop(owed.known_id)
        return {"at": owed.created_at, "event": "reported", "id": owed.known_id}


@pytest.fixture
async def outbox(store: Store, clock: Clock) -> Iterator[Outbox]:
    made = Outbox("http", "acme", store, kept_s=86400.0, clock=clock)
    yield made
    made.stop()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
async def sender(outbox: Outbox, account: Account) -> Iterator[Sender]:
    made = Sender(outbox, account, concurrency=3)
    outbox.sink = made
    yield made
    await made.stop(0.0)


async def test_each_is_handed_over_once_and_forgotten(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock
) -> None:
    items = await owe(store, clock, range(1, 11), "http")
    outbox.offer(items)
    await until(lambda: not any(outbox.holds(item) for item in items))
    assert sorted(account.called) == list(range(1, 11))
    assert await on_disk(store, "http") == []


async def test_no_more_at_once_than_its_concurrency(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock
) -> None:
    account.open.clear()
    items = await owe(store, clock, range(1, 11), "http")
    outbox.offer(items)
    await until(lambda: account.at_once == 3)
    assert sender.room() == 0
    assert outbox.waiting == 7
    account.open.set()
    await until(lambda: not any(outbox.holds(item) for item in items))
    assert account.most_at_once == 3
    assert sender.room() == 3


async def test_what_is_not_taken_comes_again_and_what_never_will_be_is_given_up(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.reports.delivery._DELAY_MIN_S", 0.02)
    monkeypatch.setattr("bridge.reports.delivery._LOOK_EVERY_S", 0.0)
    account.errors = {1: NotTaken("HTTP 500"), 2: NotTaken("no address", final=True), 3: RuntimeError("a bug of ours")}
    with capture_logs() as logs:
        outbox.offer(await owe(store, clock, range(1, 5), "http"))
        await until(lambda: len(account.called) == 6)
    assert sorted(account.called) == [1, 1, 2, 3, 3, 4]
    why = {line.get("id"): line["why"] for line in logs if line["event"] == "report_given_up"}
    assert why == {2: "no address"}
    assert "handing_over_failed" in {line["event"] for line in logs}


async def test_what_is_under_way_goes_on_when_the_hand_is_replaced(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock
) -> None:
    account.open.clear()
    items = await owe(store, clock, range(1, 6), "http")
    outbox.offer(items)
    await until(lambda: account.at_once == 3)
    sender.hand = other = Account()
    account.open.set()
    await until(lambda: not any(outbox.holds(item) for item in items))
    assert account.called == [1, 2, 3]
    assert other.called == [4, 5]


async def test_stop_lets_those_under_way_end_and_starts_none(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock
) -> None:
    account.open.clear()
    outbox.offer(await owe(store, clock, range(1, 6), "http"))
    await until(lambda: account.at_once == 3)
    stopping = asyncio.create_task(sender.stop(5.0))
    await asyncio.sleep(0)
    account.open.set()
    await stopping
    assert account.called == [1, 2, 3]
    outbox.pump()
    assert sender.room() == 0
    assert outbox.waiting == 2


async def test_stop_cuts_off_what_takes_too_long_and_it_stays_owed(
    sender: Sender, outbox: Outbox, account: Account, store: Store, clock: Clock
) -> None:
    account.open.clear()
    outbox.offer(await owe(store, clock, [1], "http"))
    await until(lambda: account.at_once == 1)
    await sender.stop(0.01)
    assert account.at_once == 0
    assert await on_disk(store, "http") == [1]
