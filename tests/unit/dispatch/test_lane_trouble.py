"""A lane in bad times: providers that fail, throttle or lie, a store that is away, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.dispatch.conftest import Dispatch
from unit.world import Api, Clock, Plain, Reply, Store, locked, message_of, plain, queued_entry, says, until

from bridge.message import Message, Outcome, Reason, State
from bridge.providers._contract import Attempt, Request, Response

pytestmark = pytest.mark.usefixtures("quick_retries")


# --- the breaker ------------------------------------------------------------------------------------------------------


async def test_a_provider_that_fails_is_left_alone_and_then_probed_one_by_one(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    api.answer = says("busy")
    lane = dispatch.lane(plain(api, batch=1, concurrency=4))
    await dispatch.submit(*(message_of(number) for number in range(1, 31)))
    await until(lambda: lane.breaker.open)
    api.most_at_once, before = 0, api.sends.total()
    assert before <= 10 + 3  # those that were under way as it opened
    await api.until(before + 1)  # the probe
    assert api.most_at_once == 1
    api.answer = says("accepted")
    await store.until_done(*range(1, 31))
    assert not lane.breaker.open


async def test_one_that_answers_for_some_is_not_unreachable(dispatch: Dispatch, store: Store, api: Api) -> None:
    async def answer(items: list[dict[str, str]]) -> Reply:
        return Reply(body=["unsure", *["accepted"] * (len(items) - 1)])

    api.answer = answer
    lane = dispatch.lane(plain(api, batch=2, concurrency=1))
    await dispatch.submit(*(message_of(number) for number in range(1, 41)))
    await store.until_settled(40)
    assert len(api.batches) == 20
    assert not lane.breaker.open


async def test_a_probe_that_is_throttled_is_no_dead_end(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    api.answer = says("no_credit")
    lane = dispatch.lane(plain(api, batch=1, concurrency=3))
    await dispatch.submit(*(message_of(number) for number in range(1, 6)))
    await until(lambda: lane.breaker.paused)
    api.answer = says("429", "accepted")
    clock.offset_s += 61
    await store.until_done(*range(1, 6))
    assert not lane.breaker.open


async def test_a_probe_that_breaks_in_our_code_is_no_dead_end(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    class Picky(Plain):
        def build(self, attempts: Sequence[Attempt]) -> Request:
            if attempts[0].message.text == "bad":
                raise RuntimeError("no")
            return super().build(attempts)

    api.answer = says("no_credit")
    sample = plain(api, batch=1, concurrency=1)
    lane = dispatch.lane(Picky("plain", sample.settings, sample.references))
    await dispatch.submit(message_of(1))
    await until(lambda: lane.breaker.paused)
    api.answer = says("accepted")
    await dispatch.submit(message_of(2, text="bad"), message_of(3))
    clock.offset_s += 61
    await store.until_done(1, 2, 3)
    assert (await store.record_of(2)).state is State.REJECTED
    assert (await store.record_of(3)).state is State.ENROUTE
    assert not lane.breaker.open


async def test_a_probe_is_not_the_end_of_those_that_wait_without_work(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    """Only an expired message is left when the probe is due: nothing is sent, and nobody waits for its answer."""
    api.answer = says("no_credit")
    lane = dispatch.lane(plain(api, batch=1))
    await dispatch.submit(message_of(1, expires_at=clock() + 50))
    await until(lambda: lane.breaker.paused)
    api.answer = says("accepted")
    clock.offset_s += 61
    await store.until_done(1)
    assert (await store.record_of(1)).state is State.EXPIRED
    await dispatch.submit(message_of(2, now=clock()))
    await store.until_done(2)
    assert (await store.record_of(2)).state is State.ENROUTE


async def test_while_paused_what_can_goes_on_to_the_next_provider(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api, clock: Clock
) -> None:
    api.answer = says("401")
    await store.accept([queued_entry(message_of(100, now=clock()), "one")])  # has no other provider
    with capture_logs() as logs:
        lane = dispatch.lane(plain(api, "one", batch=1, concurrency=4), memory=8)
        dispatch.lane(plain(second_api, "two", batch=1))
        await dispatch.submit(*(message_of(number) for number in range(1, 31)))
        await second_api.until(30)
    await store.until_done(*range(1, 31))
    assert [line["reason"] for line in logs if line["event"] == "provider_paused"] == [Reason.PROVIDER_ACCOUNT]
    assert lane.breaker.paused
    assert sorted(second_api.order) == [message_of(number).destination for number in range(1, 31)]
    assert (await store.record_of(100)).state is State.ACCEPTED


async def test_what_expires_while_nothing_may_be_sent_is_not_kept_waiting(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    api.answer = says("429", headers={"Retry-After": "3600"})
    dispatch.lane(plain(api, batch=1, concurrency=1))
    await dispatch.submit(message_of(1), message_of(2, expires_at=clock() + 30))
    await store.until_settled(1)
    clock.offset_s += 31
    await store.until_settled(2)
    assert (await store.record_of(2)).state is State.EXPIRED
    assert api.sends.total() == 1


# --- throttling -------------------------------------------------------------------------------------------------------


async def test_retry_after_holds_the_whole_lane_and_the_longest_counts(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    waits = ["100", "5"]

    async def answer(items: list[dict[str, str]]) -> Reply:
        if not waits:
            return Reply(body=["accepted"] * len(items))
        after_s = waits.pop(0)
        await (api.until(2) if after_s == "100" else store.until_settled(1))
        return Reply(status=429, headers={"Retry-After": after_s})

    api.answer = answer
    dispatch.lane(plain(api, batch=1, concurrency=2))
    await dispatch.submit(*(message_of(number, now=clock()) for number in range(1, 6)))
    await store.until_settled(2)
    clock.offset_s += 50
    await asyncio.sleep(0.1)  # nothing is to happen
    assert api.sends.total() == 2
    clock.offset_s += 51
    await store.until_done(*range(1, 6))
    assert api.sends.total() == 7


# --- a provider's code that fails -------------------------------------------------------------------------------------


class Broken(Plain):
    """Fails where it is told to."""

    where = ""

    def batch_key(self, message: Message) -> object:
        if self.where == "batch_key":
            raise RuntimeError(self.where)
        return None

    def build(self, attempts: Sequence[Attempt]) -> Request:
        if self.where == "build":
            raise RuntimeError(self.where)
        return super().build(attempts)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        if self.where == "interpret":
            raise RuntimeError(self.where)
        outcomes = super().interpret(response, attempts)
        if self.where == "nonsense":
            return [None] * len(outcomes)  # type: ignore[list-item]
        return outcomes[:-1] if self.where == "too few" else outcomes


@pytest.mark.parametrize(
    ("where", "state", "sends", "event"),
    [
        ("batch_key", State.ENROUTE, 1, "provider_batch_key_failed"),
        ("build", State.REJECTED, 0, "provider_build_failed"),
        ("interpret", State.ENROUTE, 1, "provider_interpret_failed"),  # may have been sent: held
        ("too few", State.ENROUTE, 1, "provider_outcomes_wrong"),
        ("nonsense", State.ENROUTE, 1, "attempt_failed"),
    ],
)
async def test_code_that_fails_stops_neither_the_lane_nor_a_message(
    dispatch: Dispatch, store: Store, api: Api, where: str, state: State, sends: int, event: str
) -> None:
    sample = plain(api, concurrency=1)
    provider = Broken("plain", sample.settings, sample.references)
    provider.where = where
    lane = dispatch.lane(provider)
    with capture_logs() as logs:
        await dispatch.submit(*(message_of(number) for number in range(1, 6)))
        await store.until_settled(5)
    assert {line["event"] for line in logs} == {event}
    assert {(await store.record_of(number)).state for number in range(1, 6)} == {state}
    assert api.sends.total() == 5 * sends
    provider.where = ""
    await dispatch.submit(message_of(9))
    await store.until_settled(6)
    assert (await store.record_of(9)).provider_ref is not None
    await until(lambda: lane.busy == 0)


# --- the store is away ------------------------------------------------------------------------------------------------


async def test_an_outcome_is_kept_until_the_store_takes_it(
    dispatch: Dispatch, store: Store, api: Api, tmp_path: Path
) -> None:
    lane = dispatch.lane(plain(api, can={"idempotent": True}), start=False)
    await dispatch.submit(*(message_of(number) for number in range(1, 4)))
    await until(lambda: lane.waiting == 3)
    with locked(tmp_path), capture_logs() as logs:
        lane.start()
        await until(lambda: sum(line["event"] == "settle_failed" for line in logs) >= 2)
        assert store.settled == []
    await store.until_settled(3)
    assert api.sends.total() == 3
    assert store.queued == 0


async def test_senders_wait_for_a_store_that_takes_no_outcomes(
    dispatch: Dispatch, store: Store, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.dispatch.lane._UNSETTLED", 3)
    lane = dispatch.lane(plain(api, can={"idempotent": True}, batch=1, concurrency=2), start=False)
    await dispatch.submit(*(message_of(number) for number in range(1, 21)))
    await until(lambda: lane.waiting == 20)
    with locked(tmp_path), capture_logs() as logs:
        lane.start()
        await until(lambda: sum(line["event"] == "settle_failed" for line in logs) >= 10)
        assert api.sends.total() <= 3 + 2
    await store.until_settled(20)
    assert max(api.sends.values()) == 1


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_stop_lets_requests_under_way_end_and_leaves_the_rest(dispatch: Dispatch, store: Store, api: Api) -> None:
    go = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply:
        await go.wait()
        return Reply(body=["accepted"] * len(items))

    api.answer = answer
    lane = dispatch.lane(plain(api, batch=1, concurrency=2))
    await dispatch.submit(*(message_of(number) for number in range(1, 11)))
    await api.until(2)
    stopping = asyncio.create_task(lane.stop(5.0))
    await asyncio.sleep(0)
    assert not lane.reserve()
    go.set()
    await stopping
    assert len(store.settled) == 2
    assert api.sends.total() == 2
    assert store.queued == 8


async def test_stop_cuts_off_what_takes_longer_than_the_grace(dispatch: Dispatch, store: Store, api: Api) -> None:
    hang = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        await hang.wait()
        return None

    api.answer = answer
    lane = dispatch.lane(plain(api))
    await dispatch.submit(message_of(1))
    await api.until(1)
    async with asyncio.timeout(2.0):
        await lane.stop(0.05)
    assert store.settled == []
    assert store.queued == 1


async def test_stop_waits_for_outcomes_that_the_store_would_not_take(
    dispatch: Dispatch, store: Store, api: Api, tmp_path: Path
) -> None:
    lane = dispatch.lane(plain(api, can={"idempotent": True}), start=False)
    await dispatch.submit(message_of(1))
    await until(lambda: lane.waiting == 1)
    with locked(tmp_path), capture_logs() as logs:
        lane.start()
        await until(lambda: any(line["event"] == "settle_failed" for line in logs))
        stopping = asyncio.create_task(lane.stop(5.0))
        await asyncio.sleep(0.05)
        assert not stopping.done()
    await stopping
    assert len(store.settled) == 1


async def test_a_lane_without_work_is_not_silent(dispatch: Dispatch, store: Store, api: Api, clock: Clock) -> None:
    lane = dispatch.lane(plain(api), start=False)
    assert lane.silent_s(clock() + 3600) == 0
    await dispatch.submit(message_of(1))
    await until(lambda: lane.waiting == 1)
    assert lane.silent_s(clock() + 3600) > 3500  # nobody takes it
    lane.start()
    await store.until_settled(1)
    assert lane.silent_s(clock() + 3600) == 0
