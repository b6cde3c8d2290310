"""Long messages on their way in: parts are joined, given up, taken up again, and never lost."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from store.samples import NOW, claimed, owed_to, report, sent, stands
from unit.desk import Desk, Locked, NoMessages, reasons

from bridge import intake as intake_module
from bridge.errors import StoreUnavailable
from bridge.message import Reason, ReportOn, State

# --- long messages


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_parts_are_joined_in_any_order(desk: Desk, order: tuple[int, ...]) -> None:
    ids = {}
    for number in order:
        assert desk.offered == []
        given = desk.part(number, 3)
        ids[number] = given.message_id
        assert await desk.take(given) == [None]
    assert desk.offered == [("bsg", "<1><2><3>")]
    (queued,) = desk.lanes["bsg"].offered
    assert [(item.part_id, item.number, item.report_on) for item in queued.message.parts] == [
        (ids[number], number, ReportOn.FINAL) for number in (1, 2, 3)
    ]
    assert queued.message.segment is None
    assert queued.message.report_on is ReportOn.NEVER
    for part_id in ids.values():
        record = await desk.store.find(part_id)
        assert record is not None
        assert record.message == queued.message
    assert desk.store.parts() == []


async def test_parts_in_one_call(desk: Desk) -> None:
    assert await desk.take(*(desk.part(number, 3) for number in (3, 1, 2)), desk.message()) == [None] * 4
    assert sorted(desk.offered) == [("bsg", "<1><2><3>"), ("bsg", "hello")]


async def test_a_part_is_acknowledged_when_it_is_on_disk(desk: Desk) -> None:
    given = desk.part(1, 2)
    assert await desk.take(given) == [None]
    assert desk.store.parts() == [given]
    assert desk.store.queued == 0


async def test_parts_of_different_messages_are_kept_apart(desk: Desk) -> None:
    others: list[dict[str, Any]] = [
        {"reference": 8},
        {"scheme": "udh16"},
        {"account": "other"},
        {"source": "Else"},
        {"destination": "380507654321"},
    ]
    await desk.take(desk.part(1, 2))
    for fields in others:
        await desk.take(desk.part(2, 2, **fields))
    await desk.take(desk.part(2, 3))
    assert desk.offered == []
    await desk.take(desk.part(2, 2))
    assert desk.offered == [("bsg", "<1><2>")]


async def test_a_character_cut_in_two_is_whole_again(desk: Desk) -> None:
    octets = "😀".encode("utf-16-be")
    await desk.take(
        desk.part(1, 2, octets=octets[:2], alphabet="ucs2"), desk.part(2, 2, octets=octets[2:], alphabet="ucs2")
    )
    assert desk.offered == [("bsg", "😀")]


async def test_binary_parts_go_where_binary_can_go(desk: Desk) -> None:
    await desk.take(*(desk.part(number, 2, octets=bytes([number]), alphabet="binary") for number in (1, 2)))
    assert desk.offered == [("virtual", b"\x01\x02")]


async def test_a_repeated_part_counts_once_and_is_told_too(desk: Desk) -> None:
    given = [desk.part(number, 2) for number in (1, 1, 2)]
    assert await desk.take(*given) == [None] * 3
    assert desk.offered == [("bsg", "<1><2>")]
    (queued,) = desk.lanes["bsg"].offered
    assert [item.part_id for item in queued.message.parts] == [item.message_id for item in given]
    await desk.store.settle([sent(queued.message.message_id, "ref-1")])
    await desk.store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    assert [owed.known_id for owed in await owed_to(desk.store)] == [item.message_id for item in given]


async def test_more_parts_than_the_account_may_send(desk: Desk) -> None:
    assert reasons(await desk.take(desk.part(1, 6), desk.part(1, 5))) == [Reason.TEXT_TOO_LONG, None]


async def test_a_part_without_a_route_is_refused_at_once(desk: Desk) -> None:
    assert reasons(await desk.take(desk.part(1, 2, destination="12025550123"))) == [Reason.NO_ROUTE]


async def test_missing_parts_end_the_message_and_each_part_is_told(desk: Desk) -> None:
    given = [desk.part(1, 3), desk.part(3, 3, report_on=ReportOn.NEVER)]
    await desk.take(given[0])
    desk.now += 30
    await desk.take(given[1])
    desk.intake.give_up_parts(NOW + 59)
    await desk.settled()
    assert desk.owed == []
    desk.intake.give_up_parts(NOW + 60)
    await desk.settled()
    assert [(owed.known_id, owed.report and owed.report.reason) for owed in desk.owed] == [
        (given[0].message_id, Reason.PARTS_MISSING)
    ]
    for item in given:
        assert await stands(desk.store, item.message_id) == (State.REJECTED, Reason.PARTS_MISSING)
    assert desk.store.parts() == []
    assert desk.offered == []
    await desk.take(desk.part(2, 3))  # too late: it is the first of another message
    assert desk.offered == []


async def test_parts_of_a_removed_account_are_given_up(desk: Desk) -> None:
    given = desk.part(1, 2)
    await desk.take(given)
    del desk.accounts["shop"]
    desk.configure()
    assert reasons(await desk.take(desk.part(2, 2))) == [Reason.NOT_PERMITTED]
    desk.intake.give_up_parts(desk.now)
    await desk.settled()
    assert await stands(desk.store, given.message_id) == (State.REJECTED, Reason.PARTS_MISSING)


async def test_joined_it_may_be_too_long_and_is_rejected(desk: Desk) -> None:
    given = [desk.part(number, 2, octets=b"x" * 20) for number in (1, 2)]
    assert await desk.take(*given) == [None, None]
    assert await stands(desk.store, given[0].message_id) == (State.REJECTED, Reason.TEXT_TOO_LONG)
    assert [owed.known_id for owed in desk.owed] == [item.message_id for item in given]


async def test_joined_it_may_be_no_text_and_is_rejected(desk: Desk) -> None:
    given = [desk.part(1, 2), desk.part(2, 2, alphabet="binary")]
    assert await desk.take(*given) == [None, None]
    assert await stands(desk.store, given[1].message_id) == (State.REJECTED, Reason.INVALID_TEXT)
    assert [owed.known_id for owed in desk.owed] == [item.message_id for item in given]


async def test_a_scheduled_long_message(desk: Desk) -> None:
    given = [desk.part(number, 2, deliver_at=NOW + 600) for number in (1, 2)]
    await desk.take(*given)
    assert desk.offered == []
    assert await stands(desk.store, given[0].message_id) == (State.SCHEDULED, None)
    assert desk.lanes["bsg"].woken == [NOW + 600]


# --- after a restart


async def test_parts_are_taken_up_after_a_restart(desk: Desk) -> None:
    first = desk.part(1, 2)
    await desk.take(first)
    await desk.restart()
    await desk.take(desk.part(2, 2))
    assert desk.offered == [("bsg", "<1><2>")]
    assert desk.store.parts() == []


async def test_a_whole_set_that_was_never_joined_is_joined_after_a_restart(desk: Desk) -> None:
    """The process ended between the commit of the last part and the one of the message."""
    given = [desk.part(number, 2) for number in (2, 1)]
    await desk.store.accept([], given)
    await desk.restart()
    assert desk.offered == [("bsg", "<1><2>")]
    assert desk.store.parts() == []
    await desk.restart()
    assert desk.offered == []  # it is in the store, where its lane claims it
    assert await claimed(desk.store) == [given[1].message_id]


async def test_overdue_parts_are_given_up_after_a_restart(desk: Desk) -> None:
    given = desk.part(1, 2)
    await desk.take(given)
    desk.now += 3600
    await desk.restart()
    desk.intake.give_up_parts(desk.now)
    await desk.settled()
    assert [owed.known_id for owed in desk.owed] == [given.message_id]


async def test_too_many_unfinished_parts_hinder_parts_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_PARTS_MAX", 2)
    unfinished = [desk.part(1, 2, reference=reference) for reference in range(3)]
    assert reasons(await desk.take(*unfinished)) == [None, None, Reason.QUEUE_FULL]
    assert reasons(await desk.take(desk.message(), desk.part(2, 2, reference=0))) == [None, Reason.QUEUE_FULL]
    desk.now += 60
    desk.intake.give_up_parts(desk.now)
    await desk.settled()
    assert reasons(await desk.take(desk.part(1, 2, reference=3), desk.part(2, 2, reference=3))) == [None, None]
    assert desk.offered[-1] == ("bsg", "<1><2>")


# --- when the disk does not take it


async def test_a_failed_write_leaves_no_trace_of_a_part(desk: Desk) -> None:
    with Locked(desk):
        _, stored = desk.intake.accept([desk.part(1, 2)])
        assert stored is not None
        with pytest.raises(StoreUnavailable):
            await stored
    second = desk.part(2, 2)
    await desk.take(second)
    assert desk.offered == []
    first = desk.part(1, 2)  # its client repeats it
    await desk.take(first)
    (queued,) = desk.lanes["bsg"].offered
    assert [item.part_id for item in queued.message.parts] == [first.message_id, second.message_id]


async def test_all_of_a_call_is_kept_or_nothing(desk: Desk) -> None:
    given = desk.message()
    await desk.take(given)
    _, stored = desk.intake.accept([desk.part(1, 2), given, desk.part(2, 2)])
    assert stored is not None
    with pytest.raises(StoreUnavailable):
        await stored
    await desk.settled()
    assert desk.store.parts() == []
    assert desk.offered == [("bsg", "hello")]
    assert desk.lanes["bsg"].room == 99


async def test_a_joined_message_that_could_not_be_stored_is_stored_later(desk: Desk) -> None:
    """Its parts were acknowledged: they may wait for the disk, but not be lost until the next restart."""
    given = [desk.part(number, 2) for number in (1, 2)]
    with NoMessages(desk):
        assert await desk.take(*given) == [None, None]
        desk.intake.give_up_parts(NOW)
        await desk.settled()
    assert desk.offered == []
    assert desk.lanes["bsg"].room == 100
    assert desk.store.parts() == given
    desk.intake.give_up_parts(NOW)
    await desk.settled()
    assert desk.offered == [("bsg", "<1><2>")]
    assert desk.store.parts() == []
    desk.intake.give_up_parts(NOW + 999)
    await desk.settled()
    assert len(desk.offered) == 1
    assert desk.owed == []


async def test_missing_parts_that_could_not_be_given_up_are_given_up_later(desk: Desk) -> None:
    given = desk.part(1, 2)
    await desk.take(given)
    with Locked(desk):
        desk.intake.give_up_parts(NOW + 60)
        with pytest.raises(StoreUnavailable):
            await desk.store.accept([])
    assert desk.owed == []
    desk.intake.give_up_parts(NOW + 61)
    await desk.settled()
    assert [owed.known_id for owed in desk.owed] == [given.message_id]
