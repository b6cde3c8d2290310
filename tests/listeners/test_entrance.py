"""The listening socket: with and without TLS, behind proxies, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
import uvloop
from pydantic import TypeAdapter

from bridge.listeners.entrance import Entrance
from bridge.values import Address, Network

ANY = Address("127.0.0.1:0")
LINE = b"PROXY TCP4 192.0.2.7 203.0.113.9 56324 2775\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BLOCK = socket.inet_aton("192.0.2.7") + socket.inet_aton("203.0.113.9") + struct.pack(">HH", 56324, 2775)
BINARY = SIGNATURE + struct.pack(">BBH", 0x21, 0x11, len(BLOCK) + 5) + BLOCK + b"\x04\x00\x02ab"
LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)
Talk = Callable[[], Awaitable[None]]


class Echo(asyncio.Protocol):
    """Says who the client is, and then what the client says."""

    def __init__(self, peer: str | None) -> None:
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        place = transport.get_extra_info("peername")[0]
        transport.write(f"{self._peer}|{place}\n".encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


def networks(*texts: str) -> list[Network]:
    return [TypeAdapter(Network).validate_python(text) for text in texts]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Talk], None]:
    """Runs a conversation on an event loop of one kind."""

    def on_loop(talk: Talk) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(talk(), 20))

    return on_loop


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side of TLS, and a client's that trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=folder, check=True, capture_output=True)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=folder / "cert.pem")


async def said(port: int, octets: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """The first line that a client gets who sends these octets, before TLS where there is any; b"" at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if octets:
        writer.write(octets)
    try:
        if tls is not None:
            await writer.start_tls(tls, server_hostname="localhost")
        line = await reader.readline()
        if line:
            writer.write(b"ping\n")
            assert await reader.readline() == b"ping\n"
        return line
    except OSError:
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("octets", "peer"), [(LINE, b"192.0.2.7"), (BINARY, b"192.0.2.7"), (LOCAL, b"None"), (b"PROXY UNKNOWN\r\n", b"")]
)
@pytest.mark.parametrize("secure", [False, True])
def test_behind_a_proxy(
    run: Callable[[Talk], None],
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    octets: bytes,
    peer: bytes,
    secure: bool,
) -> None:
    async def talk() -> None:
        ours, theirs = contexts if secure else (None, None)
        entrance = Entrance(Echo, tls=ours, proxies=networks("127.0.0.0/8"))
        await entrance.open(ANY)
        assert await said(entrance.port, octets, theirs) == peer + b"|127.0.0.1\n"
        entrance.close()

    run(talk)


@pytest.mark.parametrize("proxies", [None, "10.0.0.0/8"])
@pytest.mark.parametrize("secure", [False, True])
def test_who_comes_without_a_proxy(
    run: Callable[[Talk], None],
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    proxies: str | None,
    secure: bool,
) -> None:
    async def talk() -> None:
        ours, theirs = contexts if secure else (None, None)
        entrance = Entrance(Echo, tls=ours, proxies=None if proxies is None else networks(proxies))
        await entrance.open(ANY)
        assert await said(entrance.port, b"", theirs) == b"None|127.0.0.1\n"
        entrance.close()

    run(talk)


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 x y 1 2\r\n", SIGNATURE + b"\x21\x11\xff\xff" + bytes(50), b"PROXY"],
)
def test_what_is_no_header_ends_the_connection(run: Callable[[Talk], None], octets: bytes) -> None:
    async def talk() -> None:
        entrance = Entrance(Echo, proxies=networks("127.0.0.0/8"), patience_s=0.2)
        await entrance.open(ANY)
        with structlog.testing.capture_logs() as logs:
            assert await said(entrance.port, octets) == b""
        assert [line["event"] for line in logs] == ["proxy_header_refused"]
        assert await said(entrance.port, LINE) == b"192.0.2.7|127.0.0.1\n"
        entrance.close()

    run(talk)


def test_a_handshake_that_fails_or_never_comes_concerns_nobody_else(
    run: Callable[[Talk], None], contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def talk() -> None:
        entrance = Entrance(Echo, tls=contexts[0], proxies=networks("127.0.0.0/8"), patience_s=0.3)
        await entrance.open(ANY)
        silent = asyncio.create_task(said(entrance.port, LINE))
        assert await said(entrance.port, LINE + b"no TLS at all, but as long as a record would be\r\n") == b""
        assert await silent == b""
        assert await said(entrance.port, LINE, contexts[1]) == b"192.0.2.7|127.0.0.1\n"
        assert not entrance._pending
        entrance.close()

    run(talk)


def test_those_whose_header_has_not_come_keep_nobody_waiting(run: Callable[[Talk], None]) -> None:
    async def talk() -> None:
        entrance = Entrance(Echo, proxies=networks("127.0.0.0/8"))
        await entrance.open(ANY)
        silent = [await asyncio.open_connection("127.0.0.1", entrance.port) for _ in range(20)]
        assert await said(entrance.port, BINARY) == b"192.0.2.7|127.0.0.1\n"
        entrance.close()
        for reader, writer in silent:
            with suppress(OSError):
                assert await reader.read() == b""
            writer.close()

    run(talk)


@pytest.mark.parametrize("proxied", [False, True])
def test_closed_it_takes_nobody(run: Callable[[Talk], None], proxied: bool) -> None:
    async def talk() -> None:
        entrance = Entrance(Echo, proxies=networks("127.0.0.0/8") if proxied else None)
        await entrance.open(ANY)
        with pytest.raises(OSError, match="in use"):
            await Entrance(Echo, proxies=networks("::/0") if proxied else None).open(
                Address(f"127.0.0.1:{entrance.port}")
            )
        entrance.close()
        entrance.close()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", entrance.port)

    run(talk)


def test_every_interface(run: Callable[[Talk], None]) -> None:
    async def talk() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        entrance = Entrance(Echo, proxies=networks("127.0.0.0/8"))
        await entrance.open(Address(f":{port}"))
        assert await said(port, LINE) == b"192.0.2.7|127.0.0.1\n"
        entrance.close()

    run(talk)
