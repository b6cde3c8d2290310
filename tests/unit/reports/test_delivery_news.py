"""News that the end of a message overtakes, addresses that a client wants nothing for, and what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from unit.reports.hands import Hand, SlowReads, on_disk, owe
from unit.world import Clock, Store, message_of, queued_entry, until

from bridge.message import Owed, Reason, Report, ReportOn, State
from bridge.reports.delivery import Delivery, Outbox
from bridge.telemetry import metrics

DAY_S = 86400.0
ABSENT = Reason.ABSENT_SUBSCRIBER


@pytest.fixture
async def outbox(store: Store, clock: Clock) -> Iterator[Outbox]:
    made = Outbox("smpp", "acme", store, kept_s=DAY_S, clock=clock)
    yield made
    made.stop()


async def asked(store: Store, clock: Clock, *message_ids: int, source: str = "ACME") -> None:
    """Takes messages that ask to be told of everything."""
    keys = {"now": clock(), "intermediate": True, "report_on": ReportOn.FINAL, "source": source}
    await store.accept([queued_entry(message_of(number, **keys), "plain") for number in message_ids])


async def heard(store: Store, clock: Clock, message_id: int, state: State, reason: Reason | None = None) -> list[Owed]:
    report = Report(state=state, message_id=message_id, reason=reason)
    return (await store.record("plain", [report], clock())).owed


def states(hand: Hand) -> list[State | None]:
    return [owed.report and owed.report.state for owed in hand.under_way]


async def test_news_and_the_end_are_told_in_their_order(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox, window=5)
    await asked(store, clock, 1)
    outbox.offer(await heard(store, clock, 1, State.ENROUTE))
    outbox.offer(await heard(store, clock, 1, State.DELIVERED))
    assert states(hand) == [State.ENROUTE, State.DELIVERED]
    await hand.take_all(2)
    await until(lambda: not outbox._held)
    assert await on_disk(store) == []


async def test_news_that_waits_is_not_told_after_the_end(outbox: Outbox, store: Store, clock: Clock) -> None:
    await asked(store, clock, 1, 2)
    for number in (1, 2):
        outbox.offer(await heard(store, clock, number, State.ENROUTE))
    outbox.offer(await heard(store, clock, 1, State.ENROUTE, ABSENT))
    outbox.offer(await heard(store, clock, 1, State.DELIVERED))
    hand = Hand(outbox, window=5)
    outbox.pump()
    assert list(zip(hand.got, states(hand), strict=True)) == [(2, State.ENROUTE), (1, State.DELIVERED)]
    assert outbox.waiting == 0


async def test_news_that_comes_back_is_not_told_after_the_end(outbox: Outbox, store: Store, clock: Clock) -> None:
    hand = Hand(outbox, window=2)
    await asked(store, clock, 1)
    outbox.offer(await heard(store, clock, 1, State.ENROUTE))
    outbox.offer(await heard(store, clock, 1, State.DELIVERED))
    hand.put_back()  # its connection is gone
    outbox.pump()
    assert states(hand) == [State.DELIVERED]


async def test_news_that_the_client_puts_off_is_not_told_after_the_end(
    outbox: Outbox, store: Store, clock: Clock
) -> None:
    hand = Hand(outbox, window=2)
    await asked(store, clock, 1)
    (news,) = await heard(store, clock, 1, State.ENROUTE)
    outbox.offer([news])
    outbox.offer(await heard(store, clock, 1, State.DELIVERED))
    hand.fail()
    hand.confirm()
    await until(lambda: not outbox._held)
    clock.offset_s += 60
    outbox.look()
    await until(lambda: not outbox._on_disk)
    assert (hand.under_way, len(hand.got)) == ([], 2)


async def test_after_a_restart_only_the_end_is_told(outbox: Outbox, store: Store, clock: Clock) -> None:
    await asked(store, clock, 1)
    await heard(store, clock, 1, State.ENROUTE)
    await heard(store, clock, 1, State.UNDELIVERABLE, Reason.BARRED)
    hand = Hand(outbox, window=5)
    outbox.look()
    await hand.until(1)
    await until(lambda: not outbox._on_disk)
    assert states(hand) == [State.UNDELIVERABLE]


async def test_news_read_while_the_end_comes_is_told_before_it(slow_store: SlowReads, clock: Clock) -> None:
    outbox = Outbox("smpp", "acme", slow_store, kept_s=DAY_S, clock=clock)
    hand = Hand(outbox, window=5)
    await asked(slow_store, clock, 1)
    await heard(slow_store, clock, 1, State.ENROUTE)
    slow_store.go = asyncio.Event()
    outbox.look()
    await slow_store.owing()  # one read after the other: the news has been read, and is not there yet
    outbox.offer(await heard(slow_store, clock, 1, State.DELIVERED))
    slow_store.go.set()
    await hand.until(2)
    assert states(hand) == [State.ENROUTE, State.DELIVERED]
    outbox.stop()


# --- what is given up -------------------------------------------------------------------------------------------------


async def test_an_address_that_is_refused(outbox: Outbox, store: Store, clock: Clock) -> None:
    """All that is owed for it until then is given up, visibly; what is owed for others, or later, is not."""
    before = metrics.given_up.value("smpp", "acme")
    await asked(store, clock, 1, 2)
    await asked(store, clock, 3, source="Other")
    hand = Hand(outbox, window=0)
    for number in (1, 2, 3):
        outbox.offer(await heard(store, clock, number, State.DELIVERED))
    outbox.drop("ACME", "command_status 0x65")
    clock.offset_s += 1
    await asked(store, clock, 4)
    outbox.offer(await heard(store, clock, 4, State.DELIVERED))
    hand.window = 9
    with capture_logs() as logs:
        outbox.pump()
    assert hand.got == [3, 4]
    given_up = [line["id"] for line in logs if line["event"] == "report_given_up"]
    assert given_up == [1, 2]
    assert metrics.given_up.value("smpp", "acme") == before + 2
    await hand.take_all(2)
    await until(lambda: not outbox._held)
    assert await on_disk(store) == []
    last = (await store.record_of(1)).timeline[-1]
    assert (last["event"], last["why"]) == ("report_given_up", "command_status 0x65")


async def test_without_an_address_nothing_else_is_dropped(outbox: Outbox, store: Store, clock: Clock) -> None:
    outbox.drop(None, "no")
    outbox.drop("", "no")
    hand = Hand(outbox)
    outbox.offer(await owe(store, clock, [1]))
    assert hand.got == [1]


async def test_what_is_too_old_is_counted_in_memory_and_on_disk(store: Store, clock: Clock) -> None:
    delivery = Delivery(store, lambda account: DAY_S, clock)
    before = metrics.given_up.value("smpp", "acme")
    delivery.offer(await owe(store, clock, [1, 2]))
    await owe(store, clock, [3])
    clock.offset_s += DAY_S
    await delivery.sweep()
    assert metrics.given_up.value("smpp", "acme") == before + 3
    await until(lambda: not delivery.outbox("smpp", "acme")._held)
    assert await on_disk(store) == []
    delivery.stop()
