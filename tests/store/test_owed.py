"""What accounts have not confirmed: kept in order, put off, and forgotten only when they have it."""

from __future__ import annotations

import pytest
from store.samples import NOW, Open, entry, failed, message, owed_to, rejected

from bridge.errors import StoreUnavailable
from bridge.message import Inbound, Owed, Part, ReportOn
from bridge.store import Store


def inbound(ref: str | None = "in-1", text: str = "STOP") -> Inbound:
    return Inbound(source="380501234567", destination="1001", text=text, provider_ref=ref, at=NOW)


def owed_inbound(item: Inbound, known_id: int = 50, account: str = "shop", due_at: float = NOW) -> Owed:
    return Owed(account=account, listener="smpp", created_at=NOW, due_at=due_at, known_id=known_id, inbound=item)


async def _owe(store: Store, *message_ids: int, account: str = "shop", listener: str = "smpp") -> list[Owed]:
    entries = [rejected(message(number, account=account, listener=listener)) for number in message_ids]
    await store.accept(entries)
    return [owed for item in entries for owed in item.owed]


# --- in order


async def test_owed_comes_in_order_and_after(store: Store) -> None:
    await _owe(store, 3, 1)
    await _owe(store, 2)
    everything = await owed_to(store)
    assert [item.known_id for item in everything] == [3, 1, 2]
    ids = [item.owed_id for item in everything]
    assert ids == sorted(set(ids))
    assert await store.owed("smpp", "shop", ids[0], 1, NOW) == [everything[1]]
    assert await store.owed("smpp", "shop", ids[2], 10, NOW) == []


async def test_owed_is_apart_for_each_account_and_listener(store: Store) -> None:
    await _owe(store, 1)
    await _owe(store, 2, account="other")
    await _owe(store, 3, listener="http")
    assert [item.known_id for item in await owed_to(store)] == [1]
    assert [item.known_id for item in await owed_to(store, "other")] == [2]
    assert [item.known_id for item in await owed_to(store, listener="http")] == [3]
    assert await owed_to(store, "nobody") == []
    assert sorted(await store.owing()) == [("http", "shop", NOW), ("smpp", "other", NOW), ("smpp", "shop", NOW)]


async def test_owed_survives_a_restart_and_gets_no_number_twice(open_store: Open) -> None:
    store = open_store()
    before = await _owe(store, 1, 2)
    await store.handed([(before[0], {})])
    await store.close()
    store = open_store()
    assert await owed_to(store) == [before[1]]
    (after,) = await _owe(store, 3)
    assert after.owed_id > before[1].owed_id


# --- confirmed or put off


async def test_handed_over_is_forgotten_and_noted(store: Store) -> None:
    (owed,) = await _owe(store, 1)
    await store.handed([(owed, {"at": NOW + 5, "event": "reported", "listener": "smpp"})])
    assert await owed_to(store) == []
    assert await store.owing() == []
    record = await store.find(1)
    assert record is not None
    assert record.timeline[-1] == {"at": NOW + 5, "event": "reported", "listener": "smpp"}


async def test_handed_over_twice_does_no_harm(store: Store) -> None:
    first, second = await _owe(store, 1, 2)
    await store.handed([(first, {})])
    await store.handed([(first, {})])
    assert await owed_to(store) == [second]


async def test_put_off_it_comes_again_in_its_place(store: Store) -> None:
    first, second = await _owe(store, 1, 2)
    first.due_at, first.attempts = NOW + 30, 1
    await store.postpone([first])
    assert await store.owed("smpp", "shop", 0, 10, NOW + 29) == [second]
    assert await store.owed("smpp", "shop", 0, 10, NOW + 30) == [first, second]
    await store.handed([(second, {})])
    assert await store.owing() == [("smpp", "shop", NOW + 30)]


async def test_when_the_next_of_what_was_put_off_is_due(store: Store) -> None:
    first, second, _ = await _owe(store, 1, 2, 3)
    await _owe(store, 4, account="other")
    assert await store.next_owed("smpp", "shop", NOW) is None  # all of it is due
    first.due_at, second.due_at = NOW + 60, NOW + 30
    await store.postpone([first, second])
    assert await store.next_owed("smpp", "shop", NOW) == NOW + 30
    assert await store.next_owed("smpp", "shop", NOW + 30) == NOW + 60
    assert await store.next_owed("smpp", "other", NOW) is None


