"""Between PDUs and our words, in pairs: `message_from_submit_sm` and `deliver_sm_from_report` (or `_inbound`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.errors import Refusal
from bridge.listeners.smpp.settings import SmppAccount
from bridge.message import Message, Owed, Reason, ReportOn, Segment
from bridge.routing.numbers import NumberError, normalise, source_of
from bridge.smpp.enums import Status, Tag
from bridge.smpp.pdus import DeliverSm, SubmitSm
from bridge.smpp.receipts import receipt_text, receipt_tlvs
from bridge.smpp.times import TimeError, parse_time
from bridge.smpp.wire import Tlvs
from bridge.sms.encoding import BINARY, TextError, best_alphabet, coding_of, data_coding_of, decode, encode
from bridge.sms.segments import Concat, Cut, alphabet_of, build_udh, concat_of, element_of, parse_udh, split

STATUS: dict[Reason, Status] = {
    Reason.INVALID_REQUEST: Status.RSUBMITFAIL,
    Reason.INVALID_SOURCE: Status.RINVSRCADR,
    Reason.SOURCE_NOT_ALLOWED: Status.RINVSRCADR,
    Reason.INVALID_DESTINATION: Status.RINVDSTADR,
    Reason.INVALID_TEXT: Status.RINVMSGLEN,
    Reason.TEXT_TOO_LONG: Status.RINVMSGLEN,
    Reason.INVALID_VALIDITY: Status.RINVEXPIRY,
    Reason.INVALID_SCHEDULE: Status.RINVSCHED,
    Reason.UNSUPPORTED: Status.RSUBMITFAIL,
    Reason.NO_ROUTE: Status.RINVDSTADR,
    Reason.NOT_PERMITTED: Status.RSUBMITFAIL,
    Reason.THROTTLED: Status.RTHROTTLED,
    Reason.QUEUE_FULL: Status.RMSGQFUL,
    Reason.UNAVAILABLE: Status.RSYSERR,
} | dict.fromkeys(
    # Known only after the message was taken, so never an answer to submit_sm; listed so that the table is whole.
    (
        Reason.PARTS_MISSING,
        Reason.CANCELLED,
        Reason.VALIDITY_ELAPSED,
        Reason.UNKNOWN_SUBSCRIBER,
        Reason.ABSENT_SUBSCRIBER,
        Reason.HANDSET_ERROR,
        Reason.BARRED,
        Reason.BLOCKED,
        Reason.NETWORK_ERROR,
        Reason.CONTENT_REFUSED,
        Reason.SENDER_REFUSED,
        Reason.NO_CREDIT,
        Reason.PROVIDER_ACCOUNT,
        Reason.PROVIDER_UNREACHABLE,
        Reason.PROVIDER_REFUSED,
        Reason.UNSURE,
        Reason.NO_REPORT,
        Reason.UNSPECIFIED,
    ),
    Status.RSUBMITFAIL,
)

# `err` of a receipt: three decimal digits, GSM cause values (3GPP TS 29.002) where there is one, else our own 2xx.
ERROR: dict[Reason, str] = {
    Reason.UNKNOWN_SUBSCRIBER: "001",
    Reason.ABSENT_SUBSCRIBER: "027",
    Reason.HANDSET_ERROR: "031",
    Reason.BARRED: "013",
    Reason.BLOCKED: "201",
    Reason.NETWORK_ERROR: "034",
    Reason.CONTENT_REFUSED: "202",
    Reason.SENDER_REFUSED: "203",
    Reason.NO_CREDIT: "204",
    Reason.PROVIDER_ACCOUNT: "205",
    Reason.PROVIDER_UNREACHABLE: "206",
    Reason.PROVIDER_REFUSED: "207",
    Reason.UNSURE: "208",
    Reason.NO_REPORT: "209",
    Reason.VALIDITY_ELAPSED: "210",
    Reason.CANCELLED: "211",
    Reason.PARTS_MISSING: "212",
    Reason.INVALID_REQUEST: "220",
    Reason.INVALID_SOURCE: "221",
    Reason.SOURCE_NOT_ALLOWED: "222",
    Reason.INVALID_DESTINATION: "223",
    Reason.INVALID_TEXT: "224",
    Reason.TEXT_TOO_LONG: "225",
    Reason.INVALID_VALIDITY: "226",
    Reason.INVALID_SCHEDULE: "227",
    Reason.UNSUPPORTED: "228",
    Reason.NO_ROUTE: "229",
    Reason.NOT_PERMITTED: "230",
    Reason.THROTTLED: "231",
    Reason.QUEUE_FULL: "232",
    Reason.UNAVAILABLE: "233",
    Reason.UNSPECIFIED: "255",
}

_TON_INTERNATIONAL = 1
_TON_ALPHANUMERIC = 5
_NPI_ISDN = 1
_ESM_UDHI = 0x40
_ESM_RECEIPT = 0x04
_SHORT_MESSAGE = 254
_ADDRESS = 20
_YEAR_2100 = 4_102_444_800  # a receipt's dates have two digits for the year; a provider may count in milliseconds
_SHORTEST_INTERNATIONAL = 7  # digits; what is shorter is a short code
_INBOUND_PARTS = 8  # deliver_sm for one inbound message; a longer one goes whole, as message_payload


class Unsupported(Refusal):
    """A refusal whose status the reason alone does not tell."""

    def __init__(self, status: Status, reason: Reason, text: str) -> None:
        super().__init__(reason, text)
        self.status = status


def status_of(refusal: Refusal) -> Status:
    """The command_status that answers a refusal."""
    return refusal.status if isinstance(refusal, Unsupported) else STATUS[Reason(refusal.reason)]


def shown_id(message_id: int, settings: SmppAccount) -> str:
    """A message id as the account's profile writes it."""
    return f"{message_id:x}" if settings.message_id == "hex" else str(message_id)


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
        native=_native(pdu),
    )


