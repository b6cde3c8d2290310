"""What of a PDU is not for everybody's eyes: passwords, and where it is asked for, texts and numbers.

Works on octets, so that a PDU keeps its length and everything that is wrong with it. Sources: the fields of
`bridge.smpp.pdus`; SMPP 3.4 §5.3.2 (TLVs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.smpp.codec import fields_of
from bridge.smpp.enums import EsmClass, Tag
from bridge.smpp.fields import Counted, CString, Destinations, Integer, Kind, Unsuccesses
from bridge.smpp.pdus import PDUS
from bridge.smpp.wire import HEADER_OCTETS, unpack_header

_MASK: Final = ord("*")
_HIDDEN: Final = frozenset({"password"})  # for everybody
_TEXTS: Final = frozenset({"short_message", f"tlv {Tag.MESSAGE_PAYLOAD:#06x}"})
_NUMBERS: Final = frozenset(
    {
        "source_addr",
        "destination_addr",
        "esme_addr",
        *(f"tlv {tag:#06x}" for tag in (Tag.CALLBACK_NUM, Tag.SOURCE_SUBADDRESS, Tag.DEST_SUBADDRESS)),
    }
)
_ADDRESS_MAX: Final = 21  # octets in a list, with the NUL (3.4 §4.5.1.1)
_SHOWN_FIRST: Final = 4  # of a number; as in the log
_SHOWN_LAST: Final = 2
_VENDOR_TAGS: Final = range(0x1400, 0x4000)  # what they hold nobody knows (3.4 §5.3.2)

_Span = tuple[str, int, int]  # the name of a field, where it begins, where it ends

_FIELDS: Final[dict[int, Mapping[str, Kind]]] = {command_id: fields_of(kind) for command_id, kind in PDUS.items()}


class _CutOff(Exception):
    """A PDU ends before its fields do."""


def without_password(octets: bytes) -> bytes:
    """A PDU whose password is `*`; what cannot be read in one that has a password is so, too."""
    fields = _fields(octets)
    return octets if fields is None or _HIDDEN.isdisjoint(fields) else _hidden(octets, fields, texts=False)


def masked(octets: bytes) -> bytes:
    """A PDU without password, text, and the middle of numbers; UDH and TON/NPI stay.

    What cannot be read, of an unknown command or behind a fault, is hidden wholly.
    """
    fields = _fields(octets)
    if fields is None:
        return octets[:HEADER_OCTETS] + bytes([_MASK]) * (len(octets) - HEADER_OCTETS)
    return _hidden(octets, fields, texts=True)


def _fields(octets: bytes) -> Mapping[str, Kind] | None:
    return _FIELDS.get(unpack_header(octets)[1]) if len(octets) >= HEADER_OCTETS else None


def _hidden(octets: bytes, fields: Mapping[str, Kind], *, texts: bool) -> bytes:
    out = bytearray(octets)
    read_to = HEADER_OCTETS
    has_udh = False
    try:
        for name, start, end in _spans(octets, fields):
            if name == "esm_class":
                has_udh = bool(octets[start] & EsmClass.UDHI)
            elif name in _HIDDEN or (texts and _is_private(name)):
                shown = 0
                if has_udh and name in _TEXTS and start < end and octets[start] < end - start:
                    shown = 1 + octets[start]
                _hide(out, start + shown, end)
            elif texts and name in _NUMBERS and end - start > _SHOWN_FIRST + _SHOWN_LAST + 1:
                _hide(out, start + _SHOWN_FIRST, end - _SHOWN_LAST)
            elif texts and name in _NUMBERS:
                _hide(out, start, end)
            read_to = end
    except _CutOff:
        # The NUL of the last string stays, so that it does not run on.
        _hide(out, read_to + (out[read_to : read_to + 1] == b"\0"), len(out))
    return bytes(out)


def _is_private(name: str) -> bool:
    return name in _TEXTS or (name.startswith("tlv ") and int(name[4:], 16) in _VENDOR_TAGS)


def _hide(out: bytearray, start: int, end: int) -> None:
    out[start:end] = bytes([_MASK]) * (end - start)


def _spans(octets: bytes, fields: Mapping[str, Kind]) -> Iterator[_Span]:
    """Where the value of each field is, without the NUL of a string; TLVs are called `tlv 0x0424`."""
    position = HEADER_OCTETS
    if len(octets) == HEADER_OCTETS:
        return  # a response may have no body
    for name, kind in fields.items():
        match kind:
            case Integer():
                yield _span(octets, name, position, 1)
                position += 1
            case CString(maximum):
                end = _end_of_string(octets, position, maximum)
                yield name, position, end
                position = end + 1
            case Counted():
                size = _octet(octets, position)
                yield _span(octets, name, position + 1, size)
                position += 1 + size
            case Destinations() | Unsuccesses():
                count = _octet(octets, position)
                position += 1
                for _ in range(count):
                    start = position + 2  # ton and npi
                    if isinstance(kind, Destinations):
                        start = position + (3 if _octet(octets, position) == 1 else 1)  # and the flag before them
                    end = _end_of_string(octets, start, _ADDRESS_MAX)
                    yield "destination_addr", start, end
                    position = end + (1 if isinstance(kind, Destinations) else 5)
    while position < len(octets):
        tag, size = _short(octets, position), _short(octets, position + 2)
        yield _span(octets, f"tlv {tag:#06x}", position + 4, size)
        position += 4 + size


def _span(octets: bytes, name: str, start: int, size: int) -> _Span:
    if start + size > len(octets):
        raise _CutOff
    return name, start, start + size


def _end_of_string(octets: bytes, start: int, maximum: int) -> int:
    end = octets.find(0, start, start + maximum)
    if end < 0:
        raise _CutOff
    return end


def _octet(octets: bytes, position: int) -> int:
    if position >= len(octets):
        raise _CutOff
    return octets[position]


def _short(octets: bytes, position: int) -> int:
    if position + 2 > len(octets):
        raise _CutOff
    return int.from_bytes(octets[position : position + 2], "big")
