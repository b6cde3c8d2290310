"""From PDUs to our words: `message_from_submit_sm`."""

from __future__ import annotations

from typing import Any

from bridge.errors import Refusal
from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import Unsupported
from bridge.message import Message, Reason, ReportOn, Segment
from bridge.routing.numbers import NumberError, normalise, source_of
from bridge.smpp.enums import Status, Tag
from bridge.smpp.pdus import SubmitSm
from bridge.smpp.times import TimeError, parse_time
from bridge.sms.encoding import BINARY, TextError, coding_of, decode
from bridge.sms.segments import alphabet_of, concat_of, parse_udh

_TON_INTERNATIONAL = 1
_TON_ALPHANUMERIC = 5
_ESM_UDHI = 0x40
_INTERMEDIATE = 0x10  # of registered_delivery (3.4 §5.2.17)


def message_from_submit_sm(
    pdu: SubmitSm,
    *,
    account: str,
    settings: SmppAccount,
    region: str | None,
    validity_s: float,
    message_id: int,
    now: float,
) -> Message:
    """The message, or the part of one (`segment` set), that a client submits. Raises Refusal."""
    octets = _user_data(pdu)
    try:
        destination = normalise(_international(pdu.dest_addr_ton, pdu.destination_addr), region)
    except NumberError as error:
        raise Refusal(Reason.INVALID_DESTINATION, str(error)) from None
    _check_flags(pdu)
    expires_at, deliver_at = now + validity_s, None
    if pdu.schedule_delivery_time:
        deliver_at = _time(pdu.schedule_delivery_time, now, Reason.INVALID_SCHEDULE)
        expires_at = max(now, deliver_at) + validity_s
    if pdu.validity_period:
        expires_at = _time(pdu.validity_period, now, Reason.INVALID_VALIDITY)
    try:
        coding = coding_of(pdu.data_coding, settings.alphabet)
    except TextError as error:
        raise Unsupported(Status.RINVDCS, Reason.INVALID_TEXT, str(error)) from None
    try:
        alphabet, udh, segment = coding.alphabet, b"", None
        if pdu.esm_class & _ESM_UDHI:
            header = parse_udh(octets)
            udh, octets = octets[: header.length], octets[header.length :]
            concat = concat_of(header.elements)
            if alphabet == "gsm7":
                alphabet = alphabet_of(header.elements)
            if concat is not None and concat.total > 1:
                segment = _segment(concat.reference, concat.total, concat.number, concat.scheme, octets, alphabet)
        elif pdu.tlvs:
            segment = _sar(pdu, octets, alphabet)
        text = binary = None
        if segment is None and alphabet == BINARY:
            binary = octets
        elif segment is None:
            text = decode(octets, alphabet)
    except TextError as error:
        raise Refusal(Reason.INVALID_TEXT, str(error)) from None
    return Message(
        message_id=message_id,
        account=account,
        listener="smpp",
        destination=destination,
        source=_source(pdu.source_addr_ton, pdu.source_addr),
        accepted_at=now,
        expires_at=expires_at,
        deliver_at=deliver_at,
        text=text,
        binary=binary,
        udh=udh if udh and binary is not None else None,
        segment=segment,
        flash=coding.flash,
        priority=pdu.priority_flag,
        report_on=ReportOn(pdu.registered_delivery & 3),
        intermediate=pdu.registered_delivery & _INTERMEDIATE != 0 and settings.receipts.intermediate,
        one_report=segment is not None and settings.receipts.per == "message",
        native=_native(pdu),
    )


def _check_flags(pdu: SubmitSm) -> None:
    if pdu.priority_flag > 3:
        raise Unsupported(Status.RINVPRTFLG, Reason.INVALID_REQUEST, "priority_flag is 0 to 3")
    if pdu.replace_if_present_flag > 1:
        raise Unsupported(Status.RINVREPFLAG, Reason.INVALID_REQUEST, "replace_if_present_flag is 0 or 1")
    if pdu.replace_if_present_flag:
        raise Unsupported(Status.RINVSUBREP, Reason.UNSUPPORTED, "messages are not replaced")
    if pdu.sm_default_msg_id:
        raise Unsupported(Status.RINVDFTMSGID, Reason.UNSUPPORTED, "there are no canned messages")


def _international(ton: int, number: str) -> str:
    if ton == _TON_INTERNATIONAL and number[:1] not in ("+", "0"):
        return "+" + number.lstrip()
    return number


def _source(ton: int, number: str) -> str | None:
    number = number.strip()
    if not number:
        return None
    try:
        return source_of(number)
    except NumberError as error:
        if ton != _TON_ALPHANUMERIC and number.isascii() and number.isdigit():
            return number  # short codes and private numbers: for the provider to judge
        raise Refusal(Reason.INVALID_SOURCE, str(error)) from None


def _time(text: str, now: float, reason: Reason) -> float:
    try:
        at = parse_time(text, now)
    except TimeError as error:
        raise Refusal(reason, str(error)) from None
    assert at is not None
    return at


def _user_data(pdu: SubmitSm) -> bytes:
    if not pdu.tlvs:
        return pdu.short_message
    payload = pdu.tlv(Tag.MESSAGE_PAYLOAD)
    if payload is None:
        return pdu.short_message
    if pdu.short_message:
        raise Refusal(Reason.INVALID_TEXT, "short_message and message_payload are both used")
    return payload


def _sar(pdu: SubmitSm, octets: bytes, alphabet: str) -> Segment | None:
    """All three SAR TLVs, or none of them counts (3.4 §5.3.2.22)."""
    values = [pdu.tlv(tag) for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)]
    if any(value is None for value in values):
        return None
    reference, total, number = (int.from_bytes(value or b"", "big") for value in values)
    if not 1 <= number <= total:
        raise Unsupported(
            Status.RINVOPTPARAMVAL, Reason.INVALID_REQUEST, "sar_segment_seqnum is 1 to sar_total_segments"
        )
    return None if total == 1 else _segment(reference, total, number, "sar", octets, alphabet)


def _segment(reference: int, total: int, number: int, scheme: str, octets: bytes, alphabet: str) -> Segment:
    return Segment(reference=reference, total=total, number=number, scheme=scheme, octets=octets, alphabet=alphabet)


def _native(pdu: SubmitSm) -> dict[str, Any]:
    """What a receipt needs of the PDU, and what replace_sm leaves as it was."""
    native: dict[str, Any] = {
        "source": (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr),
        "destination": (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr),
    }
    if pdu.service_type:
        native["service_type"] = pdu.service_type
    if pdu.data_coding:
        native["data_coding"] = pdu.data_coding
    if pdu.esm_class:
        native["esm_class"] = pdu.esm_class
    if pdu.protocol_id:
        native["protocol_id"] = pdu.protocol_id
    if pdu.tlvs:
        reference = pdu.tlv(Tag.USER_MESSAGE_REFERENCE)
        if reference is not None:
            native["user_message_reference"] = reference
    return native
