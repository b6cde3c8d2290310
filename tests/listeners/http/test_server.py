"""The server: errors of HTTP itself, incidents, connections, TLS, start and stop."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import msgspec
import pytest
import structlog
from listeners.http.conftest import Serve
from listeners.http.world import ACME, AUTH, KEY, Client, World, talk
from pydantic import SecretStr

from bridge.listeners.http import server as module
from bridge.listeners.http.ports import Account
from bridge.listeners.http.server import HttpServer
from bridge.listeners.http.settings import HttpAccount
from bridge.listeners.passwords import Passwords

BODY = {"to": "+380501234567", "text": "x"}


def submit_octets(text: str = "x", connection: str = "keep-alive") -> bytes:
    body = json.dumps({**BODY, "text": text}).encode()
    return (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        f"Connection: {connection}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/message", "/v2/messages", "/favicon.ico", "//v1/messages"])
async def test_nothing_there(client: Client, path: str) -> None:
    answer = await client.ask("GET", path)
    assert answer.json == {"status": 404, "code": "not_found", "message": "There is nothing at this path."}


async def test_wrong_method(client: Client) -> None:
    answer = await client.ask("DELETE", "/v1/messages", headers=AUTH)
    assert answer.json == {"status": 405, "code": "method_not_allowed", "message": "This path takes GET, HEAD, POST."}
    assert answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,  # TLS to a port without it
        b"EHLO mail.example\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: \x00secret-key\r\n\r\n",
        b"POST /callbacks/bsg HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /callbacks/bsg HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /callbacks/bsg HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_not_http(serve, world: World, caplog: pytest.LogCaptureFixture, octets: bytes) -> None:
    server = await serve()
    answer = await talk(server, octets)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert json.loads(body) == {"status": 400, "code": "bad_request", "message": "This is not HTTP/1.1 (RFC 9112)."}
    assert caplog.records == []
    assert world.heard == []


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_a_header_too_large(serve, octets: bytes) -> None:
    server = await serve()
    answer = await talk(server, octets)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "header_fields_too_large"


async def test_an_incident(serve, world: World) -> None:
    async def find(message_id: int) -> None:
        raise RuntimeError("text of 380501234567 and secret-key")

    world.ledger.find = find  # type: ignore[assignment,method-assign]
    server = await serve()
    with structlog.testing.capture_logs() as logs:
        answer = await talk(
            server,
            b"GET /v1/messages/101?x=T HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + f"Authorization: Bearer {KEY}\r\n\r\n".encode(),
        )
    content = json.loads(answer.partition(b"\r\n\r\n")[2])
    incident = content["incident"]
    assert content == {
        "status": 500,
        "code": "internal_server_error",
        "message": f"An error on our side; it is in our log as incident {incident}.",
        "incident": incident,
    }
    (event,) = logs
    assert (event["event"], event["log_level"], event["incident"]) == ("http_request_failed", "error", incident)
    assert (event["method"], event["route"], event["error"]) == ("GET", "/v1/messages", "RuntimeError")
    assert event["where"][-1].endswith(" find")
    for secret in ("380501234567", KEY, "101", "x=T"):
        assert secret not in str({**event, "where": ""}).replace(incident, "")


async def test_wrong_keys_are_logged_without_the_key(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        await client.ask("GET", "/v1/messages/1", headers={"Authorization": "Bearer guess"})
    assert logs == [{"event": "http_unauthorized", "log_level": "warning", "remote": "127.0.0.1"}]


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/v1/messages"])
async def test_no_version_in_headers(client: Client, path: str) -> None:
    answer = await client.ask("GET", path)
    assert answer.headers["Server"] == "smsbridge"
    assert "python" not in str(answer.headers).lower()


# --- connections ---------------------------------------------------------------------------------------------------


async def test_another_client(serve, world: World) -> None:
    server = await serve()

    def ask() -> tuple[int, bytes, int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        headers = {**AUTH, "Content-Type": "application/json"}
        connection.request("POST", "/v1/messages", json.dumps(BODY), headers)
        first = connection.getresponse()
        body = first.read()
        connection.request("GET", "/v1/messages/101", headers=AUTH)  # on the same connection
        second = connection.getresponse()
        second.read()
        connection.close()
        return first.status, body, second.status

    status, body, found = await asyncio.to_thread(ask)
    assert (status, json.loads(body)["id"], found) == (202, "101", 200)


async def test_pipelining(serve, world: World) -> None:
    server = await serve()
    texts = [f"text {number}" for number in range(50)]
    octets = b"".join(submit_octets(text) for text in texts[:-1]) + submit_octets(texts[-1], "close")
    answers = (await talk(server, octets)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"202"] * 50
    assert [json.loads(answer.partition(b"\r\n\r\n")[2])["id"] for answer in answers] == [
        str(101 + n) for n in range(50)
    ]
    assert [message.text for message in world.ledger.messages.values()] == texts


async def test_a_bad_request_leaves_the_connection_usable(serve) -> None:
    server = await serve()
    answers = await talk(server, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + submit_octets(connection="close"))
    assert [answer[:3] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [b"404", b"202"]


async def test_http_1_0(serve) -> None:
    server = await serve()
    answer = await talk(server, b"GET /livez HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("octets", [b"", b"GET /livez HTTP/1.1\r\nHos"])
async def test_a_connection_without_a_request_is_closed(serve, monkeypatch: pytest.MonkeyPatch, octets: bytes) -> None:
    monkeypatch.setattr(module, "_KEEPALIVE_S", 0.1)
    server = await serve()
    assert await talk(server, octets) == b""


async def test_new_accounts_on_an_open_connection(serve, world: World) -> None:
    server = await serve()
    async with aiohttp.ClientSession() as session:
        client = Client(session, server)
        assert (await client.submit(**BODY)).status == 202
        server.replace_accounts([Account(name="new", settings=HttpAccount(api_key=SecretStr("new-key")))])
        assert (await client.submit(**BODY)).status == 401
        assert (await client.submit({"Authorization": "Bearer new-key"}, **BODY)).status == 202
    assert [message.account for message in world.ledger.messages.values()] == ["acme", "new"]


# --- start and stop --------------------------------------------------------------------------------------------------


async def test_an_address_that_is_taken(serve) -> None:
    server = await serve()
    with pytest.raises(OSError, match="in use"):
        await serve(listen=f"127.0.0.1:{server.port}")


async def test_stop_finishes_what_is_under_way(serve, world: World) -> None:
    server = await serve()
    world.ledger.held = asyncio.get_running_loop().create_future()
    asking = asyncio.ensure_future(talk(server, submit_octets()))
    await world.ledger.accepted.wait()
    stopping = asyncio.ensure_future(server.stop())
    done, _ = await asyncio.wait([stopping, asking], timeout=0.1)
    assert not done
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    world.ledger.held.set_result(None)
    assert (await asking).startswith(b"HTTP/1.1 202 ")
    await stopping


async def test_stop_does_not_wait_for_idle_connections(serve) -> None:
    server = await serve(grace_s=60.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b'{"status":"ok"}')
    await asyncio.wait_for(server.stop(), 5)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_stop_waits_no_longer_than_its_grace(serve, world: World) -> None:
    server = await serve(grace_s=0.1)
    world.ledger.held = asyncio.get_running_loop().create_future()
    asking = asyncio.ensure_future(talk(server, submit_octets()))
    await world.ledger.accepted.wait()
    await asyncio.wait_for(server.stop(), 5)
    assert await asking == b""
    assert not world.ledger.held.cancelled()  # the commit is everyone's


async def test_stop_twice(serve) -> None:
    server: HttpServer = await serve()
    await server.stop()
    await server.stop()


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server certificate for localhost, and a client certificate, made by openssl."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    for name in ("server", "client"):
        openssl(
            *("req", "-x509", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"),
            *("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
    return folder


def client_context(certificates: Path, certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if certificate:
        context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    return context


async def livez(server: HttpServer, context: ssl.SSLContext) -> str:
    """The TLS version that /livez was answered in. Raises ConnectionError without an answer."""
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=context, family=socket.AF_INET)
    try:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        # With TLS 1.3 the client has finished its handshake before the server looks at the certificate.
        if not (await reader.read()).endswith(b'{"status":"ok"}'):
            raise ConnectionError("closed without an answer")
        version: str = writer.get_extra_info("ssl_object").version()
        return version
    finally:
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls(serve, certificates: Path, version: ssl.TLSVersion) -> None:
    server = await serve(tls={"certificate": str(certificates / "server.pem"), "key": str(certificates / "server.key")})
    context = client_context(certificates)
    context.minimum_version = context.maximum_version = version
    assert await livez(server, context) == version.name.replace("_", ".")


async def test_a_client_certificate_where_one_is_asked_for(serve, certificates: Path) -> None:
    names = {"certificate": "server.pem", "key": "server.key", "client_ca": "ca.pem"}
    server = await serve(tls={key: str(certificates / name) for key, name in names.items()})
    assert await livez(server, client_context(certificates, certificate=True)) == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await livez(server, client_context(certificates))


async def test_tls_files_that_cannot_be_read(serve, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await serve(tls={"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")})


# --- who may connect, and call -----------------------------------------------------------------------------------

GET = b"GET /v1/messages?client_ref=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "


def status(octets: bytes) -> int:
    return int(octets.split(b" ")[1])


async def test_networks_of_a_listener(serve: Serve) -> None:
    assert status(await talk(await serve(networks=["127.0.0.0/8"]), GET + b"secret-key\r\n\r\n")) == 200
    assert await talk(await serve(networks=["10.0.0.0/8"]), b"") == b""


@pytest.mark.parametrize(("source", "answer"), [("192.0.2.7", 200), ("::ffff:192.0.2.7", 200), ("192.0.2.8", 403)])
async def test_networks_of_an_account_behind_a_proxy(serve: Serve, source: str, answer: int) -> None:
    account = msgspec.structs.replace(ACME, networks=[ip_network("192.0.2.7")])
    server = await serve(accounts=(account,), proxy=["127.0.0.1"])
    family, own = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
    header = f"PROXY {family} {source} {own} 5 6\r\n".encode()
    assert status(await talk(server, header + GET + b"secret-key\r\n\r\n")) == answer
    assert status(await talk(server, b"PROXY UNKNOWN\r\n" + GET + b"secret-key\r\n\r\n")) == 403


async def test_a_header_where_none_is_taken(serve: Serve) -> None:
    server = await serve(proxy=["10.0.0.0/8"])
    assert status(await talk(server, b"PROXY UNKNOWN\r\n" + GET + b"secret-key\r\n\r\n")) == 400


async def test_guessing_keys_closes_the_door(serve: Serve, passwords: Passwords) -> None:
    passwords.lockout.configure(3, 5, 60.0)
    server = await serve()
    same = [status(await talk(server, GET + b"guess\r\n\r\n")) for _ in range(4)]
    assert same == [401, 401, 401, 429]
    others = [await talk(server, GET + f"guess{number}\r\n\r\n".encode()) for number in range(3)]
    assert [status(answer) for answer in others] == [401, 401, 429]
    right = await talk(server, GET + b"secret-key\r\n\r\n")
    assert status(right) == 429
    assert b"Retry-After: 60\r\n" in right
