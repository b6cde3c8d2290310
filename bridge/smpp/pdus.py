"""Every PDU as a type, and with that the one table of mandatory fields.

A class lists its fields in the order of the wire, each annotated with its kind (`bridge.smpp.fields`): an octet, a
C-octet string with its maximum, counted octets, or a list. `bridge.smpp.codec` makes its functions from that.

Sources: SMPP 3.4 §4, 5.0 §4; the field names are those of the specification. C-octet strings are `str` (Latin-1),
message text is `bytes`. `sequence` and `status` are the header's; TLVs stand behind the fields, in the order they came.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from bridge.smpp.enums import CommandId
from bridge.smpp.fields import (
    AddressRange,
    DestAddresses,
    DestinationAddress,
    FinalDate,
    LongDestinationAddress,
    LongSourceAddress,
    MessageId,
    Octet,
    Password,
    ScheduleTime,
    ServiceType,
    ShortMessage,
    SourceAddress,
    SystemId,
    SystemType,
    UnsuccessSmes,
    ValidityTime,
)
from bridge.smpp.wire import Tlvs


class Pdu(msgspec.Struct, gc=False):
    """What every PDU has; `sequence` 0..0xFFFFFFFF as it came, `status` 0 in requests."""

    command: ClassVar[CommandId]

    sequence: int = 0
    status: int = 0
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first TLV with this tag, or None."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None

    def __repr__(self) -> str:
        """Integers are shown, of text only how long it is: a PDU may hold a password, numbers and a message."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        shown = [f"{n}={v}" if isinstance(v, int) else f"{n}=<{len(v)}>" for n, v in values.items()]
        return f"{type(self).__name__}({', '.join(shown)})"


class _Bind(Pdu):
    """What the three have in common."""

    system_id: SystemId = ""
    password: Password = ""
    system_type: SystemType = ""
    interface_version: Octet = 0x34
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: AddressRange = ""


class BindReceiver(_Bind):
    """3.4 §4.1.3."""

    command: ClassVar[CommandId] = CommandId.BIND_RECEIVER


class BindTransmitter(_Bind):
    """3.4 §4.1.1."""

    command: ClassVar[CommandId] = CommandId.BIND_TRANSMITTER


class BindTransceiver(_Bind):
    """3.4 §4.1.5."""

    command: ClassVar[CommandId] = CommandId.BIND_TRANSCEIVER


class _BindResp(Pdu):
    """What the three have in common."""

    system_id: SystemId = ""


class BindReceiverResp(_BindResp):
    """3.4 §4.1.4."""

    command: ClassVar[CommandId] = CommandId.BIND_RECEIVER_RESP


class BindTransmitterResp(_BindResp):
    """3.4 §4.1.2."""

    command: ClassVar[CommandId] = CommandId.BIND_TRANSMITTER_RESP


class BindTransceiverResp(_BindResp):
    """3.4 §4.1.6."""

    command: ClassVar[CommandId] = CommandId.BIND_TRANSCEIVER_RESP


class Outbind(Pdu):
    """3.4 §4.1.7."""

    command: ClassVar[CommandId] = CommandId.OUTBIND

    system_id: SystemId = ""
    password: Password = ""


class Unbind(Pdu):
    """3.4 §4.2.1."""

    command: ClassVar[CommandId] = CommandId.UNBIND


class UnbindResp(Pdu):
    """3.4 §4.2.2."""

    command: ClassVar[CommandId] = CommandId.UNBIND_RESP


class GenericNack(Pdu):
    """3.4 §4.3.1."""

    command: ClassVar[CommandId] = CommandId.GENERIC_NACK


class _Sm(Pdu):
    """3.4 §4.4.1, §4.6.1: submit_sm and deliver_sm have the same fields."""

    service_type: ServiceType = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: DestinationAddress = ""
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: ScheduleTime = ""
    validity_period: ValidityTime = ""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""  # 3.4 allows 254 octets, 5.0 255


class SubmitSm(_Sm):
    """3.4 §4.4.1."""

    command: ClassVar[CommandId] = CommandId.SUBMIT_SM


class DeliverSm(_Sm):
    """3.4 §4.6.1."""

    command: ClassVar[CommandId] = CommandId.DELIVER_SM


class _MessageIdResp(Pdu):
    """A response that names a message."""

    message_id: MessageId = ""


class SubmitSmResp(_MessageIdResp):
    """3.4 §4.4.2; towards a 3.3 peer the id has at most 8 characters."""

    command: ClassVar[CommandId] = CommandId.SUBMIT_SM_RESP


