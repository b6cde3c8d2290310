"""The inbox that a provider keeps for us: asked again and again, further back than it was asked before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.world import Api, Clock, Plain, PlainSettings, Reply, Store, locked, until

from bridge.message import Inbound, Owed
from bridge.providers import Heard, References, Request, Response
from bridge.reports.callbacks import Hearing
from bridge.reports.inbox import Inbox
from bridge.routing.rules import InboundRouter, InboundRule
from bridge.transport import Transport


class Keeping(Plain):
    """Keeps an inbox, and says of each question what time it was about."""

    def inbox(self, since: float, now: float) -> Request | None:
        body = json.dumps([str(since), str(now)]).encode()
        return Request(method="POST", url=f"{self.settings.url}/poll", body=body)

    def inbox_of(self, response: Response) -> Heard | None:
        if response.status != 200:
            return None
        return Heard(items=[Inbound(**item) for item in json.loads(response.body)])


class Watch:
    """An inbox under watch: what was owed, and how often it was asked."""

    def __init__(self, api: Api, store: Store, transport: Transport, clock: Clock) -> None:
        self.api = api
        self.owed: list[Owed] = []
        self.asked = asyncio.Event()
        self.replies: list[Reply | None] = []
        self.provider = Keeping("plain", PlainSettings(url=api.url, inbox_poll="10ms"), References(store.store_id))
        hearing = Hearing(
            store,
            {"plain": self.provider},
            InboundRouter([InboundRule(account="acme")]),
            lambda account: "smpp",
            clock=clock,
            on_owed=self.owed.extend,
            on_went_on=lambda lanes: None,
            on_ended=lambda message_ids: None,
        )
        self.start = clock()
        self.inbox = Inbox(self.provider, transport, hearing, lambda: self.start, known_s=3600.0)
        api.answer_poll = self._answer

    async def _answer(self, items: list[dict[str, str]]) -> Reply | None:
        self.asked.set()
        return self.replies.pop(0) if self.replies else Reply(body=[])

    @property
    def times(self) -> list[tuple[float, float]]:
        """Of each question: since when, and when it was asked."""
        return [(float(since), float(now)) for since, now in self.api.polled]

    async def until(self, questions: int) -> None:
        """Waits until what the questions before this one said has been dealt with."""
        async with asyncio.timeout(10):
            while len(self.api.polled) < questions:
                self.asked.clear()
                await self.asked.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.inbox.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def watch(api: Api, store: Store, transport: Transport, clock: Clock) -> Watch:
    return Watch(api, store, transport, clock)


def came(number: int) -> Reply:
    return Reply(body=[{"source": "1", "destination": "2", "text": f"no {number}", "provider_ref": str(number)}])


async def test_what_came_is_owed_once(watch: Watch) -> None:
    watch.replies = [came(1), came(1), came(2)]
    async with watch.running():
        await watch.until(4)
    assert [owed.inbound.text for owed in watch.owed if owed.inbound is not None] == ["no 1", "no 2"]


async def test_questions_overlap(watch: Watch) -> None:
    async with watch.running():
        await watch.until(2)
    assert watch.times[0] == (watch.start - 3600.0, watch.start)
    assert watch.times[1] == (watch.start - 600.0, watch.start)


@pytest.mark.parametrize("reply", [Reply(status=500, body=[]), Reply(body="nonsense"), None])
async def test_what_was_not_answered_is_asked_for_again(watch: Watch, reply: Reply | None) -> None:
    watch.replies = [reply, came(1)]
    with capture_logs() as logged:
        async with watch.running():
            await watch.until(3)
    assert [since for since, _ in watch.times[:3]] == [watch.start - 3600.0, watch.start - 3600.0, watch.start - 600.0]
    assert len(watch.owed) == 1
    assert {entry["event"] for entry in logged} <= {"inbox_refused", "inbox_failed", "provider_inbox_failed"}
    assert logged


async def test_provider_without_an_inbox_is_left_alone(watch: Watch) -> None:
    watch.provider.inbox = lambda since, now: None  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        await watch.inbox.run()
    assert watch.api.polled == []


async def test_refusal_is_told_once(watch: Watch) -> None:
    watch.replies = [Reply(status=403, body=[])] * 3
    with capture_logs() as logged:
        async with watch.running():
            await watch.until(5)
    assert [entry["event"] for entry in logged] == ["inbox_refused"]


async def test_what_could_not_be_kept_is_asked_for_again(watch: Watch, tmp_path: Path) -> None:
    watch.replies = [came(1), came(1)]
    with capture_logs() as logged:
        async with watch.running():
            with locked(tmp_path):
                await until(lambda: logged)
            await watch.until(3)
    assert logged[0]["event"] == "inbox_failed"
    assert watch.times[1][0] == watch.start - 3600.0
    assert len(watch.owed) == 1
