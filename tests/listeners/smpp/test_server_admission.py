"""Who may bind: guessing, networks, proxies, client certificates; and what an account has of its own."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from argon2 import PasswordHasher
from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import RESPONSE, TRX, Esme, bind_body
from listeners.smpp.world import account

from bridge.listeners import passwords as passwords_module

RSYSERR, RBINDFAIL, RINVPASWD = 0x08, 0x0D, 0x0E


# --- guessing ----------------------------------------------------------------------------------------------------


async def test_guessing_closes_the_door_for_that_name_from_there(serve: Serve, connected: Connect) -> None:
    server = await serve([account(), account("other")])
    with structlog.testing.capture_logs() as logs:
        answers = [await (await connected(server)).bind(password="wrong") for _ in range(4)]
        right = await (await connected(server)).bind()
    assert [answer.status for answer in answers] == [RINVPASWD, RINVPASWD, RINVPASWD, RBINDFAIL]
    assert right.status == RBINDFAIL  # not even a right one is looked at
    assert (await (await connected(server)).bind(system_id="other")).status == 0
    (line,) = [line for line in logs if line["event"] == "locked_out"]
    assert (line["peer"], line["name"], line["for_s"]) == ("127.0.0.1", "acme", 60.0)


async def test_trying_name_after_name_closes_it_for_all(serve: Serve, connected: Connect) -> None:
    server = await serve()
    for number in range(6):
        assert (await (await connected(server)).bind(system_id=f"name{number}")).status == RINVPASWD
    assert (await (await connected(server)).bind()).status == RBINDFAIL


@pytest.mark.parametrize("words", [{"password": "wrong"}, {"system_id": "nobody"}])
async def test_no_refusal_is_quicker_where_passwords_are_hashed(
    serve: Serve, connected: Connect, words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown names and plain passwords take an argon2 check too, once somebody's password is hashed."""
    checked: list[str] = []
    monkeypatch.setattr(passwords_module, "_matches", lambda given, expected: bool(checked.append(given)))
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("other's")
    server = await serve([account(), account("other", password=hashed)])
    assert (await (await connected(server)).bind(**words)).status == RINVPASWD
    assert checked == [words.get("password", "secret")]


async def test_a_flood_of_hashed_guesses_is_told_to_come_again(
    serve: Serve, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords_module, "_WAITING_OF_ONE", 1)
    begun, held = threading.Event(), threading.Event()

    def checked(given: str, expected: str) -> bool:
        begun.set()
        return held.wait(10) and False

    monkeypatch.setattr(passwords_module, "_matches", checked)
    server = await serve([account(password="$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA")])
    waiting = (await connected(server)).request(TRX, bind_body("acme", "one"))
    assert await asyncio.to_thread(begun.wait, 10)
    assert (await (await connected(server)).bind(password="two")).status == RSYSERR
    held.set()
    assert (await waiting).status == RINVPASWD


# --- where from --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("networks", "status"), [(["127.0.0.0/8"], 0), (["10.0.0.0/8", "::/0"], RBINDFAIL)])
async def test_networks_of_an_account(serve: Serve, connected: Connect, networks: list[str], status: int) -> None:
    server = await serve([account(networks=[ip_network(each) for each in networks])])
    for password in ("secret", "wrong") if status else ("secret",):
        assert (await (await connected(server)).bind(password=password)).status == status


async def test_networks_of_a_listener(serve: Serve, connected: Connect) -> None:
    assert (await (await connected(await serve(networks=["127.0.0.1"]))).bind()).status == 0
    stranger = await connected(await serve(networks=["10.0.0.0/8"]))
    await stranger.end()
    assert stranger.seen == []


async def test_connections_from_one_address(serve: Serve, connected: Connect, bound: Connect) -> None:
    server = await serve(max_per_address=2)
    first = await bound(server)
    await bound(server)
    await (await connected(server)).end()
    await first.unbind()
    await bound(server)


@pytest.mark.parametrize(
    ("header", "networks", "status"),
    [
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 5 6\r\n", ["192.0.2.7"], 0),
        (b"PROXY TCP4 192.0.2.8 127.0.0.1 5 6\r\n", ["192.0.2.7"], RBINDFAIL),
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 5 6\r\n", ["127.0.0.1"], RBINDFAIL),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5 6\r\n", ["192.0.2.7"], 0),
        (b"PROXY UNKNOWN\r\n", ["0.0.0.0/0", "::/0"], RBINDFAIL),
        (b"PROXY UNKNOWN\r\n", None, 0),
    ],
)
async def test_networks_behind_a_proxy(serve: Serve, header: bytes, networks: list[str] | None, status: int) -> None:
    allowed = None if networks is None else [ip_network(each) for each in networks]
    server = await serve([account(networks=allowed)], proxy=["127.0.0.0/8"])
    client = await Esme.connect(server.port)
    client.write(header)
    assert (await client.bind()).status == status
    await client.abort()


