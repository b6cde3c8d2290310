"""Messages on their way out: kept, leased, settled, found, and at last forgotten."""

from __future__ import annotations

import asyncio

import pytest
from store.samples import (
    NOW,
    Open,
    again,
    claimed,
    entry,
    failed,
    message,
    owed_to,
    part,
    rejected,
    report,
    sent,
    stands,
)

from bridge.errors import StoreUnavailable
from bridge.message import Part, Reason, ReportOn, State
from bridge.store import Queued, Record, Store

# --- kept and found


async def test_a_message_comes_back_as_it_was_given(store: Store) -> None:
    given = entry(
        5,
        text="привіт 😀 \x00",
        client_ref="order-1",
        deliver_at=NOW + 5,
        native={"source": [1, 1, "Acme"], "octets": b"\x00\xff"},
        parts=(Part(part_id=5, number=1, report_on=ReportOn.FAILURE, native={"a": 1}), Part(part_id=6, number=2)),
    )
    await store.accept([given])
    assert await store.find(5) == Record(
        message=given.message,
        state=State.ACCEPTED,
        reason=None,
        provider="bsg",
        provider_ref=None,
        attempts=0,
        updated_at=NOW,
        timeline=[{"at": NOW, "event": "accepted", "listener": "smpp"}],
    )


async def test_binary_and_header_come_back_as_bytes(store: Store) -> None:
    await store.accept([entry(5, text=None, binary=b"\x00\x80", udh=b"\x05\x04\x0b\x84\x00\x00")])
    record = await store.find(5)
    assert record is not None
    assert (record.message.binary, record.message.udh) == (b"\x00\x80", b"\x05\x04\x0b\x84\x00\x00")


async def test_an_unknown_message_is_not_found(store: Store) -> None:
    assert await store.find(1) is None


async def test_a_message_refused_after_it_was_taken_is_final_and_owed(store: Store) -> None:
    given = rejected(message(5), Reason.PARTS_MISSING)
    await store.accept([given])
    assert await stands(store, 5) == (State.REJECTED, Reason.PARTS_MISSING)
    (owed,) = await owed_to(store)
    assert owed == given.owed[0]
    assert owed.owed_id > 0
    assert store.queued == 0
    record = await store.find(5)
    assert record is not None
    assert (record.provider, record.timeline[0]["event"]) == (None, "refused")


async def test_all_messages_of_a_call_are_kept_or_none(store: Store) -> None:
    await store.accept([entry(1)])
    with pytest.raises(StoreUnavailable):
        await store.accept([entry(2), entry(1)], [part(3, 1, 2)])
    assert await store.find(2) is None
    assert store.parts() == []
    assert store.queued == 1


async def test_a_failing_write_harms_no_other_of_the_same_commit(store: Store) -> None:
    await store.accept([entry(3)])
    results = await asyncio.gather(*(store.accept([entry(number)]) for number in range(1, 6)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), StoreUnavailable, type(None), type(None)]
    assert store.queued == 5
    assert await claimed(store) == [1, 2, 3, 4, 5]


async def test_found_by_the_clients_reference_newest_first(store: Store) -> None:
    await store.accept([entry(number, client_ref="order-1") for number in range(1, 5)])
    await store.accept([entry(9, client_ref="order-1", account="other"), entry(10, client_ref="order-2")])
    assert [record.message.message_id for record in await store.find_ref("shop", "order-1")] == [4, 3, 2, 1]
    assert [record.message.message_id for record in await store.find_ref("shop", "order-1", 2)] == [4, 3]
    assert await store.find_ref("shop", "nothing") == []


# --- leased


async def test_a_claim_leases_what_is_due_in_order(store: Store) -> None:
    await store.accept([entry(1, next_at=NOW + 2), entry(2, next_at=NOW), entry(3, next_at=NOW + 1)])
    await store.accept([entry(4, plan=("virtual",)), entry(5, leased=True)])
    assert await store.claim("bsg", 10, NOW + 1) == (
        [Queued(message=message(2), plan=("bsg",)), Queued(message=message(3), plan=("bsg",))],
        NOW + 2,
    )
    assert await claimed(store, now=NOW + 1) == []
    assert await store.claim("bsg", 10, NOW + 2) == ([Queued(message=message(1), plan=("bsg",))], None)
    assert await claimed(store, "virtual") == [4]
    assert store.queued == 5


async def test_a_claim_takes_no_more_than_it_asked_for(store: Store) -> None:
    await store.accept([entry(number) for number in range(1, 6)])
    queued, next_due = await store.claim("bsg", 2, NOW)
    assert [item.message.message_id for item in queued] == [1, 2]
    assert next_due == NOW


async def test_leases_end_with_the_process_that_held_them(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(1, leased=True), entry(2), entry(3, leased=True), entry(4, next_at=NOW + 900)])
    await store.settle([sent(3)])
    assert await claimed(store) == [2]
    await store.close()
    store = open_store(NOW + 10)
    assert store.queued == 3
    assert await claimed(store, now=NOW + 10) == [1, 2]
    assert await claimed(store, now=NOW + 900) == [4]


