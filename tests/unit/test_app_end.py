"""The whole, while it changes and when it ends: reload, and the order of a stop."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.esme import SUBMIT_SM, TX, Esme, submit_body
from structlog.testing import capture_logs
from unit.bridges import (
    Start,
    bsg_served,
    called_back,
    config_of,
    entry_of,
    final,
    left,
    receiving,
    starting,
    submit,
)
from unit.world import until

from bridge.errors import ConfigError
from bridge.message import Report, State
from bridge.reports.correlate import decide
from bridge.store.sqlite import SqliteStore

TLS = Path(__file__).parent / "config" / "tls"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling looks again after hundredths of a second."""
    monkeypatch.setattr("bridge.reports.polling._PAUSE_S", 0.02)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with starting() as make:
        yield make


# --- reload -----------------------------------------------------------------------------------------------------------


async def test_reload_takes_over_accounts_and_routes(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    accounts = {"acme": {"http": {"api_key": "new-key"}}, "other": {"http": {"api_key": "other-key"}}}
    app.reload(config_of(tmp_path, accounts=accounts, routes=[{"account": "other", "send": ["virtual"]}]))
    assert (await submit(app, "+380501234500", "acme-key"))[0] == 401
    assert (await submit(app, "+380501234500", "new-key"))[0] == 422  # no route
    assert (await submit(app, "+380501234500", "other-key"))[0] == 202


@pytest.mark.parametrize(
    "change",
    [
        {"providers": {"virtual": {"type": "virtual", "poll": "9s"}}},
        {"listeners": {"http": [{"listen": "127.0.0.1:0"}]}},
        {"limits": {"memory": 7}},
        {"store": "sqlite:/nowhere/other.db"},
    ],
)
async def test_what_cannot_change_is_refused_wholly(start: Start, tmp_path: Path, change: dict[str, Any]) -> None:
    app = await start(config_of(tmp_path))
    with pytest.raises(ConfigError) as refused:
        app.reload(config_of(tmp_path, **change, accounts={"acme": {"http": {"api_key": "new-key"}}}))
    assert [problem.split(":")[0] for problem in refused.value.problems] == list(change)
    assert (await submit(app, "+380501234500", "acme-key"))[0] == 202


async def test_reload_opens_every_door_and_takes_over_its_limits(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path, lockout={"failures": 1, "for": "1h"}))
    assert [(await submit(app, "+380501234500", "wrong"))[0] for _ in range(2)] == [401, 429]
    app.reload(config_of(tmp_path, lockout={"failures": 2}))
    assert [(await submit(app, "+380501234500", "wrong"))[0] for _ in range(3)] == [401, 401, 429]


