"""The whole, joined: start and what a failed start leaves, providers that are gone, health."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.bridges import (
    Start,
    bsg_served,
    config_of,
    entry_of,
    final,
    leave,
    left,
    starting,
    submit,
)
from unit.world import Clock, until

from bridge.app import App
from bridge.errors import StoreUnavailable
from bridge.message import Reason, State
from bridge.telemetry.notify import Notifier


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling looks again after hundredths of a second."""
    monkeypatch.setattr("bridge.reports.polling._PAUSE_S", 0.02)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with starting() as make:
        yield make


# --- start ------------------------------------------------------------------------------------------------------------


async def test_an_empty_configuration_starts_and_stops(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path, listeners={}, accounts={}, providers={}, routes=[]))
    assert app.health() == (True, {"ready": True, "stuck": [], "held_back": [], "queued": 0})


async def test_a_bridge_with_an_account_and_nowhere_to_send_says_so(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path, providers={}, routes=[]))
    status, body = await submit(app, "+380501234500")
    assert status == 422
    assert body["code"] == Reason.NO_ROUTE


async def test_a_message_goes_its_whole_way(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    status, body = await submit(app, "+380501234500")
    assert status == 202
    record = await final(app, int(body["id"]))
    assert (record.state, record.provider) == (State.DELIVERED, "virtual")


async def test_a_taken_address_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listeners = {"smpp": [{"listen": "127.0.0.1:0"}], "http": [{"listen": f"127.0.0.1:{port}"}]}
        app = App(config_of(tmp_path, listeners=listeners))
        with pytest.raises(OSError, match="in use"):
            await app.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", app.smpp[0].port)
    again = App(config_of(tmp_path))  # the store is free
    await again.start()
    await again.stop()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_store_that_another_process_holds_is_told(start: Start, tmp_path: Path) -> None:
    first = await start(config_of(tmp_path))
    with pytest.raises(StoreUnavailable, match="in use"):
        await App(config_of(tmp_path)).start()
    assert first.health()[0]


async def test_a_failed_start_waits_for_what_it_has_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off, it would be a message of which nobody knows what became."""
    async with bsg_served() as bsg:
        await leave(tmp_path, entry_of(1, "bsg"))

        async def fail(app: App) -> None:
            await bsg.arrived.wait()
            asyncio.get_running_loop().call_later(0.1, bsg.go.set)
            raise OSError("in use")

        monkeypatch.setattr(App, "_listen", fail)
        app = App(config_of(tmp_path, providers={"bsg": bsg.settings}, routes=[{"send": ["bsg"]}]))
        with pytest.raises(OSError, match="in use"):
            await app.start()
    assert (await left(tmp_path, 1)).state is State.ENROUTE


# --- providers that are configured no more ----------------------------------------------------------------------------


async def test_messages_of_a_provider_that_is_gone_end_or_go_on(start: Start, tmp_path: Path) -> None:
    await leave(tmp_path, entry_of(1, "old"), entry_of(2, "old", "older", "virtual", destination="380501234500"))
    app = await start(config_of(tmp_path))
    alone, moved = await final(app, 1), await final(app, 2)
    assert (alone.state, alone.reason) == (State.UNDELIVERABLE, Reason.PROVIDER_UNREACHABLE)
    assert (moved.state, moved.provider) == (State.DELIVERED, "virtual")
    assert app.health()[0]


async def test_a_plan_may_lead_to_a_provider_that_is_gone(start: Start, tmp_path: Path) -> None:
    await leave(tmp_path, entry_of(1, "virtual", "old", destination="380501234502"))  # refused by the first
    app = await start(config_of(tmp_path))
    record = await final(app, 1)
    assert (record.state, record.reason) == (State.UNDELIVERABLE, Reason.PROVIDER_UNREACHABLE)


async def test_what_a_provider_that_is_gone_may_have_is_not_sent_elsewhere(start: Start, tmp_path: Path) -> None:
    clock = Clock()
    entries = [entry_of(number, "old", "virtual", expires_at=clock() + 30 * 86400) for number in (1, 2)]
    await leave(tmp_path, *entries, sent=(1,), begun=(2,))
    app = await start(config_of(tmp_path), clock=clock)
    await until(lambda: app.store.queued == 0)
    clock.offset_s += 3 * 86400 + 1
    for number in (1, 2):
        record = await final(app, number)
        assert (record.state, record.reason, record.provider) == (State.UNKNOWN, Reason.NO_REPORT, "old")


# --- health -----------------------------------------------------------------------------------------------------------


async def test_health_tells_of_a_provider_that_is_held_back(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    app.lanes["virtual"].breaker.pause(app.clock())
    assert app.health() == (True, {"ready": True, "stuck": [], "held_back": ["virtual"], "queued": 0})
    await app.stop()
    assert not app.health()[0]


async def test_a_loop_that_ends_is_not_healthy(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))

    async def end() -> None:
        raise RuntimeError("no")

    with capture_logs() as logs:
        app._run(end())
        await until(lambda: not app.health()[0])
    assert "loop_ended" in {line["event"] for line in logs}


async def test_housekeeping_goes_on_after_an_error(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await start(config_of(tmp_path))
    calls = []

    def fail(now: float) -> None:
        calls.append(now)
        raise RuntimeError("no")

    monkeypatch.setattr(app.intake, "give_up_parts", fail)
    with capture_logs() as logs:
        await until(lambda: len(calls) >= 2)
    assert {line["event"] for line in logs} == {"housekeeping_failed"}
    assert app.health()[0]


async def test_the_service_manager_is_told(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        loop = asyncio.get_running_loop()

        async def told() -> str:
            async with asyncio.timeout(5):
                return (await loop.sock_recv(manager, 1000)).decode()

        app = await start(config_of(tmp_path), notifier=Notifier(str(tmp_path / "notify"), 0.02))
        assert "READY=1" in await told()
        assert await told() == "WATCHDOG=1\n"
        app._broken = True
        await asyncio.sleep(0.2)
        await app.stop()
        words = [await told()]
        while words[-1] != "STOPPING=1\n":
            words.append(await told())
        assert len(words) <= 3  # ten more would be due; one or two were on their way already


async def test_the_metrics_know_what_waits(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    text = app.metrics().decode()
    assert "smsbridge_queued_messages 0.0" in text
    assert "smsbridge_store_commits" in text
