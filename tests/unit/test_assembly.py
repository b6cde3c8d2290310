"""Long messages on their way in: parts are joined, given up, taken up again, repeated, and never lost."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from store.samples import NOW, claimed, failed, owed_to, report, sent, stands
from unit.desk import Desk, Limits, Locked, NoMessages, reasons

from bridge import assembly
from bridge.errors import StoreUnavailable
from bridge.message import Message, Reason, Report, ReportOn, State
from bridge.sms.segments import Concat, Element, build_udh, element_of

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


async def test_what_else_headers_say_is_not_lost(desk: Desk) -> None:
    ports, own = Element(0x05, b"\x0b\x84\x23\xf0"), Element(0x70, b"\x01")
    given = [
        desk.part(1, 2, octets=b"\x01", alphabet="binary", udh=build_udh([ports])),
        desk.part(2, 2, octets=b"\x02", alphabet="binary", udh=build_udh([ports, own])),
    ]
    await desk.take(*given)
    (queued,) = desk.lanes["virtual"].offered
    assert (queued.message.binary, queued.message.udh) == (b"\x01\x02", build_udh([ports, own]))


async def test_a_text_for_a_port_goes_where_headers_can_go(desk: Desk) -> None:
    await desk.take(*(desk.part(number, 2, udh=b"\x04\x04\x02\x01\x01") for number in (1, 2)))
    assert desk.offered == [("virtual", "<1><2>")]


async def test_intermediate_states_are_for_the_parts_that_asked(desk: Desk) -> None:
    await desk.take(desk.part(1, 2), desk.part(2, 2, intermediate=True))
    (queued,) = desk.lanes["bsg"].offered
    assert queued.message.intermediate
    assert [part.intermediate for part in queued.message.parts] == [False, True]


# --- parts that never come, and what the account wants then


async def gave_up(desk: Desk, how: assembly.PartsMissing, *given: Message) -> None:
    desk.accounts["shop"] = Limits(parts_missing=how)
    desk.configure()
    assert await desk.take(*given) == [None] * len(given)
    desk.now += 60
    desk.intake.give_up_parts(desk.now)
    await desk.settled()


async def test_what_came_is_sent_with_a_mark_for_the_gap(desk: Desk) -> None:
    given = [desk.part(4, 5), desk.part(1, 5), desk.part(1, 5)]
    await gave_up(desk, "send", *given)
    assert desk.offered == [("bsg", "<1>(...)<4>(...)")]
    (queued,) = desk.lanes["bsg"].offered
    assert [part.part_id for part in queued.message.parts] == [given[index].message_id for index in (1, 2, 0)]
    assert (desk.store.parts(), desk.owed) == ([], [])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"alphabet": "binary"}, Reason.PARTS_MISSING), ({"alphabet": "ascii", "octets": b"\xff"}, Reason.INVALID_TEXT)],
)
async def test_what_came_cannot_always_be_sent(desk: Desk, fields: dict[str, Any], reason: Reason) -> None:
    given = desk.part(1, 3, **fields)
    await gave_up(desk, "send", given)
    assert await stands(desk.store, given.message_id) == (State.REJECTED, reason)
    assert [owed.known_id for owed in desk.owed] == [given.message_id]


async def test_each_part_is_sent_by_itself(desk: Desk) -> None:
    given = [desk.part(3, 3), desk.part(1, 3, octets=b"5 \x1b", alphabet="gsm7"), desk.part(3, 3)]
    await gave_up(desk, "single", *given)
    assert desk.offered == [("bsg", "5 "), ("bsg", "<3>")]
    first, third = (queued.message for queued in desk.lanes["bsg"].offered)
    # Its client knows it by the id of the part; where it came twice, by both.
    assert (first.message_id, first.parts, first.report_on) == (given[1].message_id, (), ReportOn.FINAL)
    assert [part.part_id for part in third.parts] == [given[0].message_id, given[2].message_id]
    assert desk.store.parts() == []
    for item in given:
        assert await stands(desk.store, item.message_id) == (State.ACCEPTED, None)


async def test_one_part_that_is_no_text_does_not_hinder_the_others(desk: Desk) -> None:
    given = [desk.part(1, 3, alphabet="ascii", octets=b"\xff"), desk.part(2, 3)]
    await gave_up(desk, "single", *given)
    assert desk.offered == [("bsg", "<2>")]
    assert await stands(desk.store, given[0].message_id) == (State.REJECTED, Reason.INVALID_TEXT)


@pytest.mark.parametrize(("scheme", "by"), [("udh8", "udh8"), ("udh16", "udh16"), ("sar", "udh16")])
async def test_a_binary_part_by_itself_says_which_it_is(desk: Desk, scheme: str, by: str) -> None:
    ports = Element(0x05, b"\x0b\x84\x23\xf0")
    await gave_up(desk, "single", desk.part(2, 3, alphabet="binary", scheme=scheme, udh=build_udh([ports])))
    (queued,) = desk.lanes["virtual"].offered
    assert queued.message.binary == b"<2>"
    assert queued.message.udh == build_udh([element_of(Concat(7, 3, 2, by)), ports])


# --- parts that come again


async def told(desk: Desk) -> dict[int, State]:
    """What the account is owed, by the ids that it knows."""
    return {owed.known_id: owed.report.state for owed in await owed_to(desk.store) if owed.report is not None}


async def joined(desk: Desk) -> tuple[list[Message], Message]:
    """Three parts, and what they made."""
    given = [desk.part(number, 3) for number in (1, 2, 3)]
    await desk.take(*given)
    (queued,) = desk.lanes["bsg"].offered
    return given, queued.message


async def repeated(desk: Desk, number: int = 2, **fields: Any) -> Message:
    """A part that comes again after the message was made, alone."""
    again = desk.part(number, 3, **fields)
    assert await desk.take(again) == [None]
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    return again


async def test_a_repeated_part_of_a_message_on_its_way_shares_its_fate(desk: Desk) -> None:
    given, message = await joined(desk)
    again = await repeated(desk)
    assert (desk.owed, desk.store.parts(), len(desk.offered)) == ([], [], 1)
    record = await desk.store.find(again.message_id)
    assert record is not None
    assert [part.part_id for part in record.message.parts] == [*(item.message_id for item in given), again.message_id]
    # Its lane has the message as it was.
    await desk.store.settle([sent(message.message_id, "ref-1", message=message)])
    await desk.store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    assert await told(desk) == dict.fromkeys([*(item.message_id for item in given), again.message_id], State.DELIVERED)


async def test_a_repeated_part_of_a_message_with_its_provider(desk: Desk) -> None:
    _, message = await joined(desk)
    await desk.store.settle([sent(message.message_id, "ref-1", message=message)])
    again = await repeated(desk)
    await desk.store.record("bsg", [report(State.DELIVERED, message_id=message.message_id)], NOW)
    assert (await told(desk))[again.message_id] is State.DELIVERED


async def test_a_repeated_part_of_a_message_that_its_lane_gives_up(desk: Desk) -> None:
    given, message = await joined(desk)
    again = await repeated(desk)
    known = Report(state=State.REJECTED, reason=Reason.BLOCKED)
    await desk.store.settle([failed(message)])
    assert await told(desk) == dict.fromkeys([*(item.message_id for item in given), again.message_id], known.state)


async def test_a_repeated_part_of_a_message_that_is_final_is_told_at_once(desk: Desk) -> None:
    _, message = await joined(desk)
    await desk.store.settle([failed(message)])
    again = await repeated(desk)
    assert [(owed.known_id, owed.report and owed.report.reason) for owed in desk.owed] == [
        (again.message_id, Reason.BLOCKED)
    ]
    assert again.message_id in await told(desk)


async def test_a_repeated_part_that_wants_no_receipt_gets_none(desk: Desk) -> None:
    _, message = await joined(desk)
    await desk.store.settle([failed(message)])
    again = await repeated(desk, report_on=ReportOn.NEVER)
    assert desk.owed == []
    assert await stands(desk.store, again.message_id) == (State.REJECTED, Reason.BLOCKED)


async def test_a_repeated_part_of_a_part_that_went_by_itself(desk: Desk) -> None:
    given = desk.part(2, 3)
    await gave_up(desk, "single", given)
    (queued,) = desk.lanes["bsg"].offered
    again = await repeated(desk)
    await desk.store.settle([failed(queued.message)])
    assert await told(desk) == dict.fromkeys([given.message_id, again.message_id], State.REJECTED)


async def test_parts_that_share_an_id_with_other_messages(desk: Desk) -> None:
    """What a submit_multi was answered is told of all of it, whatever becomes of each part."""
    await gave_up(desk, "single", desk.part(2, 3, known_id=900))
    (queued,) = desk.lanes["bsg"].offered
    assert ([part.part_id for part in queued.message.parts], queued.message.known_id) == ([900], None)
    await repeated(desk, known_id=901)
    assert desk.store.parts() == []
    await desk.store.settle([failed(queued.message)])
    assert await told(desk) == dict.fromkeys([900, 901], State.REJECTED)


async def test_all_parts_again_are_another_message(desk: Desk) -> None:
    """References are few, and the same text may well be meant to go twice."""
    await joined(desk)
    await joined_again(desk)
    assert desk.offered == [("bsg", "<1><2><3>")] * 2
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    assert (desk.owed, desk.store.parts()) == ([], [])


async def joined_again(desk: Desk) -> None:
    for number in (2, 3, 1):
        assert await desk.take(desk.part(number, 3)) == [None]


async def test_a_repeated_part_does_not_spoil_the_next_message_of_that_reference(desk: Desk) -> None:
    await joined(desk)
    again = desk.part(2, 3)
    await desk.take(again, *(desk.part(number, 3, octets=f"[{number}]".encode()) for number in (1, 2, 3)))
    assert [text for _, text in desk.offered] == ["<1><2><3>", "[1][2][3]"]
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    assert await stands(desk.store, again.message_id) == (State.ACCEPTED, None)


async def test_a_repeated_part_is_recognised_after_a_restart(desk: Desk) -> None:
    """The process ended before its client had the answer, which is when clients repeat."""
    given, message = await joined(desk)
    desk.now += 600
    await desk.restart()
    again = await repeated(desk)
    record = await desk.store.find(again.message_id)
    assert record is not None
    assert (record.message.message_id, len(record.message.parts)) == (message.message_id, len(given) + 1)


async def test_a_repeated_part_that_waited_is_recognised_after_a_restart(desk: Desk) -> None:
    _, message = await joined(desk)
    again = desk.part(2, 3)
    await desk.take(again)
    await desk.restart()
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    record = await desk.store.find(again.message_id)
    assert record is not None
    assert record.message.message_id == message.message_id


async def test_what_is_not_the_same_is_no_repetition(desk: Desk) -> None:
    await joined(desk)
    others = [await repeated(desk, octets=b"else"), await repeated(desk, account="other")]
    desk.now += 60
    desk.intake.give_up_parts(desk.now)
    others.append(await repeated(desk))  # too late
    for other in others:
        assert await stands(desk.store, other.message_id) == (State.REJECTED, Reason.PARTS_MISSING)


async def test_parts_of_a_message_that_was_refused_for_its_gaps_begin_anew(desk: Desk) -> None:
    await gave_up(desk, "refuse", desk.part(1, 2))
    await desk.take(desk.part(1, 2), desk.part(2, 2))
    assert desk.offered == [("bsg", "<1><2>")]


async def test_a_repeated_part_of_a_message_that_is_no_more(desk: Desk) -> None:
    _, message = await joined(desk)
    await desk.store.settle([failed(message)])
    owed = await owed_to(desk.store)
    await desk.store.handed([(item, {"at": NOW, "event": "reported"}) for item in owed])
    assert await desk.store.purge(NOW + 9e6, 10) == 1
    again = await repeated(desk)
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    assert await stands(desk.store, again.message_id) == (State.REJECTED, Reason.PARTS_MISSING)


async def test_a_repeated_part_waits_for_the_disk(desk: Desk) -> None:
    _, message = await joined(desk)
    again = desk.part(2, 3)
    await desk.take(again)
    with Locked(desk):
        desk.intake.give_up_parts(desk.now + 60)
        with pytest.raises(StoreUnavailable):
            await desk.store.accept([])
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    record = await desk.store.find(again.message_id)
    assert record is not None
    assert record.message.message_id == message.message_id


async def test_marks_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_MARKS_MAX", 3)
    await joined(desk)
    await desk.take(*(desk.part(number, 2, reference=8) for number in (1, 2)))
    known = desk.part(3, 3)
    await desk.take(known)
    forgotten = await repeated(desk, number=1)
    assert await stands(desk.store, forgotten.message_id) == (State.REJECTED, Reason.PARTS_MISSING)
    assert await stands(desk.store, known.message_id) == (State.ACCEPTED, None)


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


async def test_after_a_restart_the_time_begins_anew(desk: Desk) -> None:
    """Nobody could have sent the other parts meanwhile."""
    given = desk.part(1, 2)
    await desk.take(given)
    desk.now += 3600
    await desk.restart()
    desk.intake.give_up_parts(desk.now + 59)
    await desk.settled()
    assert desk.owed == []
    desk.intake.give_up_parts(desk.now + 60)
    await desk.settled()
    assert [owed.known_id for owed in desk.owed] == [given.message_id]


async def test_too_many_unfinished_parts_hinder_parts_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_PARTS_MAX", 2)
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
