"""`smsbridge provider`: the lanes of a daemon that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import Result
from flows.bridges import Bridge
from structlog.testing import capture_logs
from typer.testing import CliRunner

from bridge.cli.provider import _state, _trouble, provider
from bridge.message import Reason
from bridge.steering import LaneState, Trouble

CONFIG = """
providers: {virtual: {type: virtual, rate: 100/s}, spare: {type: virtual}}
routes: [{send: [virtual]}]
"""


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    with capture_logs():  # what it logs would stand among what the command says
        running = Bridge(tmp_path, CONFIG)
        await running.start()
        yield running
        await running.stop()


async def run(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(provider, list(words), env={"COLUMNS": "200"}))


async def test_every_provider_is_shown(bridge: Bridge) -> None:
    done = await run("status", "--config", str(bridge.path))
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["virtual", "virtual", "sends", "0", "100/s"],
        ["spare", "virtual", "sends", "0"],
    ]


async def test_as_json(bridge: Bridge) -> None:
    done = await run("status", "--config", str(bridge.path), "--json")
    assert [lane["name"] for lane in json.loads(done.stdout)["providers"]] == ["virtual", "spare"]


async def test_pause_and_resume(bridge: Bridge) -> None:
    paused = await run("pause", "virtual", "--config", str(bridge.path))
    assert (paused.exit_code, paused.stdout) == (0, "virtual: held by an administrator\n")
    assert bridge.app.lanes["virtual"].breaker.held
    resumed = await run("resume", "virtual", "--config", str(bridge.path))
    assert (resumed.exit_code, resumed.stdout) == (0, "virtual: sends\n")
    assert not bridge.app.lanes["virtual"].breaker.held


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_unknown_provider_is_1(bridge: Bridge, verb: str) -> None:
    done = await run(verb, "spair", "--config", str(bridge.path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'did you mean "spare"?' in done.stderr


async def test_no_daemon_is_1(tmp_path: Path) -> None:
    done = await run("status", "--socket", str(tmp_path / "none.sock"))
    assert done.exit_code == 1
    assert "none.sock: no daemon listens here" in done.stderr


def lane(**keys: object) -> LaneState:
    given = {"wait_s": None, "queued": 0, "in_memory": 0, "rate": None, "trouble": None}
    return LaneState(name="x", type="bsg", **{"state": "open", **given, **keys})  # type: ignore[arg-type]


def test_states_in_words() -> None:
    assert _state(lane(state="unreachable", wait_s=2.5)) == "does not answer, next attempt in 2.5 s"
    assert _state(lane(state="of a later version")) == "of a later version"


def test_trouble_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 160.0)
    told = lane(trouble=Trouble(at=100.0, outcome="retry", reason=Reason.THROTTLED, native="429"))
    assert _trouble(told) == 'retry, throttled "429", 60 s ago'
    assert _trouble(lane(trouble=Trouble(at=150.0, outcome="unsure", reason=None, native=""))) == "unsure, 10 s ago"
