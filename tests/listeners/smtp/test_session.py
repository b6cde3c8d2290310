from __future__ import annotations

import asyncio
import base64
import os
import resource
import smtplib
import socket
import ssl
import struct
from typing import Any

import pytest

from bridge.errors import Refusal
from bridge.listeners.passwords import hash_password
from bridge.message import Reason, ReportOn


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# --- greeting


async def test_greeting_and_extensions(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_size=1000))
    assert await client.reply() == "220 SMS.example ESMTP smsbridge"
    assert (await client.say("EHLO client.example")).split("\n") == [
        "250-SMS.example",
        "250-PIPELINING",
        "250-SIZE 1000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-DSN",
        "250-ENHANCEDSTATUSCODES",
        "250 AUTH PLAIN LOGIN",
    ]
    assert await client.say("HELO client.example") == "250 SMS.example"


async def test_order_of_commands(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.reply()
    for line, reply in {
        "EHLO": "501 5.5.4",
        "MAIL FROM:<it@acme.example>": "503 5.5.1",
        "AUTH PLAIN": "503 5.5.1",
        "RCPT TO:<447700900001@sms.example>": "503 5.5.1",
        "DATA": "503 5.5.1",
        "NOOP": "250 2.0.0",
        "RSET": "250 2.0.0",
        "RSET now": "501 5.5.4",
        "HELP": "214 2.0.0",
        "VRFY 447700900001": "502 5.5.1",
        "EXPN list": "502 5.5.1",
        "NONSENSE": "500 5.5.2",
        "": "500 5.5.2",
        "X" * 600: "500 5.5.2",
        "Y" * 100_000: "500 5.5.2",
        "HELO client.example": "250 SMS.example",
        "MAIL FROM:<it@acme.example> ": "530 5.7.0",
        "AUTH LOGIN": "503 5.5.1",
        "QUIT": "221 2.0.0",
    }.items():
        assert (await client.say(line)).startswith(reply), line
    assert await client.reply() == ""


async def test_after_goodbye_nothing_is_followed(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    client.writer.write(
        b"QUIT\r\nMAIL FROM:<it@acme.example>\r\nRCPT TO:<447700900001@sms.example>\r\nDATA\r\n\r\nx\r\n.\r\n"
    )
    assert (await client.reply()).startswith("221 ")
    assert await client.reply() == ""
    assert ledger.asked == []


# --- AUTH


@pytest.mark.parametrize("password", ["secret", "пароль", hash_password("secret")], ids=["plain", "UTF-8", "hash"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "plain", "LOGIN", "Login"])
async def test_auth(serve: Any, connect: Any, account: Any, mechanism: str, password: str) -> None:
    client = await connect(await serve([account(password=password)]))
    await client.reply()
    await client.say("EHLO client.example")
    given = "secret" if password.startswith("$") else password
    if mechanism.upper() == "PLAIN":
        assert await client.say(f"AUTH {mechanism}") == "334 "
        reply = await client.say(b64(f"\0acme\0{given}"))
    else:
        assert await client.say(f"AUTH {mechanism}") == "334 " + b64("Username:")
        assert await client.say(b64("acme")) == "334 " + b64("Password:")
        reply = await client.say(b64(given))
    assert reply.startswith("235 2.7.0 ")
    assert (await client.say("AUTH PLAIN")).startswith("503 5.5.1 ")


async def test_auth_with_initial_response(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.reply()
    await client.say("EHLO client.example")
    assert await client.say(f"AUTH LOGIN {b64('acme')}") == "334 " + b64("Password:")
    assert (await client.say(b64("secret"))).startswith("235 ")


async def test_auth_by_smtplib(serve: Any) -> None:
    server = await serve()

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client.login("acme", "secret")
            client.sendmail("it@acme.example", ["447700900001@sms.example"], "Subject: x\r\n\r\nhello\r\n")

    await asyncio.to_thread(talk)


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH"], "504 5.5.4"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH PLAIN ="], "501 5.5.2"),
        (["AUTH PLAIN !"], "501 5.5.2"),
        (["AUTH PLAIN a b"], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", "*"], "501 5.7.0"),
        ([f"AUTH PLAIN {b64('acme')}"], "501 5.5.2"),
        ([f"AUTH PLAIN {b64(chr(0).join(['root', 'acme', 'secret']))}"], "535 5.7.8"),
    ],
)
async def test_auth_misspelt(serve: Any, connect: Any, lines: list[str], reply: str) -> None:
    client = await connect(await serve())
    await client.reply()
    await client.say("EHLO client.example")
    assert (await client.say_all(*lines))[-1].startswith(reply)
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("235 ")


