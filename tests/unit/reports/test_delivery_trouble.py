"""Outboxes in bad times: failures, age, a store that is away, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.reports.hands import Hand, SlowReads, on_disk, owe
from unit.world import Clock, Store, locked, message_of, queued_entry, until

from bridge.message import Report, State
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
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off comes again after hundredths of a second."""
    for name, value in (("_DELAY_MIN_S", 0.05), ("_STORE_RETRY_S", 0.02), ("_LOOK_EVERY_S", 0.0)):
        monkeypatch.setattr(f"bridge.reports.delivery.{name}", value)


# --- what failed ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_what_failed_comes_again_after_a_while_and_the_others_meanwhile(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, [1, 2, 3]))
    start = clock()
    hand.fail()
    assert hand.got == [1, 2]
    await hand.take_all(4)
    assert hand.got == [1, 2, 3, 1]
    assert clock() - start >= 0.05


@pytest.mark.usefixtures("quick")
async def test_those_that_failed_at_different_times_all_come_again(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, [1, 2, 3]))
    for number in (1, 2, 3):
        assert hand.got[-1] == number
        hand.fail()
        await asyncio.sleep(0.02)
    await hand.take_all(6)
    assert hand.got == [1, 2, 3, 1, 2, 3]


@pytest.mark.usefixtures("quick")
async def test_what_comes_due_behind_the_back_of_a_load_is_not_lost(
    slow_store: SlowReads, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.reports.delivery._LOAD", 1)
    outbox = Outbox("smpp", "acme", slow_store, kept_s=DAY_S, clock=clock)
    hand = Hand(outbox, window=10)
    first, second, _ = await owe(slow_store, clock, [1, 2, 3])
    start = clock()
    first.due_at, second.due_at = start + 0.3, start + 0.1
    await slow_store.postpone([first, second])
    outbox.look()
    await until(lambda: hand.got == [3] and not outbox._on_disk)
    slow_store.go = asyncio.Event()
    await until(lambda: clock() > start + 0.35)  # the load that found the second is past the first by now
    slow_store.go.set()
    await hand.until(3)
    assert hand.got == [3, 2, 1]
    outbox.stop()


async def test_delays_grow_up_to_an_hour_and_are_on_disk(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox)
    (item,) = await owe(store, clock, [1])
    expected = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    outbox.offer([item])
    for attempts, delay_s in enumerate(expected, 1):
        hand.fail()
        await until(lambda: not outbox._held)
        (kept,) = await store.owed("smpp", "acme", 0, 1, clock() + DAY_S)
        assert kept.attempts == attempts
        assert kept.due_at == pytest.approx(clock() + delay_s, abs=1.0)
        clock.offset_s += delay_s + 61  # a pause is over, too
        outbox.look()
        await hand.until(attempts + 1)


@pytest.mark.usefixtures("quick")
async def test_after_five_failures_in_a_row_everything_waits(
    outbox: Outbox, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.reports.delivery._DELAY_MIN_S", 30.0)
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, range(1, 11)))
    for _ in range(5):
        hand.fail()
    assert hand.got == [1, 2, 3, 4, 5]
    outbox.pump()
    assert hand.got == [1, 2, 3, 4, 5]
    await until(lambda: len(outbox._held) == 5)
    clock.offset_s += 31
    outbox.pump()
    assert hand.got[5] == 6
    await hand.take_all(10)
    assert sorted(hand.got[5:10]) == [6, 7, 8, 9, 10]


@pytest.mark.usefixtures("quick")
async def test_a_success_between_failures_prevents_the_pause(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, range(1, 11)))
    for number in range(1, 10):
        if number % 4:
            hand.fail()
        else:
            hand.confirm()
    assert hand.got[:10] == list(range(1, 11))


# --- age --------------------------------------------------------------------------------------------------------------


async def test_what_is_too_old_is_given_up_visibly(outbox: Outbox, store: Store, clock: Clock) -> None:
    await store.accept([queued_entry(message_of(1, now=clock()), "plain")])
    recorded = await store.record("plain", [Report(state=State.DELIVERED, message_id=1)], clock())
    outbox.offer(recorded.owed)
    clock.offset_s += DAY_S + 1
    hand = Hand(outbox)
    with capture_logs() as logs:
        outbox.pump()
    assert hand.got == []
    assert [line["event"] for line in logs] == ["report_given_up"]
    await until(lambda: not outbox.holds(recorded.owed[0]))
    assert (await store.record_of(1)).timeline[-1]["event"] == "report_given_up"
    assert await on_disk(store) == []


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_sweep_gives_up_all_that_is_too_old_once_and_nothing_else(
    delivery: Delivery, store: Store, clock: Clock, in_memory: bool
) -> None:
    await store.accept([queued_entry(message_of(1, now=clock()), "plain")])
    recorded = await store.record("plain", [Report(state=State.DELIVERED, message_id=1)], clock())
    old = recorded.owed + await owe(store, clock, range(2, 26))
    old[3].due_at = clock() + 10 * DAY_S  # put off beyond its age
    await store.postpone([old[3]])
    clock.offset_s += DAY_S + 1
    young = await owe(store, clock, [99])
    if in_memory:
        delivery.offer(old + young)
    with capture_logs():
        await delivery.sweep(batch=10)
        outbox = delivery.outbox("smpp", "acme")
        await until(lambda: not any(outbox.holds(item) for item in old))
        await delivery.sweep(batch=10)
    assert await on_disk(store) == [99]
    events = [event["event"] for event in (await store.record_of(1)).timeline]
    assert events.count("report_given_up") == 1
    assert delivery.waiting == (1 if in_memory else 0)


