"""From our words to PDUs: `receipt_from_report` and `deliver_sms_from_inbound`."""

from __future__ import annotations

from bridge.listeners.smpp.profiles import Receipts, written_id
from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import ERROR
from bridge.message import Inbound, Owed, Reason
from bridge.smpp.enums import Tag
from bridge.smpp.pdus import DataSm, DeliverSm
from bridge.smpp.receipts import error_text, receipt_text, receipt_tlvs
from bridge.smpp.wire import Tlvs
from bridge.sms.encoding import BINARY, TextError, data_coding_of, delivered_alphabet, encode
from bridge.sms.segments import Concat, build_udh, element_of, split

_TON_INTERNATIONAL = 1
_TON_ALPHANUMERIC = 5
_NPI_ISDN = 1
_ESM_UDHI = 0x40
_ESM_RECEIPT = 0x04
_ESM_INTERMEDIATE = 0x20
_SHORT_MESSAGE = 254
_ADDRESS = 20
_YEAR_2100 = 4_102_444_800  # a receipt's dates have two digits for the year; a provider may count in milliseconds
_SHORTEST_INTERNATIONAL = 7  # digits; what is shorter is a short code
_INBOUND_PARTS = 8  # deliver_sm for one inbound message; a longer one goes whole, as message_payload
_PAYLOAD_MAX = 7000  # octets of it: the smallest limit of a client is that of Kannel, 7424 for the whole PDU


def shown_id(message_id: int, settings: SmppAccount) -> str:
    """A message id as the account's profile writes it, in submit_sm_resp and wherever a client may ask for it."""
    receipts = settings.receipts
    return written_id(message_id, receipts.id or settings.message_id, receipts.case)


def receipt_from_report(owed: Owed, settings: SmppAccount, version: str) -> DeliverSm | DataSm:
    """The receipt for a message or a part of one: source and destination swapped, the rest as the profile says.

    From 3.4 on it has TLVs. A state that is not final makes it an intermediate notification.
    """
    message, report, receipts = owed.message, owed.report, settings.receipts
    assert message is not None
    assert report is not None
    native = message.native if owed.part is None else owed.part.native
    form = receipts.reported_id
    message_id = shown_id(owed.known_id, settings) if form is None else written_id(owed.known_id, form, receipts.case)
    reason = report.reason
    tlvs: Tlvs = ()
    if receipts.tlvs and version != "3.3":
        failed = None if reason is None or not receipts.network_error_code else _network_error(reason, receipts)
        tlvs = receipt_tlvs(message_id, report.state, failed)
        reference = native.get("user_message_reference")
        if reference is not None:
            tlvs += ((Tag.USER_MESSAGE_REFERENCE, bytes(reference)),)
    error = None if reason is None or receipts.err == "none" else receipts.errors.get(reason)
    octets = receipt_text(
        message_id,
        report.state,
        submitted_at=message.accepted_at,
        done_at=report.at if report.at is not None and 0 < report.at < _YEAR_2100 else owed.created_at,
        error=error or error_text(0 if reason is None else int(ERROR[reason]), receipts.err),
        text=message.text or "",
        parts=len(message.parts) if message.one_report and message.parts else 1,
        counts=receipts.counts,
        seconds=receipts.seconds,
        characters=receipts.text,
        label=receipts.text_label,
    ).encode("ascii", "replace")
    source = native.get("destination", (_TON_INTERNATIONAL, _NPI_ISDN, message.destination))
    destination = native.get("source", (0, 0, message.source or ""))
    pdu = DeliverSm(
        source_addr_ton=source[0],
        source_addr_npi=source[1],
        source_addr=source[2],
        dest_addr_ton=destination[0],
        dest_addr_npi=destination[1],
        destination_addr=destination[2],
        esm_class=_ESM_RECEIPT if report.state.final else _ESM_INTERMEDIATE,
        short_message=octets,
        tlvs=tlvs,
    )
    return data_sm_from_deliver_sm(pdu) if receipts.by == "data_sm" and version != "3.3" else pdu


