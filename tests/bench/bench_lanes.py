"""How many messages a second one lane sends to a provider that takes 50 ms to answer.

Run by hand: `python tests/bench/bench_lanes.py [MESSAGES [CONCURRENCY]]`. The provider is a process of its own that
speaks BSG; the lane, its store on disk and its HTTP client are those of the daemon, the way it has messages from
intake: in memory, and on disk. First with 50 messages in a request, then with one. Timed from the first request until
the last outcome is on disk. It asserts nothing: rates belong to a machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import msgspec
import uvloop

from bridge import providers
from bridge.dispatch.lane import Lane
from bridge.message import Message, Owed, Plan, ReportOn
from bridge.reports.correlate import decide
from bridge.store import Entry, Queued, Stage
from bridge.store.sqlite import SqliteStore
from bridge.transport import Transport

ANSWER_S = 0.05
BATCHES = (50, 1)
AT_ONCE = 500  # messages that one commit takes in
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAKEN = '{"error":0,"errorDescription":"No errors","reference":"%s","id":"%s","price":"0.01","currency":"EUR"}'
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


# --- the provider -----------------------------------------------------------------------------------------------------


class _Phone(msgspec.Struct):
    reference: str


class _Send(msgspec.Struct):
    reference: str = ""
    phones: list[_Phone] = []


_decode = msgspec.json.Decoder(_Send).decode


class Api(asyncio.Protocol):
    """One connection; every request is answered after `ANSWER_S`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < total:
                return
            answer = self._answer(_decode(self._received[end + 4 : total]))
            asyncio.get_running_loop().call_later(ANSWER_S, self._write, answer)
            self._received = self._received[total:]

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    @staticmethod
    def _answer(send: _Send) -> bytes:
        references = [phone.reference for phone in send.phones] or [send.reference]
        items = [_TAKEN % (reference, reference) for reference in references]
        content = f'{{"result":[{",".join(items)}]}}' if send.phones else f'{{"result":{items[0]}}}'
        return _OK % (len(content), content.encode())


async def _serve(told: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def serve(told: Connection) -> None:
    """The provider, in a process of its own."""
    uvloop.run(_serve(told))


# --- the lane ---------------------------------------------------------------------------------------------------------


def entries_of(count: int, now: float) -> list[Entry]:
    """Messages that wait for the lane."""
    messages = [
        Message(
            message_id=number, account="acme", listener="smpp", destination=f"38050{number:07}", source="Shop",
            text="Your code is 123456", accepted_at=now, expires_at=now + 3600, report_on=ReportOn.FINAL,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    return [Entry(message=each, plan=Plan(["bsg"]), stage=Stage.QUEUED, next_at=now) for each in messages]


async def measure(port: int, count: int, batch: int, concurrency: int) -> None:
    """Sends, and prints how fast."""
    module = providers.load("bsg")
    settings = module.Settings.model_validate(
        {"type": "bsg", "base_url": f"http://127.0.0.1:{port}/rest", "api_key": "x", "batch": batch,
         "concurrency": concurrency}
    )  # fmt: skip
    with TemporaryDirectory(prefix="bench-lanes-", dir="/var/tmp") as folder:
        store = SqliteStore(Path(folder) / "bridge.db", time.time(), decide)
        async with Transport() as transport:
            provider = module.Provider("bsg", settings, providers.References("0123456789ab"))
            lanes: dict[str, Lane] = {}
            lane = Lane(provider, store, transport, lanes, memory=count, clock=time.time, on_owed=told_nobody)
            lanes["bsg"] = lane
            entries = entries_of(count, time.time())
            for start in range(0, count, AT_ONCE):
                await store.accept(entries[start : start + AT_ONCE])
            lane._on_disk = False  # as it is once a lane that has started found nothing on disk
            queued = [Queued(message=each.message, plan=each.plan) for each in entries if lane.reserve()]
            assert len(queued) == count
            done = settled(lane, count)
            begun, cpu_s = time.perf_counter(), time.process_time()
            lane.start()
            lane.offer(queued)
            await done
            elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
            record = await store.find(count)
            assert record is not None
            assert record.provider_ref is not None
            await lane.stop(5.0)
        await store.close()
    print(
        f"{batch:3} in a request, {concurrency} requests at once: {count / elapsed_s:6.0f} messages/s,"
        f" {cpu_s / count * 1e6:.0f} us of CPU each, {cpu_s / elapsed_s:.0%} of a core busy"
    )


def settled(lane: Lane, count: int) -> asyncio.Future[None]:
    """Done when the outcomes of so many messages are on disk."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = [count]
    taken: Callable[..., None] = lane._settled

    def count_down(future: asyncio.Future[list[Owed]], settlements: Sequence[object]) -> None:
        taken(future, settlements)
        left[0] -= len(settlements)
        if not left[0]:
            done.set_result(None)

    lane._settled = count_down  # type: ignore[method-assign]
    return done


def told_nobody(owed: Sequence[Owed]) -> None:
    """Nobody is owed a report here."""


def main(count: int, concurrency: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    port = ours.recv()
    for batch in BATCHES:
        uvloop.run(measure(port, count, batch, concurrency))
    process.terminate()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [20_000, 400][len(numbers) :]))
