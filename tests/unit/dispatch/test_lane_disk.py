"""A lane between memory and disk: no message waits for ever, none is sent twice, and the oldest goes first."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from unit.dispatch.conftest import Dispatch
from unit.world import (
    REFERENCES,
    Api,
    Clock,
    Plain,
    PlainSettings,
    Reply,
    Store,
    locked,
    message_of,
    plain,
    queued_entry,
    until,
)

from bridge.errors import StoreUnavailable
from bridge.message import Accepted, Message, Outcome, Plan, Reason, Refused, Report, Retry, State
from bridge.providers._contract import Attempt, Capabilities, Request, Response
from bridge.store import Entry, Stage
from bridge.transport import Transport


def destinations(numbers: range) -> list[str]:
    return [message_of(number).destination for number in numbers]


async def put(store: Store, numbers: range, *plan: str, now: float) -> None:
    """Leaves messages on disk, as an earlier process would have."""
    await store.accept([queued_entry(message_of(number, now=now), *plan) for number in numbers])


# --- the backlog ------------------------------------------------------------------------------------------------------


async def test_a_backlog_larger_than_memory_drains_wholly_and_in_order(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    await put(store, range(1, 1001), "plain", now=clock())
    lane = dispatch.lane(plain(api, concurrency=1, batch=10), memory=50)
    await store.until_settled(1000)
    assert api.order == destinations(range(1, 1001))
    assert lane.busy == 0
    assert store.queued == 0


async def test_memory_holds_no_more_than_its_share(dispatch: Dispatch, store: Store, api: Api, clock: Clock) -> None:
    seen = []
    lane = dispatch.lane(plain(api, concurrency=2, batch=5), memory=20)

    async def answer(items: list[dict[str, str]]) -> Reply:
        seen.append(lane.busy)
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    for start in range(1, 301, 60):
        await dispatch.submit(*(message_of(number) for number in range(start, start + 60)))
    await store.until_settled(300)
    assert max(seen) <= 20
    assert max(api.sends.values()) == 1


async def test_urgent_messages_pass_by_a_full_memory_and_a_full_disk(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    go = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply:
        await go.wait()
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    lane = dispatch.lane(plain(api, concurrency=1, batch=1), memory=10)
    await dispatch.submit(message_of(1))
    await api.until(1)
    await dispatch.submit(*(message_of(number) for number in range(2, 41)))
    await dispatch.submit(*(message_of(number, priority=1) for number in range(41, 61)))
    assert lane.busy <= 20  # as much again, and no more
    go.set()
    await store.until_settled(60)
    assert set(api.order[1:11]) <= set(destinations(range(41, 61)))
    assert max(api.order.index(number) for number in destinations(range(41, 61))) <= 40
    assert sorted(api.order) == destinations(range(1, 61))


async def test_fresh_messages_queue_behind_those_on_disk(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    await put(store, range(1, 101), "plain", now=clock())
    go = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply:
        await go.wait()
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    dispatch.lane(plain(api, concurrency=1, batch=10), memory=20)
    await api.until(1)
    await dispatch.submit(*(message_of(number) for number in range(101, 111)))
    go.set()
    await store.until_settled(110)
    assert api.order == destinations(range(1, 111))


async def test_memory_is_used_again_once_the_disk_is_drained(dispatch: Dispatch, store: Store, api: Api) -> None:
    lane = dispatch.lane(plain(api, batch=1), memory=4)
    await dispatch.submit(*(message_of(number) for number in range(1, 21)))
    await store.until_settled(20)
    await until(lane.reserve, 0.03)
    lane.release(1)


async def test_what_was_in_memory_at_a_crash_is_sent_after_the_restart(tmp_path: Path, api: Api, clock: Clock) -> None:
    async with Transport() as transport:
        before = Store(tmp_path / "bridge.db", clock())
        idle = Dispatch(before, transport, clock)
        idle.lane(plain(api), start=False)
        await idle.submit(*(message_of(number) for number in range(1, 6)))
        await before.close()  # nothing of it was sent, all of it was leased
        after = Store(tmp_path / "bridge.db", clock())
        dispatch = Dispatch(after, transport, clock)
        dispatch.lane(plain(api, concurrency=1))
        await after.until_settled(5)
        await dispatch.stop()
        await after.close()
    assert sorted(api.order) == destinations(range(1, 6))


# --- waking -----------------------------------------------------------------------------------------------------------


async def test_a_reservation_given_back_lets_the_disk_in(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    lane = dispatch.lane(plain(api, batch=1), memory=2)
    await until(lane.reserve, 0.03)
    assert lane.reserve()  # memory is full of messages on their way to disk
    assert not lane.reserve()
    await put(store, range(1, 2), "plain", now=clock())
    lane.wake(clock())  # no room for it now
    lane.release(2)  # nothing became of the others
    await store.until_settled(1)
    assert api.order == destinations(range(1, 2))


@pytest.mark.usefixtures("quick_retries")
async def test_a_claim_that_failed_is_made_again(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.dispatch.lane._TIMER_MAX_S", 3600.0)
    lane = dispatch.lane(plain(api))
    await until(lane.reserve, 0.03)  # the first look at the disk is over
    lane.release(1)
    await put(store, range(1, 2), "plain", now=clock())
    with locked(tmp_path):
        lane.wake(clock())
        await until(lambda: lane.busy == 0)  # claiming counts as busy: it has failed
        lane.wake(clock() + 3600)  # something else, much later, is no reason to wait so long
    await store.until_settled(1)
    assert api.order == destinations(range(1, 2))


async def test_the_earliest_of_many_times_counts(dispatch: Dispatch, store: Store, api: Api, clock: Clock) -> None:
    lane = dispatch.lane(plain(api))
    now = clock()
    for number, after_s in ((1, 3600.0), (2, 0.05), (3, 0.1), (4, 1800.0)):
        await store.accept([queued_entry(message_of(number), "plain", next_at=now + after_s)])
        lane.wake(now + after_s)
    await store.until_settled(2)
    assert api.order == destinations(range(2, 4))
    clock.offset_s += 1800
    lane.wake(clock())
    await store.until_settled(3)
    assert api.order[2:] == destinations(range(4, 5))


async def test_a_clock_that_is_set_forward_is_noticed(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.dispatch.lane._TIMER_MAX_S", 0.02)
    dispatch.lane(plain(api))
    await dispatch.submit(message_of(1, deliver_at=clock() + 1800))
    clock.offset_s += 1801
    await store.until_settled(1)


async def test_what_goes_on_to_another_lane_wakes_it(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api
) -> None:
    async def refuse(items: list[dict[str, str]]) -> Reply:
        return Reply(body=["refused"] * len(items))

    api.answer = refuse
    dispatch.lane(plain(api, "one", batch=7), memory=14)
    dispatch.lane(plain(second_api, "two", batch=3), memory=6)
    await dispatch.submit(*(message_of(number) for number in range(1, 101)))
    await store.until_settled(200)
    assert sorted(second_api.order) == destinations(range(1, 101))
    assert {done.stage for done in store.settled if done.lane == "two" and done.step == 1} == {Stage.QUEUED, Stage.SENT}


@pytest.mark.parametrize("named", ["provider_ref", "reference"])
async def test_a_failure_heard_before_the_answer_wakes_the_next_lane(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api, clock: Clock, named: str
) -> None:
    async def fail_first(items: list[dict[str, str]]) -> Reply:
        ref = items[0]["reference"]
        by_name = {"provider_ref": f"ref-{ref}"} if named == "provider_ref" else {"message_id": 1}
        await store.record("one", [Report(state=State.UNDELIVERABLE, **by_name)], clock())  # type: ignore[arg-type]
        return Reply(body=["accepted"])

    api.answer = fail_first
    lane = dispatch.lane(plain(api, "one"))
    dispatch.lane(plain(second_api, "two"))
    entry = msgspec.structs.replace(queued_entry(message_of(1)), plan=Plan(("one", "two"), (600, 0)))
    await store.accept([entry])
    lane.wake(clock())
    await until(lambda: bool(second_api.order))
    assert (api.order, second_api.order, dispatch.owed) == (destinations(range(1, 2)), destinations(range(1, 2)), [])


# --- every order of events --------------------------------------------------------------------------------------------


class Dice(Plain):
    """Answers without a network, by lot; counts what it took and when it was asked again after that."""

    def __init__(self, name: str, roll: random.Random, **settings: Any) -> None:
        super().__init__(name, PlainSettings(url="http://127.0.0.1:1", **settings), REFERENCES)
        self.roll = roll
        self.taken: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()

    def answer(self, request: Request) -> Response:
        return Response(status=200)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        return [self._outcome(attempt.message.message_id) for attempt in attempts]

    def _outcome(self, message_id: int) -> Outcome:
        self.asked[message_id] += 1
        chance = self.roll.random()
        if chance < 0.15:
            return Retry(reason=Reason.PROVIDER_REFUSED, after_s=self.roll.random() * 0.02)
        if chance < 0.25:
            return Refused(reason=Reason.CONTENT_REFUSED)
        self.taken[message_id] += 1
        return Accepted(provider_ref=f"{self.name}-{message_id}")


class Flaky(Store):
    """Now and then a write fails, before anything of it is kept."""

    roll: random.Random
    chance = 0.0

    def accept(self, entries: Sequence[Entry], parts: Sequence[Message] = ()) -> asyncio.Future[None]:
        return self._failed() or super().accept(entries, parts)

    def claim(self, lane: str, limit: int, now: float) -> asyncio.Future[Any]:
        return self._failed() or super().claim(lane, limit, now)

    def begin(self, message_ids: Sequence[int]) -> asyncio.Future[None]:
        return self._failed() or super().begin(message_ids)

    def settle(self, settlements: Sequence[Any]) -> asyncio.Future[Any]:
        return self._failed() or super().settle(settlements)

    def _failed(self) -> asyncio.Future[Any] | None:
        if self.roll.random() >= self.chance:
            return None
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable("by lot"))
        return future


class Docile(Dice):
    """Takes everything, and notes in which order."""

    def _outcome(self, message_id: int) -> Outcome:
        self.taken[message_id] += 1
        return Accepted()


@pytest.mark.parametrize("seed", range(4))
async def test_the_order_is_kept_however_messages_go_by_memory_and_disk(
    seed: int, dispatch: Dispatch, store: Store, clock: Clock
) -> None:
    roll = random.Random(seed)
    provider = Docile("plain", roll, concurrency=1, batch=roll.choice((1, 5)))
    provider.capabilities = Capabilities(batch_size=100, idempotent=True)
    dispatch.lane(provider, memory=roll.choice((12, 40, 300)))
    number = 0
    while number < 600:
        for _ in range(roll.choice((1, 1, 1, 3, 30))):
            number += 1
            stored = dispatch.submit(message_of(number))
        for _ in range(roll.choice((0, 1, 2, 5, 20))):
            await asyncio.sleep(0)
        if roll.random() < 0.1:
            await stored
        elif roll.random() < 0.2:
            await asyncio.sleep(roll.random() * 0.004)  # the lane catches up
    await store.until_settled(number)
    assert list(provider.taken) == list(range(1, number + 1))


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("seed", range(8))
async def test_every_message_is_taken_exactly_once_in_any_order_of_events(
    seed: int, tmp_path: Path, transport: Transport, clock: Clock
) -> None:
    roll = random.Random(seed)
    store = Flaky(tmp_path / "bridge.db", clock())
    store.roll = roll
    dispatch = Dispatch(store, transport, clock)
    dice = [
        Dice(
            name,
            roll,
            concurrency=roll.choice((1, 3)),
            batch=roll.choice((1, 4, 100)),
            rate=roll.choice((None, "5000/s")),
        )
        for name in ("one", "two")
    ]
    for provider in dice:
        if roll.random() < 0.5:
            provider.capabilities = Capabilities(batch_size=100, idempotent=True)
    lanes = [dispatch.lane(provider, memory=roll.choice((2, 10, 300)), start=False) for provider in dice]
    store.chance = 0.08
    kept: set[int] = set()

    async def submit(first: int) -> None:
        for number in range(first, first + 150, size := roll.choice((1, 5, 20))):
            messages = [
                message_of(each, deliver_at=clock() + roll.random() * 0.05 if roll.random() < 0.1 else None)
                for each in range(number, number + size)
            ]
            try:
                await dispatch.submit(*messages)
            except StoreUnavailable:
                continue
            kept.update(message.message_id for message in messages)
            for _ in range(roll.randrange(4)):
                await asyncio.sleep(0)

    submits = [asyncio.create_task(submit(first)) for first in (1, 1001, 2001)]
    for lane in lanes:
        await asyncio.sleep(0)
        lane.start()
    await asyncio.gather(*submits)
    await until(lambda: not store.queued and not any(lane.busy for lane in lanes))
    store.chance = 0.0
    await dispatch.stop()

    taken = dice[0].taken + dice[1].taken
    assert not [message_id for message_id, count in taken.items() if count > 1]
    assert set(taken) <= kept
    ends = {message_id: await store.record_of(message_id) for message_id in kept}
    assert {record.state for record in ends.values()} <= {State.ENROUTE, State.REJECTED}
    assert {message_id for message_id, record in ends.items() if record.state is State.ENROUTE} == set(taken)
    refused = {message_id for message_id, record in ends.items() if record.state is State.REJECTED}
    assert Counter(item.known_id for item in dispatch.owed) == Counter(refused)
    assert len(kept) > 200
    await store.close()
