"""`kill -9` while messages are cancelled and replaced: what was confirmed stays so, and every message ends once."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows.bridges import until
from flows.bsg_server import BsgServer
from flows.test_kill import Daemon, unfinished
from listeners.smpp.esme import SUBMIT_SM, Esme, submit_body
from listeners.smpp.requests import CANCEL_SM, REPLACE_SM, cancel_body, replace_body

_KILLS = 3
_BUSY = 0x3FF  # no status of SMPP: the connection ended before the answer


@pytest.fixture
async def daemon(tmp_path: Path, bsg: BsgServer) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path, bsg)
    yield daemon
    await daemon.clean_up()


class Load:
    """What a client has asked for, and what it was told."""

    def __init__(self) -> None:
        self.number = 0
        self.texts: dict[str, str] = {}  # message_id -> as submitted
        self.cancelled: dict[str, int] = {}  # message_id -> what cancel_sm was answered
        self.replaced: dict[str, int] = {}
        self.told: dict[str, set[str]] = {}

    async def put_on(self, esme: Esme) -> None:
        await asyncio.gather(*(self._go_on(esme) for _ in range(8)))

    async def _go_on(self, esme: Esme) -> None:
        while not esme.closed.is_set():
            number, self.number = self.number, self.number + 1
            text = f"text {number}"
            try:
                answer = await esme.request(SUBMIT_SM, submit_body(f"38050{number:07}", text.encode()))
                assert answer.status == 0
                message_id = answer.message_id
                self.texts[message_id] = text
                kind = number % 3
                if kind == 1:
                    self.cancelled[message_id] = _BUSY
                    done = await esme.request(CANCEL_SM, cancel_body(message_id))
                    self.cancelled[message_id] = done.status
                elif kind == 2:
                    self.replaced[message_id] = _BUSY
                    done = await esme.request(REPLACE_SM, replace_body(message_id, f"new {number}".encode()))
                    self.replaced[message_id] = done.status
            except asyncio.CancelledError:
                return

    def take(self, esme: Esme) -> None:
        for deliver in esme.delivered:
            self.told.setdefault(deliver.receipt["id"], set()).add(deliver.receipt["stat"])
        esme.delivered.clear()


async def test_kill_while_messages_are_changed(daemon: Daemon, bsg: BsgServer) -> None:
    load = Load()
    configuration = daemon.path.read_text()
    # So slow that most wait long enough to be changed.
    daemon.path.write_text(configuration.replace("timeout: 5s", "timeout: 5s, rate: 20/s, batch: 1"))
    for _ in range(_KILLS):
        await daemon.start()
        esme = await Esme.bound(daemon.smpp)
        putting_on = asyncio.create_task(load.put_on(esme))
        await asyncio.sleep(random.uniform(0.1, 0.6))
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
        await esme.end()
        await putting_on
        await esme.close()
        load.take(esme)
    daemon.path.write_text(configuration)
    await daemon.start()
    esme = await Esme.bound(daemon.smpp)

    def all_told() -> bool:
        load.take(esme)
        return load.texts.keys() <= load.told.keys()

    await esme.until(all_told, 60)

    async def finished() -> bool:
        return unfinished(daemon.store) == 0

    await until(finished, 60)
    await esme.unbind()
    assert await daemon.end(signal.SIGTERM) == 0

    sent = Counter(sms.body for sms in bsg.taken.values())
    assert sent.most_common(1)[0][1] == 1
    done = {"cancelled": 0, "replaced": 0}
    for message_id, text in load.texts.items():
        new = text.replace("text", "new")
        assert len(load.told[message_id]) == 1  # the same, however often
        if load.cancelled.get(message_id) == 0:
            done["cancelled"] += 1
            assert (load.told[message_id], text in sent) == ({"DELETED"}, False)
        elif load.cancelled.get(message_id) != _BUSY:
            assert load.told[message_id] == {"DELIVRD"}
        if load.replaced.get(message_id) == 0:
            done["replaced"] += 1
            assert new in sent
            assert text not in sent
        elif load.replaced.get(message_id) != _BUSY and message_id not in load.cancelled:
            assert text in sent
            assert new not in sent
    assert daemon.alarms == []
    assert done["cancelled"] > 0
    assert done["replaced"] > 0