async def test_an_attempt_that_was_under_way_is_known_after_a_crash(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(number, leased=True) for number in (1, 2, 3, 4)])
    await store.settle([again(3, NOW, attempts=4), again(4, NOW, attempts=4, begun=2)])
    await store.begin([2, 3, 4])
    await store.close()
    queued, _ = await open_store().claim("bsg", 10, NOW)
    assert {item.message.message_id: item.begun for item in queued} == {1: 0, 2: 1, 3: 5, 4: 2}


async def test_the_lanes_of_what_is_not_final(store: Store) -> None:
    assert await store.lanes() == []
    await store.accept([entry(1, leased=True, plan=("a",)), entry(2, plan=("b",)), entry(3, leased=True, plan=("c",))])
    await store.accept([entry(4, leased=True, plan=("d",)), entry(5, plan=("b",)), rejected(message(6))])
    await store.settle([sent(3, "ref-3", "c"), failed(message(4), lane="d")])
    assert sorted(await store.lanes()) == ["a", "b", "c"]


async def test_how_many_wait_for_each_lane(store: Store) -> None:
    assert await store.depths() == {}
    await store.accept([entry(1, leased=True, plan=("a",)), entry(2, plan=("a",)), entry(3, plan=("b",))])
    await store.accept([entry(4, leased=True, plan=("c",)), entry(5, leased=True, plan=("d",)), rejected(message(6))])
    await store.settle([sent(4, "ref-4", "c"), failed(message(5), lane="d")])
    assert await store.depths() == {"a": 2, "b": 1}


# --- settled


