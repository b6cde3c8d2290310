"""What is hidden of a PDU: never more than it says, never less, and never its length."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.smpp.codec import decode, encode
from bridge.smpp.enums import CommandId, Tag
from bridge.smpp.fields import DistributionList, SmeAddress
from bridge.smpp.masking import masked, without_password
from bridge.smpp.pdus import PDUS, BindTransceiver, DataSm, DeliverSm, EnquireLink, Outbind, SubmitMulti, SubmitSm

BIND = BindTransceiver(1, system_id="acme", password="secret", system_type="vma")
SUBMIT = SubmitSm(
    7,
    source_addr="380441112233",
    destination_addr="380501234567",
    data_coding=8,
    short_message=b"private words",
    tlvs=((Tag.MESSAGE_PAYLOAD, b"more words"), (Tag.CALLBACK_NUM, b"\1\1\1" + b"380509999999"), (0x1401, b"vendor")),
)


def whole(command: int, body: bytes) -> bytes:
    return struct.pack(">4I", 16 + len(body), command, 0, 1) + body


@pytest.mark.parametrize("hide", [without_password, masked])
def test_a_password_is_always_hidden(hide: type[without_password]) -> None:
    found = decode(hide(encode(BIND)))
    assert isinstance(found, BindTransceiver)
    assert (found.system_id, found.password, found.system_type) == ("acme", "******", "vma")
    assert b"secret" not in hide(encode(Outbind(1, system_id="smsc", password="secret")))


def test_without_being_asked_for_nothing_else_is() -> None:
    assert without_password(encode(SUBMIT)) == encode(SUBMIT)


def test_texts_and_numbers_are_where_it_is_asked_for() -> None:
    found = decode(masked(encode(SUBMIT)))
    assert isinstance(found, SubmitSm)
    assert (found.sequence, found.data_coding) == (7, 8)
    assert (found.source_addr, found.destination_addr) == ("3804******33", "3805******67")
    assert found.short_message == b"*" * 13
    assert dict(found.tlvs) == {
        Tag.MESSAGE_PAYLOAD: b"*" * 10,
        Tag.CALLBACK_NUM: b"\1\1\1" + b"3*********99",
        0x1401: b"*" * 6,
    }


def test_short_addresses_are_hidden_wholly() -> None:
    found = decode(masked(encode(SubmitSm(1, source_addr="ACME", destination_addr="7700"))))
    assert isinstance(found, SubmitSm)
    assert (found.source_addr, found.destination_addr) == ("****", "****")


def test_a_user_data_header_stays() -> None:
    udh = bytes.fromhex("050003070201")
    found = decode(masked(encode(DeliverSm(1, esm_class=0x40, short_message=udh + b"part"))))
    assert isinstance(found, DeliverSm)
    assert found.short_message == udh + b"****"
    payload = DataSm(1, esm_class=0x40, tlvs=((Tag.MESSAGE_PAYLOAD, udh + b"part"),))
    assert dict(decode(masked(encode(payload))).tlvs)[Tag.MESSAGE_PAYLOAD] == udh + b"****"


def test_a_header_that_claims_more_than_there_is_hides_nothing_less() -> None:
    found = decode(masked(encode(DeliverSm(1, esm_class=0x40, short_message=b"\x0dno header..."))))
    assert isinstance(found, DeliverSm)
    assert set(found.short_message) == {ord("*")}


def test_every_address_of_a_list() -> None:
    pdu = SubmitMulti(
        1, dest_address=(SmeAddress(1, 1, "380501234567"), DistributionList("friends of us")), short_message=b"words"
    )
    found = decode(masked(encode(pdu)))
    assert isinstance(found, SubmitMulti)
    assert found.dest_address == (SmeAddress(1, 1, "3805******67"), DistributionList("frie*******us"))
    assert found.short_message == b"*****"


def test_what_follows_a_fault_is_hidden() -> None:
    cut = encode(BIND)[:26]  # in the middle of the password
    assert without_password(cut) == cut[:21] + b"*" * 5
    no_end = whole(CommandId.BIND_RECEIVER, b"acme\0" + b"s" * 80)
    assert without_password(no_end) == no_end[:21] + b"*" * 80
    short = encode(SUBMIT)[:60]
    assert masked(short)[-4:] == b"****"


def test_unknown_commands_are_hidden_wholly_or_not_at_all() -> None:
    vendor = whole(0x00010200, b"who knows")
    assert without_password(vendor) == vendor
    assert masked(vendor) == vendor[:16] + b"*" * 9


def test_what_has_no_body_stays() -> None:
    assert masked(encode(EnquireLink(3))) == encode(EnquireLink(3))
    assert masked(b"\0\0\0") == b"\0\0\0"


@given(command=st.sampled_from(sorted(PDUS)) | st.integers(0, 0xFFFFFFFF), body=st.binary(max_size=120))
def test_any_octets_keep_their_length_and_header(command: int, body: bytes) -> None:
    pdu = whole(command, body)
    for hide in (without_password, masked):
        assert len(hide(pdu)) == len(pdu)
        assert hide(pdu)[:16] == pdu[:16]
