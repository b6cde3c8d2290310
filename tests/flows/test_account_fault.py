"""A provider that refuses our account with it: an alarm, a pause, nothing lost, and `smsbridge provider resume`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flows.bridges import Bridge, until
from flows.bsg_server import BsgServer, Trouble
from flows.conftest import Start
from flows.test_main_job import send_by_http
from structlog.testing import capture_logs
from typer.testing import CliRunner

from bridge.cli.provider import provider
from bridge.message import State

FAULTS = {
    Trouble.UNAUTHORISED: "provider_account",
    Trouble.FORBIDDEN: "provider_account",
    Trouble.NO_CREDIT: "no_credit",
}
Launch = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def other() -> AsyncIterator[BsgServer]:
    async with BsgServer() as server:
        yield server


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged, which would otherwise stand among what the command says."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def launch(start: Start, bsg: BsgServer, other: BsgServer, tmp_path: Path, logged: list[Any]) -> Launch:
    """Starts a bridge with a plan."""

    async def begin(plan: str) -> Bridge:
        bridge = await start(f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts: {{acme: {{http: {{api_key: secret-key}}}}}}
providers:
  one: {{type: bsg, base_url: "{bsg.base_url}", api_key: live_key, callback_token: token, poll: 1h, concurrency: 1}}
  two: {{type: bsg, base_url: "{other.base_url}", api_key: live_key, callback_token: token, poll: 1h}}
routes: [{{send: {plan}}}]
control: {{socket: "{tmp_path / "control.sock"}"}}
""")
        bsg.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/one/token"
        other.callback_url = f"http://127.0.0.1:{bridge.http}/callbacks/two/token"
        return bridge

    return begin


async def command(bridge: Bridge, *words: str) -> Result:
    arguments = [*words, "--config", str(bridge.path)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(provider, arguments, env={"COLUMNS": "200"}))


async def state_of(bridge: Bridge, name: str) -> dict[str, Any]:
    told = json.loads((await command(bridge, "status", "--json")).stdout)["providers"]
    return next(lane for lane in told if lane["name"] == name)


async def paused(bridge: Bridge, name: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        lane = await state_of(bridge, name)
        return lane if lane["state"] == "paused" else None

    found = await until(look)
    assert found is not None
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_messages_wait_and_go_on_when_it_is_resumed(
    launch: Launch, bsg: BsgServer, logged: list[Any], fault: Trouble
) -> None:
    bsg.trouble = lambda number: fault
    bridge = await launch("[one]")
    ids = [await send_by_http(bridge, 0)]
    lane = await paused(bridge, "one")
    assert lane["trouble"]["reason"] == FAULTS[fault]

    bsg.trouble = lambda number: None  # the account is in order again, but nobody has said so
    ids += [await send_by_http(bridge, number) for number in range(1, 20)]
    assert (await state_of(bridge, "one"))["queued"] == 20
    assert (bsg.requests, bsg.taken) == (1, {})
    assert {(await bridge.record(each)).state for each in ids} == {State.ACCEPTED}

    done = await command(bridge, "resume", "one")
    assert done.exit_code == 0, done.output
    assert {(await bridge.final(each)).state for each in ids} == {State.DELIVERED}
    assert sorted(sms.msisdn for sms in bsg.taken.values()) == [f"38050{n:07}" for n in range(20)]
    assert (await state_of(bridge, "one"))["state"] == "open"
    alarms = [entry for entry in logged if entry["event"] == "provider_paused"]
    assert [(entry["log_level"], entry["provider"], entry["reason"]) for entry in alarms] == [
        ("error", "one", FAULTS[fault])
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_messages_take_the_next_step_of_their_plan(
    launch: Launch, bsg: BsgServer, other: BsgServer, fault: Trouble
) -> None:
    bsg.trouble = lambda number: fault
    bridge = await launch("[one, two]")
    ids = [await send_by_http(bridge, number) for number in range(20)]
    records = [await bridge.final(each) for each in ids]
    assert {(record.state, record.provider) for record in records} == {(State.DELIVERED, "two")}
    assert (bsg.taken, len(other.taken)) == ({}, 20)
    await paused(bridge, "one")


async def test_resumed_too_early_it_is_paused_again_after_one_request(launch: Launch, bsg: BsgServer) -> None:
    bsg.trouble = lambda number: Trouble.UNAUTHORISED
    bridge = await launch("[one]")
    ids = [await send_by_http(bridge, number) for number in range(3)]
    await paused(bridge, "one")
    before = bsg.requests
    assert (await command(bridge, "resume", "one")).exit_code == 0

    async def tried() -> bool:
        return bsg.requests > before

    await until(tried)
    await paused(bridge, "one")
    assert bsg.requests == before + 1
    assert {(await bridge.record(each)).state for each in ids} == {State.ACCEPTED}
