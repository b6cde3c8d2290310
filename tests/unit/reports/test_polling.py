"""Asking for reports: when, of whom, and the end of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from unit.world import Api, Clock, Plain, Reply, Store, locked, message_of, plain, queued_entry, until

from bridge.dispatch.retry import Policy, settle
from bridge.message import Accepted, Owed, Plan, Reason, State
from bridge.providers._contract import Reference, Request
from bridge.reports.callbacks import Hearing
from bridge.reports.polling import Polling, next_poll_s
from bridge.routing.rules import InboundRouter
from bridge.store import Queued
from bridge.transport import Transport


@pytest.mark.parametrize(
    ("age_s", "first_s", "expected"),
    [
        (0.0, 15.0, 15.0),
        (10.0, 15.0, 15.0),
        (40.0, 15.0, 20.0),
        (7200.0, 15.0, 3600.0),
        (86400.0, 15.0, 3600.0),
        (0.0, 7200.0, 7200.0),
    ],
)
def test_questions_come_ever_later(age_s: float, first_s: float, expected: float) -> None:
    assert next_poll_s(age_s, first_s) == expected


class Watch:
    """Polling of one provider, and what came of it."""

    def __init__(self, provider: Plain, store: Store, transport: Transport, clock: Clock) -> None:
        self.owed: list[Owed] = []
        self.went_on: list[str] = []
        self.on_owed: Callable[[Sequence[Owed]], None] = self.owed.extend
        self.told = asyncio.Event()
        self.store = store
        hearing = Hearing(
            store,
            {provider.name: provider},
            InboundRouter([]),
            lambda account: None,
            clock=clock,
            on_owed=self._tell,
            on_went_on=self.went_on.extend,
            on_ended=lambda message_ids: None,
        )
        self.polling = Polling(provider, store, transport, hearing, clock)

    def _tell(self, owed: Sequence[Owed]) -> None:
        self.told.set()
        self.on_owed(owed)

    async def until_told(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.owed) < count:
                self.told.clear()
                await self.told.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.polling.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def sent(store: Store, provider: Plain, clock: Clock, *numbers: int) -> None:
    """Messages that the provider has."""
    messages = [message_of(number) for number in numbers]
    await store.accept([queued_entry(message, provider.name) for message in messages])
    settings = provider.settings
    policy = Policy(
        on_unsure="hold",
        poll_s=settings.poll if provider.capabilities.poll_reports else None,
        report_timeout_s=settings.report_timeout,
    )
    await store.settle(
        [
            settle(
                Queued(message=message, plan=Plan((provider.name,)), attempts=1),
                Accepted(provider_ref=f"p-{message.message_id}"),
                clock(),
                0.5,
                policy,
            )
            for message in messages
        ]
    )


def tells(api: Api, state: str, *, after: int = 0) -> None:
    """Polls are answered with a state for everybody, from the given question on."""

    async def answer(items: list[dict[str, str]]) -> Reply:
        return Reply(body=[item | {"state": state} for item in items] if len(api.polled) > after else [])

    api.answer_poll = answer


async def test_a_missing_report_is_asked_for(store: Store, api: Api, transport: Transport, clock: Clock) -> None:
    provider = plain(api, poll="50ms")
    tells(api, "delivered")
    await sent(store, provider, clock, 1, 2)
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await watch.until_told(2)
    assert api.polled == [[provider.references.of(1), provider.references.of(2)]]
    assert (await store.record_of(1)).state is State.DELIVERED


async def test_nobody_is_asked_before_the_time(store: Store, api: Api, transport: Transport, clock: Clock) -> None:
    provider = plain(api, poll="1h")
    tells(api, "delivered")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await asyncio.sleep(0.1)
        assert api.polled == []
        clock.offset_s += 3601
        await watch.until_told(1)


async def test_the_next_question_comes_no_earlier_than_its_time(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = plain(api, poll="1h")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    clock.offset_s += 3601
    async with watch.running():
        for questions in (1, 2, 3):
            await api.until_true(lambda count=questions: len(api.polled) >= count)
            await asyncio.sleep(0.1)
            assert len(api.polled) == questions
            clock.offset_s += 3601


async def test_it_is_asked_again_until_there_is_an_answer(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = plain(api, poll="20ms")
    tells(api, "delivered", after=3)
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await watch.until_told(1)
    assert len(api.polled) == 4


async def test_a_report_that_is_not_final_keeps_the_question_open(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = plain(api, poll="20ms")
    tells(api, "enroute")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await api.until_true(lambda: len(api.polled) == 2)
        tells(api, "undeliverable")
        await watch.until_told(1)
    record = await store.record_of(1)
    assert (record.state, record.reason) == (State.UNDELIVERABLE, Reason.UNSPECIFIED)


@pytest.mark.parametrize("poll_reports", [True, False])
async def test_what_is_never_reported_becomes_unknown_at_the_deadline(
    store: Store, api: Api, transport: Transport, clock: Clock, poll_reports: bool
) -> None:
    provider = plain(api, can={"poll_reports": poll_reports}, poll="30s", report_timeout="2m")
    await sent(store, provider, clock, *range(1, 501))
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        clock.offset_s += 119
        await asyncio.sleep(0.05)
        assert watch.owed == []
        clock.offset_s += 2
        await watch.until_told(500)
    record = await store.record_of(1)
    assert (record.state, record.reason) == (State.UNKNOWN, Reason.NO_REPORT)
    assert len({owed.known_id for owed in watch.owed}) == len(watch.owed) == 500
    assert bool(api.polled) is poll_reports


async def test_a_question_never_comes_after_the_deadline(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = plain(api, poll="20ms", report_timeout="60ms")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await watch.until_told(1)
    record = await store.record_of(1)
    assert record.timeline[-1]["at"] - record.timeline[1]["at"] < 1.5


@pytest.mark.parametrize("trouble", ["silence", "nonsense", "error"])
async def test_a_question_that_fails_is_asked_again(
    store: Store, api: Api, transport: Transport, clock: Clock, trouble: str
) -> None:
    async def answer(items: list[dict[str, str]]) -> Reply | None:
        if len(api.polled) > 2:
            return Reply(body=[item | {"state": "delivered"} for item in items])
        return {"silence": None, "nonsense": Reply(body={"a": 1}), "error": Reply(status=500)}[trouble]

    api.answer_poll = answer
    provider = plain(api, poll="20ms")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    with capture_logs():
        async with watch.running():
            await watch.until_told(1)
    assert len(api.polled) == 3


async def test_code_that_cannot_ask_does_not_end_the_watch(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    class Broken(Plain):
        def poll(self, wanted: Sequence[Reference]) -> list[Request]:
            raise RuntimeError("no")

    sample = plain(api, poll="20ms", report_timeout="100ms")
    provider = Broken("plain", sample.settings, sample.references)
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    with capture_logs() as logs:
        async with watch.running():
            await watch.until_told(1)
    assert "provider_poll_failed" in {line["event"] for line in logs}
    assert (await store.record_of(1)).state is State.UNKNOWN


async def test_an_error_of_ours_does_not_end_the_watch(
    store: Store, api: Api, transport: Transport, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.reports.polling._PAUSE_S", 0.02)
    provider = plain(api, can={"poll_reports": False}, report_timeout="20ms")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    failed = []

    def fail(owed: Sequence[Owed]) -> None:
        failed.extend(owed)
        raise RuntimeError("no")

    watch.on_owed = fail
    with capture_logs() as logs:
        async with watch.running():
            await until(lambda: failed)
            watch.on_owed = watch.owed.extend
            await sent(store, provider, clock, 2)
            await watch.until_told(1)
    assert "polling_failed" in {line["event"] for line in logs}


async def test_a_store_that_is_away_does_not_end_the_watch(
    store: Store, api: Api, transport: Transport, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.reports.polling._PAUSE_S", 0.02)
    provider = plain(api, poll="20ms")
    tells(api, "delivered")
    await sent(store, provider, clock, 1)
    watch = Watch(provider, store, transport, clock)
    with capture_logs() as logs:
        async with watch.running():
            with locked(tmp_path):
                await until(lambda: any(line["event"] == "polling_waits_for_store" for line in logs))
            await watch.until_told(1)


def sparing(api: Api, *, size: int, rate: float | None, **settings: object) -> Plain:
    """A provider that takes so many references in a question, and so many questions a second."""
    sample = plain(api, **settings)
    provider = Plain("plain", sample.settings, sample.references)
    provider.capabilities = replace(Plain.capabilities, poll_size=size, poll_rate=rate)
    return provider


async def test_question_holds_no_more_than_the_provider_takes(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = sparing(api, size=3, rate=None, poll="20ms")
    tells(api, "delivered")
    await sent(store, provider, clock, *range(1, 8))
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await watch.until_told(7)
    assert sorted(map(len, api.polled)) == [1, 3, 3]


async def test_questions_come_no_faster_than_the_provider_takes_them(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    """There is one question a minute; who did not fit into it waits for the next."""
    provider = sparing(api, size=2, rate=1 / 60, poll="20ms")
    tells(api, "delivered")
    await sent(store, provider, clock, 1, 2, 3, 4)
    watch = Watch(provider, store, transport, clock)
    clock.offset_s += 1.0
    async with watch.running():
        await watch.until_told(2)
        await asyncio.sleep(0.1)
        assert len(api.polled) == 1
        clock.offset_s += 61.0
        await watch.until_told(4)
    assert [len(asked) for asked in api.polled] == [2, 2]


async def test_message_is_given_up_in_time_though_it_may_not_be_asked_about(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    provider = sparing(api, size=1, rate=1 / 3600, poll="20ms", report_timeout="30s")
    await sent(store, provider, clock, 1, 2, 3)
    watch = Watch(provider, store, transport, clock)
    clock.offset_s += 1.0
    async with watch.running():
        await until(lambda: api.polled)
        clock.offset_s += 30.0
        await watch.until_told(3)
    assert len(api.polled) == 1


async def test_no_more_questions_at_once_than_half_the_concurrency(
    store: Store, api: Api, transport: Transport, clock: Clock
) -> None:
    class OneByOne(Plain):
        def poll(self, wanted: Sequence[Reference]) -> list[Request]:
            return [request for reference in wanted for request in super(OneByOne, self).poll([reference])]

    pair = asyncio.Barrier(2)

    async def answer(items: list[dict[str, str]]) -> Reply:
        await pair.wait()
        return Reply(body=[item | {"state": "delivered"} for item in items])

    api.answer_poll = answer
    sample = plain(api, poll="20ms", concurrency=4)
    provider = OneByOne("plain", sample.settings, sample.references)
    await sent(store, provider, clock, *range(1, 21))
    watch = Watch(provider, store, transport, clock)
    async with watch.running():
        await watch.until_told(20)
    assert api.most_at_once == 2
    assert len(api.polled) == 20
