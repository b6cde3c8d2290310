"""The simulated provider answers as BSG does, and counts what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from bridge.cli.benching.callbacks import Callbacks
from bridge.cli.benching.provider import SimulatedProvider
from bridge.cli.benching.tally import Tally, destination_of
from bridge.message import Accepted, Message, Report, State
from bridge.providers import bsg
from bridge.providers._contract import Attempt, Callback, References, Response


class World:
    def __init__(self, receiver: Any) -> None:
        self.receiver = receiver
        self.tally = Tally(100)
        self.callbacks = Callbacks(receiver.url)
        self.simulated = SimulatedProvider(self.tally, self.callbacks)
        self.references = References("0123456789ab")
        self.session = aiohttp.ClientSession()

    async def start(self) -> None:
        settings = bsg.Settings(type="bsg", base_url=await self.simulated.start(), api_key="key")
        self.bsg = bsg.Provider("bsg", settings, self.references)

    def attempts(self, *numbers: int) -> list[Attempt]:
        return [
            Attempt(
                Message(
                    message_id=number + 1,
                    account="acme",
                    listener="smpp",
                    destination=destination_of(number),
                    source="ACME",
                    text=f"text {number}",
                    accepted_at=1000.0,
                    expires_at=5000.0,
                ),
                self.references.of(number + 1),
            )
            for number in numbers
        ]

    async def send(self, attempts: list[Attempt]) -> Response:
        request = self.bsg.build(attempts)
        async with self.session.post(request.url, data=request.body, headers=request.headers) as response:
            return Response(status=response.status, body=await response.read())


@pytest.fixture
async def world(receiver: Any) -> AsyncIterator[World]:
    world = World(receiver)
    await world.start()
    yield world
    await world.session.close()
    world.callbacks.stop()
    await world.simulated.stop()


@pytest.mark.parametrize("numbers", [(3,), (4, 5, 6)], ids=["single", "batch"])
async def test_what_is_sent_is_taken_and_reported(world: World, numbers: tuple[int, ...]) -> None:
    attempts = world.attempts(*numbers)
    outcomes = world.bsg.interpret(await world.send(attempts), attempts)
    assert all(isinstance(outcome, Accepted) and outcome.provider_ref for outcome in outcomes)
    assert world.tally.sent == len(numbers)
    reports = {}
    for _ in numbers:
        body = await asyncio.wait_for(world.receiver.bodies.get(), 10)
        (report,) = world.bsg.reports(Callback(method="POST", body=msgspec.json.encode(body))).items
        assert isinstance(report, Report)
        assert report.state is State.DELIVERED
        assert report.at is not None
        reports[report.message_id] = report.provider_ref
    assert reports == {
        attempt.message.message_id: outcome.provider_ref
        for attempt, outcome in zip(attempts, outcomes, strict=True)
        if isinstance(outcome, Accepted)
    }


async def test_a_reference_that_comes_again_is_not_sent_twice(world: World) -> None:
    attempts = world.attempts(1)
    await world.send(attempts)
    assert b'"error":23' in (await world.send(attempts)).body
    assert world.simulated.repeated == 1
    assert world.tally.counts(range(2)).doubled == 0


async def test_a_destination_that_comes_again_under_another_reference_is_doubled(world: World) -> None:
    (attempt,) = world.attempts(1)
    await world.send([attempt])
    await world.send([msgspec.structs.replace(attempt, reference=world.references.of(99))])
    assert world.tally.counts(range(2)).doubled == 1


async def test_away_it_answers_503_and_takes_nothing(world: World) -> None:
    world.simulated.away = True
    assert (await world.send(world.attempts(1))).status == 503
    assert world.tally.sent == 0
    world.simulated.away = False
    assert (await world.send(world.attempts(1))).status == 200
    assert (world.tally.sent, world.simulated.requests) == (1, 2)


async def test_another_path_is_not_found(world: World) -> None:
    async with world.session.get(f"{world.bsg.settings.base_url}/sms/1") as response:
        assert response.status == 404


async def test_requests_in_pieces_and_in_one_piece_are_answered(world: World) -> None:
    requests = b""
    for attempt in world.attempts(1, 2):
        body = world.bsg.build([attempt]).body
        assert body is not None
        requests += b"POST /rest/sms/create HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    port = int(world.bsg.settings.base_url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (requests[:30], requests[30:90], requests[90:]):
        writer.write(piece)
        await writer.drain()
    for _ in range(2):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert b'"error":0' in await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    assert world.tally.sent == 2
