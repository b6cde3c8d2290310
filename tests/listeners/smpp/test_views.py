"""Operations as submit_sm, ids as their client writes them, and messages by their addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listeners.smpp.submissions import SETTINGS, taken

from bridge.listeners.smpp.statuses import Unsupported
from bridge.listeners.smpp.translate_out import shown_id
from bridge.listeners.smpp.views import (
    id_of,
    is_from,
    is_of,
    is_to,
    submit_sm_from_cancel_sm,
    submit_sm_from_data_sm,
    submit_sm_from_replace_sm,
    submit_sms_from_submit_multi,
)
from bridge.smpp.enums import Status, Tag
from bridge.smpp.fields import DistributionList, SmeAddress
from bridge.smpp.pdus import CancelSm, DataSm, ReplaceSm, SubmitMulti, SubmitSm

HEX = SETTINGS.model_copy(update={"message_id": "hex"})
LISTS = SETTINGS.model_copy(update={"lists": {"staff": ["+380501111111", "380502222222"]}})


@given(st.integers(1, 2**63 - 1), st.sampled_from([SETTINGS, HEX]), st.integers(0, 8), st.booleans())
def test_every_id_is_read_as_it_is_written(message_id: int, settings: Any, zeros: int, upper: bool) -> None:
    shown = "0" * zeros + shown_id(message_id, settings)
    assert id_of(f" {shown.upper() if upper else shown} ", settings) == message_id


@pytest.mark.parametrize("shown", ["", "0", "000", "-1", "+1", "1.0", "1_0", "0x1f", "g", "ff", "١", str(2**63)])
def test_what_is_no_decimal_id(shown: str) -> None:
    assert id_of(shown, SETTINGS) is None


def test_hexadecimal_digits_are_not_read_as_decimal_ones() -> None:
    assert (id_of("10", HEX), id_of("10", SETTINGS)) == (16, 10)


# --- data_sm ----------------------------------------------------------------------------------------------------------


def test_data_sm_as_submit_sm() -> None:
    payload = ((Tag.MESSAGE_PAYLOAD, b"hello"),)
    fields: dict[str, Any] = {
        "service_type": "CMT",
        "source_addr_ton": 5,
        "source_addr_npi": 1,
        "source_addr": "ACME",
        "dest_addr_ton": 1,
        "dest_addr_npi": 2,
        "destination_addr": "380501234567",
        "esm_class": 0x40,
        "registered_delivery": 1,
        "data_coding": 8,
        "tlvs": payload,
    }
    assert submit_sm_from_data_sm(DataSm(sequence=9, **fields)) == SubmitSm(sequence=9, **fields)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"tlvs": ()}, Status.RMISSINGOPTPARAM),
        ({"source_addr": "1" * 21}, Status.RINVSRCADR),
        ({"destination_addr": "1" * 21}, Status.RINVDSTADR),
    ],
)
def test_data_sm_that_cannot_be_one(fields: dict[str, Any], status: Status) -> None:
    with pytest.raises(Unsupported) as refused:
        submit_sm_from_data_sm(DataSm(**{"tlvs": ((Tag.MESSAGE_PAYLOAD, b""),), **fields}))
    assert refused.value.status == status


# --- submit_multi -----------------------------------------------------------------------------------------------------


def test_a_submit_sm_for_each_destination() -> None:
    fields: dict[str, Any] = {
        "service_type": "CMT",
        "source_addr_ton": 5,
        "source_addr_npi": 1,
        "source_addr": "ACME",
        "esm_class": 1,
        "protocol_id": 2,
        "priority_flag": 3,
        "schedule_delivery_time": "000000010000000R",
        "validity_period": "000000020000000R",
        "registered_delivery": 1,
        "data_coding": 8,
        "sm_default_msg_id": 4,
        "short_message": b"hello",
        "tlvs": ((0x1400, b"x"),),
    }
    pdu = SubmitMulti(sequence=9, dest_address=(SmeAddress(2, 3, "0501"), DistributionList("staff")), **fields)
    assert list(submit_sms_from_submit_multi(pdu, LISTS, "3.4")) == [
        SubmitSm(sequence=9, dest_addr_ton=ton, dest_addr_npi=npi, destination_addr=to, **fields)
        for ton, npi, to in [(2, 3, "0501"), (1, 1, "380501111111"), (1, 1, "380502222222")]
    ]


def multi(*destinations: SmeAddress | DistributionList, **fields: Any) -> SubmitMulti:
    return SubmitMulti(dest_address=destinations or (SmeAddress(1, 1, "380501234567"),), **fields)


@pytest.mark.parametrize(
    ("pdu", "settings", "status"),
    [
        (multi(*[SmeAddress(1, 1, "1")] * 255), SETTINGS, Status.RINVNUMDESTS),
        (multi(replace_if_present_flag=1), SETTINGS, Status.RINVSUBREP),
        (multi(replace_if_present_flag=2), SETTINGS, Status.RINVREPFLAG),
        (multi(DistributionList("staff")), SETTINGS, Status.RCNTSUBDL),
        (multi(DistributionList("Staff")), LISTS, Status.RINVDLNAME),
    ],
)
def test_submit_multi_that_is_refused_whole(pdu: SubmitMulti, settings: Any, status: Status) -> None:
    with pytest.raises(Unsupported) as refused:
        list(submit_sms_from_submit_multi(pdu, settings, "3.4"))
    assert refused.value.status == status


def test_version_5_has_room_for_one_more() -> None:
    assert len(list(submit_sms_from_submit_multi(multi(*[SmeAddress(1, 1, "1")] * 255), SETTINGS, "5.0"))) == 255


# --- replace_sm, cancel_sm --------------------------------------------------------------------------------------------


def test_a_replacement_keeps_what_replace_sm_does_not_say() -> None:
    message = taken(
        service_type="CMT",
        source_addr_npi=1,
        esm_class=0x80,
        protocol_id=0x41,
        priority_flag=2,
        data_coding=8,
        short_message="привіт".encode("utf-16-be"),
    )
    pdu = ReplaceSm(
        sequence=9,
        schedule_delivery_time="000000010000000R",
        validity_period="000000020000000R",
        registered_delivery=1,
        sm_default_msg_id=3,
        short_message=b"\4\x3f",
        tlvs=((0x1400, b"x"),),
    )
    assert submit_sm_from_replace_sm(pdu, message) == SubmitSm(
        sequence=9,
        tlvs=pdu.tlvs,
        service_type="CMT",
        source_addr_ton=5,
        source_addr_npi=1,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="380501234567",
        esm_class=0x80,
        protocol_id=0x41,
        priority_flag=2,
        schedule_delivery_time=pdu.schedule_delivery_time,
        validity_period=pdu.validity_period,
        registered_delivery=1,
        data_coding=8,
        sm_default_msg_id=3,
        short_message=b"\4\x3f",
    )


def test_addresses_of_cancel_sm() -> None:
    pdu = CancelSm(
        source_addr_ton=5,
        source_addr_npi=1,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=2,
        destination_addr="38",
    )
    assert submit_sm_from_cancel_sm(pdu) == SubmitSm(
        source_addr_ton=5,
        source_addr_npi=1,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=2,
        destination_addr="38",
    )


# --- by address -------------------------------------------------------------------------------------------------------


def test_from_and_to_an_address_as_it_was_submitted_or_is_kept() -> None:
    message = taken(
        "UA", source_addr_ton=1, source_addr="+380441234567", dest_addr_ton=2, destination_addr="0501234567"
    )
    assert all(is_from(message, address) for address in ("+380441234567", "380441234567", " 380441234567"))
    assert all(is_to(message, address) for address in ("0501234567", "380501234567", "+380501234567"))
    assert not any(is_from(message, address) or is_to(message, address) for address in ("", "38044", "0501234568"))


def test_without_a_source() -> None:
    message = taken(source_addr_ton=0, source_addr="")
    assert is_from(message, "")
    assert not is_from(message, "ACME")


def test_of_a_service_type() -> None:
    assert is_of("CMT")(taken(service_type="CMT"))
    assert is_of("")(taken())
    assert not is_of("")(taken(service_type="CMT"))
