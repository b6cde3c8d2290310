"""From our words to PDUs: `deliver_sm_from_report` and `deliver_sms_from_inbound`."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import ERROR
from bridge.message import Owed
from bridge.smpp.enums import Tag
from bridge.smpp.pdus import DeliverSm
from bridge.smpp.receipts import receipt_text, receipt_tlvs
from bridge.smpp.wire import Tlvs
from bridge.sms.encoding import TextError, best_alphabet, data_coding_of, decode, encode
from bridge.sms.segments import Concat, Cut, build_udh, element_of, split

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


def shown_id(message_id: int, settings: SmppAccount) -> str:
    """A message id as the account's profile writes it."""
    return f"{message_id:x}" if settings.message_id == "hex" else str(message_id)


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
