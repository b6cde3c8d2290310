from __future__ import annotations

from typing import Any


async def test_mails(serve: Any, connect: Any, ledger: Any) -> None:
    client = await connect(await serve(dialect="smscentre", max_auth_failures=2))
    await client.reply()
    await client.say("EHLO client.example")
    order = "acme:secret:77:0:0,0,Acme:447700900001:Привет".encode("koi8-r")
    for body, reply in {
        order: "250 2.0.0",
        order.replace(b"0,0,Acme", b"0,0,Acme,1"): "250 2.0.0",
        order.replace(b"secret", b"wrong"): "535 5.7.8",
        b"hello": "554 5.6.0",
        order.replace(b"acme", b"nobody"): "535 5.7.8",
    }.items():
        await client.say_all("MAIL FROM:<it@any.example>", "RCPT TO:<send@sms.example>")
        assert (await client.send(b"\r\n" + body + b"\r\n")).startswith(reply)
    assert (await client.reply()).startswith("421 4.7.0 ")
    assert [(message.text, message.source) for message in ledger.taken] == [("Привет", "Acme")]


async def test_order_of_commands(serve: Any, connect: Any) -> None:
    client = await connect(await serve(dialect="smscentre"))
    await client.reply()
    for line, reply in {
        "MAIL FROM:<early@any.example>": "503",
        "EHLO client.example": "250",
        "RCPT TO:<send@sms.example>": "503",
        "DATA": "503",
        "MAIL FROM:<>": "550",
        "MAIL FROM:<it@any.example>": "250",
        "MAIL FROM:<it@any.example> ": "503",
        "RCPT TO:<send@other.example>": "550",
    }.items():
        assert (await client.say(line)).startswith(reply), line
