"""What is owed to deliver_sm: receipts and inbound messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from listeners.smpp.submissions import NOW, SETTINGS, taken, with_alphabet

from bridge.listeners.smpp.profiles import Receipts
from bridge.listeners.smpp.translate_out import deliver_sms_from_inbound, receipt_from_report, shown_id
from bridge.message import FINAL, Inbound, Message, Owed, Part, Reason, Report, ReportOn, Segment, State
from bridge.smpp.codec import decode as decode_pdu
from bridge.smpp.codec import encode as encode_pdu
from bridge.smpp.enums import Tag
from bridge.smpp.pdus import DataSm, DeliverSm
from bridge.smpp.receipts import parse_receipt
from bridge.sms import join
from bridge.sms.encoding import PACKED, TextError, decode
from bridge.sms.gsm7 import unpack_text

# --- receipts ----------------------------------------------------------------------------------------------------


def report(state: State = State.DELIVERED, reason: Reason | None = None, at: float | None = NOW + 90) -> Report:
    return Report(state=state, reason=reason, at=at, message_id=7)


def owed(message: Message, told: Report, known_id: int = 7, part: Part | None = None) -> Owed:
    return Owed(
        account="acme-account",
        listener="smpp",
        created_at=NOW + 120,
        due_at=NOW + 120,
        known_id=known_id,
        message=message,
        report=told,
        part=part,
    )


def receipt(message: Message, told: Report, version: str = "3.4", **changes: Any) -> DeliverSm:
    pdu = receipt_from_report(owed(message, told, **changes), SETTINGS, version)
    again = decode_pdu(encode_pdu(pdu, 1))
    assert isinstance(again, DeliverSm)
    return again


def test_a_receipt() -> None:
    pdu = receipt(taken(), report())
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (1, 1, "380501234567")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (5, 0, "ACME")
    assert (pdu.esm_class, pdu.data_coding, pdu.registered_delivery) == (0x04, 0, 0)
    assert pdu.short_message == (
        b"id:7 sub:001 dlvrd:001 submit date:2611221837 done date:2611221838 stat:DELIVRD err:000 text:hello"
    )
    assert pdu.tlvs == ((Tag.RECEIPTED_MESSAGE_ID, b"7\0"), (Tag.MESSAGE_STATE, b"\x02"))


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_receipt_for_every_final_state(state: State) -> None:
    pdu = receipt(taken(), report(state))
    said = parse_receipt(pdu.short_message.decode("ascii"))
    assert said is not None
    assert said.state == state
    assert pdu.tlv(Tag.MESSAGE_STATE) == bytes((state,))


def test_the_error_of_a_receipt() -> None:
    pdu = receipt(taken(), report(State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER))
    assert b" dlvrd:000 " in pdu.short_message
    assert b" stat:UNDELIV err:027 " in pdu.short_message


def test_a_receipt_for_3_3_has_no_tlvs() -> None:
    pdu = receipt(taken(tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\0\1"),)), report(), "3.3")
    assert pdu.tlvs == ()
    assert pdu.short_message.startswith(b"id:7 ")


def test_an_id_in_hex() -> None:
    settings = SETTINGS.model_copy(update={"message_id": "hex"})
    assert shown_id(0xBEEF, settings) == "beef"
    pdu = receipt_from_report(owed(taken(), report(), known_id=0xBEEF), settings, "3.4")
    assert pdu.short_message.startswith(b"id:beef ")
    assert pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) == b"beef\0"


def test_addresses_come_back_as_they_were_given() -> None:
    message = taken(source_addr_ton=0, source_addr="", dest_addr_ton=2, destination_addr="0501234567", region="UA")
    pdu = receipt(message, report())
    assert (pdu.source_addr_ton, pdu.source_addr) == (2, "0501234567")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (0, 0, "")


def test_user_message_reference_comes_back() -> None:
    pdu = receipt(taken(tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\x12\x34"),)), report())
    assert pdu.tlv(Tag.USER_MESSAGE_REFERENCE) == b"\x12\x34"


def test_a_receipt_for_a_part() -> None:
    """It has the id of the part, and what the part's own PDU said."""
    native = {"source": (5, 0, "ACME"), "destination": (2, 1, "0501234567"), "user_message_reference": b"\0\2"}
    part = Part(part_id=9, number=2, report_on=ReportOn.FINAL, native=native)
    pdu = receipt(taken(tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\0\1"),)), report(), known_id=9, part=part)
    assert pdu.short_message.startswith(b"id:9 ")
    assert pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) == b"9\0"
    assert pdu.tlv(Tag.USER_MESSAGE_REFERENCE) == b"\0\2"
    assert (pdu.source_addr_ton, pdu.source_addr) == (2, "0501234567")


@pytest.mark.parametrize("at", [None, 0.0, -1.0, 1.8e12, 1e300])
def test_a_provider_without_a_usable_clock(at: float | None) -> None:
    assert b" done date:2611221839 " in receipt(taken(), report(at=at)).short_message


def test_text_that_is_not_ascii() -> None:
    pdu = receipt(taken(data_coding=8, short_message="Привіт @ 🙂".encode("utf-16-be")), report())
    assert pdu.short_message.endswith(b"text:?????? ? ?")


def test_an_intermediate_notification() -> None:
    pdu = receipt(taken(), report(State.ENROUTE, Reason.ABSENT_SUBSCRIBER))
    assert pdu.esm_class == 0x20
    assert b" dlvrd:000 " in pdu.short_message
    assert b" stat:ENROUTE err:027 " in pdu.short_message
    assert pdu.tlv(Tag.MESSAGE_STATE) == b"\x01"


def test_one_receipt_for_all_parts_counts_them() -> None:
    parts = tuple(Part(part_id=9 + number, number=number) for number in (1, 2, 3))
    message = msgspec.structs.replace(taken(), parts=parts, one_report=True)
    assert b" sub:003 dlvrd:003 " in receipt(message, report(), part=parts[0]).short_message
    assert b" sub:003 dlvrd:000 " in receipt(message, report(State.EXPIRED), part=parts[0]).short_message
    each = msgspec.structs.replace(message, one_report=False)
    assert b" sub:001 dlvrd:001 " in receipt(each, report(), part=parts[0]).short_message


def test_by_data_sm() -> None:
    settings = SETTINGS.model_copy(update={"receipts": Receipts(by="data_sm")})
    thing = owed(taken(tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\0\1"),)), report())
    by_deliver_sm = receipt_from_report(thing, SETTINGS, "3.4")
    assert isinstance(by_deliver_sm, DeliverSm)
    pdu = decode_pdu(encode_pdu(receipt_from_report(thing, settings, "3.4"), 1))
    assert isinstance(pdu, DataSm)
    assert pdu.tlvs == (*by_deliver_sm.tlvs, (Tag.MESSAGE_PAYLOAD, by_deliver_sm.short_message))
    for field in ("source_addr_ton", "source_addr_npi", "source_addr", "dest_addr_ton", "dest_addr_npi",
                  "destination_addr", "esm_class", "data_coding"):  # fmt: skip
        assert getattr(pdu, field) == getattr(by_deliver_sm, field)
    assert isinstance(receipt_from_report(thing, settings, "3.3"), DeliverSm)  # it has no data_sm


def test_a_code_of_the_accounts_own() -> None:
    receipts = Receipts.model_validate({"preset": "kannel", "errors": {"barred": "7E", "blocked": "300"}})
    settings = SETTINGS.model_copy(update={"receipts": receipts})

    def told(reason: Reason) -> tuple[bytes, bytes | None]:
        pdu = receipt_from_report(owed(taken(), report(State.REJECTED, reason)), settings, "3.4")
        assert isinstance(pdu, DeliverSm)
        return pdu.short_message.partition(b" err:")[2].split()[0], pdu.tlv(Tag.NETWORK_ERROR_CODE)

    assert told(Reason.BLOCKED) == (b"300", b"\x03\x01\x2c")
    assert told(Reason.BARRED) == (b"7E", b"\x03\x00\x0d")  # that is no number: ours
    assert told(Reason.UNSURE) == (b"208", b"\x03\x00\xd0")


@pytest.mark.parametrize("reason", Reason)
def test_without_an_error_code(reason: Reason) -> None:
    receipts = Receipts.model_validate({"err": "none", "errors": {reason.value: "123"}})
    settings = SETTINGS.model_copy(update={"receipts": receipts})
    pdu = receipt_from_report(owed(taken(), report(State.REJECTED, reason)), settings, "3.4")
    assert isinstance(pdu, DeliverSm)
    assert b"stat:REJECTD text:hello" in pdu.short_message


# --- inbound -----------------------------------------------------------------------------------------------------


def delivered(text: str = "", version: str = "3.4", alphabet: str = "gsm7", **fields: Any) -> list[DeliverSm]:
    inbound = Inbound(**{"source": "380501234567", "destination": "380441234567", "text": text, **fields})
    thing = Owed(account="a", listener="smpp", created_at=NOW, due_at=NOW, known_id=0x1FE, inbound=inbound)
    pdus = []
    for pdu in deliver_sms_from_inbound(thing, with_alphabet(alphabet), version):
        again = decode_pdu(encode_pdu(pdu, 1))
        assert isinstance(again, DeliverSm)
        pdus.append(again)
    return pdus


def joined(pdus: list[DeliverSm], alphabet: str) -> str:
    """What a client makes of the parts."""
    segments = []
    for pdu in pdus:
        assert pdu.esm_class == 0x40
        length, element, size, reference, total, number = pdu.short_message[:6]
        assert (length, element, size, reference, total) == (5, 0, 3, 0xFE, len(pdus))
        segments.append(
            Segment(
                reference=reference,
                total=total,
                number=number,
                scheme="udh8",
                octets=pdu.short_message[6:],
                alphabet=alphabet,
            )
        )
    text = join.join(segments)
    assert isinstance(text, str)
    return text


def test_an_inbound_message() -> None:
    (pdu,) = delivered("hello @ €")
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (1, 1, "380501234567")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (1, 1, "380441234567")
    assert (pdu.esm_class, pdu.data_coding, pdu.tlvs) == (0, 0, ())
    assert pdu.short_message == b"hello \x00 \x1be"


def test_an_inbound_message_in_ucs2() -> None:
    (pdu,) = delivered("Привіт 🙂")
    assert (pdu.data_coding, pdu.short_message.decode("utf-16-be")) == (8, "Привіт 🙂")


def test_addresses_that_are_not_international() -> None:
    (pdu,) = delivered("x", source="Bank", destination="7700")
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (5, 0, "Bank")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (0, 0, "7700")


def test_addresses_that_no_pdu_can_hold() -> None:
    (pdu,) = delivered("x", source="Банк\0", destination="1" * 40)
    assert pdu.source_addr == "?????"
    assert pdu.destination_addr == "1" * 20


@pytest.mark.parametrize(("text", "alphabet"), [("a" * 300 + "€" * 100, "gsm7"), ("ї🙂" * 90, "ucs2")])
def test_a_long_inbound_message(text: str, alphabet: str) -> None:
    pdus = delivered(text)
    assert len(pdus) > 1
    assert joined(pdus, alphabet) == text


def test_a_very_long_inbound_message() -> None:
    text = "0123456789" * 200
    (pdu,) = delivered(text)
    assert (pdu.esm_class, pdu.short_message) == (0, b"")
    assert pdu.tlv(Tag.MESSAGE_PAYLOAD) == text.encode()
    # 3.3 has no TLVs: it is told in parts, however many.
    assert joined(delivered(text, "3.3"), "gsm7") == text


def test_what_would_be_too_large_a_pdu_for_some_clients_goes_in_parts() -> None:
    assert len(delivered("x" * 7000)) == 1
    assert joined(delivered("x" * 7001), "gsm7") == "x" * 7001


@pytest.mark.parametrize(
    ("alphabet", "text", "data_coding", "octets"),
    [
        ("latin1", "café ÿ", 0, b"caf\xe9 \xff"),
        ("cp1252", "5 € …", 0, b"5 \x80 \x85"),
        ("ascii", "a@b [~]", 0, b"a@b [~]"),
        ("utf8", "a@b [~]", 0, b"a@b [~]"),
        ("utf8", "café", 0, "café".encode()),
        (PACKED, "hellohello", 0, bytes.fromhex("e8329bfd4697d9ec37")),
        (PACKED, "є", 8, "є".encode("utf-16-be")),
        ("latin1", "5 €", 8, "5 €".encode("utf-16-be")),
        ("ascii", "café", 8, "café".encode("utf-16-be")),
    ],
)
def test_the_accounts_own_alphabet_where_it_holds_the_text(
    alphabet: str, text: str, data_coding: int, octets: bytes
) -> None:
    (pdu,) = delivered(text, alphabet=alphabet)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)


def test_long_text_in_the_accounts_own_alphabet() -> None:
    pdus = delivered("é" * 300, alphabet="latin1")
    assert [len(pdu.short_message) for pdu in pdus] == [140, 140, 38]
    assert {pdu.data_coding for pdu in pdus} == {0}
    assert joined(pdus, "latin1") == "é" * 300


def test_long_text_in_utf8_is_cut_between_characters() -> None:
    pdus = delivered("aїє" * 60, alphabet="utf8")
    assert [len(pdu.short_message) for pdu in pdus] == [139, 139, 40]
    assert "".join(pdu.short_message[6:].decode() for pdu in pdus) == "aїє" * 60


def test_long_text_packed() -> None:
    """After the header of six octets there is one fill bit."""
    text = "a" * 152 + "€" + "b" * 20
    pdus = delivered(text, alphabet=PACKED)
    assert [len(pdu.short_message) for pdu in pdus] == [140, 26]
    assert {(pdu.data_coding, pdu.esm_class) for pdu in pdus} == {(0, 0x40)}
    septets = b"".join(unpack_text(pdu.short_message[6:], 1, more=number < 2) for number, pdu in enumerate(pdus, 1))
    assert decode(septets, "gsm7") == text


def test_very_long_text_packed_is_packed_as_a_whole() -> None:
    text = "packed " * 200
    (pdu,) = delivered(text, alphabet=PACKED)
    assert decode(pdu.tlv(Tag.MESSAGE_PAYLOAD) or b"", PACKED) == text


def test_an_inbound_message_that_is_not_text() -> None:
    (pdu,) = delivered(binary=b"\0\1\xff")
    assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0, 4, b"\0\1\xff")


def test_a_header_comes_along() -> None:
    ports = bytes.fromhex("0605040b8423f0")
    (pdu,) = delivered(binary=b"\1\2", udh=ports)
    assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0x40, 4, ports + b"\1\2")


def test_more_octets_than_a_short_message_holds() -> None:
    (pdu,) = delivered(binary=bytes(300))
    assert (pdu.short_message, pdu.tlv(Tag.MESSAGE_PAYLOAD)) == (b"", bytes(300))
    with pytest.raises(TextError, match="300 octets"):
        delivered(binary=bytes(300), version="3.3")


def test_a_number_with_a_plus_is_international() -> None:
    (pdu,) = delivered("x", source="+380501234567")
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (1, 1, "380501234567")


@pytest.mark.parametrize("alphabet", ["gsm7", PACKED, "latin1", "ascii", "utf8", "cp1252"])
@pytest.mark.parametrize("text", ["hello", "a@b", "{é}", "є"])
def test_an_inbound_message_is_read_as_it_was_written(text: str, alphabet: str) -> None:
    """A client reads data_coding 0 in its account's alphabet."""
    (pdu,) = delivered(text, alphabet=alphabet)
    assert decode(pdu.short_message, {0: alphabet, 8: "ucs2"}[pdu.data_coding]) == text