async def test_auth_response_without_end(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.reply()
    await client.say("EHLO client.example")
    await client.say("AUTH LOGIN")
    assert (await client.say("x" * 20_000)).startswith("500 5.5.6 ")
    assert await client.reply() == ""


async def test_failed_authentications_are_counted_also_over_tls_and_in_one_packet(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_auth_failures=3))
    await client.reply()
    await client.say("EHLO client.example")
    wrong = f"AUTH PLAIN {b64(chr(0) + 'acme' + chr(0) + 'wrong')}\r\n"
    nobody = f"AUTH PLAIN {b64(chr(0) + 'nobody' + chr(0) + 'secret')}\r\n"
    client.writer.write((wrong + nobody + wrong + "AUTH PLAIN AGFjbWUAc2VjcmV0\r\n").encode())
    assert [(await client.reply())[:9] for _ in range(3)] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert await client.reply() == ""


async def test_auth_needs_tls(serve: Any, connect: Any) -> None:
    client = await connect(await serve(auth_without_tls=False))
    await client.reply()
    assert "AUTH" not in await client.say("EHLO client.example")
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("538 5.7.11 ")
    # There is no STARTTLS to issue either: who reads this has to look at the listener's configuration.
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 5.7.0 This listener offers neither")


# --- TLS


async def test_starttls(serve: Any, certificate: Any, trusting: ssl.SSLContext, ledger: Any) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1]}
    server = await serve(auth_without_tls=False, tls=tls)

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client._host = "localhost"  # type: ignore[attr-defined] - whose certificate it is
            client.ehlo()
            assert client.has_extn("starttls")
            assert not client.has_extn("auth")
            client.starttls(context=trusting)
            client.ehlo()
            assert not client.has_extn("starttls")
            assert client.docmd("STARTTLS")[0] == 503
            client.login("acme", "secret")
            client.sendmail("it@acme.example", ["447700900001@sms.example"], "\r\nhello\r\n")

    await asyncio.to_thread(talk)
    assert [message.text for message in ledger.taken] == ["hello"]


async def test_what_came_before_tls_does_not_count(
    serve: Any, connect: Any, certificate: Any, trusting: ssl.SSLContext
) -> None:
    client = await connect(await serve(tls={"certificate": certificate[0], "key": certificate[1]}))
    await client.enter()
    client.writer.write(b"STARTTLS\r\nRSET\r\n")  # RSET is what an attacker slips in
    assert (await client.reply()).startswith("220 ")
    await client.writer.start_tls(trusting, server_hostname="localhost")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("503 5.5.1 ")
    await client.say("EHLO client.example")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 5.7.0 ")


async def test_failed_handshake_ends_the_connection_only(serve: Any, connect: Any, certificate: Any) -> None:
    server = await serve(tls={"certificate": certificate[0], "key": certificate[1]})
    client = await connect(server)
    await client.reply()
    await client.say("EHLO client.example")
    await client.say("STARTTLS")
    client.writer.write(b"this is no TLS\r\n" * 10)
    assert b"this" not in await client.reader.read()
    await (await connect(server)).enter()


@pytest.mark.parametrize("leaves", [True, False])
async def test_unfinished_handshake_holds_no_place(serve: Any, connect: Any, certificate: Any, leaves: bool) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1]}
    server = await serve(tls=tls, max_connections=1, command_timeout=0.2)
    client = await connect(server)
    await client.reply()
    await client.say("EHLO client.example")
    await client.say("STARTTLS")
    if leaves:
        client.writer.close()
    else:
        await client.reader.read()  # until the server loses patience
    async with asyncio.timeout(5):
        while not (await (await connect(server)).reply()).startswith("220 "):
            pass


async def test_starttls_where_there_is_none(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.reply()
    await client.say("EHLO client.example")
    assert (await client.say("STARTTLS")).startswith("503 5.5.1 ")
    assert (await client.say("NOOP")).startswith("250 ")


async def test_implicit_tls_offers_auth(serve: Any, connect: Any, certificate: Any, trusting: ssl.SSLContext) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1]}
    server = await serve(auth_without_tls=False, mode="implicit", tls=tls)
    client = await connect(server, trusting)
    await client.reply()
    extensions = await client.say("EHLO client.example")
    assert "AUTH PLAIN LOGIN" in extensions
    assert "STARTTLS" not in extensions
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("235 ")


# --- MAIL and RCPT


