"""Clients that others have written bind, send, and get their receipts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosmpplib
import pytest
import smpp34
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
from flows.bridges import Bridge
from smpplib.command import DeliverSM, QuerySMResp
from smpplib.pdu import PDU

CONFIGURATION = """
listeners:
  smpp:
    - {{listen: "127.0.0.1:0"}}
    - {{listen: "127.0.0.1:0", tls: {{certificate: "{certificate}", key: "{key}"}}}}
accounts:
  acme: {{smpp: {{system_id: acme, password: secret}}}}
providers:
  virtual: {{type: virtual, poll: 50ms}}
routes: [{{send: [virtual]}}]
"""
DELIVERED, ABSENT = "380501234500", "380501234501"


@pytest.fixture
async def bridge(tmp_path: Path, certificate: dict[str, str]) -> AsyncIterator[Bridge]:
    made = Bridge(tmp_path, CONFIGURATION.format(**certificate))
    await made.start()
    yield made
    await made.stop()


def smpplib_sends(client: smpplib.client.Client, number: str, text: str) -> tuple[list[str], list[DeliverSM]]:
    """Sends a text in as many parts as it takes; gives their ids and their receipts."""
    ids: list[str] = []
    receipts: list[DeliverSM] = []

    def received(pdu: DeliverSM) -> int:
        receipts.append(pdu)
        return smpplib.consts.SMPP_ESME_ROK

    def sent(pdu: PDU) -> None:
        ids.append(pdu.message_id.decode())

    client.set_message_received_handler(received)
    client.set_message_sent_handler(sent)
    client.connect()
    client.bind_transceiver(system_id="acme", password="secret")
    parts, data_coding, esm_class = smpplib.gsm.make_parts(text)
    for part in parts:
        client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
            source_addr="ACME",
            dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
            dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
            destination_addr=number,
            short_message=part,
            data_coding=data_coding,
            esm_class=esm_class,
            registered_delivery=True,
        )
    while len(ids) < len(parts) or len(receipts) < len(parts):
        client.read_once()
    client.unbind()
    client.disconnect()
    return ids, receipts


@pytest.mark.parametrize("text", ["hello", "Привіт", "long " * 50])
@pytest.mark.parametrize("encrypted", [False, True])
async def test_smpplib(bridge: Bridge, trusting: ssl.SSLContext, text: str, encrypted: bool) -> None:
    trusting.check_hostname = False  # smpplib does not say what the name is
    client = smpplib.client.Client(
        "localhost" if encrypted else "127.0.0.1",
        bridge.app.smpp[encrypted].port,
        timeout=10,
        ssl_context=trusting if encrypted else None,
        allow_unknown_opt_params=False,
    )
    ids, receipts = await asyncio.to_thread(smpplib_sends, client, DELIVERED, text)
    assert [pdu.receipted_message_id.decode() for pdu in receipts] == ids
    assert {pdu.message_state for pdu in receipts} == {smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED}
    record = await bridge.record(ids[0])
    assert record.message.text == text
    assert len(record.message.parts) == (len(ids) if len(ids) > 1 else 0)


def smpplib_queries(client: smpplib.client.Client, message_id: str) -> list[QuerySMResp]:
    """Asks what became of a message, and of one that does not exist."""
    answers: list[QuerySMResp] = []
    client.set_query_resp_handler(answers.append)
    client.set_error_pdu_handler(lambda pdu: None)
    client.connect()
    client.bind_transceiver(system_id="acme", password="secret")
    for each in (message_id, "9999999"):
        client.query_message(
            message_id=each, source_addr_ton=smpplib.consts.SMPP_TON_ALNUM, source_addr_npi=0, source_addr="ACME"
        )
        while not answers or answers[-1].sequence != client.sequence:
            client.read_once()
    client.unbind()
    client.disconnect()
    return answers


async def test_smpplib_asks_what_became_of_a_message(bridge: Bridge) -> None:
    client = smpplib.client.Client("127.0.0.1", bridge.smpp, timeout=10)
    (message_id,), _ = await asyncio.to_thread(smpplib_sends, client, ABSENT, "hello")
    client = smpplib.client.Client("127.0.0.1", bridge.smpp, timeout=10)
    known, unknown = await asyncio.to_thread(smpplib_queries, client, message_id)
    assert (known.status, known.message_id.decode()) == (smpplib.consts.SMPP_ESME_ROK, message_id)
    assert known.message_state == smpplib.consts.SMPP_MESSAGE_STATE_UNDELIVERABLE
    assert len(known.final_date) == 16
    assert unknown.status in (smpplib.consts.SMPP_ESME_RINVMSGID, smpplib.consts.SMPP_ESME_RQUERYFAIL)


async def test_smpp34(bridge: Bridge) -> None:
    client = smpp34.Client("127.0.0.1", bridge.smpp, "acme", "secret", bind_type="TRX")
    session = await client.connect()
    answer = await session.submit_sm(
        source_addr="ACME",
        source_addr_ton=5,
        destination_addr=ABSENT,
        dest_addr_ton=1,
        short_message=b"hello",
        registered_delivery=1,
    )
    assert answer.is_success
    async with asyncio.timeout(10):
        receipt = await session.next()
    assert isinstance(receipt, smpp34.DeliverSmEvent)
    assert (receipt.esm_class, receipt.source_addr, receipt.destination_addr) == (4, ABSENT, "ACME")
    assert receipt.short_message.startswith(f"id:{answer.message_id} sub:001 dlvrd:000 ".encode())
    assert b" stat:UNDELIV err:027 " in receipt.short_message
    values = {tlv.tag: tlv for tlv in receipt.tlvs}
    assert values[smpp34.TLV_RECEIPTED_MESSAGE_ID].as_string() == answer.message_id
    await session.unbind()
    await client.stop()
    await bridge.settled()


@pytest.mark.parametrize(
    ("bodies", "text"),
    [
        ([{"short_message": "Привіт 🙂".encode("utf-16-be"), "data_coding": 8}], "Привіт 🙂"),
        ([{"tlvs": [smpp34.Tlv(0x0424, b"long " * 100)]}], "long " * 100),
        (
            [
                {"short_message": bytes((5, 0, 3, 9, 2, number)) + half, "esm_class": 0x40}
                for number, half in enumerate((b"a" * 153, b"b" * 20), 1)
            ],
            "a" * 153 + "b" * 20,
        ),
    ],
    ids=["unicode", "payload", "parts"],
)
async def test_smpp34_sends_any_text(bridge: Bridge, bodies: list[dict[str, Any]], text: str) -> None:
    client = smpp34.Client("127.0.0.1", bridge.smpp, "acme", "secret", bind_type="TRX")
    session = await client.connect()
    ids = [
        (
            await session.submit_sm(source_addr="ACME", destination_addr=DELIVERED, registered_delivery=1, **body)
        ).message_id
        for body in bodies
    ]
    async with asyncio.timeout(10):
        receipts = [await session.next() for _ in ids]
    assert sorted(receipt.short_message.split()[0] for receipt in receipts) == sorted(f"id:{x}".encode() for x in ids)
    assert (await bridge.record(ids[0])).message.text == text
    await session.unbind()
    await client.stop()


@pytest.mark.parametrize("word", ["password", "system_id"])
async def test_smpplib_is_refused(bridge: Bridge, word: str) -> None:
    client = smpplib.client.Client("127.0.0.1", bridge.smpp, timeout=10)
    await asyncio.to_thread(client.connect)
    words = {"system_id": "acme", "password": "secret", word: "wrong"}
    with pytest.raises(smpplib.exceptions.PDUError) as caught:
        await asyncio.to_thread(client.bind_transceiver, **words)
    assert caught.value.args[1] == 0x0E
    client.disconnect()


class Hook(aiosmpplib.AbstractHook):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.responses: list[aiosmpplib.SubmitSmResp] = []
        self.receipts: list[aiosmpplib.DeliverSm] = []
        self.came = asyncio.Event()

    async def sending(self, smpp_message: aiosmpplib.SmppMessage, pdu: bytes, client_id: str) -> None:
        """Nothing to keep."""

    async def received(self, smpp_message: aiosmpplib.SmppMessage | None, pdu: bytes, client_id: str) -> None:
        assert smpp_message is not None, pdu.hex()
        if isinstance(smpp_message, aiosmpplib.SubmitSmResp):
            self.responses.append(smpp_message)
        elif isinstance(smpp_message, aiosmpplib.DeliverSm):
            self.receipts.append(smpp_message)
        self.came.set()

    async def send_error(self, smpp_message: aiosmpplib.SmppMessage, error: Exception, client_id: str) -> None:
        raise error


# Its client drops its end of the connection without closing it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function StreamWriter:pytest.PytestUnraisableExceptionWarning"
)
async def test_aiosmpplib(bridge: Bridge) -> None:
    hook = Hook()
    esme = aiosmpplib.ESME("127.0.0.1", bridge.smpp, "acme", "secret", hook=hook)
    running = asyncio.create_task(esme.start())
    texts = ["hello", "hello, Привіт", "a long text, " * 30]
    for number, text in enumerate(texts):
        await esme.broker.enqueue(
            aiosmpplib.SubmitSm(
                short_message=text,
                source=aiosmpplib.PhoneNumber("ACME", ton=aiosmpplib.TON.ALPHANUMERIC, npi=aiosmpplib.NPI.UNKNOWN),
                destination=aiosmpplib.PhoneNumber(DELIVERED),
                log_id=str(number),
                registered_delivery=True,
            )
        )
    async with asyncio.timeout(10):
        while len(hook.receipts) < 3:
            hook.came.clear()
            await hook.came.wait()
    await bridge.settled()
    await esme.stop()
    await running
    ids = {response.message_id for response in hook.responses}
    parsed = [receipt.parse_receipt() for receipt in hook.receipts]
    assert {str(receipt["id"]) for receipt in parsed} == ids
    assert {str(receipt["stat"]) for receipt in parsed} == {"DELIVRD"}
    assert len(ids) == 3
    assert {(await bridge.record(each)).message.text for each in ids} == set(texts)
