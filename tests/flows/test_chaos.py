"""Providers over a bad line: late, busy, hung up, never answering. Nothing is lost, and a double is where it may be."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from flows.acme_server import DECLARATION, AcmeServer
from flows.bridges import Bridge, until
from flows.bsg_server import BsgServer, Reporting, Sms, Trouble
from flows.conftest import Start

from bridge.message import State
from bridge.store import Record
from bridge.telemetry import metrics

MESSAGES = 400
BATCH = 2  # so that there are many requests, and a trouble concerns more than one message
_REPORT_TIMEOUT_S = 7200.0
_LISTENERS = """
listeners: {http: [{listen: "127.0.0.1:0"}]}
accounts: {acme: {http: {api_key: secret-key}}}
public_url: http://127.0.0.1
"""


class Line:
    """What becomes of the n-th request, the same in each run: 20 ms ± 200 ms late, 5 % are met by 503, 2 % by a closed
    connection (before or after the request was taken), 1 % are taken and never answered.
    """

    def __init__(self, seed: int) -> None:
        chances = random.Random(seed)
        self._delays_s = [max(0.0, chances.uniform(-0.18, 0.22)) for _ in range(4 * MESSAGES)]
        self._troubles = [self._trouble(chances.random()) for _ in range(4 * MESSAGES)]

    @staticmethod
    def _trouble(chance: float) -> Trouble | None:
        limits = {0.05: Trouble.BUSY, 0.06: Trouble.UNREAD, 0.07: Trouble.TAKEN_CLOSED, 0.08: Trouble.TAKEN_SILENT}
        return next((trouble for limit, trouble in limits.items() if chance < limit), None)

    def trouble(self, number: int) -> Trouble | None:
        return self._troubles[number]

    async def before(self, number: int) -> None:
        await asyncio.sleep(self._delays_s[number])


async def send(bridge: Bridge, numbers: range) -> list[str]:
    """The ids of messages, one to each number."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as session:

        async def one(number: int) -> str:
            body = {"to": f"+38050{number:07}", "text": f"text {number}"}
            async with session.post(f"http://127.0.0.1:{bridge.http}/v1/messages", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return str((await answer.json())["id"])

        return list(await asyncio.gather(*map(one, numbers)))


def events(record: Record) -> list[str]:
    return [str(event["event"]) for event in record.timeline]


def settings_of(bsg: BsgServer, **more: object) -> str:
    settings = {
        "type": "bsg", "base_url": bsg.base_url, "api_key": "live_key", "callback_token": "token", "poll": "1h", **more,
    }  # fmt: skip
    return f"providers: {{bsg: {{{', '.join(f'{key}: {value!r}' for key, value in settings.items())}}}}}"


def half_reported(sms: Sms) -> Reporting:
    """Every other number is not reported by itself, so that no report says in time that it was taken."""
    return Reporting.NEVER if int(sms.msisdn) % 2 else Reporting.PLAIN


# --- a bad line -------------------------------------------------------------------------------------------------------


async def test_a_provider_that_knows_a_reference_again_has_each_message_once(start: Start, bsg: BsgServer) -> None:
    line = Line(4)
    bsg.trouble, bsg.before, bsg.reporting = line.trouble, line.before, half_reported
    provider = settings_of(bsg, batch=BATCH, concurrency=32, timeout="1s", poll="300ms")
    bridge = await start(f"{_LISTENERS}{provider}\nroutes: [{{send: [bsg]}}]")
    bsg.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/bsg/token"
    before = metrics.repeated.value("bsg")

    records = [await bridge.final(each) for each in await send(bridge, range(MESSAGES))]

    assert {record.state for record in records} == {State.DELIVERED}
    assert Counter(sms.msisdn for sms in bsg.taken.values()) == {f"38050{n:07}": 1 for n in range(MESSAGES)}
    assert {Trouble.BUSY, Trouble.UNREAD, Trouble.TAKEN_CLOSED, Trouble.TAKEN_SILENT} <= set(bsg.met)
    assert bsg.refused[23] > 0, "nothing that was taken was sent again"
    assert set(bsg.refused) == {23}
    assert metrics.repeated.value("bsg") == before, "what is known again is no double"


Launch = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def acme() -> AsyncIterator[AcmeServer]:
    async with AcmeServer() as server:
        line = Line(7)
        server.trouble, server.before = line.trouble, line.before
        yield server


@pytest.fixture
def launch(start: Start, acme: AcmeServer, tmp_path: Path) -> Launch:
    """Starts a bridge to a provider that knows nothing again, with what is to be done about what is not answered."""

    async def begin(on_unsure: str) -> Bridge:
        folder = tmp_path / "declared"
        folder.mkdir()
        (folder / "acme.yaml").write_text(DECLARATION)
        bridge = await start(f"""{_LISTENERS}
provider_paths: ["{folder}"]
providers:
  {on_unsure}: {{type: acme, base_url: "{acme.base_url}", concurrency: 64, timeout: 1s, on_unsure: {on_unsure},
    report_timeout: {_REPORT_TIMEOUT_S:g}s}}
routes: [{{send: [{on_unsure}]}}]
""")
        acme.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/{on_unsure}"
        return bridge

    return begin


async def test_with_retry_doubles_are_of_what_was_not_answered_and_are_counted(
    launch: Launch, acme: AcmeServer
) -> None:
    bridge = await launch("retry")
    before = metrics.repeated.value("retry")
    ids = await send(bridge, range(MESSAGES))
    for message_id in ids:
        await with_provider(bridge, message_id)
    acme.told.set()
    records = [await bridge.final(each) for each in ids]

    assert {record.state for record in records} == {State.DELIVERED}
    assert set(acme.taken) == {f"+38050{n:07}" for n in range(MESSAGES)}
    unsure = {f"+38050{n:07}" for n, record in enumerate(records) if "unsure" in events(record)}
    doubles = {number: count - 1 for number, count in acme.taken.items() if count > 1}
    assert doubles, "nothing that was taken was sent again"
    assert set(doubles) <= unsure
    assert sum(doubles.values()) <= metrics.repeated.value("retry") - before <= acme.requests - MESSAGES
    assert acme.refused == 0


async def test_with_hold_there_is_no_double_and_what_nobody_knows_is_told_so(launch: Launch, acme: AcmeServer) -> None:
    acme.told.set()
    bridge = await launch("hold")
    before = metrics.repeated.value("hold")
    ids = await send(bridge, range(MESSAGES))
    for message_id in ids:
        await with_provider(bridge, message_id)
    bridge.ahead_s += _REPORT_TIMEOUT_S
    records = [await bridge.final(each) for each in ids]

    assert set(acme.taken.values()) == {1}
    delivered = {f"+38050{n:07}" for n, record in enumerate(records) if record.state is State.DELIVERED}
    assert delivered == set(acme.taken)
    missing = [record for record in records if record.state is not State.DELIVERED]
    assert len(missing) == acme.met[Trouble.UNREAD] > 0
    assert {(record.state, record.reason) for record in missing} == {(State.UNKNOWN, "no_report")}
    assert metrics.repeated.value("hold") == before


async def with_provider(bridge: Bridge, message_id: str) -> None:
    """Waits until the provider has the message, or nobody knows."""

    async def look() -> bool:
        return (await bridge.record(message_id)).state is not State.ACCEPTED

    await until(look)


# --- a batch ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def batching(start: Start, bsg: BsgServer) -> Callable[[range], Awaitable[list[Record]]]:
    """Sends one message, and while its request is under way many, which therefore share the next."""
    provider = settings_of(bsg, concurrency=1, timeout="5s", poll="300ms")
    bsg.reporting = lambda sms: Reporting.NEVER
    bridge = await start(f"{_LISTENERS}{provider}\nroutes: [{{send: [bsg]}}]")
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold_the_first(number: int) -> None:
        asked.set()
        await go.wait()

    bsg.before = hold_the_first

    async def all_of(numbers: range) -> list[Record]:
        first = await send(bridge, numbers[:1])
        await asked.wait()
        ids = first + await send(bridge, numbers[1:])
        go.set()
        return [await bridge.final(each) for each in ids]

    return all_of


async def test_one_bad_recipient_never_sinks_the_others(
    batching: Callable[[range], Awaitable[list[Record]]], bsg: BsgServer
) -> None:
    bsg.directions = lambda msisdn: not msisdn.endswith("5")
    records = await batching(range(31))
    assert bsg.requests == 2
    for number, record in enumerate(records):
        refused = number % 10 == 5
        assert record.state is (State.REJECTED if refused else State.DELIVERED)
        assert ("refused" in events(record)) is refused
    assert len(bsg.taken) == 28
    assert bsg.refused == {33: 3}


async def test_an_ambiguous_batch_is_settled_message_by_message(
    batching: Callable[[range], Awaitable[list[Record]]], bsg: BsgServer
) -> None:
    bsg.trouble = lambda number: Trouble.HALF_TAKEN_CLOSED if number == 1 else None
    records = await batching(range(31))
    assert {record.state for record in records} == {State.DELIVERED}
    assert ["unsure" in events(record) for record in records] == [False] + [True] * 30
    assert len(bsg.taken) == 31
    assert bsg.refused == {23: 15}, "of what was sent again, it knew what it had taken"