async def test_mail(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_size=1000))
    await client.enter()
    for line, reply in {
        "MAIL FROM:<>": "550 5.7.1",
        "MAIL FROM:<it@evil.example>": "550 5.7.1",
        "MAIL FROM:<it@acme.example> SIZE=1001": "552 5.3.4",
        "MAIL": "501 5.5.4",
        "MAIL FROM:<it@acme.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=" + "x" * 100: "250 2.1.0",
        "MAIL FROM:<it@acme.example>": "503 5.5.1",
        "RSET": "250 2.0.0",
        "MAIL FROM:<other@acme.example>": "250 2.1.0",
        "EHLO again.example": "250-",
        "MAIL FROM:<third@acme.example>": "250 2.1.0",
    }.items():
        assert (await client.say(line)).startswith(reply), line


async def test_rcpt(serve: Any, connect: Any, account: Any, ledger: Any) -> None:
    client = await connect(await serve([account(region="GB", source="Acme")], max_recipients=3))
    await client.enter()
    await client.address()
    ledger.no_route["33612345678"] = Refusal(Reason.NO_ROUTE, "no route leads to this destination")
    for line, reply in {
        "<447700900001@sms.example>": "250 2.1.5",
        "<+447700900001@SMS.EXAMPLE>": "250 2.1.5",
        "<07700900002@sms.example> NOTIFY=NEVER ORCPT=rfc822;" + "x" * 490: "250 2.1.5",
        '<"+44 7700 900003"@sms.example>': "250 2.1.5",
        "<447700900004@sms.example>": "452 4.5.3",
        "<447700900001@sms.example> ": "250 2.1.5",
        "<33612345678@other.example>": "550 5.7.1",
        "<postmaster@sms.example>": "550 5.1.1",
        "<>": "501 5.1.3",
        "<447700900001>": "501 5.1.3",
        "<\udcff@sms.example>": "501 5.6.7",
        "<1ä@sms.example>": "550 5.1.1",
    }.items():
        assert (await client.say("RCPT TO:" + line)).startswith(reply), line
    assert ledger.asked == [("acme-account", "smtp", f"44770090000{last}", "Acme") for last in (1, 2, 3)]