async def test_a_sweep_leaves_what_is_under_way_to_its_sink(delivery: Delivery, store: Store, clock: Clock) -> None:
    outbox = delivery.outbox("smpp", "acme")
    hand = Hand(outbox)
    (item,) = await owe(store, clock, [1])
    outbox.offer([item])
    clock.offset_s += DAY_S + 1
    await delivery.sweep()
    assert await on_disk(store) == [1]
    hand.confirm()
    await until(lambda: not outbox.holds(item))
    assert await on_disk(store) == []


async def test_a_changed_age_cap_counts(store: Store, clock: Clock) -> None:
    caps = {"acme": DAY_S}
    delivery = Delivery(store, caps.__getitem__, clock)
    delivery.offer(await owe(store, clock, [1]))
    caps["acme"] = 60.0
    clock.offset_s += 61
    with capture_logs():
        delivery.configure()
        await delivery.sweep()
    delivery.stop()
    await until(lambda: delivery.waiting == 0)


# --- the store is away ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_a_confirmation_is_kept_until_the_store_takes_it(
    outbox: Outbox, store: Store, clock: Clock, tmp_path: Path
) -> None:
    hand = Hand(outbox, window=2)
    items = await owe(store, clock, [1, 2])
    outbox.offer(items)
    with locked(tmp_path):
        hand.confirm()
        await asyncio.sleep(0.15)
        hand.confirm()
        await asyncio.sleep(0.15)
        assert outbox.holds(items[0])
    await until(lambda: not outbox._held)
    assert await on_disk(store) == []
    assert hand.got == [1, 2]


@pytest.mark.usefixtures("quick")
async def test_what_cannot_be_put_off_on_disk_comes_again_all_the_same(
    outbox: Outbox, store: Store, clock: Clock, tmp_path: Path
) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, [1]))
    with locked(tmp_path):
        hand.fail()
        await asyncio.sleep(0.15)
    await hand.take_all(2)
    assert hand.got == [1, 1]


# --- restart and end --------------------------------------------------------------------------------------------------


async def test_the_next_process_goes_on(tmp_path: Path, clock: Clock) -> None:
    store = Store(tmp_path / "bridge.db", clock())
    outbox = Outbox("smpp", "acme", store, kept_s=DAY_S, clock=clock)
    hand = Hand(outbox, window=2)
    outbox.offer(await owe(store, clock, range(1, 6)))
    hand.confirm()
    outbox.stop()  # nothing awaited in between: the confirmation must be on disk all the same
    await store.close()

    store = Store(tmp_path / "bridge.db", clock())
    assert await on_disk(store) == [2, 3, 4, 5]
    delivery = Delivery(store, lambda account: DAY_S, clock)
    hand = Hand(delivery.outbox("smpp", "acme"), window=10)
    await delivery.recover()
    await hand.take_all(4)
    assert hand.got == [2, 3, 4, 5]
    delivery.stop()
    await store.close()


@pytest.mark.usefixtures("quick")
async def test_what_an_earlier_process_put_off_comes_when_it_is_due(
    delivery: Delivery, store: Store, clock: Clock
) -> None:
    items = await owe(store, clock, range(1, 5))
    for number, item in enumerate(items):
        item.due_at = clock() + 0.1 * number
    await store.postpone(items)
    hand = Hand(delivery.outbox("smpp", "acme"), window=10)
    await delivery.recover()
    await hand.take_all(4)
    assert hand.got == [1, 2, 3, 4]


async def test_after_the_end_nothing_is_handed_over(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, [1, 2]))
    outbox.stop()
    outbox.pump()
    outbox.look()
    assert hand.got == [1]


async def test_each_account_and_listener_has_an_outbox_of_its_own(
    delivery: Delivery, store: Store, clock: Clock
) -> None:
    keys = [("smpp", "acme"), ("http", "acme"), ("smpp", "other")]
    hands = {key: Hand(delivery.outbox(*key)) for key in keys}
    items = [
        item for number, key in enumerate(keys, 1) for item in await owe(store, clock, [number, 10 * number], *key)
    ]
    delivery.offer(items)
    delivery.offer(await owe(store, clock, [100], "smpp", "acme"))
    assert {key: hand.got for key, hand in hands.items()} == {keys[0]: [1], keys[1]: [2], keys[2]: [3]}
    assert delivery.waiting == 4
    assert delivery.outbox("smpp", "acme") is hands["smpp", "acme"].outbox
