"""Every PDU as a type, and with that the one table of mandatory fields.

A class lists its fields in the order of the wire, each annotated with its kind (`bridge.smpp.wire`): one octet, a
C-octet string with its maximum, counted octets, or a list. `bridge.smpp.codec` makes its functions from that, so
there is nothing else to keep in step.

Sources: SMPP 3.4 §4, 5.0 §4; the field names are those of the specification. C-octet strings are `str` (Latin-1),
message text is `bytes`. `sequence` and `status` are the header's; TLVs stand behind the fields, in the order they came.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from bridge.smpp.enums import RESPONSE_BIT, CommandId, Status
from bridge.smpp.wire import Counted, CString, Destinations, Integer, Tlvs, Unsuccesses


class SmeAddress(msgspec.Struct, frozen=True, gc=False):
    """A dest_address with dest_flag 1: an address (3.4 §4.5.1.1)."""

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str


class DistributionList(msgspec.Struct, frozen=True, gc=False):
    """A dest_address with dest_flag 2: the name of a list (3.4 §4.5.1.2)."""

    dl_name: str


class UnsuccessSme(msgspec.Struct, frozen=True, gc=False):
    """An address that a submit_multi was not accepted for, and why (3.4 §4.5.2.1)."""

    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str
    error_status_code: int


DestAddress = SmeAddress | DistributionList

Octet = Annotated[int, Integer()]
ShortMessage = Annotated[bytes, Counted()]
DestAddresses = Annotated[tuple[DestAddress, ...], Destinations()]
UnsuccessSmes = Annotated[tuple[UnsuccessSme, ...], Unsuccesses()]

SystemId = Annotated[str, CString(16, Status.RINVSYSID)]
# The specification says 9. Clients with longer secrets exist, and whether one is right is not for the codec to say.
Password = Annotated[str, CString(64, Status.RINVPASWD)]
SystemType = Annotated[str, CString(13, Status.RINVSYSTYP)]
AddressRange = Annotated[str, CString(41)]
ServiceType = Annotated[str, CString(6, Status.RINVSERTYP)]
MessageId = Annotated[str, CString(65, Status.RINVMSGID)]
SourceAddress = Annotated[str, CString(21, Status.RINVSRCADR)]
DestinationAddress = Annotated[str, CString(21, Status.RINVDSTADR)]
LongSourceAddress = Annotated[str, CString(65, Status.RINVSRCADR)]
LongDestinationAddress = Annotated[str, CString(65, Status.RINVDSTADR)]
ScheduleTime = Annotated[str, CString(17, Status.RINVSCHED)]
ValidityTime = Annotated[str, CString(17, Status.RINVEXPIRY)]
FinalDate = Annotated[str, CString(17)]


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
        shown = [
            f"{name}={value}" if isinstance(value, int) else f"{name}=<{len(value)}>"
            for name, value in ((name, getattr(self, name)) for name in self.__struct_fields__)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class _Bind(Pdu):
    """3.4 §4.1.1, §4.1.3, §4.1.5."""

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


Bind = BindReceiver | BindTransmitter | BindTransceiver


class _BindResp(Pdu):
    """3.4 §4.1.2, §4.1.4, §4.1.6."""

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


def _concrete(base: type[Pdu]) -> list[type[Pdu]]:
    found = []
    for kind in base.__subclasses__():
        found += _concrete(kind) if kind.__name__.startswith("_") else [kind, *_concrete(kind)]
    return found


PDUS: Final[dict[int, type[Pdu]]] = {int(kind.command): kind for kind in _concrete(Pdu)}


def answer_id(command_id: int) -> int:
    """The command_id that answers `command_id`: its response where there is one, otherwise generic_nack."""
    response = command_id | RESPONSE_BIT
    return response if response in PDUS else CommandId.GENERIC_NACK
