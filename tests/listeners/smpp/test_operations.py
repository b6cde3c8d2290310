"""query_sm, cancel_sm, replace_sm and other submissions, against a whole bridge whose provider answers when it may."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.esme import SUBMIT_SM, Esme, submit_body
from listeners.smpp.operating import (
    CANCEL_FAILED,
    INVALID_ID,
    NUMBER,
    OTHER,
    QUERY_FAILED,
    REPLACE_FAILED,
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
    QUERY_SM,
    REPLACE_SM,
    at,
    cancel_body,
    later,
    payload,
    queried,
    query_body,
    replace_body,
)
from unit.bridges import Bsg, Start, final

from bridge.message import Reason, State

# --- query_sm -----------------------------------------------------------------------------------------------------


async def test_a_message_that_waits_is_under_way(operate: Operate, bsg: Bsg) -> None:
    _, client = await operate()
    await busy(client, bsg)
    message_id = await submitted(client)
    assert await query(client, message_id) == (message_id, "", State.ENROUTE, 0)


@pytest.mark.parametrize(("version", "state"), [(0x34, State.ENROUTE), (0x50, State.SCHEDULED)])
async def test_a_scheduled_message(operate: Operate, version: int, state: State) -> None:
    _, client = await operate(version=version)
    message_id = await submitted(client, schedule=later(2))
    assert await query(client, message_id) == (message_id, "", state, 0)


@pytest.mark.parametrize(
    ("number", "state", "error"), [("380501234500", State.DELIVERED, 0), ("380501234501", State.UNDELIVERABLE, 27)]
)
async def test_a_final_message_has_its_date_and_its_error(
    operate: Operate, number: str, state: State, error: int
) -> None:
    app, client = await operate(provider=VIRTUAL)
    message_id = await submitted(client, number)
    record = await final(app, int(message_id))
    assert await query(client, message_id) == (
        message_id,
        at(record.updated_at)[:12] + f"{int(record.updated_at * 10 % 10)}00+",
        state,
        error,
    )


async def test_ids_in_the_form_of_the_account(operate: Operate) -> None:
    app, client = await operate(message_id="hex")
    for _ in range(30):
        app.store.next_id()  # so that the hexadecimal form is another than the decimal one
    message_id = await submitted(client, schedule=later(2))
    assert int(message_id, 16) > 9
    assert message_id != str(int(message_id, 16))
    for shown in (message_id, message_id.upper(), "000" + message_id):
        assert (await query(client, shown))[0] == message_id


@pytest.mark.parametrize("message_id", ["4711", "", "x", "-1", "1_0", "9" * 60, "0"])
async def test_no_such_message(operate: Operate, message_id: str) -> None:
    _, client = await operate()
    assert (await client.ask(QUERY_SM, query_body(message_id))).status == INVALID_ID
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == INVALID_ID
    if message_id:
        assert (await client.ask(CANCEL_SM, cancel_body(message_id))).status == INVALID_ID


async def test_messages_of_others_are_none(operate: Operate) -> None:
    app, client = await operate()
    message_id = await submitted(client, schedule=later(2))
    other = await Esme.bound(app.smpp[0].port, system_id="other")
    assert (await other.ask(QUERY_SM, query_body(message_id))).status == INVALID_ID
    assert (await other.ask(CANCEL_SM, cancel_body(message_id))).status == INVALID_ID
    assert (await other.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == CANCEL_FAILED
    assert (await other.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == INVALID_ID
    await other.abort()
    assert (await query(client, message_id))[2] == State.ENROUTE


async def test_the_source_address_must_be_that_of_the_message_or_none(operate: Operate) -> None:
    _, client = await operate()
    message_id = await submitted(client, schedule=later(2), source=(1, 1, "380441234567"))
    for source in ((0, 0, ""), (1, 1, "380441234567"), (0, 0, "+380441234567")):
        assert (await client.ask(QUERY_SM, query_body(message_id, source))).status == 0
    other = (1, 1, "380447654321")
    assert (await client.ask(QUERY_SM, query_body(message_id, other))).status == QUERY_FAILED
    assert (await client.ask(CANCEL_SM, cancel_body(message_id, other))).status == CANCEL_FAILED
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x", other))).status == REPLACE_FAILED


async def test_a_part_that_waits_and_then_the_whole(operate: Operate) -> None:
    _, client = await operate(provider={"type": "virtual", "poll": "1h"})
    first = await submitted(client, text=b"\5\0\3\x07\2\1a", esm_class=0x40)
    assert await query(client, first) == (first, "", State.ENROUTE, 0)
    second = await submitted(client, text=b"\5\0\3\x07\2\2b", esm_class=0x40)
    assert [(await query(client, part))[2] for part in (first, second)] == [State.ENROUTE] * 2


# --- cancel_sm ----------------------------------------------------------------------------------------------------


async def test_what_waits_in_memory_is_cancelled_and_never_sent(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    sending = await busy(client, bsg)
    waiting, last = [await submitted(client) for _ in range(2)]
    assert (await client.ask(CANCEL_SM, cancel_body(waiting))).status == 0
    (receipt,) = await client.receipts(1)
    assert (receipt.receipt["id"], receipt.receipt["stat"], receipt.receipt["err"]) == (waiting, "DELETED", "211")
    assert (await query(client, waiting))[2:] == (State.DELETED, 211)
    assert (await client.ask(CANCEL_SM, cancel_body(sending))).status == CANCEL_FAILED  # it is being sent
    assert (await client.ask(CANCEL_SM, cancel_body(waiting))).status == CANCEL_FAILED  # it is final
    bsg.go.set()
    await until_sent(app, sending, last)
    assert len(bsg.sends) == 2
    assert app.store.queued == 0
    assert app.lanes["p"].busy == 0
    assert (await client.ask(CANCEL_SM, cancel_body(sending))).status == CANCEL_FAILED  # it is with the provider


async def test_what_is_scheduled_is_cancelled_without_a_receipt_that_nobody_asked_for(operate: Operate) -> None:
    app, client = await operate()
    message_id = await submitted(client, schedule=later(2), registered=0)
    assert (await client.ask(CANCEL_SM, cancel_body(message_id, (0, 0, "")))).status == 0
    record = await record_of(app, message_id)
    assert (record.state, record.reason) == (State.DELETED, Reason.CANCELLED)
    assert [event["event"] for event in record.timeline] == ["accepted", "cancelled"]
    assert await app.store.owing() == []


async def test_all_that_wait_from_one_address_to_another(operate: Operate, bsg: Bsg) -> None:
    _, client = await operate()
    await busy(client, bsg)
    wanted = [await submitted(client), await submitted(client, schedule=later(2))]
    others = [await submitted(client, OTHER), await submitted(client, source=(5, 0, "ELSE"))]
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == 0
    assert [(await query(client, number))[2] for number in wanted] == [State.DELETED] * 2
    states = [queried(await client.ask(QUERY_SM, query_body(number, (0, 0, ""))))[2] for number in others]
    assert states == [State.ENROUTE] * 2
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == CANCEL_FAILED


async def test_all_of_one_service_type(operate: Operate) -> None:
    _, client = await operate()
    typed = (await client.ask(SUBMIT_SM, b"CMT" + submit_body(NUMBER, schedule=later(2)))).message_id
    plain = await submitted(client, schedule=later(2))
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER, service_type="WAP"))).status == CANCEL_FAILED
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER, service_type="CMT"))).status == 0
    assert [(await query(client, number))[2] for number in (typed, plain)] == [State.DELETED, State.ENROUTE]


async def test_in_one_segment_with_the_submission_before_it_and_the_one_behind(operate: Operate, bsg: Bsg) -> None:
    _, client = await operate()
    await busy(client, bsg)
    asked = [
        client.request(SUBMIT_SM, submit_body(NUMBER)),
        client.request(CANCEL_SM, cancel_body(to=NUMBER)),
        client.request(SUBMIT_SM, submit_body(NUMBER)),
    ]
    before, cancelled, behind = await asyncio.gather(*asked)
    assert (before.status, cancelled.status, behind.status) == (0, 0, 0)
    assert (await query(client, before.message_id))[2] == State.DELETED
    assert (await query(client, behind.message_id))[2] == State.ENROUTE


async def test_a_destination_that_is_no_number(operate: Operate) -> None:
    _, client = await operate()
    assert (await client.ask(CANCEL_SM, cancel_body(to="12"))).status == 0x0B


async def test_parts_that_wait_for_the_rest(operate: Operate) -> None:
    app, client = await operate()
    parts = [await submitted(client, text=b"\5\0\3\x07\3" + bytes((n,)) + b"x", esm_class=0x40) for n in (1, 2)]
    assert (await client.ask(CANCEL_SM, cancel_body(parts[1]))).status == 0
    receipts = await client.receipts(2)
    assert {(told.receipt["id"], told.receipt["stat"]) for told in receipts} == {(part, "DELETED") for part in parts}
    assert (await client.ask(CANCEL_SM, cancel_body(parts[0]))).status == 0  # gone with the other one
    assert await app.store.known(int(parts[0])) == await app.store.known(int(parts[1]))
    third = await submitted(client, text=b"\5\0\3\x08\2\1x", esm_class=0x40)
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == 0
    assert (await query(client, third))[2] == State.DELETED


async def test_each_part_of_a_whole_that_waits(operate: Operate, bsg: Bsg) -> None:
    _, client = await operate()
    await busy(client, bsg)
    parts = [await submitted(client, text=b"\5\0\3\x07\2" + bytes((n,)) + b"x", esm_class=0x40) for n in (1, 2)]
    assert (await client.ask(REPLACE_SM, replace_body(parts[0], b"x"))).status == REPLACE_FAILED
    assert [(await client.ask(CANCEL_SM, cancel_body(part))).status for part in parts] == [0, 0]
    assert {told.receipt["stat"] for told in await client.receipts(2)} == {"DELETED"}


async def test_cancelled_is_cancelled_after_a_restart(operate: Operate, start: Start, bsg: Bsg, tmp_path: Path) -> None:
    app, client = await operate()
    await busy(client, bsg)
    message_ids = [await submitted(client), await submitted(client)]
    assert (await client.ask(CANCEL_SM, cancel_body(message_ids[0]))).status == 0
    client.answering = lambda deliver: None
    bsg.go.set()
    await app.stop(0.5)
    again = await start(app.config)
    await until_sent(again, message_ids[1])
    assert len(bsg.sends) == 2
    second = await Esme.bound(again.smpp[0].port)
    assert (await query(second, message_ids[0]))[2] == State.DELETED
    await second.abort()


# --- replace_sm ---------------------------------------------------------------------------------------------------


async def test_another_text_for_what_waits_in_memory(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    await busy(client, bsg)
    message_id = await submitted(client, text="привіт".encode("utf-16-be"), data_coding=8, priority=1)
    before = await record_of(app, message_id)
    body = replace_body(message_id, "бувай".encode("utf-16-be"), registered=0)
    assert (await client.ask(REPLACE_SM, body)).status == 0
    record = await record_of(app, message_id)
    assert (record.message.text, record.message.priority, record.message.report_on) == ("бувай", 1, 0)
    assert record.message.expires_at == before.message.expires_at
    assert [event["event"] for event in record.timeline] == ["accepted", "replaced"]
    bsg.go.set()
    await until_sent(app, message_id)
    assert len(bsg.sends) == 2
    assert app.store.queued == app.lanes["p"].busy == 0
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == REPLACE_FAILED


async def test_a_validity_that_was_not_stated_moves_with_the_time(operate: Operate) -> None:
    app, client = await operate()
    plain = await submitted(client, schedule=later(2))
    stated = await submitted(client, schedule=later(2), validity=later(48))
    body = {"schedule": later(72)}
    assert (await client.ask(REPLACE_SM, replace_body(plain, b"x", **body))).status == 0
    assert (await client.ask(REPLACE_SM, replace_body(stated, b"x", **body))).status == 0x62
    message = (await record_of(app, plain)).message
    assert message.deliver_at is not None
    assert message.expires_at == message.deliver_at + 48 * 3600


async def test_another_time(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    message_id = await submitted(client, schedule=later(2))
    before = await record_of(app, message_id)
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == 0
    kept = await record_of(app, message_id)
    assert (kept.message.deliver_at, kept.state) == (before.message.deliver_at, State.SCHEDULED)
    assert (
        await client.ask(REPLACE_SM, replace_body(message_id, b"x", schedule=later(3), validity=later(5)))
    ).status == 0
    moved = await record_of(app, message_id)
    assert moved.message.deliver_at == pytest.approx(time.time() + 3 * 3600, abs=5)
    assert moved.message.expires_at == pytest.approx(time.time() + 5 * 3600, abs=5)
    now = replace_body(message_id, b"now", schedule=at(time.time()))
    assert (await client.ask(REPLACE_SM, now)).status == 0
    await bsg.arrived.wait()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"schedule": "soon"}, 0x61),
        ({"validity": later(1)}, 0x62),  # before it would be sent
        ({"tlvs": payload(b"y")}, 0x01),
    ],
)
async def test_a_replacement_that_cannot_be_sent_changes_nothing(
    operate: Operate, fields: dict[str, Any], status: int
) -> None:
    app, client = await operate()
    message_id = await submitted(client, schedule=later(2))
    before = await record_of(app, message_id)
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x", **fields))).status == status
    assert await record_of(app, message_id) == before


async def test_a_part_cannot_take_the_place_of_a_whole(operate: Operate) -> None:
    _, client = await operate()
    message_id = await submitted(client, text=b"\3\x24\1\1x", esm_class=0x40, schedule=later(2))
    part = replace_body(message_id, b"\5\0\3\x07\2\1x")
    assert (await client.ask(REPLACE_SM, part)).status == REPLACE_FAILED


async def test_replaced_and_cancelled_in_one_segment(operate: Operate, bsg: Bsg) -> None:
    app, client = await operate()
    await busy(client, bsg)
    message_id = await submitted(client)
    asked = [
        client.request(REPLACE_SM, replace_body(message_id, b"once")),
        client.request(REPLACE_SM, replace_body(message_id, b"twice")),
        client.request(CANCEL_SM, cancel_body(message_id)),
        client.request(REPLACE_SM, replace_body(message_id, b"late")),
    ]
    assert [answer.status for answer in await asyncio.gather(*asked)] == [0, 0, 0, REPLACE_FAILED]
    record = await record_of(app, message_id)
    assert (record.message.text, record.state) == ("twice", State.DELETED)
    bsg.go.set()
    await client.receipts(1)
    assert len(bsg.sends) == 1