class DeliverSmResp(_MessageIdResp):
    """3.4 §4.6.2; the id is unused, but clients send one, or no body at all."""

    command: ClassVar[CommandId] = CommandId.DELIVER_SM_RESP


class SubmitMulti(Pdu):
    """3.4 §4.5.1."""

    command: ClassVar[CommandId] = CommandId.SUBMIT_MULTI

    service_type: ServiceType = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""
    dest_address: DestAddresses = ()
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: ScheduleTime = ""
    validity_period: ValidityTime = ""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""


class SubmitMultiResp(_MessageIdResp):
    """3.4 §4.5.2."""

    command: ClassVar[CommandId] = CommandId.SUBMIT_MULTI_RESP

    unsuccess_sme: UnsuccessSmes = ()


class DataSm(Pdu):
    """3.4 §4.7.1; the text is in message_payload."""

    command: ClassVar[CommandId] = CommandId.DATA_SM

    service_type: ServiceType = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongSourceAddress = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: LongDestinationAddress = ""
    esm_class: Octet = 0
    registered_delivery: Octet = 0
    data_coding: Octet = 0


class DataSmResp(_MessageIdResp):
    """3.4 §4.7.2."""

    command: ClassVar[CommandId] = CommandId.DATA_SM_RESP


class QuerySm(Pdu):
    """3.4 §4.8.1."""

    command: ClassVar[CommandId] = CommandId.QUERY_SM

    message_id: MessageId = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""


class QuerySmResp(_MessageIdResp):
    """3.4 §4.8.2."""

    command: ClassVar[CommandId] = CommandId.QUERY_SM_RESP

    final_date: FinalDate = ""
    message_state: Octet = 0
    error_code: Octet = 0


class CancelSm(Pdu):
    """3.4 §4.9.1."""

    command: ClassVar[CommandId] = CommandId.CANCEL_SM

    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: DestinationAddress = ""


class CancelSmResp(Pdu):
    """3.4 §4.9.2."""

    command: ClassVar[CommandId] = CommandId.CANCEL_SM_RESP


class ReplaceSm(Pdu):
    """3.4 §4.10.1."""

    command: ClassVar[CommandId] = CommandId.REPLACE_SM

    message_id: MessageId = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""
    schedule_delivery_time: ScheduleTime = ""
    validity_period: ValidityTime = ""
    registered_delivery: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: ShortMessage = b""


class ReplaceSmResp(Pdu):
    """3.4 §4.10.2."""

    command: ClassVar[CommandId] = CommandId.REPLACE_SM_RESP


class EnquireLink(Pdu):
    """3.4 §4.11.1."""

    command: ClassVar[CommandId] = CommandId.ENQUIRE_LINK


class EnquireLinkResp(Pdu):
    """3.4 §4.11.2."""

    command: ClassVar[CommandId] = CommandId.ENQUIRE_LINK_RESP


class AlertNotification(Pdu):
    """3.4 §4.12.1; it has no response."""

    command: ClassVar[CommandId] = CommandId.ALERT_NOTIFICATION

    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongSourceAddress = ""
    esme_addr_ton: Octet = 0
    esme_addr_npi: Octet = 0
    esme_addr: LongDestinationAddress = ""


class BroadcastSm(Pdu):
    """5.0 §4.4.1; area, content type, repetition and interval are TLVs."""

    command: ClassVar[CommandId] = CommandId.BROADCAST_SM

    service_type: ServiceType = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""
    message_id: MessageId = ""
    priority_flag: Octet = 0
    schedule_delivery_time: ScheduleTime = ""
    validity_period: ValidityTime = ""
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0


class BroadcastSmResp(_MessageIdResp):
    """5.0 §4.4.2."""

    command: ClassVar[CommandId] = CommandId.BROADCAST_SM_RESP


class QueryBroadcastSm(Pdu):
    """5.0 §4.6.1."""

    command: ClassVar[CommandId] = CommandId.QUERY_BROADCAST_SM

    message_id: MessageId = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""


class QueryBroadcastSmResp(_MessageIdResp):
    """5.0 §4.6.2."""

    command: ClassVar[CommandId] = CommandId.QUERY_BROADCAST_SM_RESP


class CancelBroadcastSm(Pdu):
    """5.0 §4.6.3."""

    command: ClassVar[CommandId] = CommandId.CANCEL_BROADCAST_SM

    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: SourceAddress = ""


class CancelBroadcastSmResp(Pdu):
    """5.0 §4.6.4."""

    command: ClassVar[CommandId] = CommandId.CANCEL_BROADCAST_SM_RESP


PDUS: Final[dict[int, type[Pdu]]] = {
    kind.command: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Pdu) and "command" in vars(kind)
}
