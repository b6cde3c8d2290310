"""Messages that no provider has yet: cancelled, replaced, found by their address, and urgent ones first."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from store.samples import NOW, Open, again, claimed, entry, message, owed_to, part, sent, stands

from bridge.errors import StoreUnavailable
from bridge.message import Message, Plan, Reason, State
from bridge.store import Entry, Stage, Store, cancelled


def ended(of: Message) -> Entry:
    return cancelled(of, NOW + 5)


def rewritten(of: Message, next_at: float = NOW + 5) -> Entry:
    new = msgspec.structs.replace(of, text="new", priority=2)
    return Entry(message=new, plan=Plan(("virtual", "bsg")), stage=Stage.QUEUED, next_at=next_at)


# --- cancelled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leased", [True, False])
async def test_cancelled_is_final_and_reported(store: Store, leased: bool) -> None:
    await store.accept([entry(1, leased=leased), entry(2)])
    (done,) = await store.change([1], ended, NOW + 5)
    assert done is not None
    assert [item.known_id for item in done.owed] == [1]
    record = await store.find(1)
    assert record is not None
    assert (record.state, record.reason, record.updated_at) == (State.DELETED, Reason.CANCELLED, NOW + 5)
    assert record.timeline[1:] == [{"at": NOW + 5, "event": "cancelled"}]
    assert [(item.known_id, item.report and item.report.state) for item in await owed_to(store)] == [(1, State.DELETED)]
    assert store.queued == 1
    assert await claimed(store, now=NOW + 99) == [2]


async def test_what_a_provider_has_or_may_have_is_left_alone(store: Store) -> None:
    await store.accept([entry(number, leased=True) for number in range(1, 6)])
    await store.settle([sent(1), again(3, NOW + 9, begun=1)])
    await store.begin([2])
    await store.settle([sent(4, state=State.DELIVERED, stage=Stage.FINAL, next_at=None), again(5, NOW + 9)])
    assert [done is not None for done in await store.change([1, 2, 3, 4, 5, 6], ended, NOW)] == [False] * 4 + [
        True,
        False,
    ]
    assert await stands(store, 5) == (State.DELETED, Reason.CANCELLED)
    assert store.queued == 2


async def test_what_went_on_to_another_provider_is_left_alone(store: Store) -> None:
    plan = Plan(("bsg", "virtual"), (60.0, 0.0))
    taken = msgspec.structs.replace(entry(1, leased=True), plan=plan)
    await store.accept([taken])
    await store.settle([sent(1, "r1", else_at=NOW + 60)])
    assert await store.go_on([1], NOW + 60) == ["virtual"]
    assert await store.change([1], ended, NOW + 61) == [None]
    # Nor when the other one could not take it at first.
    await store.settle([again(1, NOW + 70, "virtual", step=1)])
    assert await store.change([1], ended, NOW + 62) == [None]


async def test_left_alone_when_the_asker_says_so(store: Store) -> None:
    await store.accept([entry(1)])
    before = await store.find(1)
    assert await store.change([1], lambda of: None, NOW + 5) == [None]
    assert await store.find(1) == before


async def test_cancelled_stays_so_whatever_comes_later(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(1, leased=True)])
    await store.change([1], ended, NOW + 5)
    assert (await store.settle([sent(1, "r1")])).owed == []
    await store.close()
    again_open = open_store(NOW + 10)
    assert await stands(again_open, 1) == (State.DELETED, Reason.CANCELLED)
    assert await claimed(again_open, now=NOW + 99) == []
    assert again_open.queued == 0


# --- replaced ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leased", [True, False])
async def test_replaced_waits_anew_in_its_own_lane(store: Store, leased: bool) -> None:
    await store.accept([entry(1, leased=True, plan=Plan(("bsg",)))])
    await store.settle([again(1, NOW + 3)])
    assert await claimed(store, now=NOW + (3 if leased else 2)) == ([1] if leased else [])
    (done,) = await store.change([1], rewritten, NOW + 5)
    assert done is not None
    assert await claimed(store, now=NOW + 99) == []
    queued, _ = await store.claim("virtual", 10, NOW + 5)
    assert [(one.message.text, one.message.priority, one.plan, one.step, one.attempts) for one in queued] == [
        ("new", 2, ("virtual", "bsg"), 0, 0)
    ]
    record = await store.find(1)
    assert record is not None
    assert (record.state, record.reason, record.message.text) == (State.ACCEPTED, None, "new")
    assert record.timeline[-1] == {"at": NOW + 5, "event": "replaced"}
    assert store.queued == 1


async def test_each_change_sees_the_one_before(store: Store) -> None:
    await store.accept([entry(1)])
    seen = []

    def note(of: Message) -> Entry:
        seen.append(of.text)
        return rewritten(of)

    await asyncio.gather(store.change([1], note, NOW), store.change([1], note, NOW))
    assert seen == ["message 1", "new"]


# --- found ------------------------------------------------------------------------------------------------------------


async def test_waiting_to_a_number(store: Store) -> None:
    await store.accept(
        [
            entry(1),
            entry(2, leased=True, text="x"),
            entry(3, account="other"),
            entry(4, destination="380507654321", text="380501234567"),
            entry(5, leased=True),
            entry(6),
            entry(7),
        ]
    )
    await store.settle([sent(5)])
    asked: list[int] = []

    def wanted(of: Message) -> bool:
        asked.append(of.message_id)
        return of.text != "x"

    assert await store.waiting("shop", "380501234567", 7, wanted) == [1, 6]
    assert asked == [1, 2, 6]


async def test_waiting_sees_what_is_being_written(store: Store) -> None:
    accepted = store.accept([entry(1)])
    assert await store.waiting("shop", "380501234567", 9, lambda of: True) == [1]
    assert accepted.done()


async def test_known_by_an_id_of_their_own_or_a_shared_one(store: Store) -> None:
    await store.accept(
        [entry(2, known_id=2), entry(3, known_id=2), entry(4)], [part(5, 1, 2, known_id=2), part(6, 1, 2)]
    )
    assert [record.message.message_id for record in await store.known(2)] == [2, 3, 5]
    assert [record.message.message_id for record in await store.known(4)] == [4]
    (waits,) = await store.known(6)
    assert (waits.message, waits.state, waits.timeline) == (part(6, 1, 2), State.ACCEPTED, [])
    assert await store.known(7) == []
    await store.accept([entry(6, joins=(6,))])
    assert [record.message.segment for record in await store.known(6)] == [None]


async def test_what_is_shared_is_forgotten_with_its_messages(open_store: Open) -> None:
    store = open_store()
    await store.accept([], [part(5, 1, 2, known_id=2)])
    await store.accept([entry(2, known_id=2), entry(3, known_id=2), entry(6, joins=(5,))])
    for number in (2, 6):
        await store.settle([sent(number, state=State.DELIVERED, stage=Stage.FINAL, next_at=None)])
    assert await store.purge(NOW + 99, 100) == 2
    assert [record.message.message_id for record in await store.known(2)] == [3]


# --- urgent -----------------------------------------------------------------------------------------------------------


async def test_urgent_ones_are_claimed_first(store: Store) -> None:
    priorities = {1: 0, 2: 1, 3: 3, 4: 0, 5: 2, 6: 3, 7: 3}
    await store.accept(
        [
            entry(number, priority=priority, next_at=NOW + (99 if number == 7 else -number))
            for number, priority in priorities.items()
        ]
    )
    assert await claimed(store, limit=3) == [6, 3, 5]
    assert await claimed(store) == [2, 4, 1]
    assert await claimed(store, now=NOW + 99) == [7]


async def test_nothing_is_changed_by_a_write_that_fails(store: Store) -> None:
    await store.accept([entry(1)])
    before = store.queued

    async def ask() -> None:
        change = store.change([1], ended, NOW)
        broken = store.accept([entry(1)])
        done = await asyncio.gather(change, broken, return_exceptions=True)
        assert isinstance(done[1], StoreUnavailable)
        assert done[0] != [None]

    await ask()
    assert store.queued == before - 1
    assert len(await owed_to(store)) == 1
    assert message(1) == (await store.known(1))[0].message
