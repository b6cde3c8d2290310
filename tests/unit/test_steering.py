"""A whole bridge, seen and steered."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from listeners.control.world import ask
from listeners.smpp.esme import Esme
from structlog.testing import capture_logs
from unit.bridges import Start, bsg_served, config_of, final, starting, submit
from unit.world import until

from bridge.app import App
from bridge.errors import ConfigError
from bridge.listeners.smpp.capture import Caught
from bridge.message import State
from bridge.steering import Begun, LaneState, Steering


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling looks again after hundredths of a second."""
    monkeypatch.setattr("bridge.reports.polling._PAUSE_S", 0.02)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with starting() as make:
        yield make


def steering_of(app: App) -> Steering:
    return Steering(
        smpp=app.smpp,
        smtp=app.smtp,
        http=app.http,
        binds=app._binds,
        lanes=app.lanes,
        store=app.store,
        system_ids=lambda: {"acme": "acme"},
        clock=app.clock,
    )


async def lane_of(steering: Steering, name: str) -> LaneState:
    return next(lane for lane in await steering.lanes() if lane.name == name)


# --- the socket -------------------------------------------------------------------------------------------------------


async def test_the_socket_is_beside_the_store(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    assert (await ask(tmp_path / "bridge.db.sock", "GET", "/v1/sessions"))[0] == 200
    await app.stop()
    assert "bridge.db.sock" not in os.listdir(tmp_path)


async def test_the_socket_is_where_it_is_configured(start: Start, tmp_path: Path) -> None:
    await start(config_of(tmp_path, control={"socket": str(tmp_path / "other.sock")}))
    assert (await ask(tmp_path / "other.sock", "GET", "/v1/providers"))[1]["providers"][0]["name"] == "virtual"


async def test_a_bridge_starts_without_a_socket_that_nobody_asked_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bridge.db.sock").write_text("precious")
    with capture_logs() as logs:
        app = await start(config_of(tmp_path))
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["control_unavailable"]
    assert app.health()[0]
    await app.stop()
    assert (tmp_path / "bridge.db.sock").read_text() == "precious"


async def test_one_that_was_asked_for_must_be_usable(tmp_path: Path) -> None:
    app = App(config_of(tmp_path, control={"socket": str(tmp_path / "absent" / "control.sock")}))
    with pytest.raises(OSError, match="control socket cannot be made"):
        await app.start()


async def test_another_socket_takes_a_restart(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    with pytest.raises(ConfigError, match="control: has changed"):
        app.reload(config_of(tmp_path, control={"socket": "other.sock"}))


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_who_is_connected(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    client = await Esme.bound(app.smpp[0].port)
    _, http = await asyncio.open_connection("127.0.0.1", app.http[0].port)
    steering = steering_of(app)
    await until(lambda: steering.sessions().http == 1)
    found = steering.sessions()
    assert [seen.account for seen in found.sessions] == ["acme"]
    assert (found.unbound, found.smtp, found.http) == (0, 0, 1)
    assert 'smsbridge_smpp_binds{account="acme"} 1.0' in app.metrics().decode()
    http.close()
    await client.abort()


async def test_a_capture_is_of_an_account_that_binds(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    with pytest.raises(LookupError, match='"acne"; did you mean "acme"'):
        steering_of(app).capture("acne", masked=False)


async def test_a_capture_begins_and_ends_in_the_log(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    client = await Esme.bound(app.smpp[0].port)
    with capture_logs() as logs:
        watch = steering_of(app).capture("acme", masked=False)
        assert await watch.next() == [Begun("acme", 1)]
        await client.submit("380501234500")
        caught = await watch.next()
        assert caught is not None
        assert all(isinstance(each, Caught) for each in caught)
        watch.close()
        watch.close()
    told = {line["event"]: line for line in logs}
    assert told["capture_begun"]["account"] == "acme"
    assert told["capture_ended"]["pdus"] >= 1
    assert app._binds.captures == []
    await client.abort()


# --- providers --------------------------------------------------------------------------------------------------------


async def test_a_provider_is_held_and_sent_to_again(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path))
    steering = steering_of(app)
    assert (await lane_of(steering, "virtual")).state == "open"
    assert steering.pause("virtual").state == "held"
    _, body = await submit(app, "+380501234500")
    await until(lambda: app.lanes["virtual"].waiting == 1)
    held = await lane_of(steering, "virtual")
    assert (held.state, held.queued, held.in_memory, held.wait_s) == ("held", 1, 1, None)
    assert app.health()[1]["held_back"] == ["virtual"]
    assert steering.resume("virtual").state == "open"
    assert (await final(app, int(body["id"]))).state is State.DELIVERED
    assert (await lane_of(steering, "virtual")).queued == 0


async def test_what_has_another_way_takes_it(start: Start, tmp_path: Path) -> None:
    providers = {name: {"type": "virtual", "poll": "20ms"} for name in ("first", "second")}
    app = await start(config_of(tmp_path, providers=providers, routes=[{"send": ["first", "second"]}]))
    steering_of(app).pause("first")
    _, body = await submit(app, "+380501234500")
    assert (await final(app, int(body["id"]))).provider == "second"


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_only_providers_there_are(start: Start, tmp_path: Path, verb: str) -> None:
    app = await start(config_of(tmp_path))
    with pytest.raises(LookupError, match="no provider is called"):
        getattr(steering_of(app), verb)("virtul")
    assert list(app.lanes) == ["virtual"]


async def test_states_of_a_lane(start: Start, tmp_path: Path) -> None:
    app = await start(config_of(tmp_path, providers={"virtual": {"type": "virtual", "rate": "5/s"}}))
    steering, lane = steering_of(app), app.lanes["virtual"]
    assert (await lane_of(steering, "virtual")).rate == 5.0
    lane.exchange.throttled_until = app.clock() + 100
    throttled = await lane_of(steering, "virtual")
    assert throttled.state == "throttled"
    assert throttled.wait_s == pytest.approx(100, abs=1)
    for _ in range(10):
        lane.breaker.failed(app.clock())
    assert (await lane_of(steering, "virtual")).state == "unreachable"
    lane.breaker.pause(app.clock())
    assert (await lane_of(steering, "virtual")).state == "paused"
    lane.breaker.start()
    assert (await lane_of(steering, "virtual")).wait_s is None  # the probe decides


async def test_the_last_trouble_is_told_without_numbers(start: Start, tmp_path: Path) -> None:
    async with bsg_served() as bsg:
        app = await start(config_of(tmp_path, providers={"bsg": {**bsg.settings, "base_url": "http://127.0.0.1:9"}},
                                    routes=[{"send": ["bsg"]}]))  # fmt: skip
        steering = steering_of(app)
        await submit(app, "+380501234567")
        await until(lambda: app.lanes["bsg"].exchange.trouble)
        trouble = (await lane_of(steering, "bsg")).trouble
        assert trouble is not None
        assert trouble.outcome == "retry"
        assert trouble.native
        at, outcome = app.lanes["bsg"].exchange.trouble or (0.0, None)
        app.lanes["bsg"].exchange.trouble = at, type(outcome)(reason="x", native="380501234567 is wrong")  # type: ignore[call-arg,arg-type]
        trouble = (await lane_of(steering, "bsg")).trouble
        assert trouble is not None
        assert trouble.native == "3805****67 is wrong"
