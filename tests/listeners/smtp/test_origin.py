from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from listeners.smtp.zone import Zone

from bridge.listeners.smtp.commands import Rejected
from bridge.listeners.smtp.origin import Origins, Sent, aligned, author_of
from bridge.listeners.smtp.settings import Dns

MAIL = b"From: Monitor <it@acme.example>\r\nTo: 447700900001@sms.example\r\nSubject: disk\r\n\r\nfull\r\n"
SENDERS = ("*@acme.example", "*@mail.acme.example")
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
LINES = " ".join(f'"{piece}"' for piece in (f"v=DKIM1; k=rsa; p={PUBLIC[:200]}", PUBLIC[200:]))


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    loop = asyncio.get_running_loop()
    transport, zone = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", 0))
    zone.add(
        "acme.example", "TXT", '"v=spf1 ip4:192.0.2.1 ip6:2001:db8::/32 a:gw.acme.example include:_far.example -all"'
    )
    zone.add("gw.acme.example", "A", "192.0.2.2")
    zone.add("gw.acme.example", "AAAA", "2001:db9::7")
    zone.add("_far.example", "TXT", '"v=spf1 ip4:192.0.2.3 ?all"')
    zone.add("s1._domainkey.acme.example", "TXT", LINES)
    yield zone
    transport.close()


@pytest.fixture
async def origins(zone: Zone) -> AsyncIterator[Origins]:
    origins = Origins(Dns(servers=[zone.address], timeout="2s"))
    yield origins
    origins.close()


def signed(mail: bytes = MAIL, domain: bytes = b"acme.example", **more: Any) -> bytes:
    return dkim.sign(mail, b"s1", domain, PEM, **more) + mail


def sent(octets: bytes = MAIL, peer: str = "198.51.100.9", mail_from: str = "it@acme.example") -> Sent:
    return Sent(octets=octets, peer=peer, helo="gw.acme.example", mail_from=mail_from)


@pytest.mark.parametrize("peer", ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::9", "2001:db9::7"])
async def test_spf(origins: Origins, peer: str) -> None:
    await origins.check(sent(peer=peer), SENDERS, "either")


async def test_dkim(origins: Origins) -> None:
    await origins.check(sent(signed()), SENDERS, "either")
    await origins.check(sent(signed(), mail_from="bounce@other.example"), SENDERS, "either")


async def test_both(origins: Origins) -> None:
    await origins.check(sent(signed(), peer="192.0.2.1"), SENDERS, "both")
    for half in (sent(signed()), sent(peer="192.0.2.1")):
        with pytest.raises(Rejected, match=r"550 5\.7\.26 SPF and DKIM must both"):
            await origins.check(half, SENDERS, "both")


@pytest.mark.parametrize(
    ("case", "reply"),
    [
        (sent(), "550 5.7.26"),
        (sent(signed().replace(b"full", b"FULL")), "550 5.7.26"),
        (sent(signed().replace(b"Subject: disk", b"Subject: dusk")), "550 5.7.26"),
        (sent(signed(length=True)), "550 5.7.26"),
        (sent(signed(domain=b"evil.example")), "550 5.7.26"),
        (sent(peer="192.0.2.1", mail_from="it@_far.example"), "550 5.7.26"),
        (sent(b"DKIM-Signature: nonsense\r\n" + MAIL), "550 5.7.26"),
        (sent(MAIL.replace(b"acme", b"evil"), peer="192.0.2.1"), "550 5.7.1"),
        (sent(b"From: it@evil.example\r\n" + signed()), "550 5.6.0"),
        (sent(b"Subject: other\r\n" + signed()), "550 5.6.0"),
        (sent(MAIL.replace(b"From: ", b"From: a@acme.example, ")), "550 5.7.1"),
        (sent(b"Subject: x\r\n\r\nno author\r\n"), "550 5.7.1"),
    ],
)
async def test_forged(origins: Origins, case: Sent, reply: str) -> None:
    with pytest.raises(Rejected) as raised:
        await origins.check(case, SENDERS, "either")
    assert raised.value.reply.startswith(reply)


async def test_alignment_is_relaxed_unless_the_domain_says_strict(origins: Origins, zone: Zone) -> None:
    mail = MAIL.replace(b"@acme", b"@mail.acme")
    case = sent(mail, peer="192.0.2.1")
    await origins.check(case, SENDERS, "either")
    await origins.check(sent(signed(mail)), SENDERS, "either")


async def test_strict_alignment_by_the_record_of_the_organisation(origins: Origins, zone: Zone) -> None:
    zone.add("_dmarc.acme.example", "TXT", '"v=DMARC1; p=none; aspf=s; adkim=s"')
    mail = MAIL.replace(b"@acme", b"@mail.acme")
    for case in (sent(mail, peer="192.0.2.1"), sent(signed(mail))):
        with pytest.raises(Rejected, match=r"550 5\.7\.26"):
            await origins.check(case, SENDERS, "either")
    await origins.check(sent(peer="192.0.2.1"), SENDERS, "either")


@pytest.mark.parametrize("name", ["acme.example", "_far.example", "_dmarc.acme.example", "s1._domainkey.acme.example"])
async def test_dns_trouble_is_temporary(origins: Origins, zone: Zone, name: str) -> None:
    zone.silent.add(name)
    mail = signed() if name.startswith("s1") else MAIL
    with pytest.raises(Rejected, match=r"451 4\.4\.3"):
        await origins.check(sent(mail), SENDERS, "either")


async def test_one_that_passes_is_enough_though_dns_fails_for_the_other(origins: Origins, zone: Zone) -> None:
    zone.silent.add("s1._domainkey.acme.example")
    await origins.check(sent(signed(), peer="192.0.2.1"), SENDERS, "either")


@pytest.mark.parametrize(
    ("one", "other", "strict", "same"),
    [
        ("a.example", "A.example.", True, True),
        ("m.a.example", "a.example", True, False),
        ("m.a.example", "b.a.example", False, True),
        ("a.co.uk", "b.co.uk", False, False),
        ("co.uk", "a.co.uk", False, False),
    ],
)
def test_aligned(one: str, other: str, strict: bool, same: bool) -> None:
    assert aligned(one, other, strict=strict) is same


def test_author() -> None:
    assert author_of(MAIL) == "it@acme.example"


async def test_without_auth(zone: Zone, serve: Any, connect: Any, account: Any, ledger: Any) -> None:
    zone.add("local.example", "TXT", '"v=spf1 ip4:127.0.0.1 -all"')
    verified = account(login=None, password=None, without_auth={"verified": "either"}, **{"from": ["*@local.example"]})
    client = await connect(await serve([verified], dns={"servers": [zone.address]}))
    await client.reply()
    await client.say("EHLO gw.local.example")
    assert (await client.say("MAIL FROM:<it@acme.example>")).startswith("530 5.7.0 ")
    for author, reply in {"it@local.example": "250 2.0.0", "it@acme.example": "550 5.7.1"}.items():
        await client.say_all("MAIL FROM:<it@local.example>", "RCPT TO:<447700900001@sms.example>")
        assert (await client.send(b"From: %s\r\n\r\nhello\r\n" % author.encode())).startswith(reply)
    assert [message.text for message in ledger.taken] == ["hello"]
