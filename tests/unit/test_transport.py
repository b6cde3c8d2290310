"""Outbound HTTP against real servers: aiohttp's where the answer is ordinary, raw sockets where it is not."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bridge.errors import TransportError
from bridge.providers._contract import Request
from bridge.transport import Transport, permitted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A raw server: counts what reaches it, and behaves as its script says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self.got_request = asyncio.Event()
        self.url = ""
        self._served: set[asyncio.Task[None]] = set()

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        self.got_request.set()
        return self.requests[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            await self.script(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()
            self._served.discard(task)

    async def stop(self) -> None:
        for task in list(self._served):
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)


@asynccontextmanager
async def raw(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    peer.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/send"
    try:
        yield peer
    finally:
        server.close()
        await peer.stop()
        await server.wait_closed()


@asynccontextmanager
async def served(respond: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    options = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    alternative = ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *options.split(), *alternative, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    return tls


async def failure(transport: Transport, request: Request, **options: object) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await transport.send(request, **{"timeout_s": 5.0, **options})  # type: ignore[arg-type]
    return caught.value


async def close_after_request(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.read_request(reader)


async def never_answer(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.read_request(reader)
    await reader.read()


async def answer_once_then_close(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.read_request(reader)
    writer.write(OK)
    await peer.read_request(reader)


def answering(data: bytes) -> Script:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read_request(reader)
            writer.write(data)

    return script


async def closed_port_url() -> str:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}/"


# --- an ordinary exchange --------------------------------------------------------------------------------------


async def test_request_arrives_as_given_and_answer_comes_back(transport: Transport) -> None:
    seen: list[tuple[str, str, str | None, str | None, bytes]] = []

    async def respond(request: web.Request) -> web.Response:
        body = await request.read()
        agent = request.headers.get("User-Agent")
        seen.append((request.method, request.raw_path, request.headers.get("X-Key"), agent, body))
        return web.Response(status=418, body=b"\x00\xff", headers={"X-Answer": "Yes"})

    async with served(respond) as url:
        request = Request(method="PUT", url=f"{url}/a?b=%2B1", headers={"X-Key": "k"}, body=b"{}")
        response = await transport.send(request, timeout_s=5)

    method, path, key, agent, body = seen[0]
    assert (method, path, key, body) == ("PUT", "/a?b=%2B1", "k", b"{}")
    assert agent is not None
    assert agent.startswith("smsbridge/")
    assert (response.status, response.body, response.headers["x-answer"]) == (418, b"\x00\xff", "Yes")


async def test_connection_is_kept_and_cookies_are_not(transport: Transport) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok"
    async with raw(answering(answer)) as peer:
        named = peer.url.replace("127.0.0.1", "localhost")  # no jar keeps cookies of a bare number
        for _ in range(3):
            await transport.send(Request(method="POST", url=named, body=b"x"), timeout_s=5)
        assert peer.connections == 1
        assert not any(b"cookie" in request.lower() for request in peer.requests)


async def test_redirect_is_an_answer(transport: Transport) -> None:
    async def respond(request: web.Request) -> web.Response:
        assert request.path == "/from", "the redirect was followed"
        return web.Response(status=307, headers={"Location": "/to"})

    async with served(respond) as url:
        response = await transport.send(Request(method="POST", url=f"{url}/from", body=b"x"), timeout_s=5)
    assert (response.status, response.headers["location"]) == (307, "/to")


async def test_proxy_of_the_environment_is_ignored(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", await closed_port_url())
    async with raw(answering(OK)) as peer:
        response = await transport.send(Request(method="GET", url=peer.url), timeout_s=5)
    assert response.body == b"ok"


# --- failures that certainly sent nothing ------------------------------------------------------------------------


async def test_refused_connection_sent_nothing(transport: Transport) -> None:
    error = await failure(transport, Request(method="POST", url=await closed_port_url(), body=b"x"))
    assert not error.sent
    assert "127.0.0.1: no connection (ECONNREFUSED)" in str(error)


async def test_unknown_name_sent_nothing(transport: Transport) -> None:
    error = await failure(transport, Request(method="POST", url="http://nowhere.invalid/"))
    assert not error.sent
    assert "does not resolve" in str(error)


@pytest.mark.parametrize("url", ["", "mailto:a@b", "ftp://host/", "http://", "http://[::1", "http://host:99999/"])
async def test_unusable_url_sent_nothing(transport: Transport, url: str) -> None:
    error = await failure(transport, Request(method="GET", url=url))
    assert not error.sent


async def test_failed_tls_handshake_sent_nothing(transport: Transport) -> None:
    async def speak_plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw(speak_plain) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url.replace("http", "https"), body=b"x"))
    assert not error.sent
    assert "TLS" in str(error)


async def test_untrusted_certificate_sent_nothing(transport: Transport, self_signed: ssl.SSLContext) -> None:
    async with raw(answering(OK), tls=self_signed) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url, body=b"x"))
        assert not error.sent
        assert "certificate" in str(error)
        assert peer.requests == []


async def test_timeout_while_connecting_sent_nothing(transport: Transport) -> None:
    async def say_nothing(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    # A TLS handshake that never goes on is still connecting.
    async with raw(say_nothing) as peer:
        request = Request(method="POST", url=peer.url.replace("http", "https"), body=b"x")
        error = await failure(transport, request, timeout_s=0.2)
    assert not error.sent
    assert "no connection within 0.2 s" in str(error)


async def test_closed_transport_sends_nothing() -> None:
    transport = Transport()
    await transport.close()
    error = await failure(transport, Request(method="GET", url="http://127.0.0.1:9/"))
    assert not error.sent


# --- failures after which nobody knows ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_close_before_the_answer_is_unsure_and_sent_once(transport: Transport, method: str) -> None:
    async with raw(close_after_request) as peer:
        error = await failure(transport, Request(method=method, url=peer.url))
        assert error.sent
        assert "closed before an answer" in str(error)
        assert len(peer.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_kept_connection_that_closes_is_not_sent_again(transport: Transport, method: str) -> None:
    async with raw(answer_once_then_close) as peer:
        request = Request(method=method, url=peer.url)
        await transport.send(request, timeout_s=5)
        error = await failure(transport, request)
        assert error.sent
        assert peer.connections == 1
        assert len(peer.requests) == 2


async def test_no_answer_in_time_is_unsure(transport: Transport) -> None:
    async with raw(never_answer) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url, body=b"x"), timeout_s=0.2)
        assert error.sent
        assert "no answer within 0.2 s" in str(error)
        assert peer.got_request.is_set()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"\x00\x01\x02 not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 99999 What\r\n\r\n",
    ],
    ids=["cut", "chunks", "gzip", "noise", "header", "status"],
)
async def test_unreadable_answer_is_unsure(transport: Transport, data: bytes) -> None:
    async def script(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(data)
        await writer.drain()

    async with raw(script) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url, body=b"x"))
        assert error.sent


async def test_body_that_never_ends_meets_the_timeout(transport: Transport) -> None:
    async def drip(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await reader.read()

    async with raw(drip) as peer:
        error = await failure(transport, Request(method="GET", url=peer.url), timeout_s=0.2)
    assert error.sent


# --- the body is capped -------------------------------------------------------------------------------------------


async def test_body_up_to_the_limit_is_taken_and_beyond_is_not(transport: Transport) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["n"]))

    async with served(respond) as url:
        whole = await transport.send(Request(method="GET", url=f"{url}/?n=300000"), timeout_s=5, limit_bytes=300_000)
        assert len(whole.body) == 300_000
        error = await failure(transport, Request(method="GET", url=f"{url}/?n=300001"), limit_bytes=300_000)
    assert error.sent
    assert "longer than 300000 bytes" in str(error)


async def test_endless_body_is_given_up_at_the_limit(transport: Transport) -> None:
    async def flood(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw(flood) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url), timeout_s=30)
    assert "longer than 1048576 bytes" in str(error)


async def test_compressed_body_counts_decompressed(transport: Transport) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with raw(answering(answer)) as peer:
        error = await failure(transport, Request(method="POST", url=peer.url))
    assert "longer than 1048576 bytes" in str(error)


# --- nothing secret comes out ---------------------------------------------------------------------------------------


async def test_failure_shows_neither_url_nor_headers(transport: Transport) -> None:
    url = (await closed_port_url()) + "path-s3cret?key=q-s3cret"
    error = await failure(transport, Request(method="GET", url=url, headers={"X-Key": "h-s3cret"}))
    assert "s3cret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_header_that_breaks_the_line_is_refused(transport: Transport) -> None:
    async with raw(answering(OK)) as peer:
        error = await failure(transport, Request(method="GET", url=peer.url, headers={"X-Key": "s3cret\r\nX-Evil: 1"}))
        assert "s3cret" not in str(error)
        assert peer.requests == []


# --- addresses that a callback may not reach ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
def test_private_address_is_not_permitted(address: str) -> None:
    assert not permitted(address, loopback=False)
    assert not permitted(address, loopback=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_permitted_only_when_named(address: str) -> None:
    assert permitted(address, loopback=True)
    assert not permitted(address, loopback=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_address_is_permitted(address: str) -> None:
    assert permitted(address, loopback=False)


async def test_callback_to_a_private_address_is_refused(transport: Transport) -> None:
    error = await failure(transport, Request(method="POST", url="http://10.1.2.3/hook"), addresses="public")
    assert not error.sent
    assert str(error) == "10.1.2.3: 10.1.2.3 is not a public address"


async def test_callback_to_this_machine_by_number_is_made(transport: Transport) -> None:
    async with raw(answering(OK)) as peer:
        response = await transport.send(Request(method="POST", url=peer.url), timeout_s=5, addresses="public")
        assert response.body == b"ok"


async def test_name_that_leads_to_this_machine_is_refused(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def rebound(host: str, port: int, **options: int) -> object:
        return await resolve("127.0.0.1" if host == "hooks.example" else host, port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    async with raw(answering(OK)) as peer:
        port = peer.url.rpartition(":")[2]
        named = Request(method="POST", url=f"http://hooks.example:{port}")
        # A connection that a provider's call left open is not borrowed by a callback.
        assert (await transport.send(named, timeout_s=5)).body == b"ok"
        error = await failure(transport, named, addresses="public")
        assert str(error) == "hooks.example: 127.0.0.1 is not a public address"
        local = await transport.send(
            Request(method="POST", url=f"http://localhost:{port}"), timeout_s=5, addresses="public"
        )
        assert local.body == b"ok"


async def test_calls_side_by_side_keep_their_own_fate(transport: Transport) -> None:
    refused = Request(method="POST", url=await closed_port_url())
    async with raw(close_after_request) as peer:
        lost = Request(method="POST", url=peer.url)
        errors = await asyncio.gather(*(failure(transport, each) for each in [refused, lost] * 10))
        assert [error.sent for error in errors] == [False, True] * 10


async def test_cancelled_call_closes_its_connection(transport: Transport) -> None:
    closed = asyncio.Event()

    async def hold(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        await reader.read()
        closed.set()

    async with raw(hold) as peer:
        call = asyncio.create_task(transport.send(Request(method="POST", url=peer.url), timeout_s=30))
        await peer.got_request.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(closed.wait(), 5)


async def test_each_call_has_its_own_time(transport: Transport) -> None:
    """One that ended early, and one that began later, do not move the end of another with the same timeout."""
    released = asyncio.Event()

    async def answer_late(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with raw(never_answer) as silent, raw(answer_late) as late:
        released.set()
        await transport.send(Request(method="POST", url=late.url), timeout_s=0.3)
        released.clear()
        first = asyncio.create_task(failure(transport, Request(method="POST", url=silent.url), timeout_s=0.3))
        await silent.got_request.wait()
        second = asyncio.create_task(transport.send(Request(method="POST", url=late.url), timeout_s=0.3))
        third = asyncio.create_task(failure(transport, Request(method="POST", url=silent.url), timeout_s=0.3))
        assert (await first).sent
        released.set()
        with contextlib.suppress(TransportError):  # on a slow machine its own time is up too
            await second
        assert "no answer within 0.3 s" in str(await third)


async def test_a_call_that_is_cancelled_as_its_time_is_up_is_cancelled(transport: Transport) -> None:
    async with raw(never_answer) as peer:
        call = asyncio.create_task(transport.send(Request(method="POST", url=peer.url), timeout_s=30))
        await peer.got_request.wait()
        deadline = transport._deadlines[30]
        for exchange in deadline._due:
            deadline._due[exchange] = 0.0
        deadline._look()
        assert call.cancelling()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
