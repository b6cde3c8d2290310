from __future__ import annotations

import asyncio
import smtplib
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Refusal
from bridge.message import Reason

MAIL = b"Subject: s\r\n\r\nhello\r\n"


# --- lines and caps


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n"])
async def test_line_that_ends_otherwise_ends_the_connection(serve: Any, connect: Any, line: bytes) -> None:
    client = await connect(await serve())
    await client.reply()
    client.writer.write(line)
    assert (await client.reply()).startswith("521 5.5.2 ")
    assert await client.reply() == ""


async def test_browser(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.reply()
    assert (await client.say("POST / HTTP/1.1")).startswith("421 4.7.0 ")
    assert await client.reply() == ""


async def test_errors_are_counted(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_errors=2))
    await client.reply()
    assert [(await client.say("NONSENSE"))[:3] for _ in range(3)] == ["500", "500", "500"]
    assert (await client.reply()).startswith("421 4.7.0 ")
    assert await client.reply() == ""


async def test_commands_without_a_mail_are_counted(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_recipients=1))
    await client.reply()
    replies = [await client.say("NOOP") for _ in range(103)]
    assert {reply[:3] for reply in replies[:102]} == {"250"}
    assert replies[-1].startswith("421 4.7.0 ")


async def test_mails_are_limited_by_sender_and_by_network(serve: Any, connect: Any) -> None:
    for limit in ({"sender_rate": "6/h"}, {"network_rate": "6/h"}):
        client = await connect(await serve(**limit))
        await client.enter()
        await client.address("447700900001")
        assert (await client.send()).startswith("250 ")
        assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("450 4.7.1 ")
        other = await client.say("MAIL FROM:<other@acme.example>")
        assert other.startswith("250 " if "sender_rate" in limit else "450 4.7.1 ")


# --- who may send


async def test_network_instead_of_auth(serve: Any, connect: Any, account: Any, ledger: Any) -> None:
    trusted = account(login=None, password=None, without_auth={"networks": ["127.0.0.0/8"]})
    client = await connect(await serve([trusted], auth_without_tls=False))
    await client.reply()
    await client.say("EHLO printer")
    await client.address("447700900001")
    assert (await client.send()).startswith("250 ")
    assert (await client.say("MAIL FROM:<it@evil.example>")).startswith("530 5.7.0 ")
    assert [message.account for message in ledger.taken] == ["acme-account"]


async def test_other_networks_log_in(serve: Any, connect: Any, account: Any) -> None:
    client = await connect(await serve([account(without_auth={"networks": ["192.0.2.0/24"]})]))
    await client.reply()
    await client.say("EHLO printer")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 5.7.0 ")
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("235 ")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("250 ")


async def test_who_has_not_logged_in_waits_for_354(serve: Any, connect: Any, account: Any, ledger: Any) -> None:
    trusted = account(login=None, password=None, without_auth={"networks": ["127.0.0.1"]})
    client = await connect(await serve([trusted]))
    await client.reply()
    await client.say("EHLO bot")
    await client.address("447700900001")
    client.writer.write(b"DATA\r\n\r\nhello\r\n.\r\n")
    assert (await client.reply()).startswith("503 5.5.0 ")
    assert await client.reply() == ""
    assert ledger.taken == []


@pytest.fixture(scope="session")
def client_side(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A client's certificate, signed by itself, and its key."""
    folder: Path = tmp_path_factory.mktemp("client")
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=acme -keyout key.pem -out certificate.pem"
    subprocess.run(["openssl", "req", "-x509", *options.split()], cwd=folder, check=True, capture_output=True)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.mark.parametrize(("subject", "reply"), [("CN=acme", "250 2.1.0"), ("CN=other", "530 5.7.0")])
async def test_certificate_instead_of_auth(
    serve: Any,
    connect: Any,
    account: Any,
    certificate: Any,
    trusting: ssl.SSLContext,
    client_side: Any,
    subject: str,
    reply: str,
) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1], "client_ca": client_side[0]}
    known = account(login=None, password=None, certificate={"subject": subject})
    client = await connect(await serve([known], mode="implicit", tls=tls), with_certificate(trusting, client_side))
    await client.reply()
    await client.say("EHLO client.example")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith(reply)


