"""Parts that come once their message is made."""

from __future__ import annotations

from store.samples import NOW, Open, again, entry, failed, message, owed_to, part, rejected, report, sent, stands

from bridge.message import Part, Reason, ReportOn, State
from bridge.store import Store

MARKS = (b"one", b"two")
LATE = Part(part_id=4, number=2, report_on=ReportOn.FINAL, native={"late": True})
PARTS = (Part(part_id=1, number=1), Part(part_id=2, number=2, report_on=ReportOn.FAILURE))


async def joined(store: Store) -> None:
    """A message of two parts, and a third that repeats one."""
    await store.accept([], [part(1, 1, 2), part(2, 2, 2), part(4, 2, 2)])
    await store.accept([entry(1, leased=True, joins=(1, 2), marks=MARKS, parts=PARTS)])


async def told(store: Store) -> dict[int, str | None]:
    """What the account is owed, by the ids that it knows, and why."""
    return {owed.known_id: owed.report.reason for owed in await owed_to(store) if owed.report is not None}


# --- how they are recognised


async def test_marks_outlive_a_restart(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    assert store.joined(60, 10) == [(b"one", 1), (b"two", 1)]
    await store.close()
    assert open_store().joined(60, 10) == [(b"one", 1), (b"two", 1)]


async def test_the_last_marks_are_enough(open_store: Open) -> None:
    store = open_store()
    at = (0.0, 100.0, 160.0)
    await store.accept([], [part(number, number, 3, accepted_at=NOW + seconds) for number, seconds in enumerate(at, 1)])
    await store.accept([entry(1, joins=(1, 2, 3), marks=(b"1", b"2", b"3"))])
    assert store.joined(60, 10) == [(b"2", 1), (b"3", 1)]
    assert store.joined(59, 10) == [(b"3", 1)]
    assert store.joined(999, 2) == [(b"2", 1), (b"3", 1)]


async def test_parts_may_have_no_mark(open_store: Open) -> None:
    store = open_store()
    await store.accept([], [part(1, 1, 2), part(2, 2, 2)])
    assert store.joined(60, 10) == []
    await store.accept([entry(1, joins=(1, 2))])
    assert (store.joined(60, 10), store.parts()) == ([], [])


# --- how they are attached


async def test_before_the_message_is_final_nothing_is_owed_yet(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    assert await store.attach(1, [(4, LATE)], NOW) == []
    assert store.parts() == []
    record = await store.find(4)
    assert record is not None
    assert record.message.parts == (*PARTS, LATE)
    await store.settle([sent(1, "ref-1")])
    await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)
    assert await told(store) == {4: None}


async def test_after_it_was_sent(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    await store.settle([sent(1, "ref-1", message=message(1, parts=PARTS))])
    assert await store.attach(1, [(4, LATE)], NOW) == []
    await store.record("bsg", [report(State.UNDELIVERABLE, message_id=1, reason=Reason.BARRED)], NOW)
    assert await told(store) == {2: Reason.BARRED, 4: Reason.BARRED}
    (_, late) = await owed_to(store)
    assert late.part == LATE


async def test_a_lane_that_has_it_in_memory_need_not_know(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    await store.attach(1, [(4, LATE)], NOW)
    await store.settle([again(1, NOW + 5)])
    owed = (await store.settle([failed(message(1, parts=PARTS))])).owed
    assert [item.known_id for item in owed] == [2, 4]
    assert await told(store) == {2: Reason.BLOCKED, 4: Reason.BLOCKED}


async def test_a_settlement_after_the_report_tells_nobody_twice(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    await store.attach(1, [(4, LATE)], NOW)
    await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)
    assert (await store.settle([failed(message(1, parts=PARTS))])).owed == []
    assert await told(store) == {4: None}


async def test_what_is_final_is_told_at_once(open_store: Open) -> None:
    store = open_store()
    await store.accept([], [part(1, 1, 2), part(2, 2, 2), part(4, 2, 2)])
    await store.accept([rejected(message(1, parts=PARTS))])
    owed = await store.attach(1, [(4, LATE), (5, Part(part_id=5, number=1))], NOW)
    assert owed is not None
    assert [(item.known_id, item.part) for item in owed] == [(4, LATE)]
    assert await told(store) == {2: Reason.NO_ROUTE, 4: Reason.NO_ROUTE}
    assert await stands(store, 4) == (State.REJECTED, Reason.NO_ROUTE)


async def test_a_message_without_parts_becomes_the_first_of_them(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(1, native={"first": True})])
    await store.attach(1, [(4, LATE)], NOW)
    record = await store.find(1)
    assert record is not None
    first = Part(part_id=1, number=2, report_on=ReportOn.FINAL, native={"first": True})
    assert record.message.parts == (first, LATE)
    await store.settle([failed(record.message)])
    assert set(await told(store)) == {1, 4}


async def test_a_late_part_may_be_the_only_one_that_asks_for_intermediate_states(open_store: Open) -> None:
    store = open_store()
    await joined(store)
    await store.attach(1, [(4, Part(part_id=4, number=2, intermediate=True))], NOW)
    record = await store.find(1)
    assert record is not None
    assert record.message.intermediate


async def test_a_message_that_is_no_more(open_store: Open) -> None:
    store = open_store()
    await store.accept([], [part(4, 2, 2)])
    assert await store.attach(1, [(4, LATE)], NOW) is None
    assert [item.message_id for item in store.parts()] == [4]
