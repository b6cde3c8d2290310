"""PDUs from octets and back, and the framing of a stream.

For every type in `bridge.smpp.pdus.PDUS` one decoder and one encoder are written from its table of fields and compiled
when this module is imported, as `dataclasses` does: no loop over fields is left at run time. A decoder reads the PDU
twice, as octets and as Latin-1 text of the same length, so that a string is one `find` and one slice, and never fails
to decode. Reading past the end raises IndexError, and the first field that has no value yet is the one that was cut.

Accepted beyond the letter of the specification, because it is met: one NUL after short_message, passwords of up to 63
characters, responses without body, and any body of a response with an error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_type_hints

from bridge.smpp.enums import RESPONSE_BIT, CommandId, Status
from bridge.smpp.fields import (
    Counted,
    CString,
    DestAddress,
    Destinations,
    DistributionList,
    Integer,
    Kind,
    SmeAddress,
    Unsuccesses,
    UnsuccessSme,
)
from bridge.smpp.pdus import PDUS, Pdu
from bridge.smpp.wire import (
    HEADER_OCTETS,
    DecodeError,
    EncodeError,
    FramingError,
    Header,
    PduError,
    bad_string,
    check_submission_tlvs,
    header_only,
    pack_header,
    pack_u32,
    read_tlvs,
    read_tlvs_after_message,
    unpack_header,
    unpack_length,
    unpack_u32,
    write_tlvs,
)

MAX_PDU: Final = 70_000  # message_payload may hold 64 KiB

_Decoder = Callable[[bytes, int, int], Pdu]
_Encoder = Callable[[Any, int], bytes]

_SUBMISSIONS: Final = (CommandId.SUBMIT_SM, CommandId.SUBMIT_MULTI, CommandId.DATA_SM)
_ADDRESS_FLAG: Final = 1
_LIST_FLAG: Final = 2
# A mapping, not a list: -1 must be an error.
_CHARACTERS: Final = {value: chr(value) for value in range(256)}


def fields_of(kind: type[Pdu]) -> dict[str, Kind]:
    """The mandatory fields of a PDU in the order of the wire, each with its kind."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: hints[name].__metadata__[0] for name in kind.__struct_fields__ if hasattr(hints[name], "__metadata__")
    }


def decode(data: bytes) -> Pdu:
    """One whole PDU. Raises DecodeError (framed but wrong) or FramingError (command_length is not its length)."""
    if len(data) < HEADER_OCTETS or unpack_length(data)[0] != len(data):
        raise FramingError(Status.RINVCMDLEN, "command_length", "command_length is not the length of the PDU")
    return _decode(data)


def encode(pdu: Pdu, sequence: int | None = None) -> bytes:
    """The octets of a PDU, with another sequence number when one is given.

    A response with an error is its header alone, whatever the PDU holds (5.0 §3.2.1.3). Raises EncodeError for a value
    that does not fit: a string too long or with a NUL, an octet above 255, more than 255 entries.
    """
    return _ENCODERS[pdu.command](pdu, pdu.sequence if sequence is None else sequence)


