"""`smsbridge sessions`: what it shows of a daemon that runs, and what it writes."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from click.testing import Result
from flows.bridges import Bridge
from listeners.smpp.esme import ENQUIRE_LINK, RESPONSE, SUBMIT_SM, TRX, Esme
from structlog.testing import capture_logs
from typer.testing import CliRunner
from unit.cli.packets import packets
from unit.world import until

from bridge.cli.sessions import _ago, _cells, sessions
from bridge.listeners.smpp.seen import Seen, Window
from bridge.listeners.smpp.traffic import Fault

CONFIG = """
listeners: {smpp: [{listen: 127.0.0.1:0}]}
accounts: {acme: {smpp: {system_id: acme, password: secret}}}
providers: {virtual: {type: virtual}}
routes: [{send: [virtual]}]
"""

app = typer.Typer()
app.command()(sessions)


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    with capture_logs():  # what it logs would stand among what the command says
        running = Bridge(tmp_path, CONFIG)
        await running.start()
        yield running
        await running.stop()


@pytest_asyncio.fixture
async def client(bridge: Bridge) -> AsyncIterator[Esme]:
    made = await Esme.bound(bridge.smpp)
    yield made
    await made.abort()


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


async def run(*words: str) -> Result:
    return await asyncio.to_thread(invoke, *words)


# --- who is bound -----------------------------------------------------------------------------------------------------


async def test_a_bind_is_shown(bridge: Bridge, client: Esme) -> None:
    await client.submit("380501234567")
    done = await run("--config", str(bridge.path))
    assert (done.exit_code, done.stderr) == (0, "")
    head, row, foot = done.stdout.splitlines()
    assert head.split()[:5] == ["account", "peer", "bind", "version", "since"]
    host, port = client.writer.get_extra_info("sockname")
    assert row.split()[:4] == ["acme", f"{host}:{port}", "transceiver", "3.4"]
    assert row.split()[7:] == ["1", "0", "0/100", "0/50", "0"]
    assert foot.strip() == "1 bind; besides: 0 SMPP connections without a bind, 0 SMTP, 0 HTTP"


async def test_nobody_is_bound(bridge: Bridge) -> None:
    done = await run("--config", str(bridge.path))
    assert done.stdout.startswith("0 binds; ")


async def test_as_json(bridge: Bridge, client: Esme) -> None:
    done = await run("--config", str(bridge.path), "--json")
    (found,) = json.loads(done.stdout)["sessions"]
    assert (found["account"], found["window_in"]) == ("acme", {"used": 0, "size": 100})


@pytest.mark.parametrize("form", [["--watch"], ["--watch", "--json"]])
async def test_again_and_again(bridge: Bridge, client: Esme, form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    done = await run("--config", str(bridge.path), *form)
    assert pauses == [2.0] * 3
    assert done.stdout.count("acme") >= 1


def seen(**keys: Any) -> Seen:
    given: dict[str, Any] = {
        "account": "acme", "system_id": "acme", "listener": ":2775", "peer": "192.0.2.1:4000", "kind": "receiver",
        "version": "5.0", "tls": "TLSv1.3", "since": 0.0, "taken_per_s": 1.5, "handed_per_s": 0.0,
        "window_in": Window(1, 10), "window_out": Window(0, 0), "pending": 3, "clogged": True, "fault": None,
    }  # fmt: skip
    return Seen(**{**given, **keys})


def test_a_bind_in_words() -> None:
    fault = Fault("submit_sm_resp", "ESME_RTHROTTLED", code=0x58, incoming=False, at=90.0)
    assert list(_cells(seen(fault=fault), 100.0)) == [
        "acme", "192.0.2.1:4000", "receiver", "5.0 TLSv1.3", "1970-01-01 00:00:00 (100s)", "1.5", "0", "1/10",
        " clogged", "3", "submit_sm_resp ESME_RTHROTTLED to it, 10s ago",
    ]  # fmt: skip
    odd = Fault("deliver_sm_resp", "unknown", code=0x400, incoming=True, at=90.0)
    assert list(_cells(seen(fault=odd), 100.0))[-1] == "deliver_sm_resp 0x00000400 from it, 10s ago"


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1, "0s"), (119.9, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d"), (100_000, "27h")]
)
def test_times_that_have_passed(seconds: float, told: str) -> None:
    assert _ago(seconds) == told


# --- a capture --------------------------------------------------------------------------------------------------------


async def watched(bridge: Bridge) -> None:
    await until(lambda: bridge.app._binds.captures)


async def test_a_capture_is_a_file_of_packets(bridge: Bridge, client: Esme, tmp_path: Path) -> None:
    file = tmp_path / "acme.pcap"
    running = asyncio.create_task(run("--config", str(bridge.path), "--capture", "acme", str(file), "--count", "8"))
    await watched(bridge)
    await client.submit("380501234567", b"private words")
    second = await Esme.bound(bridge.smpp)
    await second.ask(ENQUIRE_LINK)
    await second.unbind()
    done = await running
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == (f"capturing acme, 1 bind now; Ctrl-C ends it\n8 PDUs of 2 connections in {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = packets(file)
    server = ("127.0.0.1", bridge.smpp)
    ends = client.writer.get_extra_info("sockname"), second.writer.get_extra_info("sockname")
    said = [(each.source, int.from_bytes(each.data[4:8], "big")) for each in found]
    assert said[:4] == [(ends[0], SUBMIT_SM), (server, SUBMIT_SM | RESPONSE), (ends[1], TRX), (server, TRX | RESPONSE)]
    assert [each.sequence for each in found[2:]] == [1, 1, 1 + len(found[2].data), 1 + len(found[3].data)] + [
        each.sequence for each in found[6:]
    ]
    assert b"private words" in found[0].data
    assert b"secret" not in file.read_bytes()


async def test_a_capture_may_be_masked(bridge: Bridge, client: Esme, tmp_path: Path) -> None:
    file = tmp_path / "acme.pcap"
    words = ("--capture", "acme", str(file), "--count", "2", "--mask")
    running = asyncio.create_task(run("--config", str(bridge.path), *words))
    await watched(bridge)
    await client.submit("380501234567", b"private words")
    await running
    assert b"private" not in packets(file)[0].data
    assert b"380501234567" not in packets(file)[0].data


async def test_a_capture_ends_with_its_time(bridge: Bridge, tmp_path: Path) -> None:
    file = tmp_path / "acme.pcap"
    done = await run("--config", str(bridge.path), "--capture", "acme", str(file), "--seconds", "0.2")
    assert done.exit_code == 0
    assert "0 PDUs of 0 connections" in done.stderr
    assert packets(file) == []


async def test_a_capture_ends_with_the_daemon(bridge: Bridge, client: Esme, tmp_path: Path) -> None:
    file = tmp_path / "acme.pcap"
    running = asyncio.create_task(run("--config", str(bridge.path), "--capture", "acme", str(file)))
    await watched(bridge)
    await bridge.stop()
    done = await running
    assert done.exit_code == 0
    assert int.from_bytes(packets(file)[0].data[4:8], "big") == 0x06  # unbind


async def test_an_account_that_is_not_there_empties_no_file(bridge: Bridge, tmp_path: Path) -> None:
    file = tmp_path / "acme.pcap"
    file.write_text("precious")
    done = await run("--config", str(bridge.path), "--capture", "acne", str(file))
    assert done.exit_code == 1
    assert 'did you mean "acme"?' in done.stderr
    assert file.read_text() == "precious"


async def test_a_file_that_cannot_be_written_is_2(bridge: Bridge, tmp_path: Path) -> None:
    done = await run("--config", str(bridge.path), "--capture", "acme", str(tmp_path / "absent" / "x.pcap"))
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
    await until(lambda: not bridge.app._binds.captures)


def test_no_daemon_is_1(tmp_path: Path) -> None:
    done = invoke("--socket", str(tmp_path / "none.sock"))
    assert done.exit_code == 1
    assert "no daemon listens here" in done.stderr


@pytest.mark.parametrize("words", [["--seconds", "1"], ["--count", "1"], ["--mask"]])
def test_options_of_a_capture_need_one(words: list[str]) -> None:
    assert invoke("--socket", os.devnull, *words).exit_code == 2
