"""Other operations seen as submit_sm, so that every message is made in one place, and messages seen by their addresses.

data_sm, each destination of submit_multi and what replace_sm leads to are submit_sm with some fields from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import Unsupported
from bridge.listeners.smpp.translate_out import shown_id
from bridge.message import Message, Reason
from bridge.smpp.enums import Status, Tag
from bridge.smpp.fields import DistributionList, SmeAddress
from bridge.smpp.pdus import CancelSm, DataSm, ReplaceSm, SubmitMulti, SubmitSm

_TON_INTERNATIONAL = 1
_NPI_ISDN = 1
_ADDRESS = 20  # characters that deliver_sm, which brings the receipt, has room for
_IDS_BELOW = 2**63
_DESTINATIONS = {"5.0": 255}  # 5.0 §4.2.4.6
_DESTINATIONS_3_4 = 254  # 3.4 §4.5.1


def id_of(shown: str, settings: SmppAccount) -> int | None:
    """The id that `shown_id` writes so, leading zeros and case aside; None when it writes none so."""
    text = shown.strip().lower()
    for base in (10, 16):
        try:
            number = int(text, base) if text.isascii() and text.isalnum() else 0
        except ValueError:
            continue
        if 0 < number < _IDS_BELOW and shown_id(number, settings).lower().lstrip("0") == text.lstrip("0"):
            return number
    return None


def submit_sm_from_data_sm(pdu: DataSm) -> SubmitSm:
    """3.4 §4.7.1: its text is in message_payload alone. Raises Unsupported."""
    if pdu.tlv(Tag.MESSAGE_PAYLOAD) is None:
        raise Unsupported(Status.RMISSINGOPTPARAM, Reason.INVALID_REQUEST, "data_sm without message_payload")
    if len(pdu.source_addr) > _ADDRESS:
        raise Unsupported(Status.RINVSRCADR, Reason.INVALID_SOURCE, "the address is too long for a receipt")
    if len(pdu.destination_addr) > _ADDRESS:
        raise Unsupported(Status.RINVDSTADR, Reason.INVALID_DESTINATION, "the address is too long for a receipt")
    return SubmitSm(
        sequence=pdu.sequence,
        tlvs=pdu.tlvs,
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        esm_class=pdu.esm_class,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding,
    )


def submit_sms_from_submit_multi(pdu: SubmitMulti, settings: SmppAccount, version: str) -> Iterator[SubmitSm]:
    """One for each destination, those of its lists too, in their order. Raises Unsupported."""
    if len(pdu.dest_address) > _DESTINATIONS.get(version, _DESTINATIONS_3_4):
        raise Unsupported(Status.RINVNUMDESTS, Reason.INVALID_REQUEST, "too many destinations")
    if pdu.replace_if_present_flag:
        known = pdu.replace_if_present_flag == 1
        status = Status.RINVSUBREP if known else Status.RINVREPFLAG
        raise Unsupported(status, Reason.UNSUPPORTED, "submit_multi replaces nothing")
    for destination in (one for each in pdu.dest_address for one in _addresses(each, settings)):
        yield SubmitSm(
            sequence=pdu.sequence,
            tlvs=pdu.tlvs,
            service_type=pdu.service_type,
            source_addr_ton=pdu.source_addr_ton,
            source_addr_npi=pdu.source_addr_npi,
            source_addr=pdu.source_addr,
            dest_addr_ton=destination.dest_addr_ton,
            dest_addr_npi=destination.dest_addr_npi,
            destination_addr=destination.destination_addr,
            esm_class=pdu.esm_class,
            protocol_id=pdu.protocol_id,
            priority_flag=pdu.priority_flag,
            schedule_delivery_time=pdu.schedule_delivery_time,
            validity_period=pdu.validity_period,
            registered_delivery=pdu.registered_delivery,
            data_coding=pdu.data_coding,
            sm_default_msg_id=pdu.sm_default_msg_id,
            short_message=pdu.short_message,
        )


def _addresses(destination: SmeAddress | DistributionList, settings: SmppAccount) -> list[SmeAddress]:
    if isinstance(destination, SmeAddress):
        return [destination]
    if not settings.lists:
        raise Unsupported(Status.RCNTSUBDL, Reason.NOT_PERMITTED, "the account has no distribution lists")
    numbers = settings.lists.get(destination.dl_name)
    if numbers is None:
        raise Unsupported(Status.RINVDLNAME, Reason.INVALID_DESTINATION, "no such distribution list")
    return [SmeAddress(_TON_INTERNATIONAL, _NPI_ISDN, number.removeprefix("+")) for number in numbers]


def submit_sm_from_replace_sm(pdu: ReplaceSm, message: Message) -> SubmitSm:
    """What `message` would have been submitted as, with the text and the times of `pdu` (3.4 §4.10.1)."""
    native = message.native
    source, destination = native["source"], native["destination"]
    return SubmitSm(
        sequence=pdu.sequence,
        tlvs=pdu.tlvs,
        service_type=native.get("service_type", ""),
        source_addr_ton=source[0],
        source_addr_npi=source[1],
        source_addr=source[2],
        dest_addr_ton=destination[0],
        dest_addr_npi=destination[1],
        destination_addr=destination[2],
        esm_class=native.get("esm_class", 0),
        protocol_id=native.get("protocol_id", 0),
        priority_flag=message.priority,
        schedule_delivery_time=pdu.schedule_delivery_time,
        validity_period=pdu.validity_period,
        registered_delivery=pdu.registered_delivery,
        data_coding=native.get("data_coding", 0),
        sm_default_msg_id=pdu.sm_default_msg_id,
        short_message=pdu.short_message,
    )


def submit_sm_from_cancel_sm(pdu: CancelSm) -> SubmitSm:
    """An empty message with the addresses of those that are to be cancelled."""
    return SubmitSm(
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
    )


def is_from(message: Message, address: str) -> bool:
    """True for a message that was submitted with that source address; TON and NPI, often left out, do not count."""
    native = message.native.get("source")
    return _same(address, native[2] if native is not None else "", message.source)


def is_to(message: Message, address: str) -> bool:
    """True for a message that was submitted with that destination address."""
    native = message.native.get("destination")
    return _same(address, native[2] if native is not None else "", message.destination)


def is_of(service_type: str) -> Callable[[Message], bool]:
    """Asks for messages that were submitted with that service_type."""
    return lambda message: message.native.get("service_type", "") == service_type


def _same(address: str, submitted: str, kept: str | None) -> bool:
    plain = address.strip().removeprefix("+")
    return plain in (submitted.strip().removeprefix("+"), kept or "")
