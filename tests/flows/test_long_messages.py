"""Long messages, cut by their client: joined, sent as one, and each part has a receipt of its own."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from flows.bridges import Bridge, until
from flows.bsg_server import BsgServer
from flows.conftest import Start
from listeners.smpp.esme import SUBMIT_SM, TX, Answer, Esme, submit_body, tlv

from bridge.sms.encoding import decode, encode
from bridge.sms.join import GAP

NUMBER = "380501234567"
# The first cut goes through an escape pair, or a surrogate pair.
TEXT = "Dear customer! " + "0123456789" * 10 + "!" + "€" * 120
UNICODE = "Шановний клієнте: " * 3 + "123456789 10" + "🙂" * 40

TEXT_END = decode(encode(TEXT, "gsm7")[2 * 153 :], "gsm7")  # from the third part on

_references = itertools.count(random.randrange(200))


def configuration(bsg: BsgServer, **account: str) -> str:
    settings = "".join(f"    {key}: {value}\n" for key, value in account.items())
    return f"""
listeners:
  smpp: [{{listen: "127.0.0.1:0"}}]
  http: [{{listen: "127.0.0.1:0"}}]
accounts:
  acme:
    smpp: {{system_id: acme, password: secret}}
{settings}
providers:
  bsg: {{type: bsg, base_url: "{bsg.base_url}", api_key: live_key, poll: 200ms}}
