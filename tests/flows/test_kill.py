"""`kill -9` at random moments under load: nothing that was acknowledged is lost, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows.bridges import until
from flows.bsg_server import BsgServer, Reporting
from listeners.smpp.esme import SUBMIT_SM, Esme, submit_body

from bridge.message import FINAL
from bridge.store import Stage

_WINDOW = 10
_COMMAND = Path(sys.executable).with_name("smsbridge")


def configuration(store: Path, bsg: BsgServer) -> str:
    return f"""
store: sqlite:{store}
public_url: http://127.0.0.1
listeners:
  smpp: [{{listen: "127.0.0.1:0"}}]
  http: [{{listen: "127.0.0.1:0"}}]
accounts:
  acme:
    smpp: {{system_id: acme, password: secret, window: {_WINDOW}}}
    parts_timeout: 1h
providers:
  bsg: {{type: bsg, base_url: "{bsg.base_url}", api_key: live_key, callback_token: token, timeout: 5s, poll: 500ms}}
routes: [{{send: [bsg]}}]
log: {{format: json}}
"""


class Daemon:
    """The daemon in a process of its own, on the same configuration and store each time."""

    def __init__(self, folder: Path, bsg: BsgServer) -> None:
        self.path = folder / "bridge.yaml"
        self.store = folder / "bridge.db"
        self.path.write_text(configuration(self.store, bsg))
        self.path.chmod(0o600)  # it holds secrets: the daemon would say so
        self._bsg = bsg
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.smpp = 0
        self.alarms: list[str] = []  # what the daemon logged that it should not have

    async def start(self) -> None:
        """Starts it, and waits until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            _COMMAND, "run", "--config", self.path, stdout=PIPE, stderr=PIPE
        )
        ready: asyncio.Future[dict[str, list[int]]] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(self._process, ready))
        async with asyncio.timeout(30):
            ports = await ready
        self.smpp = ports["smpp"][0]
        self._bsg.callback_url = f"http://127.0.0.1:{ports['http'][0]}/callbacks/bsg/token"

    async def _read(self, process: Process, ready: asyncio.Future[dict[str, list[int]]]) -> None:
        assert process.stderr is not None
        async for octets in process.stderr:
            line = octets.decode()
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("event") == "ready":
                ready.set_result(said)
            elif said.get("level") != "info":
                self.alarms.append(line)
        if not ready.done():
            ready.set_exception(RuntimeError("".join(self.alarms)))

    async def end(self, number: signal.Signals) -> int:
        """Ends it with a signal; gives the exit code."""
        assert self._process is not None
        assert self._reading is not None
        self._process.send_signal(number)
        async with asyncio.timeout(30):
            code = await self._process.wait()
            await self._reading
        self._process._transport.close()  # type: ignore[attr-defined]  # or its pipe is closed too late for the loop
        self._process = None
        return code

    async def clean_up(self) -> None:
        if self._process is not None:
            await self.end(signal.SIGKILL)


class Load:
    """What a client has submitted, over all its connections."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}  # message_id -> number
        self.told: dict[str, set[str]] = {}  # message_id -> the states that its receipts said
        self.number = 0

    def take(self, esme: Esme) -> None:
        """Notes the receipts that came over a connection."""
        for deliver in esme.delivered:
            self.told.setdefault(deliver.receipt["id"], set()).add(deliver.receipt["stat"])
        esme.delivered.clear()

    async def put_on(self, esme: Esme) -> None:
        """Submits with a full window until the connection ends."""
        await asyncio.gather(*(self._submit_forever(esme) for _ in range(_WINDOW)))

    async def _submit_forever(self, esme: Esme) -> None:
        while not esme.closed.is_set():
            number, self.number = self.number, self.number + 1
            try:
                answer = await esme.request(SUBMIT_SM, submit_body(f"38050{number:07}", f"text {number}".encode()))
            except asyncio.CancelledError:
                return  # the connection ended: nobody knows whether it was taken
            assert answer.status == 0
            assert answer.message_id not in self.acknowledged
            self.acknowledged[answer.message_id] = number


@pytest.fixture
async def daemon(tmp_path: Path, bsg: BsgServer) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path, bsg)
    yield daemon
    await daemon.clean_up()


async def test_kill(daemon: Daemon, bsg: BsgServer, pytestconfig: pytest.Config) -> None:
    ways = dict(enumerate(Reporting))
    bsg.reporting = lambda sms: ways.get(int(sms.msisdn[-2:]) % 20, Reporting.PLAIN)
    bsg.outcome = lambda sms: "undeliverable" if sms.msisdn.endswith("7") else "delivered"
    load = Load()
    kills = pytestconfig.getoption("--kills")
    for _ in range(kills):
        await daemon.start()
        esme = await Esme.bound(daemon.smpp)
        putting_on = asyncio.create_task(load.put_on(esme))
        await asyncio.sleep(random.uniform(0.02, 0.6))
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
        await esme.end()
        await putting_on
        await esme.close()
        load.take(esme)

    await daemon.start()
    esme = await Esme.bound(daemon.smpp)

    def all_told() -> bool:
        load.take(esme)
        return load.acknowledged.keys() <= load.told.keys()

    await esme.until(all_told, 60)

    async def finished() -> bool:
        return unfinished(daemon.store) == 0

    # What was stored when its acknowledgement had no time to leave ends as well.
    await until(finished, 60)
    await esme.unbind()
    assert await daemon.end(signal.SIGTERM) == 0

    assert len(load.acknowledged) > 10 * kills
    for message_id, number in load.acknowledged.items():
        assert load.told[message_id] == {"UNDELIV" if number % 10 == 7 else "DELIVRD"}
    texts = Counter(sms.body for sms in bsg.taken.values())
    assert texts.most_common(1)[0][1] == 1
    assert {f"text {number}" for number in load.acknowledged.values()} <= texts.keys()
    assert set(bsg.refused) <= {23}
    assert unfinished(daemon.store) == 0
    with sqlite3.connect(daemon.store) as store:
        states = dict(store.execute("SELECT message_id, state FROM message"))
        assert store.execute("SELECT count(*) FROM owed").fetchone() == (0,)
    store.close()
    assert {int(message_id) for message_id in load.acknowledged} <= states.keys()
    assert set(states.values()) <= set(FINAL)
    assert daemon.alarms == []


def unfinished(path: Path) -> int:
    """Messages in a store that are not final."""
    store = sqlite3.connect(path)
    (count,) = store.execute("SELECT count(*) FROM message WHERE stage < ?", (Stage.FINAL,)).fetchone()
    store.close()
    return int(count)