@pytest.mark.parametrize(
    "octets", [b"PROXY TCP4 192.0.2.7 127.0.0.1 5 6\r\n", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"]
)
async def test_a_header_where_none_is_taken(serve: Serve, connected: Connect, octets: bytes) -> None:
    for server in (await serve(), await serve(proxy=["10.0.0.0/8"])):
        client = await connected(server)
        client.write(octets)
        await client.end(5)


# --- client certificates -----------------------------------------------------------------------------------------


@pytest.fixture
def known(certificate: dict[str, str], trusting: ssl.SSLContext) -> ssl.SSLContext:
    """A client with a certificate, of CN=localhost."""
    trusting.load_cert_chain(certificate["certificate"], certificate["key"])
    return trusting


@pytest.mark.parametrize(
    ("password", "wanted", "given", "status"),
    [
        (None, {"subject": "CN=localhost"}, "", 0),
        (None, {"san": "localhost"}, "whatever", 0),
        ("secret", {"san": "127.0.0.1"}, "secret", 0),
        ("secret", {"subject": "CN=localhost"}, "wrong", RINVPASWD),
        (None, {"subject": "CN=other"}, "", RINVPASWD),
        ("secret", {"subject": "CN=other"}, "secret", RINVPASWD),
        (None, {"fingerprint": "0" * 64}, "", RINVPASWD),
    ],
)
async def test_an_account_with_a_certificate(
    serve: Serve,
    connected: Connect,
    certificate: dict[str, str],
    known: ssl.SSLContext,
    password: str | None,
    wanted: dict[str, str],
    given: str,
    status: int,
) -> None:
    server = await serve(
        [account(password=password, certificate=wanted)],
        tls={**certificate, "client_ca": certificate["certificate"]},
    )
    assert (await (await connected(server, tls=known)).bind(password=given)).status == status


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("password", [None, "secret"])
async def test_a_certificate_that_was_never_asked_for(
    serve: Serve,
    connected: Connect,
    certificate: dict[str, str],
    known: ssl.SSLContext,
    secure: bool,
    password: str | None,
) -> None:
    server = await serve(
        [account(password=password, certificate={"subject": "CN=localhost"})],
        **({"tls": certificate} if secure else {}),
    )
    client = await connected(server, tls=known if secure else None)
    assert (await client.bind(password=password or "")).status == RINVPASWD


def test_an_account_needs_one_or_the_other() -> None:
    with pytest.raises(ValueError, match="a password, a certificate, or both"):
        account(password=None)


async def test_a_certificate_is_renewed(
    serve: Serve, connected: Connect, certificate: dict[str, str], trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    mine = {key: str(shutil.copy(path, tmp_path)) for key, path in certificate.items()}
    server = await serve(tls=mine)
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=new -keyout key.pem -out cert.pem"
    subprocess.run(  # noqa: ASYNC221 - a moment only
        ["openssl", "req", "-x509", *options.split(), "-addext", "subjectAltName=DNS:localhost"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    before = await connected(server, tls=trusting)
    server.renew_tls()
    with pytest.raises(ssl.SSLError):
        await Esme.connect(server.port, tls=trusting)
    after = await connected(server, tls=ssl.create_default_context(cafile=mine["certificate"]))
    assert (await after.bind()).status == (await before.bind()).status == 0
    Path(mine["key"]).unlink()  # noqa: ASYNC240
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on OpenSSL
        server.renew_tls()
    assert (
        await (await connected(server, tls=ssl.create_default_context(cafile=mine["certificate"]))).bind()
    ).status == 0


# --- timers of the account ---------------------------------------------------------------------------------------


async def test_timers_of_an_account(serve: Serve, bound: Connect) -> None:
    server = await serve([account(enquire_link_interval="100ms", response_timeout="100ms"), account("other")])
    client, other = await bound(server), await bound(server, system_id="other")
    client.alive = False
    await client.end(5)
    assert (0x15, 1) in client.seen
    assert [command for command, _ in other.seen] == [TRX | RESPONSE]
