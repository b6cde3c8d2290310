"""What a lane does about sends that nobody answered, and about those that a crash interrupted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
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
    says,
    until,
)

from bridge.message import Reason, State
from bridge.providers import Attempt, Request
from bridge.store import Stage
from bridge.transport import Transport

pytestmark = pytest.mark.usefixtures("quick_retries")


def silent_until(api: Api, count: int) -> None:
    """The API hangs up on the first `count` requests."""
    left = [count]

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        left[0] -= 1
        return None if left[0] >= 0 else Reply(body=["accepted"] * len(items))

    api.answer = answer


# --- unsure -----------------------------------------------------------------------------------------------------------


async def test_an_idempotent_provider_is_asked_again_when_it_did_not_answer(
    dispatch: Dispatch, store: Store, api: Api, second_api: Api
) -> None:
    silent_until(api, 4)
    dispatch.lane(plain(api, "one", can={"idempotent": True}))
    dispatch.lane(plain(second_api, "two"))
    await dispatch.submit(message_of(1))
    await store.until_settled(5)
    record = await store.record_of(1)
    assert (record.state, record.provider, api.sends.total(), second_api.order) == (State.ENROUTE, "one", 5, [])


async def test_another_provider_is_not_sent_what_it_did_not_answer(dispatch: Dispatch, store: Store, api: Api) -> None:
    silent_until(api, 1)
    dispatch.lane(plain(api, report_timeout="1h"))
    await dispatch.submit(message_of(1))
    (done,) = await store.until_settled(1)
    assert (done.stage, done.state) == (Stage.SENT, State.ENROUTE)  # held: a report or a poll may tell
    assert api.sends.total() == 1
    assert dispatch.owed == []


async def test_fail_ends_what_was_not_answered(dispatch: Dispatch, store: Store, api: Api) -> None:
    silent_until(api, 1)
    dispatch.lane(plain(api, on_unsure="fail"))
    await dispatch.submit(message_of(1))
    await store.until_settled(1)
    record = await store.record_of(1)
    assert (record.state, record.reason, len(dispatch.owed)) == (State.UNKNOWN, Reason.UNSURE, 1)


async def test_retry_sends_again_also_at_a_provider_that_does_not_know_references(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    silent_until(api, 2)
    dispatch.lane(plain(api, on_unsure="retry"))
    await dispatch.submit(message_of(1))
    await store.until_settled(3)
    assert api.sends.total() == 3
    assert (await store.record_of(1)).state is State.ENROUTE


async def test_what_may_have_been_sent_does_not_expire(
    dispatch: Dispatch, store: Store, api: Api, clock: Clock
) -> None:
    silent_until(api, 1000)
    dispatch.lane(plain(api, can={"idempotent": True}))
    await dispatch.submit(message_of(1, expires_at=clock() + 0.2))
    await until(lambda: store.settled and store.settled[-1].stage is Stage.SENT)
    record = await store.record_of(1)
    assert record.state is State.ENROUTE
    assert record.timeline[-1]["event"] == "expired"


class Turns(Plain):
    """Tells the API the turn of each attempt."""

    def build(self, attempts: Sequence[Attempt]) -> Request:
        items = [{"to": each.message.destination, "reference": str(each.turn)} for each in attempts]
        return Request(method="POST", url=f"{self.settings.url}/send", body=json.dumps(items).encode())


async def test_an_attempt_has_a_turn_of_its_own_unless_an_earlier_one_may_have_arrived(
    dispatch: Dispatch, store: Store, api: Api
) -> None:
    turns: list[str] = []
    replies = iter([Reply(503), None, Reply(503), None, Reply(body=["accepted"])])

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        turns.extend(item["reference"] for item in items)
        return next(replies)

    api.answer = answer
    dispatch.lane(Turns("plain", PlainSettings(url=api.url, on_unsure="retry"), REFERENCES))
    await dispatch.submit(message_of(1))
    await store.until_settled(5)
    assert turns == ["1", "2", "2", "2", "2"]


# --- the mark of an attempt that has begun ----------------------------------------------------------------------------


async def crash_in_flight(path: Path, api: Api, clock: Clock, *names: str, **can: Any) -> None:
    """A process that ends between a request and its answer; the providers are all of the same kind."""
    hang = asyncio.Event()

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        await hang.wait()
        return None

    api.answer = answer
    store = Store(path / "bridge.db", clock())
    async with Transport() as transport:
        dispatch = Dispatch(store, transport, clock)
        for name in names:
            dispatch.lane(plain(api, name, can=can))
        await dispatch.submit(message_of(1))
        await api.until(1)
        await dispatch.stop(0.0)
        assert store.settled == []
        await store.close()
    hang.set()
    api.answer = says("accepted")


async def test_an_interrupted_send_is_not_repeated_where_that_would_double_it(
    tmp_path: Path, api: Api, clock: Clock, transport: Transport
) -> None:
    await crash_in_flight(tmp_path, api, clock, "plain")
    store = Store(tmp_path / "bridge.db", clock())
    dispatch = Dispatch(store, transport, clock)
    dispatch.lane(plain(api))
    (done,) = await store.until_settled(1)
    await dispatch.stop()
    assert (done.stage, done.event["event"], done.event["native"]) == (Stage.SENT, "unsure", "interrupted")
    assert api.sends.total() == 1
    await store.close()


async def test_an_interrupted_send_is_repeated_where_references_are_known(
    tmp_path: Path, api: Api, clock: Clock, transport: Transport
) -> None:
    await crash_in_flight(tmp_path, api, clock, "plain", idempotent=True)
    store = Store(tmp_path / "bridge.db", clock())
    dispatch = Dispatch(store, transport, clock)
    dispatch.lane(plain(api, can={"idempotent": True}))
    (done,) = await store.until_settled(1)
    await dispatch.stop()
    assert (done.stage, done.event["event"], api.sends.total()) == (Stage.SENT, "sent", 2)
    await store.close()


async def test_an_interrupted_send_never_goes_on_to_another_provider(
    tmp_path: Path, api: Api, second_api: Api, clock: Clock, transport: Transport
) -> None:
    await crash_in_flight(tmp_path, api, clock, "one", "two", idempotent=True)
    api.answer = says("no_credit", "later", "later", "later", "accepted")
    store = Store(tmp_path / "bridge.db", clock())
    dispatch = Dispatch(store, transport, clock)
    first = dispatch.lane(plain(api, "one", can={"idempotent": True}))
    dispatch.lane(plain(second_api, "two"))
    await store.until_settled(1)
    clock.offset_s += 61  # the pause is over
    await store.until_settled(5)
    await dispatch.stop()
    assert second_api.order == []
    assert not first.breaker.open
    assert (await store.record_of(1)).provider == "one"
    await store.close()


async def test_a_mark_that_cannot_be_stored_means_not_sent(
    dispatch: Dispatch, store: Store, api: Api, tmp_path: Path
) -> None:
    lane = dispatch.lane(plain(api), start=False)
    await dispatch.submit(message_of(1))
    await until(lambda: lane.waiting == 1)
    with locked(tmp_path), capture_logs() as logs:
        lane.start()
        await until(lambda: any(line["event"] == "settle_failed" for line in logs))
        assert api.order == []
    settled = await store.until_settled(2)
    assert [done.event["event"] for done in settled] == ["retry", "sent"]
    assert settled[0].reason is Reason.UNAVAILABLE
    assert not lane.breaker.open
    assert api.sends.total() == 1


# --- requests of many -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("can", [{"idempotent": True}, {}])
async def test_one_that_breaks_its_request_does_not_sink_the_others(
    dispatch: Dispatch, store: Store, api: Api, can: dict[str, bool]
) -> None:
    """Nobody knows which of them it was: each goes alone, and so it shows."""

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        if "bad" not in [item["text"] for item in items]:
            return Reply(body=["accepted"] * len(items))
        return Reply(body=["refused"]) if len(items) == 1 else None

    api.answer = answer
    lane = dispatch.lane(plain(api, can=can, concurrency=1, on_unsure="retry"), start=False)
    await dispatch.submit(*(message_of(number, text="bad" if number == 7 else "good") for number in range(1, 11)))
    lane.start()
    await store.until_done(7)
    await store.until_settled(20)
    assert [len(batch) for batch in api.batches] == [10] + [1] * 10
    states = [(await store.record_of(number)).state for number in range(1, 11)]
    assert states == [State.REJECTED if number == 7 else State.ENROUTE for number in range(1, 11)]
