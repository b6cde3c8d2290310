"""query_sm, cancel_sm, replace_sm and the other submissions, against a whole bridge whose provider answers when it may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from listeners.smpp.esme import SUBMIT_SM, Answer, Esme, submit_body, tlv
from listeners.smpp.requests import (
    CANCEL_SM,
    DATA_SM,
    QUERY_SM,
    REPLACE_SM,
    SUBMIT_MULTI,
    at,
    cancel_body,
    data_body,
    later,
    multi_body,
    payload,
    queried,
    query_body,
    replace_body,
    unsuccessful,
)
from unit.bridges import SMPP, Bsg, Start, bsg_served, config_of, final, starting

from bridge.app import App
from bridge.message import Reason, State
from bridge.store import Stage

NUMBER = "380501234567"
OTHER = "380671234567"
LISTS = {"staff": ["+380501111111", "380502222222"]}
INVALID_ID, QUERY_FAILED, CANCEL_FAILED, REPLACE_FAILED = 0x0C, 0x67, 0x11, 0x13


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with starting() as make:
        yield make


@pytest.fixture
async def bsg() -> AsyncIterator[Bsg]:
    async with bsg_served() as served:
        yield served


Serve = Callable[..., Awaitable[tuple[App, Esme]]]


@pytest.fixture
async def serve(start: Start, bsg: Bsg, tmp_path: Path) -> AsyncIterator[Serve]:
    """A bridge whose provider holds back its answer, one request at a time, and a client bound to it."""
    clients: list[Esme] = []

    async def serving(*, version: int = 0x34, provider: dict[str, Any] | None = None, **smpp: Any) -> tuple[App, Esme]:
        account = {"smpp": SMPP | {"lists": LISTS, **smpp}}
        other = {"smpp": {"system_id": "other", "password": "secret"}}
        app = await start(
            config_of(
                tmp_path,
                accounts={"acme": account, "other": other},
                providers={"p": provider or bsg.settings},
                routes=[{"send": ["p"]}],
            )
        )
        clients.append(await Esme.bound(app.smpp[0].port, version=version))
        return app, clients[-1]

    yield serving
    for client in clients:
        await client.abort()


VIRTUAL = {"type": "virtual", "poll": "20ms"}


async def query(client: Esme, message_id: str) -> tuple[str, str, int, int]:
    return queried(await client.ask(QUERY_SM, query_body(message_id)))


async def submitted(client: Esme, to: str = NUMBER, text: bytes = b"hello", **fields: Any) -> str:
    answer = await client.submit(to, text, **fields)
    assert answer.status == 0
    return answer.message_id


async def busy(client: Esme, bsg: Bsg) -> str:
    """A message that is being sent, so that others wait behind it."""
    message_id = await submitted(client, "380509999999")
    await bsg.arrived.wait()
    return message_id


async def flagged(
    client: Esme, text: bytes = b"new", to: str = NUMBER, service_type: bytes = b"", **fields: Any
) -> Answer:
    """submit_sm with replace_if_present_flag."""
    body = bytearray(submit_body(to, text, **fields))
    body[-len(text) - 4] = 1
    return await client.ask(SUBMIT_SM, service_type + bytes(body))


# --- query_sm -----------------------------------------------------------------------------------------------------


async def test_a_message_that_waits_is_under_way(serve: Serve, bsg: Bsg) -> None:
    _, client = await serve()
    await busy(client, bsg)
    message_id = await submitted(client)
    assert await query(client, message_id) == (message_id, "", State.ENROUTE, 0)


@pytest.mark.parametrize(("version", "state"), [(0x34, State.ENROUTE), (0x50, State.SCHEDULED)])
async def test_a_scheduled_message(serve: Serve, version: int, state: State) -> None:
    _, client = await serve(version=version)
    message_id = await submitted(client, schedule=later(2))
    assert await query(client, message_id) == (message_id, "", state, 0)


@pytest.mark.parametrize(
    ("number", "state", "error"), [("380501234500", State.DELIVERED, 0), ("380501234501", State.UNDELIVERABLE, 27)]
)
async def test_a_final_message_has_its_date_and_its_error(serve: Serve, number: str, state: State, error: int) -> None:
    app, client = await serve(provider=VIRTUAL)
    message_id = await submitted(client, number)
    record = await final(app, int(message_id))
    assert await query(client, message_id) == (
        message_id,
        at(record.updated_at)[:12] + f"{int(record.updated_at * 10 % 10)}00+",
        state,
        error,
    )


async def test_ids_in_the_form_of_the_account(serve: Serve) -> None:
    app, client = await serve(message_id="hex")
    for _ in range(30):
        app.store.next_id()  # so that the hexadecimal form is another than the decimal one
    message_id = await submitted(client, schedule=later(2))
    assert int(message_id, 16) > 9
    assert message_id != str(int(message_id, 16))
    for shown in (message_id, message_id.upper(), "000" + message_id):
        assert (await query(client, shown))[0] == message_id


@pytest.mark.parametrize("message_id", ["4711", "", "x", "-1", "1_0", "9" * 60, "0"])
async def test_no_such_message(serve: Serve, message_id: str) -> None:
    _, client = await serve()
    assert (await client.ask(QUERY_SM, query_body(message_id))).status == INVALID_ID
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == INVALID_ID
    if message_id:
        assert (await client.ask(CANCEL_SM, cancel_body(message_id))).status == INVALID_ID


async def test_messages_of_others_are_none(serve: Serve) -> None:
    app, client = await serve()
    message_id = await submitted(client, schedule=later(2))
    other = await Esme.bound(app.smpp[0].port, system_id="other")
    assert (await other.ask(QUERY_SM, query_body(message_id))).status == INVALID_ID
    assert (await other.ask(CANCEL_SM, cancel_body(message_id))).status == INVALID_ID
    assert (await other.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == CANCEL_FAILED
    assert (await other.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == INVALID_ID
    await other.abort()
    assert (await app.store.record_of(int(message_id)) if False else await app.store.find(int(message_id))) is not None
    assert (await query(client, message_id))[2] == State.ENROUTE


async def test_the_source_address_must_be_that_of_the_message_or_none(serve: Serve) -> None:
    _, client = await serve()
    message_id = await submitted(client, schedule=later(2), source=(1, 1, "380441234567"))
    for source in ((0, 0, ""), (1, 1, "380441234567"), (0, 0, "+380441234567")):
        assert (await client.ask(QUERY_SM, query_body(message_id, source))).status == 0
    other = (1, 1, "380447654321")
    assert (await client.ask(QUERY_SM, query_body(message_id, other))).status == QUERY_FAILED
    assert (await client.ask(CANCEL_SM, cancel_body(message_id, other))).status == CANCEL_FAILED
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x", other))).status == REPLACE_FAILED


async def test_a_part_that_waits_and_then_the_whole(serve: Serve) -> None:
    _, client = await serve(provider={"type": "virtual", "poll": "1h"})
    first = await submitted(client, text=b"\5\0\3\x07\2\1a", esm_class=0x40)
    assert await query(client, first) == (first, "", State.ENROUTE, 0)
    second = await submitted(client, text=b"\5\0\3\x07\2\2b", esm_class=0x40)
    assert [(await query(client, part))[2] for part in (first, second)] == [State.ENROUTE] * 2


# --- cancel_sm ----------------------------------------------------------------------------------------------------


async def test_what_waits_in_memory_is_cancelled_and_never_sent(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
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


async def until_sent(app: App, *message_ids: str) -> None:
    async with asyncio.timeout(10):
        for message_id in message_ids:
            while (await app.store.find(int(message_id))).state is State.ACCEPTED:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)


async def test_what_is_scheduled_is_cancelled_without_a_receipt_that_nobody_asked_for(serve: Serve) -> None:
    app, client = await serve()
    message_id = await submitted(client, schedule=later(2), registered=0)
    assert (await client.ask(CANCEL_SM, cancel_body(message_id, (0, 0, "")))).status == 0
    record = await app.store.find(int(message_id))
    assert record is not None
    assert (record.state, record.reason) == (State.DELETED, Reason.CANCELLED)
    assert [event["event"] for event in record.timeline] == ["accepted", "cancelled"]
    assert await app.store.owing() == []


async def test_all_that_wait_from_one_address_to_another(serve: Serve, bsg: Bsg) -> None:
    _, client = await serve()
    await busy(client, bsg)
    wanted = [await submitted(client), await submitted(client, schedule=later(2))]
    others = [await submitted(client, OTHER), await submitted(client, source=(5, 0, "ELSE"))]
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == 0
    assert [(await query(client, number))[2] for number in wanted] == [State.DELETED] * 2
    states = [queried(await client.ask(QUERY_SM, query_body(number, (0, 0, ""))))[2] for number in others]
    assert states == [State.ENROUTE] * 2
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == CANCEL_FAILED


async def test_all_of_one_service_type(serve: Serve) -> None:
    _, client = await serve()
    typed = (await client.ask(SUBMIT_SM, b"CMT" + submit_body(NUMBER, schedule=later(2)))).message_id
    plain = await submitted(client, schedule=later(2))
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER, service_type="WAP"))).status == CANCEL_FAILED
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER, service_type="CMT"))).status == 0
    assert [(await query(client, number))[2] for number in (typed, plain)] == [State.DELETED, State.ENROUTE]


async def test_in_one_segment_with_the_submission_before_it_and_the_one_behind(serve: Serve, bsg: Bsg) -> None:
    _, client = await serve()
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


async def test_a_destination_that_is_no_number(serve: Serve) -> None:
    _, client = await serve()
    assert (await client.ask(CANCEL_SM, cancel_body(to="12"))).status == 0x0B


async def test_parts_that_wait_for_the_rest(serve: Serve) -> None:
    app, client = await serve()
    parts = [await submitted(client, text=b"\5\0\3\x07\3" + bytes((n,)) + b"x", esm_class=0x40) for n in (1, 2)]
    assert (await client.ask(CANCEL_SM, cancel_body(parts[1]))).status == 0
    receipts = await client.receipts(2)
    assert {(told.receipt["id"], told.receipt["stat"]) for told in receipts} == {(part, "DELETED") for part in parts}
    assert (await client.ask(CANCEL_SM, cancel_body(parts[0]))).status == 0  # gone with the other one
    assert await app.store.known(int(parts[0])) == await app.store.known(int(parts[1]))
    third = await submitted(client, text=b"\5\0\3\x08\2\1x", esm_class=0x40)
    assert (await client.ask(CANCEL_SM, cancel_body(to=NUMBER))).status == 0
    assert (await query(client, third))[2] == State.DELETED


async def test_each_part_of_a_whole_that_waits(serve: Serve, bsg: Bsg) -> None:
    _, client = await serve()
    await busy(client, bsg)
    parts = [await submitted(client, text=b"\5\0\3\x07\2" + bytes((n,)) + b"x", esm_class=0x40) for n in (1, 2)]
    assert (await client.ask(REPLACE_SM, replace_body(parts[0], b"x"))).status == REPLACE_FAILED
    assert [(await client.ask(CANCEL_SM, cancel_body(part))).status for part in parts] == [0, 0]
    assert {told.receipt["stat"] for told in await client.receipts(2)} == {"DELETED"}


async def test_cancelled_is_cancelled_after_a_restart(serve: Serve, start: Start, bsg: Bsg, tmp_path: Path) -> None:
    app, client = await serve()
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


async def test_another_text_for_what_waits_in_memory(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    await busy(client, bsg)
    message_id = await submitted(client, text="привіт".encode("utf-16-be"), data_coding=8, priority=1)
    before = await app.store.find(int(message_id))
    body = replace_body(message_id, "бувай".encode("utf-16-be"), registered=0)
    assert (await client.ask(REPLACE_SM, body)).status == 0
    record = await app.store.find(int(message_id))
    assert record is not None
    assert before is not None
    assert (record.message.text, record.message.priority, record.message.report_on) == ("бувай", 1, 0)
    assert record.message.expires_at == before.message.expires_at
    assert [event["event"] for event in record.timeline] == ["accepted", "replaced"]
    bsg.go.set()
    await until_sent(app, message_id)
    assert len(bsg.sends) == 2
    assert app.store.queued == app.lanes["p"].busy == 0
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == REPLACE_FAILED


async def test_another_time(serve: Serve) -> None:
    app, client = await serve()
    message_id = await submitted(client, schedule=later(2))
    before = await app.store.find(int(message_id))
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == 0
    kept = await app.store.find(int(message_id))
    assert before is not None
    assert kept is not None
    assert (kept.message.deliver_at, kept.state) == (before.message.deliver_at, State.SCHEDULED)
    assert (
        await client.ask(REPLACE_SM, replace_body(message_id, b"x", schedule=later(3), validity=later(5)))
    ).status == 0
    moved = await app.store.find(int(message_id))
    assert moved is not None
    assert moved.message.deliver_at == pytest.approx(time.time() + 3 * 3600, abs=5)
    assert moved.message.expires_at == pytest.approx(time.time() + 5 * 3600, abs=5)
    now = replace_body(message_id, b"now", schedule=at(time.time()))
    assert (await client.ask(REPLACE_SM, now)).status == 0
    await client.until(lambda: True)
    async with asyncio.timeout(10):
        while app.lanes["p"].busy == 0:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"schedule": "soon"}, 0x61),
        ({"validity": later(1)}, 0x62),  # before it would be sent
        ({"tlvs": payload(b"y")}, 0x01),
    ],
)
async def test_a_replacement_that_cannot_be_sent_changes_nothing(
    serve: Serve, fields: dict[str, Any], status: int
) -> None:
    app, client = await serve()
    message_id = await submitted(client, schedule=later(2))
    before = await app.store.find(int(message_id))
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x", **fields))).status == status
    assert await app.store.find(int(message_id)) == before


async def test_a_part_cannot_take_the_place_of_a_whole(serve: Serve) -> None:
    _, client = await serve()
    message_id = await submitted(client, text=b"\4\5\2\1\2x", esm_class=0x40, schedule=later(2))
    part = replace_body(message_id, b"\5\0\3\x07\2\1x")
    assert (await client.ask(REPLACE_SM, part)).status == REPLACE_FAILED


async def test_replaced_and_cancelled_in_one_segment(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    await busy(client, bsg)
    message_id = await submitted(client)
    asked = [
        client.request(REPLACE_SM, replace_body(message_id, b"once")),
        client.request(REPLACE_SM, replace_body(message_id, b"twice")),
        client.request(CANCEL_SM, cancel_body(message_id)),
        client.request(REPLACE_SM, replace_body(message_id, b"late")),
    ]
    assert [answer.status for answer in await asyncio.gather(*asked)] == [0, 0, 0, REPLACE_FAILED]
    record = await app.store.find(int(message_id))
    assert record is not None
    assert (record.message.text, record.state) == ("twice", State.DELETED)
    bsg.go.set()
    await client.receipts(1)
    assert len(bsg.sends) == 1


# --- replace_if_present_flag --------------------------------------------------------------------------------------


async def test_the_last_that_waits_is_replaced_and_keeps_its_id(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    await busy(client, bsg)
    first, last, other = [await submitted(client), await submitted(client), await submitted(client, OTHER)]
    answer = await flagged(client)
    assert (answer.status, answer.message_id) == (0, last)
    texts = []
    for message_id in (first, last, other):
        record = await app.store.find(int(message_id))
        assert record is not None
        texts.append(record.message.text)
    assert texts == ["hello", "new", "hello"]


async def test_without_one_it_is_a_new_message(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    sending = await busy(client, bsg)
    typed = (await client.ask(SUBMIT_SM, b"CMT" + submit_body(NUMBER))).message_id
    answers = [await flagged(client), await flagged(client, to="380509999999")]
    assert [answer.status for answer in answers] == [0, 0]
    assert len({sending, typed, *(answer.message_id for answer in answers)}) == 4
    assert (await flagged(client, service_type=b"CMT")).message_id == typed
    assert app.store.queued == 4


async def test_several_at_once_replace_each_other(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    await busy(client, bsg)
    answers = await asyncio.gather(*(flagged(client, f"text {number}".encode()) for number in range(5)))
    assert len({answer.message_id for answer in answers}) == 1
    record = await app.store.find(int(answers[0].message_id))
    assert record is not None
    assert record.message.text == "text 4"


async def test_what_cannot_be_sent_replaces_nothing(serve: Serve, bsg: Bsg) -> None:
    _, client = await serve()
    await busy(client, bsg)
    await submitted(client)
    assert (await flagged(client, to="12")).status == 0x0B
    assert (await flagged(client, schedule=later(3), validity=later(2))).status == 0x62
    body = bytearray(submit_body(NUMBER))
    body[-9] = 2
    assert (await client.ask(SUBMIT_SM, bytes(body))).status == 0x54


# --- submit_multi -------------------------------------------------------------------------------------------------


async def test_one_id_for_all_and_a_receipt_for_each(serve: Serve) -> None:
    app, client = await serve(provider=VIRTUAL)
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


async def test_destinations_that_cannot_be_sent_to(serve: Serve) -> None:
    app, client = await serve()
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
async def test_nothing_is_kept_of_a_refused_one(serve: Serve, body: bytes, status: int) -> None:
    app, client = await serve()
    assert (await client.ask(SUBMIT_MULTI, body)).status == status
    assert app.store.queued == 0
    assert (await client.submit(NUMBER)).status == 0


async def test_without_lists_and_with_255_destinations(serve: Serve) -> None:
    app, client = await serve(version=0x50, lists={})
    assert (await client.ask(SUBMIT_MULTI, multi_body(lists=("staff",)))).status == 0x44
    numbers = [f"38050{number:07}" for number in range(255)]
    assert (await client.ask(SUBMIT_MULTI, multi_body(*numbers, schedule=later(2)))).status == 0
    assert app.store.queued == 255


async def test_all_of_them_are_cancelled_or_one(serve: Serve) -> None:
    _, client = await serve()
    answer = await client.ask(SUBMIT_MULTI, multi_body(NUMBER, OTHER, schedule=later(2)))
    assert (await client.ask(REPLACE_SM, replace_body(answer.message_id, b"x"))).status == 0
    assert (await client.ask(CANCEL_SM, cancel_body(answer.message_id, to=OTHER))).status == 0
    (receipt,) = await client.receipts(1)
    assert (receipt.source[2], receipt.receipt["id"], receipt.receipt["text"]) == (OTHER, answer.message_id, "x")
    assert (await query(client, answer.message_id))[2] == State.ENROUTE
    assert (await client.ask(CANCEL_SM, cancel_body(answer.message_id))).status == 0
    assert {told.source[2] for told in await client.receipts(2)} == {NUMBER, OTHER}


async def test_parts_to_several(serve: Serve) -> None:
    _, client = await serve(provider=VIRTUAL)
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


async def test_data_sm(serve: Serve) -> None:
    app, client = await serve(provider=VIRTUAL)
    answer = await client.ask(DATA_SM, data_body("380501234500", tlvs=payload(b"hello")))
    assert (answer.command, answer.status, answer.body) == (0x80000103, 0, answer.message_id.encode() + b"\0")
    assert (await client.receipts(1))[0].receipt["stat"] == "DELIVRD"
    record = await app.store.find(int(answer.message_id))
    assert record is not None
    assert record.message.text == "hello"


async def test_data_sm_that_asks_for_more(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    tlvs = payload(b"hello") + tlv(0x0017, (90).to_bytes(4, "big")) + tlv(0x0421, b"\1")
    answer = await client.ask(DATA_SM, data_body(NUMBER, tlvs=tlvs))
    assert answer.body == answer.message_id.encode() + b"\0" + tlv(0x0420, b"\0")
    record = await app.store.find(int(answer.message_id))
    assert record is not None
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
async def test_data_sm_that_is_refused(serve: Serve, body: bytes, status: int) -> None:
    _, client = await serve()
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
async def test_the_same_pdu_again_gets_the_first_id(serve: Serve, bsg: Bsg, command: int, body: bytes) -> None:
    app, client = await serve(duplicates="60s")
    first = await client.ask(command, body)
    queued = app.store.queued
    assert queued
    second = await Esme.bound(app.smpp[0].port)
    again = await second.ask(command, body)  # the second PDU of its connection, as it was of the first
    assert (again.message_id, again.body) == (first.message_id, first.body)
    assert (await second.ask(command, body)).message_id != first.message_id  # another sequence number
    assert app.store.queued == 2 * queued
    await second.abort()


async def test_the_same_pdu_while_the_first_is_being_stored(serve: Serve) -> None:
    app, client = await serve(duplicates="60s")
    one = client.request(SUBMIT_SM, submit_body(NUMBER, schedule=later(2)))
    client._sequence -= 1
    waiting = client._waiting.pop(client._sequence + 1)
    again = client.request(SUBMIT_SM, submit_body(NUMBER, schedule=later(2)))
    await client.until(lambda: len([a for a in client.answers if a.command == 0x80000004]) == 2)
    assert len({a.message_id for a in client.answers if a.command == 0x80000004}) == 1
    assert waiting is one
    assert again.done()
    assert app.store.queued == 1


async def test_by_default_the_same_pdu_is_another_message(serve: Serve) -> None:
    app, client = await serve()
    first = await client.submit(NUMBER, schedule=later(2))
    second = await Esme.bound(app.smpp[0].port)
    assert (await second.submit(NUMBER, schedule=later(2))).message_id != first.message_id
    await second.abort()


# --- priority -----------------------------------------------------------------------------------------------------


async def test_urgent_ones_leave_first(serve: Serve, bsg: Bsg) -> None:
    app, client = await serve()
    await busy(client, bsg)
    priorities = [0, 1, 0, 3, 2, 1]
    message_ids = [await submitted(client, priority=priority) for priority in priorities]
    bsg.go.set()
    await until_sent(app, *message_ids)
    sent = []
    for message_id in message_ids:
        record = await app.store.find(int(message_id))
        assert record is not None
        sent.append(bsg.sends.index(app.providers["p"].references.of(int(message_id))))
    assert sent == [5, 3, 6, 1, 2, 4]


async def test_stage_of_what_is_replaced_is_queued(serve: Serve, bsg: Bsg) -> None:
    """A restart between the change and the lane's claim finds it on disk."""
    app, client = await serve()
    await busy(client, bsg)
    message_id = await submitted(client)
    assert (await client.ask(REPLACE_SM, replace_body(message_id, b"x"))).status == 0
    row = app.store._connection.execute("SELECT stage FROM message WHERE message_id = ?", (int(message_id),)).fetchone()
    assert row[0] in (Stage.QUEUED, Stage.LEASED)