async def test_reload_reads_certificates_again(start: Start, tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        shutil.copy(TLS / name, tmp_path)
    tls = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    listeners = {kind: [{"listen": "127.0.0.1:0", "tls": tls}] for kind in ("smpp", "http")}
    listeners["smtp"] = [{"listen": "127.0.0.1:0", "domain": "sms.example", "tls": tls, "mode": "implicit"}]
    config = config_of(tmp_path, listeners=listeners)
    app = await start(config)
    ports = [app.smpp[0].port, app.smtp[0].port, app.http[0].port]

    def served() -> set[str]:
        return {ssl.get_server_certificate(("127.0.0.1", port), timeout=10) for port in ports}

    before = await asyncio.to_thread(served)
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=new -keyout key.pem -out cert.pem"
    await asyncio.to_thread(
        subprocess.run, ["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True
    )
    assert await asyncio.to_thread(served) == before
    app.reload(config)
    after = await asyncio.to_thread(served)
    assert len(after) == 1
    assert after != before
    (tmp_path / "key.pem").write_text("no key")
    with capture_logs() as logs:
        app.reload(config)
    assert [line["event"] for line in logs] == ["certificate_not_renewed"] * 3
    assert await asyncio.to_thread(served) == after


async def test_a_quota_goes_on_after_a_restart(start: Start, tmp_path: Path) -> None:
    config = config_of(tmp_path, accounts={"acme": {"http": {"api_key": "acme-key"}, "quota": {"month": 2}}})
    app = await start(config)
    assert (await submit(app, "+380501234500"))[0] == 202
    await app.stop()
    again = await start(config)
    answers = [(await submit(again, "+380501234500"))[0] for _ in range(2)]
    assert answers == [202, 429]


async def test_a_reload_that_routes_to_nobody_changes_nothing(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    with pytest.raises(ConfigError):
        app.reload(config_of(tmp_path, routes=[{"send": ["nobody"]}], accounts={}))
    assert app.config == config_of(tmp_path)
    assert (await submit(app, "+380501234500"))[0] == 202


async def test_callbacks_come_once_after_many_reloads(start: Start, tmp_path: Path) -> None:
    async with receiving() as receiver:
        config = config_of(tmp_path, accounts={"acme": called_back(receiver.url)})
        app = await start(config)
        outbox = app.delivery.outbox("http", "acme")
        for _ in range(5):
            app.reload(config)
            _, body = await submit(app, "+380501234500")
            await final(app, int(body["id"]))
        await until(lambda: len(receiver.got) >= 5)
        assert outbox.sink is not None
        assert outbox.sink.room() <= 8
        await app.stop()
        assert outbox.sink is None
        assert len(receiver.got) == 5


async def test_callbacks_follow_the_account_to_a_new_address(start: Start, tmp_path: Path) -> None:
    async with receiving() as old, receiving() as new:
        app = await start(config_of(tmp_path, accounts={"acme": called_back(old.url)}))
        _, first = await submit(app, "+380501234500")
        await until(lambda: len(old.got) == 1)
        app.reload(config_of(tmp_path, accounts={"acme": called_back(new.url)}))
        _, second = await submit(app, "+380501234500")
        await until(lambda: len(new.got) == 1)
        assert len(old.got) == 1
        assert first["id"] != second["id"]


async def test_reports_wait_while_an_account_has_no_callback(start: Start, tmp_path: Path) -> None:
    async with receiving() as receiver:
        accounts = {"acme": called_back(receiver.url)}
        app = await start(config_of(tmp_path, accounts=accounts))
        await app.store.accept([entry_of(1, "virtual", account="acme", listener="http", destination="380501234505")])
        app.lanes["virtual"].wake(app.clock())
        await until(lambda: app.store.queued == 0)
        app.reload(config_of(tmp_path))  # the callback is gone
        report = Report(state=State.DELIVERED, message_id=1)
        recorded = await app.store.record("virtual", [report], app.clock())
        app.delivery.offer(recorded.owed)
        assert app.delivery.outbox("http", "acme").sink is None
        await asyncio.sleep(0.05)
        assert receiver.got == []
        app.reload(config_of(tmp_path, accounts=accounts))
        await until(lambda: len(receiver.got) == 1)


# --- stop -------------------------------------------------------------------------------------------------------------


async def test_every_message_that_was_taken_is_acknowledged(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    client = await Esme.bound(app.smpp[0].port, TX)
    pending = [client.request(SUBMIT_SM, submit_body(f"38050{number:07}")) for number in range(300)]
    await client.until(lambda: client.answers[1:])
    await app.stop()
    await client.end()
    taken = {int(answer.message_id) for answer in client.answers if answer.command == 0x80000004 and not answer.status}
    await client.close()
    assert taken
    assert len([future for future in pending if future.done()]) == 300
    store = SqliteStore(tmp_path / "bridge.db", 0.0, decide)
    kept = [message_id for message_id in range(1, max(taken) + 300) if await store.find(message_id) is not None]
    await store.close()
    assert set(kept) == taken


async def test_outcomes_under_way_are_kept_and_the_rest_waits(start: Start, tmp_path: Path) -> None:
    async with bsg_served() as bsg:
        app = await start(config_of(tmp_path, providers={"bsg": bsg.settings}, routes=[{"send": ["bsg"]}]))
        ids = [int((await submit(app, f"+38050123450{number}"))[1]["id"]) for number in range(3)]
        await asyncio.wait_for(bsg.arrived.wait(), 10)
        stopping = asyncio.create_task(app.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        bsg.go.set()
        await stopping
        assert len(bsg.sends) == 1
    states = [(await left(tmp_path, message_id)).state for message_id in ids]
    assert states == [State.ENROUTE, State.ACCEPTED, State.ACCEPTED]


async def test_what_was_confirmed_is_forgotten_even_at_the_last_moment(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    await app.store.accept([entry_of(1, "virtual", destination="380501234509", listener="http")])
    app.lanes["virtual"].wake(app.clock())
    await final(app, 1)
    outbox = app.delivery.outbox("http", "acme")
    await until(lambda: outbox.waiting == 1)
    (owed,) = await app.store.owed("http", "acme", 0, 10, app.clock())
    stopping = asyncio.create_task(app.stop())
    await asyncio.sleep(0)
    outbox.confirmed(owed, {"at": app.clock(), "event": "reported"})
    await stopping
    store = SqliteStore(tmp_path / "bridge.db", 0.0, decide)
    assert await store.owing() == []
    await store.close()


async def test_a_part_that_fails_to_stop_does_not_keep_the_store_from_closing(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))

    async def fail(grace_s: float = 0.0) -> None:
        raise RuntimeError("no")

    real, app.smpp[0].stop = app.smpp[0].stop, fail  # type: ignore[method-assign]
    with capture_logs() as logs:
        await app.stop()
    await real()
    assert "stop_failed" in {line["event"] for line in logs}
    assert (await start(config_of(tmp_path))).health()[0]
