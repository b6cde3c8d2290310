"""`smsbridge trace`: the timeline of a message in a store that a daemon is using."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from click.testing import Result
from flows.bridges import Bridge
from typer.testing import CliRunner

from bridge.cli.clients import Order, Taken, over_http, over_smpp
from bridge.cli.trace import content_of, describe, trace
from bridge.message import Content, Message

CONFIG = """
listeners: {smpp: [{listen: 127.0.0.1:0}], http: [{listen: 127.0.0.1:0}]}
accounts: {acme: {smpp: {system_id: acme, password: secret}, http: {api_key: secret}}}
providers: {virtual: {type: virtual, poll: 100ms}}
routes: [{send: [virtual]}]
"""
NUMBER, TEXT = "380501234507", "the code is 1234"  # rejected as spam by a report

app = typer.Typer()
app.command()(trace)


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    running = Bridge(tmp_path, CONFIG)
    await running.start()
    yield running
    await running.stop()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200", "CREDENTIALS_DIRECTORY": ""})


async def sent(bridge: Bridge) -> str:
    """The id of a message that went through all its hops."""
    order = Order(port=bridge.smpp, to=f"+{NUMBER}", text=TEXT, login="acme", password="secret", source="+380441112233")
    steps = await asyncio.to_thread(lambda: list(over_smpp(order)))
    await bridge.settled()
    assert isinstance(steps[0], Taken)
    return steps[0].ids[0]


async def test_every_hop_is_shown_while_the_daemon_runs(bridge: Bridge) -> None:
    done = run(await sent(bridge), "--store", str(bridge.store))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("message 1: rejected (blocked)\n")
    rows = done.stdout.partition("details")[2].splitlines()[1:]
    hops = ["accepted", "virtual took it", "virtual reports rejected", "told to the client"]
    assert [hop for hop, row in zip(hops, rows, strict=True) if hop in row] == hops
    since_ms = [int(row.split()[2]) for row in rows]
    assert since_ms[0] == 0
    assert since_ms == sorted(since_ms)
    assert "over smpp" in rows[0]


async def test_numbers_and_text_are_masked_unless_asked_for(bridge: Bridge) -> None:
    message_id = await sent(bridge)
    masked = run(message_id, "--store", str(bridge.store)).stdout
    shown = run(message_id, "--store", str(bridge.store), "--show").stdout
    for private in (NUMBER, TEXT, "380441112233"):
        assert private not in masked
        assert private in shown
    assert "3805****07" in masked
    assert "16 characters" in masked


async def test_store_is_found_by_the_configuration(bridge: Bridge) -> None:
    done = run(await sent(bridge), "--config", str(bridge.path))
    assert done.exit_code == 0


async def test_id_may_be_hexadecimal(bridge: Bridge) -> None:
    for _ in range(10):
        order = Order(port=bridge.http, to=f"+{NUMBER}", text="x", login="", password="secret", wait_s=0.0)
        await asyncio.to_thread(lambda: list(over_http(order)))  # noqa: B023 - awaited here
    assert run("0x0A", "--store", str(bridge.store)).stdout.startswith("message 10: ")


async def test_unknown_message_is_1(bridge: Bridge) -> None:
    done = run("999", "--store", str(bridge.store))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no message or part 999" in done.stderr


@pytest.mark.parametrize("word", ["x", "-1", "0", "1.5", "0xg", "٣", str(2**63), "0x" + "f" * 16])
def test_what_is_no_id_is_2(word: str) -> None:
    assert run("--store", "nowhere", "--", word).exit_code == 2


def test_store_that_is_not_there_is_2(tmp_path: Path) -> None:
    done = run("1", "--store", str(tmp_path / "none.db"))
    assert done.exit_code == 2
    assert "none.db" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("store: postgres:x\n", "store: is not sqlite:PATH"),
        ("accounts: {}\n", "store: is not sqlite:PATH"),
        ("- 1\n", "store: is not sqlite:PATH"),
        ("store: sqlite:${credential:place}\n", "only under systemd"),
    ],
)
def test_configuration_without_a_usable_store_is_2(tmp_path: Path, text: str, told: str) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text(text)
    done = run("1", "--config", str(config))
    assert done.exit_code == 2
    assert told in done.stderr


def test_configuration_that_is_not_there_is_2(tmp_path: Path) -> None:
    done = run("1", "--config", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("fields", "masked", "shown"),
    [
        ({"text": "hello"}, "5 characters", "hello"),
        ({"binary": b"123"}, "3 octets", "3 octets"),
        ({"content": Content(kind="photo", url="https://example.com/a.png")}, "photo", "photo"),
        ({"content": Content(kind="photo"), "text": "look"}, "photo, 4 characters", "photo, look"),
    ],
)
def test_content_is_told(fields: dict[str, Any], masked: str, shown: str) -> None:
    message = Message(
        message_id=1, account="acme", listener="http", destination="1", accepted_at=0.0, expires_at=1.0, **fields
    )
    assert (content_of(message, show=False), content_of(message, show=True)) == (masked, shown)


async def test_secrets_of_the_configuration_are_not_needed(bridge: Bridge, tmp_path: Path) -> None:
    message_id = await sent(bridge)
    config = tmp_path / "other.yaml"
    config.write_text(bridge.path.read_text().replace("password: secret", "password: '${credential:acme}'"))
    assert run(message_id, "--config", str(config)).exit_code == 0


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"event": "accepted", "listener": "http"}, ("accepted", "over http")),
        ({"event": "refused", "listener": "smtp", "reason": "no_route"}, ("refused", "over smtp, no_route")),
        ({"event": "sent", "provider": "p", "attempt": 1}, ("p took it", "")),
        ({"event": "sent", "provider": "p", "attempt": 2, "provider_ref": "r"},
         ("p took it", "attempt 2, known there as r")),
        ({"event": "retry", "provider": "p", "reason": "throttled", "native": "429"},
         ("p: again later", 'throttled, "429"')),
        ({"event": "refused", "provider": "p", "reason": "blocked"}, ("p refused it", "blocked")),
        ({"event": "unsure", "provider": "p", "native": "no answer"}, ("p did not answer", '"no answer"')),
        ({"event": "expired", "provider": "p"}, ("expired before it was sent", "")),
        ({"event": "report", "provider": "p", "state": "deleted", "native": "deleted"}, ("p reports deleted", "")),
        ({"event": "report", "provider": "p", "state": "expired", "native": "to 380501234567 late"},
         ("p reports expired", '"to 3805****67 late"')),
        ({"event": "reported", "listener": "http", "status": 204}, ("told to the client", "over http, HTTP 204")),
        ({"event": "report_given_up", "id": 7, "why": "too old"}, ("the client was never told", "as 7, too old")),
        ({"event": "of a later version"}, ("of a later version", "")),
    ],
)  # fmt: skip
def test_events_in_words(event: dict[str, object], told: tuple[str, str]) -> None:
    assert describe({"at": 0.0, **event}, show=False) == told


def test_native_words_as_they_are_when_asked_for() -> None:
    event = {"at": 0.0, "event": "report", "provider": "p", "state": "expired", "native": "to 380501234567"}
    assert describe(event, show=True)[1] == '"to 380501234567"'
