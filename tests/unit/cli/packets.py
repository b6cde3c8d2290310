"""A reader of capture files, written from the RFCs alone: it shares no code with what writes them."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Packet:
    """A TCP segment of a file."""

    at: float
    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    acknowledged: int
    data: bytes


def ones_complement_sum(data: bytes) -> int:
    """RFC 1071; 0xFFFF where a checksum that is part of `data` is right."""
    total = 0
    for position in range(0, len(data) - len(data) % 2, 2):
        total += int.from_bytes(data[position : position + 2], "big")
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return total


def packets(file: Path) -> list[Packet]:
    """Every packet of a file of nanoseconds without a link layer; its checksums and lengths must be right."""
    octets = file.read_bytes()
    magic, major, minor, _, _, limit, link = struct.unpack_from("<IHHiIII", octets)
    assert (magic, major, minor, link) == (0xA1B23C4D, 2, 4, 101)
    found, position = [], 24
    while position < len(octets):
        seconds, nanoseconds, there, whole = struct.unpack_from("<4I", octets, position)
        position += 16
        assert there == whole <= limit
        assert nanoseconds < 10**9
        found.append(_packet(seconds + nanoseconds / 1e9, octets[position : position + there]))
        position += there
    assert position == len(octets)
    return found


def _packet(at: float, octets: bytes) -> Packet:
    if octets[0] >> 4 == 4:
        assert octets[0] == 0x45
        assert int.from_bytes(octets[2:4], "big") == len(octets)
        assert octets[9] == 6
        assert ones_complement_sum(octets[:20]) == 0xFFFF
        source, destination, segment = octets[12:16], octets[16:20], octets[20:]
    else:
        assert octets[0] >> 4 == 6
        assert int.from_bytes(octets[4:6], "big") == len(octets) - 40
        assert octets[6] == 6
        source, destination, segment = octets[8:24], octets[24:40], octets[40:]
    pseudo = source + destination + len(segment).to_bytes(4, "big") + b"\0\0\0\6"
    assert ones_complement_sum(pseudo + segment) == 0xFFFF
    from_port, to_port, sequence, acknowledged, offset, flags = struct.unpack_from(">HHIIBB", segment)
    assert (offset, flags) == (0x50, 0x18)
    ends = [str(ipaddress.ip_address(end)) for end in (source, destination)]
    return Packet(at, (ends[0], from_port), (ends[1], to_port), sequence, acknowledged, segment[20:])
