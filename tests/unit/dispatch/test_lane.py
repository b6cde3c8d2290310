"""A lane in good times: what it sends, what shares a request, how fast, and where it goes when it is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from unit.dispatch.conftest import Dispatch
from unit.world import Api, Clock, Plain, Reply, Store, message_of, plain, says

from bridge.message import Message, Reason, State
from bridge.providers._contract import Attempt, Capabilities, Request, Response
from bridge.store import Stage


def held_back(api: Api) -> asyncio.Event:
    """The API answers only once the event is set."""
    go = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply:
        await go.wait()
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    return go


def messages_of(numbers: Iterable[int]) -> list[Message]:
    return [message_of(number) for number in numbers]


async def test_a_message_is_sent_once_and_is_with_the_provider(dispatch: Dispatch, store: Store, api: Api) -> None:
    provider = plain(api)
    lane = dispatch.lane(provider)
    await dispatch.submit(message_of(1))
    await store.until_settled(1)
    record = await store.record_of(1)
    assert api.order == ["380500000001"]
    assert (record.state, record.provider, record.attempts) == (State.ENROUTE, "plain", 1)
    assert record.provider_ref == f"ref-{provider.references.of(1)}"
    assert [event["event"] for event in record.timeline] == ["accepted", "sent"]
    assert store.queued == 0
    assert lane.busy == lane.waiting == 0


async def test_what_is_final_at_once_is_owed_at_once(dispatch: Dispatch, store: Store, api: Api) -> None:
    api.answer = says("delivered")
    dispatch.lane(plain(api))
    await dispatch.submit(message_of(1))
    await store.until_settled(1)
    assert [(item.known_id, item.report and item.report.state) for item in dispatch.owed] == [(1, State.DELIVERED)]


# --- batching ---------------------------------------------------------------------------------------------------------


async def test_what_gathers_while_a_request_is_under_way_shares_the_next(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    go = held_back(api)
    dispatch.lane(plain(api, concurrency=1))
    await dispatch.submit(message_of(1))
    await api.until(1)  # nothing waited to fill a batch
    await dispatch.submit(*messages_of(range(2, 12)))
    go.set()
    await store.until_settled(11)
    assert [len(batch) for batch in api.batches] == [1, 10]
    assert api.order == [message.destination for message in messages_of(range(1, 12))]


@pytest.mark.parametrize(("batch", "sizes"), [(4, [4, 4, 2]), (1, [1] * 10), (None, [10])])
async def test_a_request_holds_as_many_as_the_provider_takes(
    dispatch: Dispatch, store: Store, api: Api, batch: int | None, sizes: list[int]
) -> None:
    dispatch.lane(plain(api, concurrency=1, batch=batch))
    await dispatch.submit(*messages_of(range(1, 11)))
    await store.until_settled(10)
    assert [len(part) for part in api.batches] == sizes


class BySender(Plain):
    """One sender a request."""

    def batch_key(self, message: Message) -> object:
        return message.source


async def test_only_equal_keys_share_a_request_and_nobody_is_left_behind(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    sample = plain(api, concurrency=1)
    dispatch.lane(BySender("plain", sample.settings, sample.references))
    sources = ["a", "b", "a", "c", "b", "a"]
    await dispatch.submit(*(message_of(number, source=source) for number, source in enumerate(sources, 1)))
    await store.until_settled(6)
    numbers = [[int(destination[-2:]) for destination in batch] for batch in api.batches]
    assert numbers == [[1, 3, 6], [2, 5], [4]]


async def test_a_number_is_only_once_in_a_request_and_in_order(dispatch: Dispatch, store: Store, api: Api) -> None:
    texts: list[list[str]] = []

    async def answer(items: list[dict[str, str]]) -> Reply:
        texts.append([item["text"] for item in items])
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    dispatch.lane(plain(api, concurrency=1))
    same = "380501111111"
    await dispatch.submit(
        message_of(1, same, text="1"),
        message_of(2, text="2"),
        message_of(3, same, text="3"),
        message_of(4, text="4"),
        message_of(5, same, text="5"),
    )
    await store.until_settled(5)
    assert texts == [["1", "2", "4"], ["3"], ["5"]]


async def test_no_more_requests_at_once_than_configured(dispatch: Dispatch, store: Store, api: Api) -> None:
    go = held_back(api)
    dispatch.lane(plain(api, concurrency=3, batch=1))
    await dispatch.submit(*messages_of(range(1, 21)))
    await api.until(3)
    go.set()
    await store.until_settled(20)
    assert api.most_at_once == 3
    assert max(api.sends.values()) == 1


# --- rate -------------------------------------------------------------------------------------------------------------


class Stopwatch(Plain):
    """Takes everything without a network, whose delays would blur it, and notes when."""

    def __init__(self, api: Api, **settings: Any) -> None:
        sample = plain(api, **settings)
        super().__init__(sample.name, sample.settings, sample.references)
        self.times: list[float] = []

    def build(self, attempts: Sequence[Attempt]) -> Request:
        self.times += [time.time()] * len(attempts)
        return super().build(attempts)

    def answer(self, request: Request) -> Response:
        return Response(status=200, body=json.dumps(["accepted"] * len(json.loads(request.body or b""))).encode())


@pytest.mark.parametrize(("batch", "burst"), [(1, 10), (20, 20)])
async def test_the_rate_is_kept_in_every_stretch_of_time(
    dispatch: Dispatch, store: Store, api: Api, batch: int, burst: int
) -> None:
    watch = Stopwatch(api, rate="100/s", batch=batch)
    dispatch.lane(watch)
    await dispatch.submit(*messages_of(range(1, burst + 41)))
    await store.until_settled(burst + 40)
    for first, start in enumerate(watch.times):
        for last in range(first, burst + 40):
            # The clock is read a moment before each noted time.
            assert last - first + 1 <= burst + 100 * (watch.times[last] - start) + 0.5
    assert watch.times[-1] - watch.times[0] < 2.0


async def test_what_cannot_share_a_request_does_not_cost_the_rate_more(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    sample = plain(api, rate="1/s", batch=10)
    dispatch.lane(BySender("plain", sample.settings, sample.references))
    await dispatch.submit(*(message_of(number, source=f"s{number}") for number in range(1, 11)))
    await store.until_settled(10)
    assert len(api.batches) == 10
    assert api.times[-1] - api.times[0] < 0.9  # the burst is ten messages, however many requests they take


async def test_what_expires_unsent_does_not_cost_the_rate(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    lane = dispatch.lane(plain(api, rate="1/m", batch=1), start=False)
    await dispatch.submit(*(message_of(number, expires_at=clock() + 1) for number in range(1, 31)), message_of(99))
    clock.offset_s += 2
    lane.start()
    await store.until_settled(31)
    assert api.order == [message_of(99).destination]


# --- expiry, fitness, plans -------------------------------------------------------------------------------------------


async def test_an_expired_message_is_not_sent(dispatch: Dispatch, store: Store, api: Api, clock: Clock) -> None:
    lane = dispatch.lane(plain(api), start=False)
    await dispatch.submit(message_of(1, expires_at=clock() + 1), message_of(2))
    clock.offset_s += 2
    lane.start()
    await store.until_settled(2)
    record = await store.record_of(1)
    assert (record.state, record.reason) == (State.EXPIRED, Reason.VALIDITY_ELAPSED)
    assert api.order == [message_of(2).destination]
    assert [item.known_id for item in dispatch.owed] == [1]


async def test_what_the_provider_can_no_longer_carry_is_refused_unsent(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    provider = plain(api)
    lane = dispatch.lane(provider, start=False)
    await dispatch.submit(message_of(1, text=None, binary=b"\x01"))
    provider.capabilities = Capabilities()
    lane.start()
    await store.until_settled(1)
    record = await store.record_of(1)
    assert (record.state, record.reason, api.order) == (State.REJECTED, Reason.UNSUPPORTED, [])


async def test_a_refused_message_goes_to_the_next_provider_and_ends_with_the_last(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api
) -> None:
    api.answer = says("refused")
    second_api.answer = says("refused")
    dispatch.lane(plain(api, "one"))
    dispatch.lane(plain(second_api, "two"))
    await dispatch.submit(message_of(1))
    await store.until_settled(2)
    record = await store.record_of(1)
    assert (record.state, record.reason, record.provider) == (State.REJECTED, Reason.CONTENT_REFUSED, "two")
    assert (api.order, second_api.order) == ([message_of(1).destination],) * 2
    assert len(dispatch.owed) == 1


@pytest.mark.usefixtures("quick_retries")
async def test_after_three_attempts_the_next_provider_has_its_turn(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api
) -> None:
    api.answer = says("later")
    dispatch.lane(plain(api, "one"))
    dispatch.lane(plain(second_api, "two"))
    await dispatch.submit(message_of(1))
    await second_api.until(1)
    assert api.sends.total() == 3
    await store.until_settled(4)
    record = await store.record_of(1)
    assert (record.state, record.provider, record.attempts) == (State.ENROUTE, "two", 1)


@pytest.mark.usefixtures("quick_retries")
async def test_a_retry_comes_by_way_of_the_disk_and_counts_its_attempts(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    api.answer = says("later", "later", "later", "later", "accepted")
    dispatch.lane(plain(api))
    await dispatch.submit(message_of(1))
    settled = await store.until_settled(5)
    assert [done.attempts for done in settled] == [1, 2, 3, 4, 5]
    for before, after in pairwise(settled):
        assert before.stage is Stage.QUEUED
        assert before.next_at is not None
        assert after.event["at"] >= before.next_at
    assert (await store.record_of(1)).state is State.ENROUTE


async def test_a_scheduled_message_is_sent_when_its_time_has_come(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    dispatch.lane(plain(api))
    at = clock() + 0.2
    await dispatch.submit(message_of(1, deliver_at=at))
    (done,) = await store.until_settled(1)
    assert at <= done.event["at"] < at + 1