async def test_sent_to_a_provider(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    assert (await store.settle([sent(1, "ref-1")])).owed == []
    record = await store.find(1)
    assert record is not None
    assert (record.state, record.provider, record.provider_ref, record.attempts) == (State.ENROUTE, "bsg", "ref-1", 1)
    assert [event["event"] for event in record.timeline] == ["accepted", "sent"]
    assert store.queued == 0
    assert await claimed(store, now=NOW + 1e6) == []


async def test_tried_again_later_with_what_is_known_so_far(store: Store) -> None:
    await store.accept([entry(1, leased=True, plan=("bsg", "virtual"))])
    await store.settle([again(1, NOW + 30, attempts=2, begun=1, reason=Reason.UNSURE)])
    assert await stands(store, 1) == (State.ACCEPTED, Reason.UNSURE)
    assert await store.claim("bsg", 10, NOW) == ([], NOW + 30)
    queued, _ = await store.claim("bsg", 10, NOW + 30)
    assert queued == [Queued(message=message(1), plan=("bsg", "virtual"), attempts=2, begun=1)]
    assert store.queued == 1


async def test_gone_on_to_the_next_provider(store: Store) -> None:
    await store.accept([entry(1, leased=True, plan=("bsg", "virtual"))])
    await store.settle([again(1, NOW, lane="virtual", step=1, attempts=0)])
    assert await claimed(store, "bsg") == []
    queued, _ = await store.claim("virtual", 10, NOW)
    assert queued == [Queued(message=message(1), plan=("bsg", "virtual"), step=1)]


async def test_failed_for_good_is_owed(store: Store) -> None:
    await store.accept([entry(1, leased=True), entry(2, leased=True, report_on=ReportOn.NEVER)])
    owed = (await store.settle([failed(message(1)), failed(message(2, report_on=ReportOn.NEVER))])).owed
    assert [item.known_id for item in owed] == [1]
    assert await owed_to(store) == owed
    assert await stands(store, 1) == (State.REJECTED, Reason.BLOCKED)
    assert store.queued == 0


async def test_a_settlement_does_not_reopen_what_a_report_has_ended(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)
    assert store.queued == 0
    assert (await store.settle([again(1, NOW, reason=Reason.UNSURE), failed(message(1)), sent(1, "ref-1")])).owed == []
    assert await stands(store, 1) == (State.DELIVERED, None)
    assert await claimed(store) == []
    assert len(await owed_to(store)) == 1
    assert store.queued == 0
    record = await store.find(1)
    assert record is not None
    assert record.provider_ref == "ref-1"
    assert [event["event"] for event in record.timeline] == ["accepted", "report", "retry", "refused", "sent"]


async def test_a_settlement_counts_once(store: Store) -> None:
    await store.accept([entry(1, leased=True), entry(2, leased=True)])
    await store.settle([sent(1, "ref-1"), sent(1, "ref-1"), again(1, NOW)])
    assert await stands(store, 1) == (State.ENROUTE, None)
    assert store.queued == 1
    assert await claimed(store) == []


# --- waiting for a report


async def test_reports_that_are_due(store: Store) -> None:
    await store.accept([entry(number, leased=True) for number in range(1, 5)])
    await store.settle([sent(1, "a", next_at=NOW + 20), sent(2, None, next_at=NOW + 10), sent(3, "c", lane="virtual")])
    due, next_due = await store.awaiting("bsg", 10, NOW)
    assert (due, next_due) == ([], NOW + 10)
    due, next_due = await store.awaiting("bsg", 10, NOW + 20)
    assert [(item.message_id, item.provider_ref, item.sent_at) for item in due] == [
        (2, None, NOW + 1),
        (1, "a", NOW + 1),
    ]
    await store.ask_again([(2, NOW + 50), (4, NOW + 1)])
    due, next_due = await store.awaiting("bsg", 1, NOW + 20)
    assert [item.message_id for item in due] == [1]
    assert next_due == NOW + 20
    assert await claimed(store, now=NOW) == []  # 4 has a lease, not a date


async def test_nobody_waits_for_the_report_of_a_final_message(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    await store.settle([sent(1, "a")])
    await store.record("bsg", [report(State.DELIVERED, ref="a")], NOW + 5)
    assert await store.awaiting("bsg", 10, NOW + 1e6) == ([], None)


# --- parts


async def test_parts_wait_over_a_restart_until_they_are_joined(open_store: Open) -> None:
    store = open_store()
    parts = [part(1, 1, 2), part(2, 2, 2), part(3, 2, 3)]
    await store.accept([], parts[:2])
    await store.accept([entry(9)], parts[2:])
    await store.close()
    store = open_store()
    assert store.parts() == parts
    assert await store.find(2) is None
    await store.accept([entry(1, joins=(1, 2))])
    assert store.parts() == parts[2:]
    for known_id in (1, 2):
        record = await store.find(known_id)
        assert record is not None
        assert record.message.message_id == 1


# --- forgotten


async def _finish(store: Store, *message_ids: int, at: float = NOW) -> None:
    entries = [entry(number, leased=True, accepted_at=at, report_on=ReportOn.NEVER) for number in message_ids]
    await store.accept(entries)
    await store.settle([sent(each.message.message_id, message=each.message) for each in entries])
    await store.record("bsg", [report(State.DELIVERED, message_id=number) for number in message_ids], at)


async def test_purged_is_what_is_final_for_long_enough(store: Store) -> None:
    await _finish(store, 1, 2)
    await _finish(store, 3, at=NOW + 100)
    await store.accept([entry(4, leased=True), entry(5)])
    assert await store.purge(NOW, 10) == 0
    assert await store.purge(NOW + 50, 10) == 2
    assert [await store.find(number) is None for number in range(1, 6)] == [True, True, False, False, False]
    assert store.queued == 2


async def test_a_purge_keeps_what_is_still_owed(store: Store) -> None:
    """A receipt cannot be made without its message."""
    await store.accept([entry(1, leased=True)])
    await store.settle([failed(message(1))])
    assert await store.purge(NOW + 50, 10) == 0
    (owed,) = await owed_to(store)
    assert owed.message == message(1)
    await store.handed([(owed, {"at": NOW, "event": "reported"})])
    assert await store.purge(NOW + 50, 10) == 1


async def test_a_purge_goes_on_behind_what_must_stay(store: Store) -> None:
    await store.accept([entry(number, leased=True) for number in range(1, 7)])
    await _finish(store, 7, 8)
    assert [await store.purge(NOW + 50, 2) for _ in range(4)] == [0, 0, 0, 2]


async def test_old_messages_that_moved_lately_do_not_hide_what_comes_after_them(store: Store) -> None:
    await store.accept([entry(number, leased=True) for number in (1, 2)])
    await _finish(store, 3, 4)
    await store.settle([sent(number, event={"at": NOW + 99, "event": "sent"}) for number in (1, 2)])
    assert [await store.purge(NOW + 50, 2) for _ in range(2)] == [0, 2]


async def test_a_purge_starts_over_from_the_oldest(store: Store) -> None:
    await _finish(store, 1, 2, at=NOW)
    await store.accept([entry(3, leased=True)])
    await _finish(store, 4, at=NOW + 100)
    assert await store.purge(NOW + 50, 3) == 2
    assert await store.purge(NOW + 50, 3) == 0
    await store.settle([failed(message(3, report_on=ReportOn.NEVER))])
    await store.handed([(owed, {}) for owed in await owed_to(store)])
    assert [await store.purge(NOW + 50, 3) for _ in range(2)] == [1, 0]


async def test_every_stage_is_kept_over_a_restart(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(number, leased=True) for number in (1, 2, 3)])
    await store.accept([entry(4, next_at=NOW + 900, state=State.SCHEDULED)])
    await store.settle([sent(1, "a"), failed(message(2)), again(3, NOW + 5)])
    await store.close()
    store = open_store(NOW + 1)
    assert [await stands(store, number) for number in (1, 2, 3, 4)] == [
        (State.ENROUTE, None),
        (State.REJECTED, Reason.BLOCKED),
        (State.ACCEPTED, None),
        (State.SCHEDULED, None),
    ]
    assert [item.known_id for item in await owed_to(store)] == [2]
    assert store.queued == 2
