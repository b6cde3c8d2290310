"""The parts of `smsbridge demo`; the whole of it is in `tests/flows/test_demo.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import standardwebhooks
from rich.console import Console

from bridge.cli.clients import Protocol
from bridge.cli.demo import Journey, Stage, _config_file, _print_new, _run, _table
from bridge.config.loader import load

CALLBACK = b'{"type": "message.delivered", "data": {"id": "7"}}'


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.start()
    yield stage
    await stage.stop()


def callback_of(stage: Stage) -> tuple[str, str]:
    """Where callbacks of the account go, and their secret."""
    http = stage.app.config.accounts["demo"].http
    assert http is not None
    assert http.callback is not None
    assert http.callback_secret is not None
    return http.callback, http.callback_secret.get_secret_value()


async def call(stage: Stage, headers: dict[str, str]) -> int:
    async with aiohttp.request("POST", callback_of(stage)[0], data=CALLBACK, headers=headers) as answer:
        return answer.status


def signed(stage: Stage, at: float, body: bytes = CALLBACK) -> dict[str, str]:
    """The headers as a foreign implementation of Standard Webhooks makes them."""
    moment = datetime.fromtimestamp(int(at), UTC)
    signature = standardwebhooks.Webhook(callback_of(stage)[1]).sign("msg_7", moment, body.decode())
    return {"webhook-id": "msg_7", "webhook-timestamp": str(int(at)), "webhook-signature": signature}


async def test_signed_callback_is_taken_and_told(stage: Stage) -> None:
    told: list[tuple[int, str]] = []
    stage.on_told = lambda message_id, how: told.append((message_id, how))
    assert await call(stage, signed(stage, time.time())) == 204
    assert told == [(7, "callback message.delivered, rightly signed")]


async def test_other_callbacks_are_refused(stage: Stage) -> None:
    told: list[int] = []
    stage.on_told = lambda message_id, how: told.append(message_id)
    now = time.time()
    wrong = [
        {},
        signed(stage, now, b"another body"),
        signed(stage, now - 3600),
        signed(stage, now) | {"webhook-id": "msg_8"},
        signed(stage, now) | {"webhook-timestamp": "soon"},
        signed(stage, now) | {"webhook-signature": "v1,"},
    ]
    assert [await call(stage, headers) for headers in wrong] == [401] * len(wrong)
    assert told == []


async def test_stage_closes_every_port(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.start()
    ports = list(stage.ports.values())
    assert all(ports)
    await stage.stop()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_credentials_can_be_held_by_smpp(stage: Stage) -> None:
    assert len(stage.credentials[Protocol.SMPP]["password"]) <= 8


def test_configuration_is_the_one_that_is_shown(tmp_path: Path) -> None:
    path = _config_file()
    assert isinstance(path, Path)
    config = load(path, env={"DEMO_DIR": str(tmp_path), "DEMO_PROVIDER": "http://127.0.0.1:1/rest",
                             "DEMO_SMARTHOST_PORT": "25", "DEMO_CALLBACK": "http://127.0.0.1:1/"})  # fmt: skip
    assert list(config.accounts) == ["demo"]
    assert {listener.listen.port for listener in (*config.listeners.smpp, *config.listeners.smtp)} == {0}


async def test_missing_report_is_named_and_the_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert await _run(once=True, give_up_s=0.2) == 1  # less than the provider takes
    out = capsys.readouterr().out
    for protocol in Protocol:
        assert f"{protocol}: its report did not come back" in out


# --- the screen -------------------------------------------------------------------------------------------------------


def journey() -> Journey:
    journey = Journey(Protocol.SMPP)
    journey.message_id = 7
    journey.timeline = [
        {"at": 100.0, "event": "accepted", "listener": "smpp"},
        {"at": 100.5, "event": "sent", "provider": "bsg"},
        {"at": 102.0, "event": "reported", "listener": "smpp", "id": 7},
    ]
    journey.seen = [(101.0, "deliver_sm: delivered")]
    return journey


def test_hops_are_in_the_order_of_time() -> None:
    assert list(journey().hops()) == [
        ("0", "accepted", "over smpp"),
        ("500", "bsg took it", ""),
        ("1000", "the client has it", "deliver_sm: delivered"),
        ("2000", "told to the client", "over smpp, as 7"),
    ]


def test_over_takes_both_sides_or_a_failure() -> None:
    whole, unseen, untold, failed = journey(), journey(), journey(), Journey(Protocol.HTTP)
    unseen.seen = []
    untold.timeline = untold.timeline[:2]
    assert [each.over for each in (whole, unseen, untold, failed)] == [True, False, False, False]
    failed.failed = "no connection"
    assert failed.over


def test_each_hop_is_a_line_once_also_when_one_comes_to_light_late() -> None:
    console, shown, whole = Console(record=True, width=200), set(), journey()
    late = whole.timeline
    whole.timeline = [late[0]]
    with console.capture() as first:
        _print_new([whole], shown, console)
    whole.timeline = late
    with console.capture() as second:
        _print_new([whole], shown, console)
    assert [line.split("ms")[1].split()[0] for line in first.get().splitlines()] == ["accepted", "the"]
    assert [line.split("ms")[1].split()[0] for line in second.get().splitlines()] == ["bsg", "told"]


def test_table_has_a_block_for_each_message() -> None:
    waiting, failed = Journey(Protocol.SMTP), Journey(Protocol.HTTP)
    failed.failed = "no connection"
    table = _table([journey(), waiting, failed])
    assert [list(column.cells)[-2:] for column in table.columns[:2]] == [["smtp", "http"], ["", ""]]
    assert [str(cell) for cell in table.columns[3].cells][-2:] == ["...", "no connection"]
    assert table.row_count == 6