@pytest.mark.parametrize(("subject", "reply"), [("CN=acme", "235 "), ("CN=other", "535 5.7.8")])
async def test_certificate_besides_the_password(
    serve: Any,
    connect: Any,
    account: Any,
    certificate: Any,
    trusting: ssl.SSLContext,
    client_side: Any,
    subject: str,
    reply: str,
) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1], "client_ca": client_side[0]}
    server = await serve([account(certificate={"subject": subject})], mode="implicit", tls=tls)
    client = await connect(server, with_certificate(trusting, client_side))
    await client.reply()
    await client.say("EHLO client.example")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 ")
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith(reply)


def with_certificate(context: ssl.SSLContext, pair: tuple[str, str]) -> ssl.SSLContext:
    context.load_cert_chain(*pair)
    return context


# --- domains, aliases, LMTP


async def test_domains(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(domains={"TXT.carrier.example": "US", "second.example": None}))
    await client.enter()
    await client.address()
    for address, reply in {
        "2015550123@txt.carrier.example": "250",
        "447700900001@second.example": "250",
        "447700900001@third.example": "550 5.7.1",
    }.items():
        assert (await client.say(f"RCPT TO:<{address}>")).startswith(reply)
    await client.send()
    assert [message.destination for message in ledger.taken] == ["12015550123", "447700900001"]


async def test_group(serve: Any, connect: Any, account: Any, ledger: Any) -> None:
    group = account(aliases={"oncall": ["+447700900001", "+447700900002"], "lost": ["+33612345678"]})
    client = await connect(await serve([group], max_recipients=2))
    await client.enter()
    await client.address()
    ledger.no_route["33612345678"] = Refusal(Reason.NO_ROUTE, "no route leads to this destination")
    assert (await client.say("RCPT TO:<lost@sms.example>")).startswith("550 5.1.1 ")
    assert (await client.say("RCPT TO:<OnCall+flash@sms.example>")).startswith("250 ")
    assert (await client.say("RCPT TO:<447700900002@sms.example>")).startswith("250 ")
    assert (await client.say("RCPT TO:<447700900003@sms.example>")).startswith("452 4.5.3 ")
    await client.send()
    assert [(each.destination, each.flash) for each in ledger.taken] == [("447700900001", True), ("447700900002", True)]


async def test_lmtp_answers_for_each_recipient(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(protocol="lmtp"))
    await client.reply()
    assert (await client.say("EHLO client.example")).startswith("500 5.5.1 ")
    assert (await client.say("HELO client.example")).startswith("500 5.5.1 ")
    assert "250-PIPELINING" in await client.say("LHLO client.example")
    await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")
    await client.address("447700900001", "447700900002", "447700900001", "447700900003")
    ledger.unfit["447700900002"] = Refusal(Reason.INVALID_TEXT, "no")
    ledger.unwelcome["447700900003"] = Refusal(Reason.THROTTLED, "too many messages")
    replies = [await client.send(), *[await client.reply() for _ in range(3)]]
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "554 5.6.0", "250 2.0.0", "452 4.3.1"]
    assert [message.destination for message in ledger.taken] == ["447700900001"]
    assert (await client.say("NOOP")).startswith("250 ")


async def test_lmtp_by_smtplib(serve: Any, ledger: Any) -> None:
    server = await serve(protocol="lmtp")

    def talk() -> None:
        with smtplib.LMTP("127.0.0.1", server.port) as client:
            client.login("acme", "secret")
            client.sendmail("it@acme.example", ["447700900001@sms.example"], MAIL)

    await asyncio.to_thread(talk)
    assert [message.text for message in ledger.taken] == ["hello"]
