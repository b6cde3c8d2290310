"""The foreign clients, each against a running bridge and against servers that behave badly."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from flows.bridges import Bridge, until

from bridge.cli.clients import CLIENTS, NotSent, Order, Protocol, Reported, Taken, credentials_of, over_http, over_smpp
from bridge.config.schema import Account
from bridge.message import ReportOn, State

CONFIG = """
listeners:
  smpp: [{listen: 127.0.0.1:0}]
  smtp: [{listen: 127.0.0.1:0, domain: sms.example.com, auth_without_tls: true}]
  http: [{listen: 127.0.0.1:0}]
accounts:
  acme:
    smpp: {system_id: acme, password: secret}
    smtp: {login: acme, password: secret, from: ["*@acme.example"]}
    http: {api_key: secret}
providers: {virtual: {type: virtual, poll: 100ms}}
routes: [{send: [virtual]}]
"""
DELIVERED, ABSENT, NEVER = "+380501234500", "+380501234501", "+380501234505"  # by their last two digits
EVERY = list(Protocol)


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    running = Bridge(tmp_path, CONFIG)
    await running.start()
    yield running
    await running.stop()


def order(port: int, **fields: Any) -> Order:
    settings = {"to": DELIVERED, "text": "hello", "login": "acme", "password": "secret", "mail_from": "me@acme.example"}
    return Order(port=port, wait_s=fields.pop("wait_s", 10.0), **(settings | fields))


async def send(protocol: Protocol, bridge: Bridge, **fields: Any) -> list[Taken | Reported]:
    port = getattr(bridge, protocol)
    return await asyncio.to_thread(lambda: list(CLIENTS[protocol](order(port, **fields))))


def id_of(steps: list[Taken | Reported]) -> int:
    assert isinstance(steps[0], Taken)
    return int(steps[0].ids[0])


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [Protocol.SMPP, Protocol.HTTP])
@pytest.mark.parametrize(("to", "state"), [(DELIVERED, "delivered"), (ABSENT, "undeliverable")])
async def test_report_comes_back(bridge: Bridge, protocol: Protocol, to: str, state: str) -> None:
    taken, report = await send(protocol, bridge, to=to)
    assert isinstance(taken, Taken)
    assert isinstance(report, Reported)
    assert report.state == state
    record = await bridge.record(taken.ids[0])
    assert (record.state.word, record.message.listener, record.message.destination) == (state, protocol, to[1:])


async def test_report_over_smtp_is_ordered_by_dsn_and_not_waited_for(bridge: Bridge) -> None:
    steps = await send(Protocol.SMTP, bridge)
    assert len(steps) == 1
    message = (await bridge.record(id_of(steps))).message
    assert (message.text, message.report_on) == ("hello", ReportOn.FINAL)
    assert message.native["mail_from"] == "me@acme.example"


@pytest.mark.parametrize("protocol", EVERY)
async def test_no_report_is_wanted_when_there_is_no_time_for_it(bridge: Bridge, protocol: Protocol) -> None:
    steps = await send(protocol, bridge, wait_s=0.0)
    assert [type(step) for step in steps] == [Taken]
    assert (await bridge.record(id_of(steps))).message.report_on is not ReportOn.FINAL


@pytest.mark.parametrize("protocol", [Protocol.SMPP, Protocol.HTTP])
async def test_waiting_ends(bridge: Bridge, protocol: Protocol) -> None:
    assert [type(step) for step in await send(protocol, bridge, to=NEVER, wait_s=0.3)] == [Taken]


@pytest.mark.parametrize("protocol", EVERY)
@pytest.mark.parametrize(
    "text",
    ["hello", "@$_ [x] {y} ~ ^ | \\ `tick` €", "Ключ 🔑 " * 40, "plain " * 60, "two\nlines", "x" * 160, "ї" * 70],
    ids=["plain", "special", "long Unicode", "long", "lines", "one part", "one part of UCS-2"],
)
async def test_text_arrives_as_it_is(bridge: Bridge, protocol: Protocol, text: str) -> None:
    steps = await send(protocol, bridge, text=text, wait_s=0.0)
    message = (await bridge.record(id_of(steps))).message
    assert (message.text or "").strip() == text.strip()
    assert not message.parts


@pytest.mark.parametrize("protocol", [Protocol.SMPP, Protocol.HTTP])
@pytest.mark.parametrize(("source", "kept"), [("Acme", "Acme"), ("+380441112233", "380441112233"), (None, None)])
async def test_sender_arrives(bridge: Bridge, protocol: Protocol, source: str | None, kept: str | None) -> None:
    steps = await send(protocol, bridge, source=source, wait_s=0.0)
    assert (await bridge.record(id_of(steps))).message.source == kept


async def test_mail_may_be_addressed_in_full(bridge: Bridge) -> None:
    steps = await send(Protocol.SMTP, bridge, to="380501234500@sms.example.com", wait_s=0.0)
    assert (await bridge.record(id_of(steps))).message.destination == "380501234500"


async def test_receipts_of_others_stay_owed(bridge: Bridge) -> None:
    first = id_of(await send(Protocol.SMPP, bridge, wait_s=0.001))
    assert (await bridge.final(first)).state is State.DELIVERED
    steps = await send(Protocol.SMPP, bridge)
    assert [type(step) for step in steps] == [Taken, Reported]

    async def told(number: int) -> bool:
        return any(event["event"] == "reported" for event in (await bridge.record(number)).timeline)

    await until(lambda: told(id_of(steps)))
    assert not await told(first)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", EVERY)
async def test_wrong_password_is_refused_and_not_shown(bridge: Bridge, protocol: Protocol) -> None:
    with pytest.raises(NotSent, match="refused") as caught:
        await send(protocol, bridge, password="wr0ng")
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("protocol", EVERY)
async def test_wrong_number_is_refused_with_the_reason(bridge: Bridge, protocol: Protocol) -> None:
    with pytest.raises(NotSent, match=r"refused: .*(Invalid (D|d)est|15 digits)"):
        await send(protocol, bridge, to="12")


async def test_foreign_mail_address_is_refused(bridge: Bridge) -> None:
    with pytest.raises(NotSent, match="refused: 550"):
        await send(Protocol.SMTP, bridge, mail_from="me@other.example")


@pytest.mark.parametrize("fields", [{"password": "longer-than-8"}, {"login": "longer-than-fifteen"}])
def test_credentials_that_smpp_cannot_hold_are_not_cut(fields: dict[str, str]) -> None:
    with pytest.raises(NotSent, match="15 and a password of 8"):
        list(over_smpp(order(1, **fields)))


@pytest.mark.parametrize("protocol", EVERY)
def test_nobody_listens(protocol: Protocol) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(NotSent, match=f"127.0.0.1:{port}: .*refused"):
            list(CLIENTS[protocol](order(port)))


@pytest.mark.parametrize("protocol", EVERY)
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>"])
async def test_server_of_another_kind(protocol: Protocol, answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NotSent):
        await asyncio.to_thread(lambda: list(CLIENTS[protocol](order(port))))
    server.close()
    await server.wait_closed()


async def test_server_that_stops_is_answered_and_told(bridge: Bridge) -> None:
    steps = over_smpp(order(bridge.smpp, to=NEVER))
    assert isinstance(await asyncio.to_thread(next, steps), Taken)
    waiting = asyncio.ensure_future(asyncio.to_thread(next, steps))
    async with asyncio.timeout(4):  # the listener waits longer for an answer to its unbind
        await bridge.stop()
        with pytest.raises(NotSent, match="ended the session"):
            await waiting


async def test_what_is_not_waited_for_to_the_end_is_closed(bridge: Bridge) -> None:
    steps = over_smpp(order(bridge.smpp, to=NEVER))
    await asyncio.to_thread(next, steps)
    steps.close()  # type: ignore[attr-defined]
    assert list(steps) == []


def test_order_shows_neither_password_nor_text() -> None:
    shown = repr(order(1, password="s3cret", text="private", to="+380501234567"))
    assert not [hidden for hidden in ("s3cret", "private", "380501234567") if hidden in shown]


@pytest.mark.parametrize("protocol", EVERY)
def test_credentials_are_those_of_the_protocol(protocol: Protocol) -> None:
    sides = {
        Protocol.SMPP: {"system_id": "a", "password": "p1"},
        Protocol.SMTP: {"login": "b", "password": "p2", "from": ["*@acme.example", "x@y.example"]},
        Protocol.HTTP: {"api_key": "p3"},
    }
    expected = {
        Protocol.SMPP: {"login": "a", "password": "p1"},
        Protocol.SMTP: {"login": "b", "password": "p2", "mail_from": "me@acme.example"},
        Protocol.HTTP: {"login": "", "password": "p3"},
    }
    account = Account.model_validate({protocol.value: sides[protocol]})
    assert credentials_of(protocol, account) == expected[protocol]
    assert [credentials_of(other, account) for other in EVERY if other is not protocol] == [{}, {}]


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("tls")
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=folder, check=True, capture_output=True)
    yield {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    shutil.rmtree(folder)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("protocol", EVERY)
async def test_over_tls(tmp_path: Path, certificate: dict[str, str], protocol: Protocol, implicit: bool) -> None:
    tls = f"tls: {{certificate: {certificate['certificate']}, key: {certificate['key']}}}"
    mode = "mode: implicit, " if implicit else ""
    text = CONFIG.replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:0, {tls}").replace("domain:", f"{mode}domain:")
    running = Bridge(tmp_path, text)
    await running.start()
    trusting = ssl.create_default_context(cafile=certificate["certificate"])
    steps = await send(protocol, running, tls=trusting, implicit=implicit, host="localhost", wait_s=0.0)
    assert isinstance(steps[0], Taken)
    with pytest.raises(NotSent, match=r"(?i)certificate"):
        await send(protocol, running, tls=ssl.create_default_context(), implicit=implicit)
    await running.stop()


# --- other servers ----------------------------------------------------------------------------------------------------


async def test_http_api_that_refuses_the_question_says_so() -> None:
    answers = iter(
        [
            b'HTTP/1.1 202 Accepted\r\nContent-Length: 11\r\n\r\n{"id": "7"}',
            b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}",
        ]
    )
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(next(answers))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    steps = over_http(order(server.sockets[0].getsockname()[1]))
    assert await asyncio.to_thread(next, steps) == Taken(("7",))
    with pytest.raises(NotSent, match="HTTP 404"):
        await asyncio.to_thread(next, steps)
    first, second = (BytesParser().parsebytes(request.partition(b"\r\n")[2]) for request in requests)
    assert first["Authorization"] == second["Authorization"] == "Bearer secret"
    server.close()
    await server.wait_closed()
