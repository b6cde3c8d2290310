from __future__ import annotations

import asyncio
import logging
import ssl
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest
import uvloop

from bridge.listeners.passwords import Passwords
from bridge.listeners.smtp.server import SmtpServer
from bridge.listeners.smtp.settings import SmtpListener


async def test_connections_are_capped(serve: Any, connect: Any) -> None:
    server = await serve(max_connections=2)
    first, second = await connect(server), await connect(server)
    await first.reply()
    await second.reply()
    third = await connect(server)
    assert (await third.reply()).startswith("421 4.3.2 ")
    assert await third.reply() == ""
    await first.say("QUIT")
    assert await first.reply() == ""
    assert (await (await connect(server)).reply()).startswith("220 ")


async def test_stop_says_goodbye_and_listens_no_more(serve: Any, connect: Any) -> None:
    server = await serve()
    port = server.port
    client = await connect(server)
    await client.enter()
    await server.stop()
    assert (await client.reply()).startswith("421 4.3.2 ")
    assert await client.reply() == ""
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_stop_lets_an_answer_leave_first(serve: Any, connect: Any, ledger: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.enter()
    await client.address("447700900001")
    ledger.held = asyncio.Event()
    sending = asyncio.create_task(client.send())
    await ledger.reached.wait()
    stopping = asyncio.create_task(server.stop())
    assert not (await asyncio.wait({stopping, sending}, timeout=0.1))[0]
    ledger.held.set()
    assert (await sending).startswith("250 ")
    assert (await client.reply()).startswith("421 4.3.2 ")
    await stopping


async def test_stop_waits_for_nobody_who_is_not_there(serve: Any) -> None:
    server = await serve()
    async with asyncio.timeout(5):
        await server.stop()
        await server.stop()


async def test_server_that_was_not_started_stops(ledger: Any) -> None:
    listener = SmtpListener(listen="127.0.0.1:0", domain="sms.example", auth_without_tls=True)
    await SmtpServer(listener, [], ledger, passwords=None).stop()  # type: ignore[arg-type] - nobody comes


def test_tls_that_cannot_be_used(ledger: Any, certificate: tuple[str, str]) -> None:
    tls = {"certificate": certificate[0], "key": certificate[0]}
    listener = SmtpListener(listen="127.0.0.1:0", domain="sms.example", tls=tls)
    with pytest.raises(ssl.SSLError):
        SmtpServer(listener, [], ledger, passwords=None)  # type: ignore[arg-type]


async def test_client_certificate_is_asked_for(
    serve: Any, connect: Any, certificate: tuple[str, str], trusting: ssl.SSLContext
) -> None:
    tls = {"certificate": certificate[0], "key": certificate[1], "client_ca": certificate[0]}
    server = await serve(mode="implicit", tls=tls)
    try:
        greeting = await (await connect(server, trusting)).reply()
    except OSError:  # the alert, where the client still waits for one
        greeting = ""
    assert greeting == ""
    trusting.load_cert_chain(*certificate)
    await (await connect(server, trusting)).enter()


async def test_what_clients_type_is_not_logged(serve: Any, connect: Any, caplog: Any, capsys: Any) -> None:
    caplog.set_level(logging.DEBUG)
    client = await connect(await serve())
    await client.enter()
    await client.say("c2VjcmV0")  # a password where a command belongs
    await client.address("447700900001")
    await client.send()
    shown = caplog.text + capsys.readouterr().out
    assert "smtp_mail_taken" in shown
    for word in ("c2VjcmV0", "C2VJCMV0", "AGFjbWUAc2VjcmV0", "447700900001", "hello", "it@acme"):
        assert word not in shown


def test_starttls_under_uvloop(
    ledger: Any, account: Any, certificate: tuple[str, str], trusting: ssl.SSLContext
) -> None:
    async def talk() -> str:
        passwords = Passwords()
        tls = {"certificate": certificate[0], "key": certificate[1]}
        server = SmtpServer(
            SmtpListener(listen="127.0.0.1:0", domain="sms.example", tls=tls), [account()], ledger, passwords
        )
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"EHLO x\r\nSTARTTLS\r\n")
        await reader.readuntil(b"220 Ready to start TLS\r\n")
        transport = await asyncio.get_running_loop().start_tls(
            writer.transport, writer.transport.get_protocol(), trusting, server_hostname="localhost"
        )
        transport.write(
            b"EHLO x\r\nAUTH PLAIN AGFjbWUAc2VjcmV0\r\nMAIL FROM:<it@acme.example>\r\n"
            b"RCPT TO:<447700900001@sms.example>\r\nDATA\r\n\r\nhello\r\n.\r\nQUIT\r\n"
        )
        replies = await reader.read()
        transport.close()
        await server.stop()
        passwords.close()
        return replies.decode()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        replies = runner.run(talk())
    assert "250 2.0.0 Ok: queued as 1\r\n221 " in replies
    assert ledger.taken[0].text == "hello"


# --- who may connect, and log in


async def test_networks_of_a_listener(serve: Any, connect: Any) -> None:
    assert (await (await connect(await serve(networks=["127.0.0.0/8"]))).reply()).startswith("220 ")
    stranger = await connect(await serve(networks=["10.0.0.0/8"]))
    assert (await stranger.reply()).startswith("554 5.7.1 ")
    assert await stranger.reply() == ""


async def test_connections_from_one_address(serve: Any, connect: Any) -> None:
    server = await serve(max_per_address=1)
    first = await connect(server)
    await first.reply()
    assert (await (await connect(server)).reply()).startswith("421 4.3.2 ")
    await first.say("QUIT")
    assert await first.reply() == ""
    assert (await (await connect(server)).reply()).startswith("220 ")


async def test_networks_of_an_account(serve: Any, connect: Any, account: Any) -> None:
    elsewhere = msgspec.structs.replace(account(), networks=[ip_network("192.0.2.7")])
    server = await serve([elsewhere], proxy=["127.0.0.1"])
    for source, reply in (("192.0.2.7", "235 "), ("192.0.2.8", "535 5.7.8 ")):
        client = await connect(server)
        client.writer.write(f"PROXY TCP4 {source} 127.0.0.1 5 6\r\n".encode())
        assert (await client.reply()).startswith("220 ")
        await client.say("EHLO client.example")
        assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith(reply)


async def test_a_header_where_none_is_taken(serve: Any, connect: Any) -> None:
    client = await connect(await serve(proxy=["10.0.0.0/8"]))
    await client.reply()
    assert (await client.say("PROXY TCP4 192.0.2.7 127.0.0.1 5 6")).startswith("421 4.7.0 ")
    assert await client.reply() == ""


async def test_guessing_closes_the_door(serve: Any, connect: Any) -> None:
    server = await serve(max_auth_failures=100)
    client = await connect(server)
    await client.reply()
    await client.say("EHLO client.example")
    for _ in range(10):
        assert (await client.say("AUTH PLAIN AGFjbWUAd3Jvbmc=")).startswith("535 5.7.8 ")
    assert (await client.say("AUTH PLAIN AGFjbWUAc2VjcmV0")).startswith("454 4.7.0 ")


async def test_a_certificate_is_renewed(
    serve: Any, connect: Any, certificate: tuple[str, str], trusting: ssl.SSLContext
) -> None:
    server = await serve(tls={"certificate": certificate[0], "key": certificate[1]}, mode="implicit")
    server.renew_tls()
    assert (await (await connect(server, trusting)).reply()).startswith("220 ")