async def test_what_is_put_off_is_what_was_given_at_the_call(store: Store) -> None:
    (owed,) = await _owe(store, 1)
    owed.due_at = NOW + 30
    postponing = store.postpone([owed])
    owed.due_at = NOW + 99
    await postponing
    assert await store.owing() == [("smpp", "shop", NOW + 30)]


async def test_nothing_is_owed_when_the_write_failed(store: Store) -> None:
    await store.accept([entry(1)])
    with pytest.raises(StoreUnavailable):
        await store.accept([rejected(message(2)), rejected(message(1))])
    assert await owed_to(store) == []


# --- inbound


async def test_inbound_is_owed_until_it_is_confirmed(open_store: Open) -> None:
    store = open_store()
    given = owed_inbound(inbound())
    assert await store.receive("bsg", [(inbound(), [given])], NOW) == [given]
    await store.close()
    store = open_store()
    assert await owed_to(store) == [given]
    await store.handed([(given, {})])
    assert await owed_to(store) == []


async def test_repeated_inbound_is_owed_once(open_store: Open) -> None:
    store = open_store()
    await store.receive("bsg", [(inbound(), [owed_inbound(inbound())])] * 2, NOW)
    assert await store.receive("bsg", [(inbound(), [owed_inbound(inbound(), 51)])], NOW + 1) == []
    await store.close()
    store = open_store()
    assert await store.receive("bsg", [(inbound(), [owed_inbound(inbound(), 52)])], NOW + 2) == []
    assert [item.known_id for item in await owed_to(store)] == [50]


async def test_inbound_of_two_providers_or_without_a_reference_is_never_taken_for_repeated(store: Store) -> None:
    await store.receive("bsg", [(inbound(), [owed_inbound(inbound(), 50)])], NOW)
    await store.receive("virtual", [(inbound(), [owed_inbound(inbound(), 51)])], NOW)
    for known_id in (52, 53):
        await store.receive("bsg", [(inbound(None), [owed_inbound(inbound(None), known_id)])], NOW)
    assert [item.known_id for item in await owed_to(store)] == [50, 51, 52, 53]


async def test_inbound_that_failed_to_be_stored_is_not_taken_for_repeated(store: Store) -> None:
    broken = owed_inbound(inbound())
    broken.inbound = None
    broken.account = None  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        await store.receive("bsg", [(inbound(), [broken])], NOW)
    assert len(await store.receive("bsg", [(inbound(), [owed_inbound(inbound())])], NOW)) == 1


async def test_inbound_for_nobody_is_seen(store: Store) -> None:
    assert await store.receive("bsg", [(inbound(), [])], NOW) == []
    assert await store.receive("bsg", [(inbound(), [owed_inbound(inbound())])], NOW) == []


async def test_inbound_is_known_as_repeated_until_it_is_old(store: Store) -> None:
    await store.receive("bsg", [(inbound(), [])], NOW)
    await store.purge(NOW, 10)
    assert await store.receive("bsg", [(inbound(), [owed_inbound(inbound())])], NOW) == []
    await store.purge(NOW + 1, 10)
    assert len(await store.receive("bsg", [(inbound(), [owed_inbound(inbound())])], NOW + 2)) == 1


async def test_reports_and_inbound_keep_their_order(store: Store) -> None:
    await store.receive("bsg", [(inbound(), [owed_inbound(inbound(), 50)])], NOW)
    await store.accept([entry(1, leased=True)])
    await store.settle([failed(message(1))])
    await store.receive("bsg", [(inbound("in-2"), [owed_inbound(inbound("in-2"), 51)])], NOW)
    owed = await owed_to(store)
    assert [(item.known_id, item.report is None, item.inbound is None) for item in owed] == [
        (50, True, False),
        (1, False, True),
        (51, True, False),
    ]


async def test_a_part_is_told_with_what_its_client_asked_for(store: Store) -> None:
    """Read from disk, it is the same as it was in memory."""
    parts = tuple(
        Part(part_id=number, number=number, report_on=ReportOn.FINAL, native={"number": number}) for number in (1, 2)
    )
    given = rejected(message(1, report_on=ReportOn.NEVER, parts=parts))
    await store.accept([given])
    assert await owed_to(store) == given.owed
    assert [item.part for item in given.owed] == list(parts)
