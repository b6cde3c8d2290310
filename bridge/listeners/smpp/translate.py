"""From PDUs to our words: `message_from_submit_sm`."""

from __future__ import annotations

from typing import Any

from bridge.errors import Refusal
from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import Unsupported
from bridge.message import Message, Reason, ReportOn, Segment
from bridge.routing.numbers import NumberError, national_source, normalise, source_of
from bridge.smpp.enums import EsmClass, Status, Tag
from bridge.smpp.pdus import SubmitSm
from bridge.smpp.times import TimeError, parse_time
from bridge.sms.encoding import BINARY, PACKED, TextError, coding_of, decode
from bridge.sms.gsm7 import fill_bits, unpack_text
from bridge.sms.segments import (
    Concat,
    Element,
    alphabet_of,
    build_udh,
    concat_of,
    kept_udh,
    parse_udh,
    ports_of,
)

_TON_UNKNOWN = 0
_TON_INTERNATIONAL = 1
_TON_NATIONAL = 2
_TON_ALPHANUMERIC = 5
_ESM_UDHI = 0x40
# What an ESME may send: a message, or the acknowledgement of one (3.4 §5.2.12). Clients say so of ordinary ones, too.
_ESM_TYPES = frozenset({0, EsmClass.SME_DELIVERY_ACK, EsmClass.SME_MANUAL_ACK})
_INTERMEDIATE = 0x10  # of registered_delivery (3.4 §5.2.17)
_FLASH_SUBUNIT = b"\1"  # dest_addr_subunit: the display
_NO_SPAN = "000000000000000R"  # of validity: none is meant, for who submits what is over already?
_TLVS_MAX = 1024  # octets of TLVs that are kept with a message
# They have done their work, or stand elsewhere among what is kept.
_USED_TLVS = frozenset(
    {
        Tag.MESSAGE_PAYLOAD,
        Tag.SAR_MSG_REF_NUM,
        Tag.SAR_TOTAL_SEGMENTS,
        Tag.SAR_SEGMENT_SEQNUM,
        Tag.USER_MESSAGE_REFERENCE,
    }
)


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
    if pdu.validity_period and pdu.validity_period != _NO_SPAN:
        expires_at = _time(pdu.validity_period, now, Reason.INVALID_VALIDITY)
    try:
        coding = coding_of(pdu.data_coding, settings.alphabet)
    except TextError as error:
        raise Unsupported(Status.RINVDCS, Reason.INVALID_TEXT, str(error)) from None
    flash = coding.flash
    try:
        alphabet, udh, segment = coding.alphabet, None, None
        if pdu.esm_class & _ESM_UDHI:
            alphabet, udh, octets, segment = _with_header(octets, alphabet)
        elif pdu.tlvs:
            udh = _ports(pdu)
            concat = _sar(pdu)
            if concat is not None:
                segment = _segment(concat, octets, alphabet, udh)
            flash = flash or pdu.tlv(Tag.DEST_ADDR_SUBUNIT) == _FLASH_SUBUNIT
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
        source=_source(pdu.source_addr_ton, pdu.source_addr, region),
        accepted_at=now,
        expires_at=expires_at,
        deliver_at=deliver_at,
        text=text,
        binary=binary,
        udh=udh if segment is None else None,
        segment=segment,
        flash=flash,
        priority=pdu.priority_flag,
        report_on=ReportOn(pdu.registered_delivery & 3),
        intermediate=pdu.registered_delivery & _INTERMEDIATE != 0 and settings.receipts.intermediate,
        one_report=segment is not None and settings.receipts.per == "message",
        native=_native(pdu),
    )


def _check_flags(pdu: SubmitSm) -> None:
    if pdu.esm_class & EsmClass.TYPE_MASK not in _ESM_TYPES:
        raise Unsupported(Status.RINVESMCLASS, Reason.UNSUPPORTED, "esm_class is of a type that clients do not submit")
    if pdu.priority_flag > 3:
        raise Unsupported(Status.RINVPRTFLG, Reason.INVALID_REQUEST, "priority_flag is 0 to 3")
    if pdu.replace_if_present_flag > 1:
        raise Unsupported(Status.RINVREPFLAG, Reason.INVALID_REQUEST, "replace_if_present_flag is 0 or 1")
    if pdu.replace_if_present_flag:
        raise Unsupported(Status.RINVSUBREP, Reason.UNSUPPORTED, "messages are not replaced")
    if pdu.sm_default_msg_id:
        raise Unsupported(Status.RINVDFTMSGID, Reason.UNSUPPORTED, "there are no canned messages")