routes: [{{send: [bsg]}}]
"""


def parts(text: str, scheme: str, reference: int, to: str = NUMBER) -> list[bytes]:
    """The bodies of the submit_sm that carry a text."""
    alphabet, size, data_coding = ("gsm7", 153, 0) if text == TEXT else ("ucs2", 134, 8)
    octets = encode(text, alphabet)
    cuts = [octets[start : start + size] for start in range(0, len(octets), size)]
    assert cuts[0].endswith(b"\x1b" if text == TEXT else b"\xd8\x3d")
    bodies = []
    for number, cut in enumerate(cuts, 1):
        own = tlv(0x0204, bytes((0, number)))
        if scheme == "sar":
            sar = tlv(0x020C, reference.to_bytes(2, "big")) + tlv(0x020E, bytes((len(cuts),)))
            own += sar + tlv(0x020F, bytes((number,)))
            bodies.append(submit_body(to, cut, data_coding=data_coding, tlvs=own))
            continue
        if scheme == "udh8":
            header = bytes((5, 0, 3, reference & 0xFF, len(cuts), number))
        else:
            header = bytes((6, 8, 4, reference >> 8, reference & 0xFF, len(cuts), number))
        bodies.append(submit_body(to, header + cut, data_coding=data_coding, esm_class=0x40, tlvs=own))
    return bodies


async def submit(clients: list[Esme], bodies: list[bytes]) -> list[Answer]:
    """Submits parts over the connections in turn."""
    turns = zip(itertools.cycle(clients), bodies, strict=False)
    answers = await asyncio.gather(*(client.request(SUBMIT_SM, body) for client, body in turns))
    assert [answer.status for answer in answers] == [0] * len(bodies)
    return list(answers)


async def receipts(clients: list[Esme], count: int) -> dict[str, str]:
    """The states told over all connections, by id, once there are so many; each exactly once."""

    def told() -> list[tuple[str, str]]:
        return [(deliver.receipt["id"], deliver.receipt["stat"]) for client in clients for deliver in client.delivered]

    async def look() -> bool:
        return len(told()) >= count

    await until(look)
    assert len(dict(told())) == len(told())
    return dict(told())


@pytest.mark.parametrize("binds", [1, 2])
@pytest.mark.parametrize("scheme", ["udh8", "udh16", "sar"])
@pytest.mark.parametrize("text", [TEXT, UNICODE])
async def test_joined(start: Start, bsg: BsgServer, scheme: str, binds: int, text: str) -> None:
    bridge = await start(configuration(bsg))
    clients = [await Esme.bound(bridge.smpp) for _ in range(binds)]
    bodies = parts(text, scheme, next(_references))
    assert len(bodies) > 1
    random.shuffle(bodies)
    answers = await submit(clients, bodies)
    told = await receipts(clients, len(bodies))
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    assert [sms.body for sms in bsg.taken.values()] == [text]
    assert bsg.requests == 1
    references = [deliver.tlvs[0x0204][1] for client in clients for deliver in client.delivered]
    assert sorted(references) == list(range(1, len(bodies) + 1))
    for client in clients:
        await client.unbind()


async def test_many_at_once(start: Start, bsg: BsgServer) -> None:
    """Equal references of different numbers, schemes and accounts are different messages."""
    bridge = await start(configuration(bsg))
    client = await Esme.bound(bridge.smpp)
    numbers = [f"38050123{n:04}" for n in range(5)]
    bodies = [body for to in numbers for scheme in ("udh8", "udh16", "sar") for body in parts(TEXT, scheme, 7, to)]
    random.shuffle(bodies)
    answers = await submit([client], bodies)
    told = await receipts([client], len(bodies))
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    assert sorted(sms.msisdn for sms in bsg.taken.values()) == sorted(numbers * 3)
    assert {sms.body for sms in bsg.taken.values()} == {TEXT}
    await client.unbind()


async def test_a_part_that_is_repeated(start: Start, bsg: BsgServer) -> None:
    """It has a receipt of its own, and its text counts once."""
    bridge = await start(configuration(bsg))
    client = await Esme.bound(bridge.smpp)
    first, *others = parts(TEXT, "udh8", next(_references))
    answers = await submit([client], [first, first, *others])
    told = await receipts([client], len(others) + 2)
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    assert [sms.body for sms in bsg.taken.values()] == [TEXT]
    await client.unbind()


async def test_a_part_that_never_comes(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, parts_timeout="100ms"))
    client = await Esme.bound(bridge.smpp)
    answers = await submit([client], parts(TEXT, "sar", next(_references))[:-1])
    told = await receipts([client], len(answers))
    assert told == {answer.message_id: "REJECTD" for answer in answers}
    assert {deliver.receipt["err"] for deliver in client.delivered} == {"212"}
    assert bsg.taken == {}
    await client.unbind()


async def test_a_part_that_never_comes_and_the_others_are_sent(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, parts_timeout="100ms", parts_missing="send"))
    client = await Esme.bound(bridge.smpp)
    first, _, *others = parts(UNICODE, "udh8", next(_references))
    answers = await submit([client], [*others, first])
    told = await receipts([client], len(answers))
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    # The first one ends with half a character, which is dropped.
    (text,) = (sms.body for sms in bsg.taken.values())
    assert text == UNICODE[:66] + GAP + "🙂" * text.count("🙂")
    await client.unbind()


async def test_a_part_that_never_comes_and_the_others_are_sent_singly(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, parts_timeout="100ms", parts_missing="single"))
    client = await Esme.bound(bridge.smpp)
    bodies = parts(TEXT, "sar", next(_references))
    answers = await submit([client], [bodies[0], bodies[2]])
    told = await receipts([client], len(answers))
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    assert sorted(sms.body for sms in bsg.taken.values()) == sorted([TEXT[:134], TEXT_END])
    await client.unbind()


async def test_a_part_that_comes_again_after_a_restart(start: Start, bsg: BsgServer) -> None:
    """Its client had lost the answer: it has a receipt as if it had been the first."""
    bridge = await start(configuration(bsg, parts_timeout="100ms"))
    bodies = parts(TEXT, "udh16", next(_references))
    client = await Esme.bound(bridge.smpp)
    answers = await submit([client], bodies)
    await receipts([client], len(bodies))
    await client.unbind()
    await restart(bridge)
    client = await Esme.bound(bridge.smpp)
    answers = await submit([client], bodies[1:2])
    assert await receipts([client], 1) == {answers[0].message_id: "DELIVRD"}
    assert [sms.body for sms in bsg.taken.values()] == [TEXT]
    await client.unbind()


async def test_parts_on_both_sides_of_a_restart(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg))
    first, *others = parts(UNICODE, "udh16", next(_references))
    client = await Esme.bound(bridge.smpp, TX)
    answers = await submit([client], others)
    await restart(bridge)
    await client.end()
    client = await Esme.bound(bridge.smpp)
    answers += await submit([client], [first])
    told = await receipts([client], len(answers))
    assert told == {answer.message_id: "DELIVRD" for answer in answers}
    assert [sms.body for sms in bsg.taken.values()] == [UNICODE]
    await client.unbind()


async def test_too_many_parts(start: Start, bsg: BsgServer) -> None:
    bridge = await start(configuration(bsg, max_parts="2"))
    client = await Esme.bound(bridge.smpp)
    answers = [await client.ask(SUBMIT_SM, body) for body in parts(TEXT, "udh8", next(_references))]
    assert {answer.status for answer in answers} == {0x01}
    await client.unbind()


async def restart(bridge: Bridge) -> None:
    await bridge.stop()
    await bridge.start()