async def test_rcpt_without_route(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address()
    ledger.no_route["33612345678"] = Refusal(Reason.NO_ROUTE, "no route leads to this destination")
    assert await client.say("RCPT TO:<33612345678@sms.example>") == "550 5.1.1 no route leads to this destination"
    assert (await client.say("DATA")).startswith("503 5.5.1 ")


async def test_account_that_was_removed_begins_no_mail(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.enter()
    server.admit([])
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 5.7.0 ")


# --- DATA


async def test_mail_becomes_messages(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.say("MAIL FROM:<it@acme.example> ENVID=E1 RET=FULL")
    await client.say("RCPT TO:<447700900001@sms.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@acme.example")
    await client.say("RCPT TO:<447700900002@sms.example>")
    reply = await client.send(
        b"Subject: s\r\nMessage-ID: <1@acme.example>\r\n\r\n..dots\r\n..\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    )
    assert reply == "250 2.0.0 Ok: queued as 1 2"
    first, second = ledger.taken
    assert (first.destination, second.destination) == ("447700900001", "447700900002")
    assert first.text == second.text == ".dots\n.\nGrüße"
    assert (first.report_on, second.report_on) == (ReportOn.FINAL, ReportOn.FAILURE)
    assert (first.native["envid"], first.native["ret"]) == ("E1", "FULL")
    assert first.native["message_id_header"] == "<1@acme.example>"
    # And again, on the same connection.
    await client.address("447700900003")
    assert await client.send() == "250 2.0.0 Ok: queued as 3"
    assert (await client.say("DATA now")).startswith("503 5.5.1 ")


async def test_pipelining(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    client.writer.write(
        b"MAIL FROM:<it@acme.example>\r\nRCPT TO:<447700900001@sms.example>\r\nRCPT TO:<x@sms.example>\r\nDATA\r\n"
    )
    replies = [(await client.reply())[:9] for _ in range(4)]
    client.writer.write(b"\r\nhello\r\n.\r\nNOOP\r\nQUIT\r\n")
    replies += [(await client.reply())[:9] for _ in range(3)]
    assert replies == ["250 2.1.0", "250 2.1.5", "550 5.1.1", "354 End d", "250 2.0.0", "250 2.0.0", "221 2.0.0"]
    assert len(ledger.taken) == 1


async def test_no_250_before_the_disk_has_it(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(command_timeout=0.2))
    await client.enter()
    await client.address("447700900001")
    ledger.held = asyncio.Event()
    sending = asyncio.create_task(client.send())
    await ledger.reached.wait()
    # The client's own time would be over by now: it does not run while the client waits for us.
    assert not (await asyncio.wait({sending}, timeout=0.4))[0]
    ledger.held.set()
    assert (await sending).startswith("250 2.0.0 ")


async def test_disk_that_takes_nothing(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address("447700900001")
    ledger.full = True
    assert (await client.send()).startswith("451 4.3.0 ")
    ledger.full = False
    await client.address("447700900001")
    assert (await client.send()).startswith("250 ")


async def test_client_that_hangs_up_does_not_undo_the_write(serve: Any, connect: Any, ledger: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.enter()
    await client.address("447700900001")
    ledger.held = asyncio.Event()
    client.writer.write(b"DATA\r\n\r\nhello\r\n.\r\n")
    await ledger.reached.wait()
    at_once = struct.pack("ii", 1, 0)
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    client.writer.transport.abort()
    await server.stop()  # returns when the session is gone
    assert ledger.taken == []
    ledger.held.set()
    await ledger.kept.wait()
    assert ledger.taken[0].text == "hello"


async def test_client_that_closes_its_side_is_still_answered(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address("447700900001")
    client.writer.write(b"DATA\r\n\r\nhello\r\n.\r\n")
    client.writer.write_eof()
    assert (await client.reply()).startswith("354 ")
    assert (await client.reply()).startswith("250 ")
    assert await client.reply() == ""


async def test_mail_without_text(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address("447700900001")
    assert await client.send(b"Subject: s\r\n\r\n") == "554 5.6.0 the mail has no text"
    assert ledger.taken == []


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"a\nb", b"a\rb"])
async def test_bare_cr_and_lf_are_refused_and_end_nothing(serve: Any, connect: Any, ledger: Any, end: bytes) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address("447700900001")
    smuggled = b"MAIL FROM:<it@acme.example>\r\nRCPT TO:<447700900009@sms.example>\r\nDATA\r\n\r\nsmuggled\r\n"
    assert (await client.send(b"\r\nhello" + end + smuggled)).startswith("550 5.6.11 ")
    assert (await client.say("NOOP")).startswith("250 ")
    assert ledger.taken == []


async def test_mail_too_large_is_read_to_its_end(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(max_size=1000))
    await client.enter()
    await client.address("447700900001")
    assert (await client.send(b"\r\n" + b"x" * 900 + b"\r\n" + b"y" * 200 + b"\r\n")).startswith("552 5.3.4 ")
    await client.address("447700900001")
    assert (await client.send(b"\r\n" + b"x" * 900 + b"\r\n")).startswith("250 ")


async def test_lines_longer_than_the_buffer(serve: Any, connect: Any, ledger: Any, account: Any) -> None:
    client = await connect(await serve([account(max_parts=255)]))
    await client.enter()
    await client.address("447700900001")
    # The second line's piece that begins after the buffer's end begins with a dot, and is not stuffed.
    assert (await client.send(b"\r\n" + b"." * 20_001 + b"\r\n")).startswith("250 ")
    assert ledger.taken[0].text == "." * 20_000


async def test_data_without_line_ends_takes_no_memory(serve: Any, connect: Any) -> None:
    client = await connect(await serve(max_size=1024 * 1024))
    await client.enter()
    await client.address("447700900001")
    await client.say("DATA")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = os.urandom(64 * 1024).translate(None, b"\r\n")

    async def pour() -> None:
        for _ in range(2000):
            client.writer.write(block)
            await client.writer.drain()

    with pytest.raises(ConnectionError):  # closed at twice the limit
        await pour()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024  # KiB


# --- timers, errors, leaving


async def test_silence_is_ended_with_421(serve: Any, connect: Any) -> None:
    client = await connect(await serve(command_timeout=0.1))
    await client.reply()
    assert (await client.reply()).startswith("421 4.4.2 ")
    assert await client.reply() == ""


async def test_silence_in_data_is_ended_with_421(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(data_timeout=0.1))
    await client.enter()
    await client.address("447700900001")
    await client.say("DATA")
    assert (await client.say("half a mail")).startswith("421 4.4.2 ")
    assert await client.reply() == ""
    assert ledger.taken == []


async def test_internal_error_is_an_incident(serve: Any, connect: Any, ledger: Any, capsys: Any) -> None:
    client = await connect(await serve())
    await client.enter()
    await client.address("447700900001")
    ledger.accept = None  # as if the program had a fault
    reply = await client.send(b"\r\nthe secret text\r\n")
    assert reply.startswith("451 4.3.0 Internal error, incident ")
    shown = capsys.readouterr().out
    assert reply.rpartition(" ")[2] in shown
    assert "TypeError" in shown
    assert "secret" not in shown
    assert "447700900001" not in shown
    assert (await client.say("NOOP")).startswith("250 ")
