"""Callbacks reach a real server: in time, again when they are not taken, and none after the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

from bridge.cli.benching.callbacks import Callbacks


def body(number: int) -> bytes:
    return b'{"number":%d}' % number


async def taken(receiver: Any, count: int) -> list[int]:
    return sorted([(await asyncio.wait_for(receiver.bodies.get(), 10))["number"] for _ in range(count)])


async def test_every_callback_arrives_once(receiver: Any) -> None:
    callbacks = Callbacks(receiver.url)
    for number in range(300):
        callbacks.post(lambda number=number: body(number), 0.0)
    assert await taken(receiver, 300) == list(range(300))
    assert receiver.bodies.empty()
    assert (callbacks.waiting, callbacks.repeated) == (0, 0)
    callbacks.stop()


async def test_a_delayed_callback_leaves_when_it_is_due(receiver: Any) -> None:
    callbacks = Callbacks(receiver.url)
    begun = time.monotonic()
    for number in range(3):
        callbacks.post(lambda number=number: body(number), 0.2)
    assert callbacks.waiting == 3
    assert await taken(receiver, 3) == [0, 1, 2]
    assert time.monotonic() - begun >= 0.2
    assert callbacks.first_at is not None
    assert callbacks.first_at >= begun + 0.2
    callbacks.rewind()
    assert callbacks.first_at is None
    callbacks.stop()


async def test_a_callback_that_is_refused_comes_again(receiver: Any) -> None:
    receiver.refuse = 2
    callbacks = Callbacks(receiver.url)
    for number in range(3):
        callbacks.post(lambda number=number: body(number), 0.0)
    assert await taken(receiver, 3) == [0, 1, 2]
    assert callbacks.repeated == 2
    callbacks.stop()


async def test_a_callback_waits_for_a_server_and_reads_answers_in_pieces() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    callbacks = Callbacks(f"http://127.0.0.1:{port}/told")
    callbacks.post(lambda: body(1), 0.0)
    requests: asyncio.Queue[bytes] = asyncio.Queue()
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                requests.put_nowait(head + await reader.readexactly(len(body(1))))
                for piece in (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 2\r\n\r\no", b"k"):
                    writer.write(piece)
                    await writer.drain()
        writer.transport.abort()
        left.set()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    request = await asyncio.wait_for(requests.get(), 10)
    assert request.startswith(b"POST /told HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
    assert request.endswith(b"Content-Length: 12\r\n\r\n" + body(1))
    callbacks.post(lambda: body(2), 0.0)
    assert (await asyncio.wait_for(requests.get(), 10)).endswith(body(2))
    assert (callbacks.waiting, callbacks.repeated) == (0, 0)
    callbacks.stop()
    await asyncio.wait_for(left.wait(), 10)
    server.close()
    await server.wait_closed()


async def test_nothing_leaves_after_the_end(receiver: Any) -> None:
    callbacks = Callbacks(receiver.url)
    callbacks.post(lambda: body(1), 0.01)
    callbacks.stop()
    other = Callbacks(receiver.url)
    other.post(lambda: body(2), 0.05)
    assert await taken(receiver, 1) == [2]
    other.stop()