def data_sm_from_deliver_sm(pdu: DeliverSm) -> DataSm:
    """The same as a data_sm, which has its text in message_payload (3.4 §4.7.1)."""
    return DataSm(
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        esm_class=pdu.esm_class,
        data_coding=pdu.data_coding,
        tlvs=(*pdu.tlvs, (Tag.MESSAGE_PAYLOAD, pdu.short_message)),
    )


def deliver_sms_from_inbound(owed: Owed, settings: SmppAccount, version: str) -> list[DeliverSm]:
    """An inbound message in as many deliver_sm as it takes, concatenated by UDH where there are several.

    From 3.4 on a very long one is a single message_payload instead, unless it is too large for that.
    Raises TextError for more than 255 parts, and for octets that no 3.3 client can take.
    """
    inbound = owed.inbound
    assert inbound is not None
    source, destination = _address(inbound.source), _address(inbound.destination)
    pieces, data_coding = _pieces(inbound, owed.known_id, settings.alphabet, version)
    return [
        DeliverSm(
            source_addr_ton=source[0],
            source_addr_npi=source[1],
            source_addr=source[2],
            dest_addr_ton=destination[0],
            dest_addr_npi=destination[1],
            destination_addr=destination[2],
            esm_class=_ESM_UDHI if with_header else 0,
            data_coding=data_coding,
            short_message=octets if len(octets) <= _SHORT_MESSAGE else b"",
            tlvs=() if len(octets) <= _SHORT_MESSAGE else ((Tag.MESSAGE_PAYLOAD, octets),),
        )
        for octets, with_header in pieces
    ]


def _pieces(inbound: Inbound, known_id: int, alphabet: str, version: str) -> tuple[list[tuple[bytes, bool]], int]:
    """User data with or without a header before it, piece by piece, and the data_coding of all."""
    if inbound.binary is not None:
        udh = inbound.udh or b""
        octets = udh + inbound.binary
        if len(octets) > _SHORT_MESSAGE and version == "3.3":
            raise TextError(f"{len(octets)} octets do not fit in a deliver_sm of 3.3")
        return [(octets, bool(udh))], data_coding_of(BINARY)
    own, alphabet = alphabet, delivered_alphabet(inbound.text, alphabet)
    data_coding = data_coding_of(alphabet, default=own)
    cuts = split(inbound.text, alphabet)
    if len(cuts) > _INBOUND_PARTS and version != "3.3":  # which has no TLVs
        payload = encode(inbound.text, alphabet)
        if len(payload) <= _PAYLOAD_MAX:
            return [(payload, False)], data_coding
    if len(cuts) == 1:
        return [(cuts[0].octets, False)], data_coding
    pieces = []
    for cut in cuts:
        concat = Concat(known_id & 0xFF, cut.total, cut.number, "udh8")
        pieces.append((build_udh([element_of(concat)]) + cut.octets, True))
    return pieces, data_coding


def _network_error(reason: Reason, receipts: Receipts) -> int:
    """The network's error, 0..65535: the account's own code where it is a number, else ours."""
    own = receipts.errors.get(reason, "")
    return int(own) if own.isdecimal() else int(ERROR[reason])


def _address(number: str) -> tuple[int, int, str]:
    """TON, NPI and address of a number, a short code or a name, whatever a provider gave us for it."""
    number = number[1:] if number[:1] == "+" and number[1:].isdigit() else number
    if not (number.isascii() and number.isdigit()):
        return _TON_ALPHANUMERIC, 0, number[:_ADDRESS].replace("\0", "?").encode("latin-1", "replace").decode("latin-1")
    if len(number) < _SHORTEST_INTERNATIONAL:
        return 0, 0, number
    return _TON_INTERNATIONAL, _NPI_ISDN, number[:_ADDRESS]
