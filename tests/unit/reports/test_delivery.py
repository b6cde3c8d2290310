"""Outboxes: in order, bounded, until it is confirmed, and never twice without need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from unit.reports.hands import Hand, SlowReads, on_disk, owe
from unit.world import Clock, Store, message_of, queued_entry, until

from bridge.message import Owed, Report, State
from bridge.reports.delivery import Delivery, Outbox

DAY_S = 86400.0


@pytest.fixture
async def outbox(store: Store, clock: Clock) -> Iterator[Outbox]:
    made = Outbox("smpp", "acme", store, kept_s=DAY_S, clock=clock)
    yield made
    made.stop()


@pytest.fixture
async def delivery(store: Store, clock: Clock) -> Iterator[Delivery]:
    made = Delivery(store, lambda account: DAY_S, clock)
    yield made
    made.stop()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds ten things, and four are read at once."""
    monkeypatch.setattr("bridge.reports.delivery._IN_MEMORY", 10)
    monkeypatch.setattr("bridge.reports.delivery._LOAD", 4)


# --- order and confirmation -------------------------------------------------------------------------------------------


async def test_what_is_owed_is_handed_over_in_order_as_there_is_room(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    hand = Hand(outbox, window=2)
    outbox.offer(await owe(store, clock, range(1, 6)))
    assert hand.got == [1, 2]
    assert outbox.waiting == 3
    hand.confirm()
    assert hand.got == [1, 2, 3]
    await hand.take_all(5)
    assert hand.got == [1, 2, 3, 4, 5]
    assert outbox.waiting == 0


async def test_only_what_is_confirmed_is_forgotten(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox, window=3)
    items = await owe(store, clock, range(1, 4))
    outbox.offer(items)
    hand.confirm()
    await until(lambda: not outbox.holds(items[0]))
    assert await on_disk(store) == [2, 3]


async def test_the_confirmation_is_in_the_timeline_of_the_message(outbox: Outbox, store: Store, clock: Clock) -> None:
    await store.accept([queued_entry(message_of(1, now=clock()), "plain")])
    recorded = await store.record("plain", [Report(state=State.DELIVERED, message_id=1)], clock())
    hand = Hand(outbox)
    outbox.offer(recorded.owed)
    hand.confirm()
    await until(lambda: not outbox.holds(recorded.owed[0]))
    assert (await store.record_of(1)).timeline[-1]["event"] == "reported"


async def test_what_was_not_tried_is_next_again_in_its_old_place(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox, window=3)
    outbox.offer(await owe(store, clock, range(1, 6)))
    while hand.under_way:  # the connection is gone
        hand.put_back()
    hand.window = 5
    outbox.pump()
    assert hand.got == [1, 2, 3, 1, 2, 3, 4, 5]


async def test_nothing_is_handed_over_without_a_sink(outbox: Outbox, store: Store, clock: Clock) -> None:
    outbox.offer(await owe(store, clock, [1]))
    outbox.pump()
    assert outbox.waiting == 1
    hand = Hand(outbox)
    outbox.pump()
    assert hand.got == [1]


async def test_one_that_cannot_be_handed_over_does_not_hold_up_the_others(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    class Fussy(Hand):
        def send(self, owed: Owed) -> None:
            if owed.known_id == 2:
                raise RuntimeError("no")
            super().send(owed)

    hand = Fussy(outbox, window=5)
    with capture_logs() as logs:
        outbox.offer(await owe(store, clock, range(1, 4)))
    assert hand.got == [1, 3]
    assert "handing_over_failed" in {line["event"] for line in logs}
    await hand.take_all(2)
    await until(lambda: not outbox._held)
    (kept,) = await store.owed("smpp", "acme", 0, 10, clock() + 60)
    assert (kept.known_id, kept.attempts) == (2, 1)


# --- memory and disk --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
async def test_more_than_memory_holds_comes_from_disk_in_order_and_once(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    hand = Hand(outbox, window=3)
    for start in range(1, 101, 20):
        outbox.offer(await owe(store, clock, range(start, start + 20)))
        assert outbox.waiting <= 14
    await hand.take_all(100)
    assert hand.got == list(range(1, 101))
    await until(lambda: not outbox._held)
    assert await on_disk(store) == []


@pytest.mark.usefixtures("small")
async def test_fresh_things_queue_behind_those_on_disk(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, range(1, 31)))
    for number in range(31, 51):
        outbox.offer(await owe(store, clock, [number]))
        if hand.under_way:
            hand.confirm()
        await asyncio.sleep(0)
    await hand.take_all(50)
    assert hand.got == list(range(1, 51))


@pytest.mark.usefixtures("small")
async def test_memory_is_used_again_once_the_disk_is_drained(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox, window=3)
    outbox.offer(await owe(store, clock, range(1, 31)))
    await hand.take_all(30)
    await until(lambda: not outbox._held)
    await until(lambda: not outbox._on_disk)
    outbox.offer(await owe(store, clock, [31]))
    assert hand.got[-1] == 31


@pytest.mark.usefixtures("small")
async def test_who_is_away_costs_a_bounded_memory_and_gets_everything_later(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    outbox.offer(await owe(store, clock, range(1, 501)))
    assert outbox.waiting == 10
    hand = Hand(outbox, window=50)
    outbox.pump()
    await hand.take_all(500)
    assert hand.got == list(range(1, 501))


@pytest.mark.usefixtures("small")
async def test_one_that_comes_late_to_a_full_memory_is_not_lost(outbox: Outbox, store: Store, clock: Clock) -> None:
    items = await owe(store, clock, range(1, 13))
    late = items.pop(4)
    outbox.offer(items)  # memory is full, up to the eleventh
    outbox.offer([late])
    hand = Hand(outbox, window=2)
    outbox.pump()
    await hand.take_all(12)
    assert sorted(hand.got) == list(range(1, 13))


async def test_one_that_a_load_has_brought_is_not_taken_again(outbox: Outbox, store: Store, clock: Clock) -> None:
    items = await owe(store, clock, range(1, 4))
    hand = Hand(outbox)
    outbox.look()
    await hand.until(1)
    outbox.offer(items)  # the news of the commit comes after the load
    await hand.take_all(3)
    assert hand.got == [1, 2, 3]


async def test_what_was_confirmed_while_a_load_ran_does_not_come_back(slow_store: SlowReads, clock: Clock) -> None:
    outbox = Outbox("smpp", "acme", slow_store, kept_s=DAY_S, clock=clock)
    hand = Hand(outbox, window=2)
    items = await owe(slow_store, clock, [1, 2])
    outbox.offer(items)
    slow_store.go = asyncio.Event()
    outbox.look()
    await asyncio.sleep(0.05)  # it has read what is about to be confirmed
    hand.confirm()
    hand.confirm()
    await until(lambda: not outbox._held)
    slow_store.go.set()
    await until(lambda: not outbox._loading and not outbox._on_disk)
    assert hand.got == [1, 2]
    outbox.stop()


async def test_a_look_while_a_load_runs_is_not_lost(slow_store: SlowReads, clock: Clock) -> None:
    outbox = Outbox("smpp", "acme", slow_store, kept_s=DAY_S, clock=clock)
    hand = Hand(outbox, window=5)
    first, second = await owe(slow_store, clock, [1, 2])
    first.due_at = clock() + 3600
    await slow_store.postpone([first])
    slow_store.go = asyncio.Event()
    outbox.look()
    await asyncio.sleep(0.05)  # it has read the second only
    first.due_at = clock()
    await slow_store.postpone([first])
    outbox.look()
    slow_store.go.set()
    await hand.take_all(2)
    assert sorted(hand.got) == [1, 2]
    assert second.known_id == 2
    outbox.stop()
