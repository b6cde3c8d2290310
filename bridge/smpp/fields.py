"""The kinds of mandatory fields, and the fields that occur in more than one PDU by name.

`bridge.smpp.pdus` annotates with these; `bridge.smpp.codec` reads the annotations. Maxima are those of 3.4 §4, with the
NUL counted; the status is what answers a longer string.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from bridge.smpp.enums import Status


class Integer(NamedTuple):
    """One octet, 0..255."""


class CString(NamedTuple):
    """Text and a NUL, at most `maximum` octets together; `status` is the answer to a longer one."""

    maximum: int
    status: Status = Status.RINVCMDLEN


class Counted(NamedTuple):
    """One octet that counts, then as many octets; the last field of its PDU."""


class Destinations(NamedTuple):
    """number_of_dests, then as many dest_address (3.4 §4.5.1.1)."""


class Unsuccesses(NamedTuple):
    """no_unsuccess, then as many unsuccess_sme (3.4 §4.5.2.1)."""


Kind = Integer | CString | Counted | Destinations | Unsuccesses


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
