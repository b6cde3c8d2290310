"""PDUs as a file that Wireshark opens: the TCP and IP around them made up, addresses and ports as they were.

Sources: pcap-savefile(5), with times in nanoseconds; LINKTYPE_RAW (101), which holds IPv4 and IPv6 without a link
layer; RFC 791, RFC 8200, RFC 9293.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import BinaryIO, Final

from bridge.listeners.smpp.capture import Caught

_MAGIC_NS: Final = 0xA1B23C4D
_LINKTYPE_RAW: Final = 101
_SNAPLEN: Final = 262_144
_SEGMENT_MAX: Final = 32_768  # octets of a PDU in one packet: an IP packet has less than 64 KiB
_TCP: Final = 6
_TTL: Final = 64
_DONT_FRAGMENT: Final = 0x4000
_ACK_PSH: Final = 0x18
_WINDOW: Final = 65_535

Address = IPv4Address | IPv6Address


class PcapFile:
    """Writes one file; each PDU is there as soon as `write` returns."""

    def __init__(self, stream: BinaryIO) -> None:
        """`stream` should not buffer, so that somebody who reads along sees everything."""
        self._stream = stream
        self._heard: dict[tuple[int, bool], int] = {}  # by connection and direction: the sequence number that is next
        self._packets = 0
        stream.write(struct.pack("<IHHiIII", _MAGIC_NS, 2, 4, 0, 0, _SNAPLEN, _LINKTYPE_RAW))

    @property
    def connections(self) -> int:
        """How many connections there are in it."""
        return len({number for number, _ in self._heard})

    def write(self, caught: Caught) -> None:
        """Adds a PDU. Where some were lost before it, its sequence number shows how many octets are missing."""
        source, destination = (caught.client, caught.server) if caught.incoming else (caught.server, caught.client)
        way, back = (caught.connection, caught.incoming), (caught.connection, not caught.incoming)
        records = []
        for start in range(0, len(caught.pdu), _SEGMENT_MAX):
            data = caught.pdu[start : start + _SEGMENT_MAX]
            sequence = 1 + caught.offset + start
            self._heard[way] = sequence + len(data)
            self._packets += 1
            segment = _tcp(source[1], destination[1], sequence, self._heard.get(back, 1), data)
            packet = _ip(ip_address(source[0]), ip_address(destination[0]), self._packets, segment)
            seconds = int(caught.at)
            nanoseconds = int((caught.at - seconds) * 1e9)
            records.append(struct.pack("<IIII", seconds, nanoseconds, len(packet), len(packet)) + packet)
        self._stream.write(b"".join(records))


def _tcp(source: int, destination: int, sequence: int, acknowledged: int, data: bytes) -> bytearray:
    """A segment without its checksum."""
    numbers = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
    return bytearray(struct.pack(">HHIIBBHHH", source, destination, *numbers, 5 << 4, _ACK_PSH, _WINDOW, 0, 0) + data)


def _ip(source: Address, destination: Address, number: int, segment: bytearray) -> bytes:
    """A packet of IPv4 where both ends are of it, else of IPv6."""
    if source.version == destination.version == 4:
        pseudo = source.packed + destination.packed + struct.pack(">BBH", 0, _TCP, len(segment))
        begin = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(segment), number & 0xFFFF, _DONT_FRAGMENT, _TTL, _TCP)
        ends = source.packed + destination.packed
        header = begin + struct.pack(">H", _checksum(begin + ends)) + ends
    else:
        ends = _six(source) + _six(destination)
        pseudo = ends + struct.pack(">II", len(segment), _TCP)
        header = struct.pack(">IHBB", 6 << 28, len(segment), _TCP, _TTL) + ends
    segment[16:18] = struct.pack(">H", _checksum(pseudo + segment))
    return header + segment


def _six(address: Address) -> bytes:
    return address.packed if isinstance(address, IPv6Address) else b"\0" * 10 + b"\xff\xff" + address.packed


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