def deliver_sm_from_report(owed: Owed, settings: SmppAccount, version: str) -> DeliverSm:
    """The receipt for a message or a part of one: source and destination swapped, canonical text, TLVs from 3.4 on."""
    message, report = owed.message, owed.report
    assert message is not None
    assert report is not None
    native = message.native if owed.part is None else owed.part.native
    message_id = shown_id(owed.known_id, settings)
    tlvs: Tlvs = ()
    if version != "3.3":
        tlvs = receipt_tlvs(message_id, report.state)
        reference = native.get("user_message_reference")
        if reference is not None:
            tlvs += ((Tag.USER_MESSAGE_REFERENCE, bytes(reference)),)
    text = receipt_text(
        message_id,
        report.state,
        submitted_at=message.accepted_at,
        done_at=report.at if report.at is not None and 0 < report.at < _YEAR_2100 else owed.created_at,
        error=ERROR[report.reason] if report.reason is not None else "000",
        text=message.text or "",
    )
    source = native.get("destination", (_TON_INTERNATIONAL, _NPI_ISDN, message.destination))
    destination = native.get("source", (0, 0, message.source or ""))
    return DeliverSm(
        source_addr_ton=source[0],
        source_addr_npi=source[1],
        source_addr=source[2],
        dest_addr_ton=destination[0],
        dest_addr_npi=destination[1],
        destination_addr=destination[2],
        esm_class=_ESM_RECEIPT,
        short_message=text.encode("ascii", "replace"),
        tlvs=tlvs,
    )


def deliver_sms_from_inbound(owed: Owed, settings: SmppAccount, version: str) -> Iterator[DeliverSm]:
    """An inbound message in as many deliver_sm as it takes, concatenated by UDH where there are several."""
    inbound = owed.inbound
    assert inbound is not None
    alphabet = _delivered_alphabet(inbound.text, settings.alphabet)
    cuts = split(inbound.text, alphabet)
    if len(cuts) > _INBOUND_PARTS and version != "3.3":  # which has no TLVs
        cuts = [Cut(1, 1, b"".join(cut.octets for cut in cuts), alphabet)]
    source, destination = _address(inbound.source), _address(inbound.destination)
    for cut in cuts:
        octets, esm_class = cut.octets, 0
        if len(cuts) > 1:
            concat = Concat(owed.known_id & 0xFF, cut.total, cut.number, "udh8")
            octets, esm_class = build_udh([element_of(concat)]) + octets, _ESM_UDHI
        yield DeliverSm(
            source_addr_ton=source[0],
            source_addr_npi=source[1],
            source_addr=source[2],
            dest_addr_ton=destination[0],
            dest_addr_npi=destination[1],
            destination_addr=destination[2],
            esm_class=esm_class,
            data_coding=data_coding_of(alphabet),
            short_message=octets if len(octets) <= _SHORT_MESSAGE else b"",
            tlvs=() if len(octets) <= _SHORT_MESSAGE else ((Tag.MESSAGE_PAYLOAD, octets),),
        )


def _delivered_alphabet(text: str, alphabet: str) -> str:
    """GSM 7-bit if the client, which reads data_coding 0 in the `alphabet` of its account, reads the same; or UCS-2."""
    best = best_alphabet(text)
    if best == "ucs2" or alphabet == "gsm7":
        return best
    try:
        same = decode(encode(text, best), alphabet) == text
    except TextError:
        same = False
    return best if same else "ucs2"


def _address(number: str) -> tuple[int, int, str]:
    """TON, NPI and address of a number, a short code or a name, whatever a provider gave us for it."""
    if not (number.isascii() and number.isdigit()):
        return _TON_ALPHANUMERIC, 0, number[:_ADDRESS].replace("\0", "?").encode("latin-1", "replace").decode("latin-1")
    if len(number) < _SHORTEST_INTERNATIONAL:
        return 0, 0, number
    return _TON_INTERNATIONAL, _NPI_ISDN, number[:_ADDRESS]


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
    """What a receipt needs of the PDU."""
    native: dict[str, Any] = {
        "source": (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr),
        "destination": (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr),
    }
    if pdu.tlvs:
        reference = pdu.tlv(Tag.USER_MESSAGE_REFERENCE)
        if reference is not None:
            native["user_message_reference"] = reference
    return native
