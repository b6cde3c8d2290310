"""The smallest pieces on the wire: header, C-octet strings, TLVs, and what can be wrong with them.

Integers are unsigned and big-endian; a C-octet string ends with one NUL, which its maximum counts (3.4 §3.1).

Two errors, by what the receiver does next::

    PduError
    ├── DecodeError    framed, but not as its table says: answer `status` and go on
    └── FramingError   command_length is impossible: answer RINVCMDLEN and close, nothing after it can be found
    EncodeError        a value of ours does not fit its field: nothing was sent

No text of an error holds a value of the PDU: it may be logged.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import Final, NamedTuple

from bridge.smpp.enums import RESPONSE_BIT, SUBMISSION_TLV_OCTETS, Status

HEADER_OCTETS: Final = 16

unpack_header = Struct(">4I").unpack_from  # command_length, command_id, command_status, sequence_number
pack_header = Struct(">4I").pack
unpack_length = Struct(">I").unpack_from
unpack_u32 = Struct(">I").unpack_from
pack_u32 = Struct(">I").pack
_unpack_tlv = Struct(">2H").unpack_from
_pack_tlv = Struct(">2H").pack

Tlvs = tuple[tuple[int, bytes], ...]


# --- header and errors ---------------------------------------------------------------------------------------------


class Header(NamedTuple):
    """The first 16 octets of a PDU (3.4 §3.2)."""

    length: int
    command_id: int
    status: int
    sequence: int

    @property
    def is_response(self) -> bool:
        """True for a response or a generic_nack: never to be answered."""
        return bool(self.command_id & RESPONSE_BIT)


_NO_HEADER: Final = Header(0, 0, 0, 0)


class PduError(Exception):
    """A PDU that cannot be taken; `header` says whose it is, `status` what to answer, `field` where it is wrong."""

    def __init__(self, status: Status, field: str, text: str, header: Header = _NO_HEADER) -> None:
        super().__init__(text)
        self.status = status
        self.field = field
        self.text = text
        self.header = header


class DecodeError(PduError):
    """The PDU is framed but malformed or unknown: answer it with `status`; the session lives on."""


class FramingError(PduError):
    """command_length is below 16 or above the limit: answer generic_nack RINVCMDLEN and close."""


class EncodeError(ValueError):
    """A value does not fit the field it was given for."""


# --- reading and writing -------------------------------------------------------------------------------------------


def header_only(command_id: int, status: int, sequence: int) -> bytes:
    """A PDU of 16 octets: what has no body, and every response with an error (5.0 §3.2.1.3)."""
    return pack_header(HEADER_OCTETS, command_id, status, sequence)


def bad_string(field: str, status: Status, maximum: int, data: bytes, position: int) -> DecodeError:
    """The error for a C-octet string at `position` that has no NUL within `maximum` octets."""
    if len(data) - position < maximum:
        return DecodeError(Status.RINVCMDLEN, field, f"{field} is not terminated")
    return DecodeError(status, field, f"{field} is longer than {maximum - 1} octets")


def read_tlvs(data: bytes, position: int) -> Tlvs:
    """The TLVs from `position` to the end, in their order, unknown ones too (3.4 §3.2.4). Raises DecodeError."""
    end = len(data)
    found = []
    while position < end:
        if end - position < 4:
            raise DecodeError(Status.RINVOPTPARSTREAM, "tlvs", f"{end - position} stray octets at the end")
        tag, length = _unpack_tlv(data, position)
        start = position + 4
        position = start + length
        if position > end:
            raise DecodeError(Status.RINVOPTPARSTREAM, "tlvs", f"TLV 0x{tag:04x} runs past the end of the PDU")
        found.append((tag, data[start:position]))
    return tuple(found)


def read_tlvs_after_message(data: bytes, position: int) -> Tlvs:
    """As `read_tlvs`, but one stray NUL between short_message and the TLVs is passed over.

    The GSM implementation guide §2.2.1.2 asks for a NUL after short_message that sm_length does not count, and
    php-smpp sends it, before its SAR TLVs too. A reading without it goes first. Raises DecodeError.
    """
    try:
        return read_tlvs(data, position)
    except DecodeError:
        if data[position] != 0:
            raise
        try:
            return read_tlvs(data, position + 1)
        except DecodeError:
            pass  # the first reading says better what is wrong
        raise


def check_submission_tlvs(tlvs: Tlvs) -> None:
    """Raises DecodeError (RINVPARLEN) when a TLV that a submission may carry has an impossible length."""
    for tag, value in tlvs:
        octets = SUBMISSION_TLV_OCTETS.get(tag)
        if octets is not None and len(value) not in octets:
            raise DecodeError(Status.RINVPARLEN, f"0x{tag:04x}", f"TLV 0x{tag:04x} has {len(value)} octets")


def write_tlvs(tlvs: Tlvs) -> bytes:
    """The TLVs in their order. Raises EncodeError for a tag or a length above 65535."""
    try:
        return b"".join([_pack_tlv(tag, len(value)) + value for tag, value in tlvs])
    except struct.error as problem:
        raise EncodeError("a TLV has a tag or a length outside 0..65535") from problem


def c_octets(text: str) -> bytes:
    """The value of a TLV that is a C-octet string: Latin-1 and one NUL. Raises EncodeError."""
    if "\0" in text:
        raise EncodeError("a C-octet string holds a NUL")
    try:
        return text.encode("latin-1") + b"\0"
    except UnicodeEncodeError as problem:
        raise EncodeError("a C-octet string holds a character above U+00FF") from problem


def text_of(value: bytes) -> str:
    """The text of a C-octet string TLV; peers send it with and without its NUL."""
    return value.partition(b"\0")[0].decode("latin-1")
