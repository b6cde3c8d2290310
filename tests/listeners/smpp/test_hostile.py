"""A running bridge under hostile streams: nothing breaks, nothing stays, and everybody else is served."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from flows.bridges import Bridge, until
from listeners.smpp.esme import Esme
from smpp.streams import is_read_by_others, stream

from bridge.smpp.codec import encode
from bridge.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter, EnquireLink

CONFIGURATION = """
listeners: {smpp: [{listen: "127.0.0.1:0", response_timeout: 2s}]}
accounts:
  acme: {smpp: {system_id: acme, password: secret, max_binds: 100}}
  good: {smpp: {system_id: good, password: secret}}
providers: {virtual: {type: virtual, poll: 50ms}}
routes: [{send: [virtual]}]
"""
_LAST = 0x7ABCDEF0  # the sequence number of our last question


async def attack(port: int, number: int) -> int:
    """Binds, sends a stream, and reads what is answered, up to the answer to an enquire_link or the end."""
    chance = random.Random(number)
    kind = chance.choice((BindReceiver, BindTransceiver, BindTransmitter))
    version = chance.choice((0x00, 0x34, 0x50))
    bind = kind(sequence=1, system_id="acme", password="secret", interface_version=version)
    octets = encode(bind) * chance.choice((0, 1, 1, 1)) + stream(chance) + encode(EnquireLink(sequence=_LAST))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = 0
    try:
        while octets:
            size = chance.randrange(1, 5000)
            writer.write(octets[:size])
            octets = octets[size:]
            await asyncio.sleep(0)
        # A stream that ends in the middle of a PDU swallows the question.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    head = await reader.readexactly(16)
                    answer = head + await reader.readexactly(int.from_bytes(head[:4], "big") - 16)
                    is_read_by_others(answer)
                    answers += 1
                    if int.from_bytes(answer[12:16], "big") == _LAST:
                        break
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answers


async def test_hostile_clients_harm_nobody(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: broken.append(context))
    bridge = Bridge(tmp_path, CONFIGURATION)
    await bridge.start()
    good = await Esme.bound(bridge.smpp, system_id="good")
    seed = pytestconfig.getoption("--fuzz-seed")
    first = random.SystemRandom().randrange(1 << 32) if seed is None else int(seed)
    end, number, answers = monotonic() + pytestconfig.getoption("--fuzz-seconds") / 4, first, 0
    while number == first or monotonic() < end:
        answers += sum(await asyncio.gather(*(attack(bridge.smpp, each) for each in range(number, number + 10))))
        number += 10
        assert not broken, f"--fuzz-seed {number - 10}: {broken}"
    print(f"{number - first} clients from {first} on, {answers} answers")
    assert (await good.submit("380501234510")).status == 0

    async def only_good_is_left() -> bool:
        return len(bridge.app.smpp[0]._connections) == 1

    await until(only_good_is_left)
    await good.abort()
    await bridge.stop()
    assert not broken