def _international(ton: int, number: str) -> str:
    if ton == _TON_INTERNATIONAL:
        number = number.lstrip()  # 3.3 fills addresses up with spaces
        return number if number[:1] in ("+", "0") else "+" + number
    return number


def _source(ton: int, number: str, region: str | None) -> str | None:
    number = number.strip()
    if not number:
        return None
    if region is not None and (ton == _TON_NATIONAL or (ton == _TON_UNKNOWN and number[0] == "0")):
        national = national_source(number, region)
        if national is not None:
            return national
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


def _with_header(octets: bytes, alphabet: str) -> tuple[str, bytes | None, bytes, Segment | None]:
    """The alphabet, the header to keep, and the user data, by itself or as a part. Raises TextError."""
    header = parse_udh(octets)
    udh, octets = octets[: header.length], octets[header.length :]
    concat = concat_of(header.elements)
    if concat is not None and concat.total > 1:
        kept = kept_udh(header.elements, alphabet)
        return alphabet, None, octets, _segment(concat, octets, alphabet, kept, header.elements, len(udh))
    if alphabet == BINARY:
        return alphabet, udh, octets, None
    kept = kept_udh(header.elements, alphabet)
    if alphabet == PACKED:
        alphabet, octets = "gsm7", unpack_text(octets, fill_bits(len(udh)))
    if alphabet == "gsm7":
        alphabet = alphabet_of(header.elements)
    return alphabet, kept, octets, None


def _segment(
    concat: Concat,
    octets: bytes,
    alphabet: str,
    udh: bytes | None,
    elements: tuple[Element, ...] = (),
    header_octets: int = 0,
) -> Segment:
    """The part, its septets unpacked: parts are joined as octets. Raises TextError."""
    if alphabet == PACKED:
        more = concat.number < concat.total
        alphabet, octets = "gsm7", unpack_text(octets, fill_bits(header_octets), more=more)
    if alphabet == "gsm7":
        alphabet = alphabet_of(elements)
    return Segment(
        reference=concat.reference,
        total=concat.total,
        number=concat.number,
        scheme=concat.scheme,
        octets=octets,
        alphabet=alphabet,
        udh=udh,
    )


def _sar(pdu: SubmitSm) -> Concat | None:
    """All three SAR TLVs, or none of them counts (3.4 §5.3.2.22)."""
    values = [pdu.tlv(tag) for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)]
    if any(value is None for value in values):
        return None
    reference, total, number = (int.from_bytes(value or b"", "big") for value in values)
    if not 1 <= number <= total:
        raise Unsupported(
            Status.RINVOPTPARAMVAL, Reason.INVALID_REQUEST, "sar_segment_seqnum is 1 to sar_total_segments"
        )
    return None if total == 1 else Concat(reference, total, number, "sar")


def _ports(pdu: SubmitSm) -> bytes | None:
    """The header that says what the TLVs say about ports (3.4 §5.3.2.20, §5.3.2.21); without a destination, nothing."""
    destination = pdu.tlv(Tag.DESTINATION_PORT)
    if destination is None:
        return None
    source = pdu.tlv(Tag.SOURCE_PORT) or b"\0\0"
    return build_udh([ports_of(int.from_bytes(destination, "big"), int.from_bytes(source, "big"))])


def _native(pdu: SubmitSm) -> dict[str, Any]:
    """What of the PDU is for its receipts, for replace_sm, which leaves it as it was, and for a leg that can carry it.

    What is not said is not kept.

    `tlvs`: (tag, value) of all that no other field tells, in their order, as far as there is room.
    """
    native: dict[str, Any] = {
        "source": (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr),
        "destination": (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr),
    }
    if pdu.service_type:
        native["service_type"] = pdu.service_type
    if pdu.protocol_id:
        native["protocol_id"] = pdu.protocol_id
    if pdu.data_coding:
        native["data_coding"] = pdu.data_coding
    if pdu.esm_class:
        native["esm_class"] = pdu.esm_class  # UDHI too: what replaces the text has a header again
    if pdu.tlvs:
        reference = pdu.tlv(Tag.USER_MESSAGE_REFERENCE)
        if reference is not None:
            native["user_message_reference"] = reference
        tlvs = _others(pdu)
        if tlvs:
            native["tlvs"] = tlvs
    return native


def _others(pdu: SubmitSm) -> list[tuple[int, bytes]]:
    kept = []
    room = _TLVS_MAX
    for tag, value in pdu.tlvs:
        room -= 4 + len(value)
        if tag in _USED_TLVS:
            room += 4 + len(value)
        elif room >= 0:
            kept.append((tag, value))
    return kept