class Framer:
    """Cuts a stream into PDUs; memory is bounded by what was fed and not yet iterated.

    Iterating yields every complete PDU: a `Pdu`, or a DecodeError for one to be answered and passed over. A
    FramingError is the last that comes; from then on everything is discarded. Stopping in between loses nothing.
    """

    __slots__ = ("_before", "_buffer", "_max_pdu", "_position", "broken")

    def __init__(self, max_pdu: int = MAX_PDU) -> None:
        """`max_pdu`: octets that a PDU may have, header included."""
        self._buffer = bytearray()
        self._position = 0
        self._before = 0  # where the last PDU began
        self._max_pdu = max_pdu
        self.broken = False

    def feed(self, data: bytes) -> None:
        """Adds octets as they came from the stream."""
        if self.broken:
            return
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Octets that wait to be iterated."""
        return len(self._buffer) - self._position

    @property
    def unread(self) -> bytes:
        """A copy of these octets."""
        return bytes(self._buffer[self._position :])

    def put_back(self) -> None:
        """The PDU that came last comes again; only while it is the last thing that was done."""
        self._position = self._before

    def __iter__(self) -> Iterator[Pdu | PduError]:
        buffer = self._buffer
        while len(buffer) - self._position >= 4:
            position = self._position
            (length,) = unpack_length(buffer, position)
            # Judged by its first four octets: nothing is gathered for a PDU that will not be taken.
            if not HEADER_OCTETS <= length <= self._max_pdu:
                yield self._break(position)
                return
            if len(buffer) - position < length:
                return
            self._before, self._position = position, position + length
            item: Pdu | PduError
            try:
                item = _decode(bytes(buffer[position : position + length]))
            except DecodeError as error:
                item = error
            yield item

    def _break(self, position: int) -> FramingError:
        whole = len(self._buffer) - position >= HEADER_OCTETS
        (length,) = unpack_length(self._buffer, position)
        header = Header(*unpack_header(self._buffer, position)) if whole else Header(length, 0, 0, 0)
        self.broken = True
        self._buffer.clear()
        self._position = 0
        return FramingError(Status.RINVCMDLEN, "command_length", f"command_length {length} is impossible", header)


def _decode(data: bytes) -> Pdu:
    length, command_id, status, sequence = unpack_header(data)
    try:
        return _DECODERS[command_id](data, status, sequence)
    except DecodeError as error:
        error.header = Header(length, command_id, status, sequence)
        raise
    except KeyError:
        header = Header(length, command_id, status, sequence)
        text = f"command_id 0x{command_id:08x} is unknown"
        raise DecodeError(Status.RINVCMDID, "command_id", text, header) from None


# --- lists inside a PDU: rare, so read and written by plain functions ----------------------------------------------


def _read_string(data: bytes, position: int, field: str, kind: CString) -> tuple[str, int]:
    end = data.find(0, position, position + kind.maximum)
    if end < 0:
        raise bad_string(field, kind.status, kind.maximum, data, position)
    return data[position:end].decode("latin-1"), end + 1


def _read_destinations(data: bytes, position: int) -> tuple[tuple[DestAddress, ...], int]:
    found: list[DestAddress] = []
    number = data[position]
    position += 1
    if number == 0:
        raise DecodeError(Status.RINVNUMDESTS, "number_of_dests", "number_of_dests is 0")
    for _ in range(number):
        flag = data[position]
        if flag == _ADDRESS_FLAG:
            ton, npi = data[position + 1], data[position + 2]
            address, position = _read_string(data, position + 3, "destination_addr", _ADDRESS)
            found.append(SmeAddress(ton, npi, address))
        elif flag == _LIST_FLAG:
            name, position = _read_string(data, position + 1, "dl_name", _LIST_NAME)
            found.append(DistributionList(name))
        else:
            raise DecodeError(Status.RINVDESTFLAG, "dest_flag", f"dest_flag is {flag}")
    return tuple(found), position


def _read_unsuccesses(data: bytes, position: int) -> tuple[tuple[UnsuccessSme, ...], int]:
    found = []
    number = data[position]
    position += 1
    for _ in range(number):
        ton, npi = data[position], data[position + 1]
        address, position = _read_string(data, position + 2, "destination_addr", _ADDRESS)
        if len(data) - position < 4:
            raise IndexError
        found.append(UnsuccessSme(ton, npi, address, unpack_u32(data, position)[0]))
        position += 4
    return tuple(found), position


def _string(text: str, field: str, maximum: int) -> str:
    if len(text) >= maximum or "\0" in text:
        raise EncodeError(f"{field} is longer than {maximum - 1} characters or holds a NUL")
    return text


def _write_destinations(destinations: tuple[DestAddress, ...]) -> str:
    if not destinations:
        raise EncodeError("dest_address is empty")
    parts = [_CHARACTERS[len(destinations)]]
    for each in destinations:
        if isinstance(each, SmeAddress):
            address = _string(each.destination_addr, "destination_addr", _ADDRESS.maximum)
            parts.append(f"\1{_CHARACTERS[each.dest_addr_ton]}{_CHARACTERS[each.dest_addr_npi]}{address}\0")
        else:
            parts.append(f"\2{_string(each.dl_name, 'dl_name', _LIST_NAME.maximum)}\0")
    return "".join(parts)


def _write_unsuccesses(unsuccesses: tuple[UnsuccessSme, ...]) -> str:
    parts = [_CHARACTERS[len(unsuccesses)]]
    for each in unsuccesses:
        address = _string(each.destination_addr, "destination_addr", _ADDRESS.maximum)
        code = pack_u32(each.error_status_code).decode("latin-1")
        parts.append(f"{_CHARACTERS[each.dest_addr_ton]}{_CHARACTERS[each.dest_addr_npi]}{address}\0{code}")
    return "".join(parts)


# --- one decoder and one encoder for each PDU ----------------------------------------------------------------------


def _truncated(fields: Mapping[str, Kind], known: Mapping[str, object]) -> DecodeError:
    field = next((name for name in fields if name not in known), "body")
    return DecodeError(Status.RINVCMDLEN, field, f"the PDU ends before {field}")


def _read_lines(fields: Mapping[str, Kind]) -> list[str]:
    """Statements that set every field from `data` (or `text`) at `p`, and leave `p` behind the last."""
    lines: list[str] = []
    octets = 0  # read since `p` was moved
    for name, kind in fields.items():
        if isinstance(kind, Integer):
            lines.append(f"{name} = data[p + {octets}]")
            octets += 1
            continue
        lines += [f"p += {octets}"] if octets else []
        octets = 0
        match kind:
            case CString(maximum, status):
                lines += [
                    "if data[p]:",
                    f"    end = text.find('\\0', p, p + {maximum})",
                    "    if end < 0:",
                    f"        raise bad_string({name!r}, Status.{status.name}, {maximum}, data, p)",
                    f"    {name} = text[p:end]",
                    "    p = end + 1",
                    "else:",
                    f"    {name} = ''",
                    "    p += 1",
                ]
            case Counted():
                lines += [
                    "size = data[p]",
                    "p += 1",
                    f"{name} = data[p : p + size]",
                    f"if len({name}) < size:",
                    f"    raise DecodeError(Status.RINVMSGLEN, {name!r}, 'sm_length runs past the end of the PDU')",
                    "p += size",
                ]
            case Destinations():
                lines.append(f"{name}, p = read_destinations(data, p)")
            case Unsuccesses():
                lines.append(f"{name}, p = read_unsuccesses(data, p)")
    return [*lines, f"p += {octets}"] if octets else lines


def _decoder_source(pdu: type[Pdu], fields: Mapping[str, Kind]) -> list[str]:
    counted = any(isinstance(kind, Counted) for kind in fields.values())
    reader = "read_tlvs_after_message" if counted else "read_tlvs"
    lines = [
        *_read_lines(fields),
        "tlvs = ()",
        "if p < len(data):",
        f"    tlvs = {reader}(data, p)",
        *(["    check_submission_tlvs(tlvs)"] if pdu.command in _SUBMISSIONS else []),
        f"return Pdu({', '.join(['sequence', 'status', 'tlvs', *fields])})",
    ]
    if any(isinstance(kind, CString) for kind in fields.values()):
        lines.insert(0, "text = data.decode('latin-1')")
    source = ["def decode(data, status, sequence):"]
    if pdu.command & RESPONSE_BIT:
        # Peers leave the body out, with an error and without one (3.4 §4.4.2, 5.0 §3.2.1.3).
        source += ["    if len(data) == 16:", "        return Pdu(sequence, status)"]
    source += ["    p = 16", "    try:", *(f"        {line}" for line in lines)]
    source += ["    except IndexError:"]
    source += ["        error = truncated(FIELDS, locals())"]
    if pdu.command & RESPONSE_BIT:
        source += ["    except DecodeError as found:", "        error = found"]
        # With an error there should be no body: one that is there is read where it can be, else ignored.
        source += ["    if status:", "        return Pdu(sequence, status)"]
    source += ["    raise error from None"]
    return source


def _encoder_source(pdu: type[Pdu], fields: Mapping[str, Kind]) -> list[str]:
    checks: list[str] = []
    pieces: list[str] = []
    message = None
    for name, kind in fields.items():
        match kind:
            case Integer():
                pieces.append(f"{{CHARACTERS[pdu.{name}]}}")
            case CString(maximum):
                checks += [f"{name} = pdu.{name}", f"if {name}:", f"    string({name}, {name!r}, {maximum})"]
                pieces.append(f"{{{name}}}\\0")
            case Counted():
                message = name
                pieces.append(f"{{CHARACTERS[len(pdu.{name})]}}")
            case Destinations():
                pieces.append(f"{{write_destinations(pdu.{name})}}")
            case Unsuccesses():
                pieces.append(f"{{write_unsuccesses(pdu.{name})}}")
    body = [f"body = f\"{''.join(pieces)}\".encode('latin-1')" if pieces else "body = b''"]
    if message is not None:
        body.append(f"body += pdu.{message}")
    lines = [
        *checks,
        *body,
        "if pdu.tlvs:",
        "    body += write_tlvs(pdu.tlvs)",
        f"return pack_header(16 + len(body), {int(pdu.command)}, pdu.status, sequence) + body",
    ]
    source = ["def encode(pdu, sequence):", "    try:"]
    if pdu.command & RESPONSE_BIT:
        source += [
            "        if pdu.status:",
            f"            return header_only({int(pdu.command)}, pdu.status, sequence)",
        ]
    source += [f"        {line}" for line in lines]
    source += ["    except (KeyError, TypeError, UnicodeEncodeError, PackError) as problem:"]
    source += [
        f"        raise EncodeError('a value does not fit its field of {pdu.command.name.lower()}') from problem"
    ]
    return source


def _compile(pdu: type[Pdu]) -> tuple[_Decoder, _Encoder]:
    fields = fields_of(pdu)
    names: dict[str, Any] = {
        "CHARACTERS": _CHARACTERS,
        "FIELDS": fields,
        "DecodeError": DecodeError,
        "EncodeError": EncodeError,
        "PackError": struct.error,
        "Pdu": pdu,
        "Status": Status,
        "bad_string": bad_string,
        "check_submission_tlvs": check_submission_tlvs,
        "header_only": header_only,
        "pack_header": pack_header,
        "read_destinations": _read_destinations,
        "read_tlvs": read_tlvs,
        "read_tlvs_after_message": read_tlvs_after_message,
        "read_unsuccesses": _read_unsuccesses,
        "string": _string,
        "truncated": _truncated,
        "write_destinations": _write_destinations,
        "write_tlvs": write_tlvs,
        "write_unsuccesses": _write_unsuccesses,
    }
    source = "\n".join([*_decoder_source(pdu, fields), *_encoder_source(pdu, fields)])
    exec(compile(source, f"<codec of {pdu.__name__}>", "exec"), names)  # noqa: S102 - the source is our own table
    return names["decode"], names["encode"]


_ADDRESS: Final = CString(21, Status.RINVDSTADR)
_LIST_NAME: Final = CString(21, Status.RINVDLNAME)
_CODECS: Final = {command_id: _compile(pdu) for command_id, pdu in PDUS.items()}
_DECODERS: Final = {command_id: decoder for command_id, (decoder, _) in _CODECS.items()}
_ENCODERS: Final = {command_id: encoder for command_id, (_, encoder) in _CODECS.items()}
