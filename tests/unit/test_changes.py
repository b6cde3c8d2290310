"""Cancelling and replacing while lanes send: each message is sent or changed, never both, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from unit.dispatch.conftest import Dispatch
from unit.world import Api, Clock, Reply, api_served, locked, message_of, plain, store_at, until

from bridge.changes import Changes
from bridge.errors import Refusal, StoreUnavailable
from bridge.message import Message, Reason, Report, Segment, State
from bridge.transport import Transport


class World:
    """A lane that sends for real, and changes of what waits in it."""

    def __init__(self, dispatch: Dispatch, api: Api, path: Path) -> None:
        self.dispatch = dispatch
        self.store = dispatch.store
        self.api = api
        self.path = path
        self.go = asyncio.Event()

    @property
    def changes(self) -> Changes:
        dispatch = self.dispatch
        return Changes(
            dispatch.store, dispatch.intake, dispatch.lanes, clock=dispatch.clock, on_owed=dispatch.owed.extend
        )

    async def answer(self, items: list[dict[str, str]]) -> Reply:
        await self.go.wait()
        return Reply(body=["accepted"] * len(items))

    async def state(self, message_id: int) -> State:
        return (await self.store.record_of(message_id)).state


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    async with store_at(tmp_path, clock) as store, Transport() as transport, api_served() as api:
        dispatch = Dispatch(store, transport, clock)
        made = World(dispatch, api, tmp_path)
        api.answer = made.answer
        yield made
        made.go.set()
        await dispatch.stop()


def anybody(message: Message) -> bool:
    return True


def rewrite(message: Message) -> Message:
    return msgspec.structs.replace(message, text="new")


async def test_what_has_ended_is_not_sent_any_more(world: World) -> None:
    """The provider before says, late, that it has delivered."""
    dispatch = world.dispatch
    lane = dispatch.lane(plain(world.api, concurrency=1, batch=1))
    await dispatch.submit(*(message_of(number) for number in (1, 2, 3)))
    await until(lambda: world.api.order)
    recorded = await world.store.record("plain", [Report(state=State.DELIVERED, message_id=n) for n in (1, 2)], 1.0)
    assert recorded.ended == [1, 2]
    world.changes.drop(recorded.ended)
    world.go.set()
    await world.store.until_done(1, 3)
    assert world.api.order == [message_of(number).destination for number in (1, 3)]
    await until(lambda: not lane.busy)


async def test_either_sent_or_cancelled(world: World) -> None:
    """The lane takes messages as fast as it can while others are taken back."""
    dispatch, changes = world.dispatch, None
    dispatch.lane(plain(world.api, concurrency=3, batch=4), memory=50)
    changes = world.changes
    world.go.set()
    numbers = list(range(1, 401))

    async def cancel(number: int) -> bool | None:
        await asyncio.sleep(random.uniform(0, 0.1))
        return await changes.cancel("acme", number, anybody)

    taking_back = []
    for number in numbers:
        await dispatch.submit(message_of(number, text=f"text {number}"))
        if number % 2:
            taking_back.append(asyncio.create_task(cancel(number)))
    cancelled = {number for number, done in zip(numbers[::2], await asyncio.gather(*taking_back), strict=True) if done}
    await until(lambda: dispatch.store.queued == 0 and not dispatch.lanes["plain"].busy)
    for number in numbers:
        sends = world.api.sends[message_of(number).destination]
        assert (sends, await world.state(number)) == ((0, State.DELETED) if number in cancelled else (1, State.ENROUTE))
    assert sorted(owed.known_id for owed in dispatch.owed) == sorted(cancelled)


async def test_either_version_is_sent_once(world: World) -> None:
    dispatch = world.dispatch
    dispatch.lane(plain(world.api, concurrency=2, batch=4), memory=20)
    changes = world.changes
    texts: dict[str, list[str]] = {}

    async def answer(items: list[dict[str, str]]) -> Reply:
        for item in items:
            texts.setdefault(item["to"], []).append(item["text"])
        return Reply(body=["accepted"] * len(items))

    world.api.answer = answer
    numbers = list(range(1, 301))
    replaced: set[int] = set()

    async def replace(number: int) -> None:
        await asyncio.sleep(random.uniform(0, 0.05))
        if await changes.replace("acme", number, anybody, rewrite):
            replaced.add(number)

    replacing = []
    for number in numbers:
        await dispatch.submit(message_of(number))
        replacing += [asyncio.create_task(replace(number)) for _ in range(2)]
    await asyncio.gather(*replacing)
    await until(lambda: dispatch.store.queued == 0 and not dispatch.lanes["plain"].busy)
    assert {number: texts[message_of(number).destination] for number in numbers} == {
        number: ["new"] if number in replaced else ["hello"] for number in numbers
    }


async def test_what_is_being_sent_is_left_alone_until_it_is_known(world: World) -> None:
    world.dispatch.lane(plain(world.api, concurrency=1, batch=1))
    await world.dispatch.submit(message_of(1), message_of(2))
    await world.api.until(1)
    assert await world.changes.cancel("acme", 1, anybody) is False
    assert await world.changes.cancel("acme", 2, anybody) is True
    world.go.set()
    await world.store.until_done(1)
    assert await world.state(1) is State.ENROUTE


async def test_between_two_attempts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.dispatch.retry._FIRST_DELAY_S", 60.0)

    async def answer(items: list[dict[str, str]]) -> Reply:
        return Reply(body=["later"] * len(items))

    world.api.answer = answer
    world.dispatch.lane(plain(world.api))
    await world.dispatch.submit(message_of(1))
    await world.store.until_settled(1)
    assert await world.changes.cancel("acme", 1, anybody) is True
    assert await world.state(1) is State.DELETED


async def test_an_outcome_that_nobody_knows_forbids_it(world: World) -> None:
    async def answer(items: list[dict[str, str]]) -> None:
        return None

    world.api.answer = answer
    world.dispatch.lane(plain(world.api, on_unsure="retry"))
    await world.dispatch.submit(message_of(1))
    await world.store.until_settled(1)
    assert await world.changes.cancel("acme", 1, anybody) is False
    assert await world.changes.replace("acme", 1, anybody, rewrite) is False


async def test_a_store_that_does_not_write_changes_nothing(world: World) -> None:
    world.dispatch.lane(plain(world.api, concurrency=1, batch=1))
    await world.dispatch.submit(message_of(1), message_of(2))
    await world.api.until(1)
    with locked(world.path), pytest.raises(StoreUnavailable):
        await world.changes.cancel("acme", 2, anybody)
    world.go.set()
    await world.store.until_done(1, 2)


async def test_who_asked_may_go_away(world: World) -> None:
    world.dispatch.lane(plain(world.api, concurrency=1, batch=1))
    await world.dispatch.submit(message_of(1), message_of(2))
    await world.api.until(1)
    asking = asyncio.create_task(world.changes.cancel("acme", 2, anybody))
    await until(lambda: world.dispatch.lanes["plain"].waiting == 0)  # it is held
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: world.dispatch.owed)
    world.go.set()
    await until(lambda: not world.dispatch.lanes["plain"].busy)
    assert world.api.order == [message_of(1).destination]


async def test_a_replacement_that_is_refused(world: World) -> None:
    world.dispatch.lane(plain(world.api, concurrency=1, batch=1))
    await world.dispatch.submit(message_of(1), message_of(2))
    await world.api.until(1)

    def too_late(message: Message) -> Message:
        return msgspec.structs.replace(message, expires_at=0.0)

    with pytest.raises(Refusal) as refused:
        await world.changes.replace("acme", 2, anybody, too_late)
    assert refused.value.reason == Reason.INVALID_VALIDITY
    world.go.set()
    await world.store.until_done(2)
    assert (await world.store.record_of(2)).message.text == "hello"


async def test_only_ones_own(world: World) -> None:
    world.dispatch.lane(plain(world.api), start=False)
    await world.dispatch.submit(message_of(1))
    changes = world.changes
    assert await changes.known("other", 1) == []
    assert await changes.cancel("other", 1, anybody) is None
    assert await changes.cancel("acme", 1, lambda message: False) is None
    assert await changes.cancel_all("other", message_of(1).destination, 99, anybody) == 0
    assert await changes.replace("other", 1, anybody, rewrite) is False
    assert await changes.replace_latest("other", message_of(1).destination, 99, anybody, rewrite) is None
    assert await world.state(1) is State.ACCEPTED


async def test_a_part_whose_rest_comes_while_it_is_cancelled(world: World) -> None:
    world.dispatch.lane(plain(world.api), start=False)

    def part(number: int) -> Message:
        segment = Segment(reference=1, total=2, number=number, scheme="udh8", octets=b"x", alphabet="latin1")
        return message_of(number, "380501111111", text=None, segment=segment)

    await world.dispatch.submit(part(1))
    cancelling = asyncio.create_task(world.changes.cancel("acme", 1, anybody))
    await asyncio.sleep(0)
    await world.dispatch.submit(part(2))
    assert await cancelling is True
    assert {await world.state(1)} == {State.DELETED}
    assert len(world.dispatch.owed) in (1, 2)  # both parts, or the first alone and the second waits for it
