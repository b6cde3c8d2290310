"""submit_sm that replaces or repeats, submit_multi and data_sm, against a whole bridge and its provider."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.esme import SUBMIT_SM, Answer, Esme, submit_body, tlv
from listeners.smpp.operating import (
    NUMBER,
    OTHER,
    VIRTUAL,
    Operate,
    busy,
    query,
    record_of,
    submitted,
    until_sent,
)
from listeners.smpp.requests import (
    CANCEL_SM,
    DATA_SM,
    REPLACE_SM,
    SUBMIT_MULTI,
    cancel_body,
    data_body,
    later,
    multi_body,
    payload,
    replace_body,
    unsuccessful,
)
from unit.bridges import SMPP, Bsg, Start, config_of

from bridge.message import State


async def flagged(
    client: Esme, text: bytes = b"new", to: str = NUMBER, service_type: bytes = b"", **fields: Any
) -> Answer:
    """submit_sm with replace_if_present_flag."""
    body = bytearray(submit_body(to, text, **fields))
    body[-len(text) - 4] = 1
    return await client.ask(SUBMIT_SM, service_type + bytes(body))


# --- replace_if_present_flag --------------------------------------------------------------------------------------


async def test_the_last_that_waits_is_replaced_and_keeps_its_id(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    await busy(client, bsg)
    first, last, other = [await submitted(client), await submitted(client), await submitted(client, OTHER)]
    answer = await flagged(client)
    assert (answer.status, answer.message_id) == (0, last)
    texts = []
    for message_id in (first, last, other):
        record = await record_of(app, message_id)
        texts.append(record.message.text)
    assert texts == ["hello", "new", "hello"]


async def test_without_one_it_is_a_new_message(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    sending = await busy(client, bsg)
    typed = (await client.ask(SUBMIT_SM, b"CMT" + submit_body(NUMBER))).message_id
    answers = [await flagged(client), await flagged(client, to="380509999999")]
    assert [answer.status for answer in answers] == [0, 0]
    assert len({sending, typed, *(answer.message_id for answer in answers)}) == 4
    assert (await flagged(client, service_type=b"CMT")).message_id == typed
    assert app.store.queued == 4


async def test_several_at_once_replace_each_other(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    await busy(client, bsg)
    answers = await asyncio.gather(*(flagged(client, f"text {number}".encode()) for number in range(5)))
    assert len({answer.message_id for answer in answers}) == 1
    record = await record_of(app, answers[0].message_id)
    assert record.message.text == "text 4"


async def test_the_sender_is_what_the_rules_have_made_of_it(tmp_path: Path, start: Start, bsg: Bsg) -> None:
    senders = {"allowed": ["ACME"], "default": "DEFLT", "rewrite": {"INFO*": "BRAND"}}
    accounts = {"acme": {"smpp": SMPP, "senders": senders}}
    app = await start(config_of(tmp_path, accounts=accounts, providers={"p": bsg.settings}, routes=[{"send": ["p"]}]))
    client = await Esme.bound(app.smpp[0].port)
    for source, kept in (((5, 0, "INFO1"), "BRAND"), ((0, 0, ""), "DEFLT"), ((5, 0, "ACME"), "ACME")):
        message_id = await submitted(client, source=source, schedule=later(2))
        assert (await flagged(client, source=source, schedule=later(2))).message_id == message_id
        message = (await record_of(app, message_id)).message
        assert (message.text, message.source) == ("new", kept)
    assert (await flagged(client, source=(5, 0, "OTHER"))).status == 0x0A
    await client.abort()


async def test_what_cannot_be_sent_replaces_nothing(operate: Operate, bsg: Bsg) -> None:
    _, client = await operate()
    await busy(client, bsg)
    await submitted(client)
    assert (await flagged(client, to="12")).status == 0x0B
    assert (await flagged(client, schedule=later(3), validity=later(2))).status == 0x62
    body = bytearray(submit_body(NUMBER))
    body[-9] = 2
    assert (await client.ask(SUBMIT_SM, bytes(body))).status == 0x54


# --- submit_multi -------------------------------------------------------------------------------------------------


async def test_one_id_for_all_and_a_receipt_for_each(operate: Operate) -> None:
    app, client = await operate(provider=VIRTUAL)
    numbers = ["380501234500", "380501234501"]
    answer = await client.ask(SUBMIT_MULTI, multi_body(*numbers, lists=("staff",)))
    assert unsuccessful(answer) == []
    receipts = await client.receipts(4)
    assert {told.receipt["id"] for told in receipts} == {answer.message_id}
    assert {(told.source[2], told.receipt["stat"]) for told in receipts} == {
        ("380501234500", "DELIVRD"),
        ("380501234501", "UNDELIV"),
        ("380501111111", "DELIVRD"),
        ("380502222222", "DELIVRD"),
    }
    assert (await query(client, answer.message_id))[2:] == (State.UNDELIVERABLE, 27)
    assert len({record.message.message_id for record in await app.store.known(int(answer.message_id))}) == 4


async def test_destinations_that_cannot_be_sent_to(operate: Operate) -> None:
    app, client = await operate()
    answer = await client.ask(SUBMIT_MULTI, multi_body("12", NUMBER, "34", NUMBER, schedule=later(2)))
    assert unsuccessful(answer) == [("12", 0x0B), ("34", 0x0B)]
    assert app.store.queued == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (multi_body("12", "13"), 0x0B),
        (multi_body(lists=("nobody",)), 0x34),
        (multi_body(NUMBER, lists=("nobody",)), 0x34),
        (multi_body(), 0x33),
        (multi_body(NUMBER, flag=3), 0x40),
        (multi_body(NUMBER, replace=1), 0x42),
        (multi_body(NUMBER, replace=2), 0x54),
        (multi_body(*[NUMBER] * 255), 0x33),
        (multi_body(NUMBER, count=2), 0x40),  # what follows is read as a destination
    ],
)
async def test_nothing_is_kept_of_a_refused_one(operate: Operate, body: bytes, status: int) -> None:
    app, client = await operate()
    assert (await client.ask(SUBMIT_MULTI, body)).status == status
    assert app.store.queued == 0
    assert (await client.submit(NUMBER)).status == 0


async def test_without_lists_and_with_255_destinations(operate: Operate) -> None:
    app, client = await operate(version=0x50, lists={})
    assert (await client.ask(SUBMIT_MULTI, multi_body(lists=("staff",)))).status == 0x44
    numbers = [f"38050{number:07}" for number in range(255)]
    assert (await client.ask(SUBMIT_MULTI, multi_body(*numbers, schedule=later(2)))).status == 0
    assert app.store.queued == 255


async def test_all_of_them_are_cancelled_or_one(operate: Operate) -> None:
    _, client = await operate()
    answer = await client.ask(SUBMIT_MULTI, multi_body(NUMBER, OTHER, schedule=later(2)))
    assert (await client.ask(REPLACE_SM, replace_body(answer.message_id, b"x"))).status == 0
    assert (await client.ask(CANCEL_SM, cancel_body(answer.message_id, to=OTHER))).status == 0
    (receipt,) = await client.receipts(1)
    assert (receipt.source[2], receipt.receipt["id"], receipt.receipt["text"]) == (OTHER, answer.message_id, "x")
    assert (await query(client, answer.message_id))[2] == State.ENROUTE
    assert (await client.ask(CANCEL_SM, cancel_body(answer.message_id))).status == 0
    assert {told.source[2] for told in await client.receipts(2)} == {NUMBER, OTHER}


async def test_parts_to_several(operate: Operate) -> None:
    _, client = await operate(provider=VIRTUAL)
    answers = [
        await client.ask(
            SUBMIT_MULTI,
            multi_body("380501234500", "380501234501", text=b"\5\0\3\x07\2" + bytes((n,)) + b"x", esm_class=0x40),
        )
        for n in (1, 2)
    ]
    receipts = await client.receipts(4)
    told = sorted((receipt.receipt["id"], receipt.source[2]) for receipt in receipts)
    assert told == sorted((a.message_id, to) for a in answers for to in ("380501234500", "380501234501"))
    assert (await query(client, answers[1].message_id))[2] == State.UNDELIVERABLE


# --- data_sm ------------------------------------------------------------------------------------------------------


async def test_data_sm(operate: Operate) -> None:
    app, client = await operate(provider=VIRTUAL)
    answer = await client.ask(DATA_SM, data_body("380501234500", tlvs=payload(b"hello")))
    assert (answer.command, answer.status, answer.body) == (0x80000103, 0, answer.message_id.encode() + b"\0")
    assert (await client.receipts(1))[0].receipt["stat"] == "DELIVRD"
    record = await record_of(app, answer.message_id)
    assert record.message.text == "hello"


async def test_data_sm_that_asks_for_more(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    tlvs = payload(b"hello") + tlv(0x0017, (90).to_bytes(4, "big")) + tlv(0x0421, b"\1")
    answer = await client.ask(DATA_SM, data_body(NUMBER, tlvs=tlvs))
    assert answer.body == answer.message_id.encode() + b"\0" + tlv(0x0420, b"\0")
    record = await record_of(app, answer.message_id)
    assert record.message.expires_at - record.message.accepted_at == 90


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (data_body(NUMBER), 0xC3),
        (data_body("12", tlvs=payload(b"x")), 0x0B),
        (data_body("3" * 40, tlvs=payload(b"x")), 0x0B),
        (data_body(NUMBER, tlvs=payload(b"x"), data_coding=0x0C), 0x45),
    ],
)
async def test_data_sm_that_is_refused(operate: Operate, body: bytes, status: int) -> None:
    _, client = await operate()
    assert (await client.ask(DATA_SM, body)).status == status


# --- duplicates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (SUBMIT_SM, submit_body(NUMBER)),
        (DATA_SM, data_body(NUMBER, tlvs=payload(b"x"))),
        (SUBMIT_MULTI, multi_body(NUMBER, OTHER, "12")),
    ],
)
async def test_the_same_pdu_again_gets_the_first_id(operate: Operate, bsg: Bsg, command: int, body: bytes) -> None:
    app, client = await operate(duplicates="60s")
    first = await client.ask(command, body)
    queued = app.store.queued
    assert queued
    second = await Esme.bound(app.smpp[0].port)
    again = await second.ask(command, body)  # the second PDU of its connection, as it was of the first
    assert (again.message_id, again.body) == (first.message_id, first.body)
    assert (await second.ask(command, body)).message_id != first.message_id  # another sequence number
    assert app.store.queued == 2 * queued
    await second.abort()


async def test_the_same_pdu_while_the_first_is_being_stored(operate: Operate) -> None:
    app, client = await operate(duplicates="60s")
    one = client.request(SUBMIT_SM, submit_body(NUMBER, schedule=later(2)))
    client._sequence -= 1
    waiting = client._waiting.pop(client._sequence + 1)
    again = client.request(SUBMIT_SM, submit_body(NUMBER, schedule=later(2)))
    await client.until(lambda: len([a for a in client.answers if a.command == 0x80000004]) == 2)
    assert len({a.message_id for a in client.answers if a.command == 0x80000004}) == 1
    assert waiting is one
    assert again.done()
    assert app.store.queued == 1


async def test_one_that_replaces_or_is_new_counts_once_too(operate: Operate) -> None:
    app, client = await operate(provider=VIRTUAL, duplicates="60s")
    second = await Esme.bound(app.smpp[0].port)
    for fields in ({}, {"schedule": later(2)}, {"schedule": later(1)}):  # the last one replaces
        first = await flagged(client, **fields)
        if not fields:
            await until_sent(app, first.message_id)
        assert (await flagged(second, **fields)).message_id == first.message_id
    assert app.store.queued == 1
    await second.abort()


async def test_one_that_replaces_is_repeated_while_it_is_being_stored(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate(duplicates="60s")
    second = await Esme.bound(app.smpp[0].port)
    one, two = await asyncio.gather(flagged(client, schedule=later(2)), flagged(second, schedule=later(2)))
    assert one.message_id == two.message_id
    record = await record_of(app, one.message_id)
    assert [event["event"] for event in record.timeline] == ["accepted"]
    await second.abort()


async def test_by_default_the_same_pdu_is_another_message(operate: Operate) -> None:
    app, client = await operate()
    first = await client.submit(NUMBER, schedule=later(2))
    second = await Esme.bound(app.smpp[0].port)
    assert (await second.submit(NUMBER, schedule=later(2))).message_id != first.message_id
    await second.abort()


# --- priority -----------------------------------------------------------------------------------------------------


async def test_urgent_ones_leave_first(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    await busy(client, bsg)
    priorities = [0, 1, 0, 3, 2, 1]
    message_ids = [await submitted(client, priority=priority) for priority in priorities]
    bsg.go.set()
    await until_sent(app, *message_ids)
    sent = []
    for message_id in message_ids:
        record = await record_of(app, message_id)
        assert record is not None
        sent.append(bsg.sends.index(app.providers["p"].references.of(int(message_id))))
    assert sent == [5, 3, 6, 1, 2, 4]
