"""The PROXY protocol, versions 1 and 2: the line or header in which a load balancer says whom it connects for.

Octets in, `Header` out; only `read_header` waits. It takes exactly the header from a socket and leaves what follows,
TLS or not, to others. After "The PROXY protocol" of haproxy (proxy-protocol.txt), whose sections are cited.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # §2.2
LINE_MAX = 107  # octets of a header of version 1, CRLF included (§2.1)
LENGTH_MAX = 4096  # octets behind the first 16 of version 2; addresses take 216 at most, the rest are TLVs

_START = len(SIGNATURE)  # the shortest line of version 1 is longer
_UNIX_OCTETS = 216
_ADDRESS_OCTETS = {0x11: 12, 0x21: 36, 0x31: _UNIX_OCTETS}  # family and protocol: TCP over IPv4, IPv6, UNIX stream


class ProxyError(Exception):
    """What came is no PROXY header; the connection is to be closed without a word."""


class Header(NamedTuple):
    """Whom a proxy connects for. `local`: for itself, to look whether we live; `source`: an address, None: unknown."""

    local: bool
    source: str | None


_LOCAL = Header(local=True, source=None)
_UNKNOWN = Header(local=False, source=None)


def header_of_line(line: bytes) -> Header:
    """Version 1: `PROXY TCP4 source destination port port`, CRLF included (§2.1). Raises ProxyError."""
    if len(line) > LINE_MAX or not line.endswith(b"\r\n"):
        raise ProxyError("the line has no end")
    words = line[:-2].split(b" ")
    if words[0] != b"PROXY" or len(words) < 2:
        raise ProxyError("not a PROXY line")
    if words[1] == b"UNKNOWN":
        return _UNKNOWN  # whatever follows means nothing
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyError("not PROXY, TCP4 or TCP6, two addresses and two ports")
    for port in words[4:]:
        if not port.isdigit() or len(port) > 5 or int(port) > 65535 or (port[:1] == b"0" and port != b"0"):
            raise ProxyError("a port is wrong")
    kind = IPv4Address if words[1] == b"TCP4" else IPv6Address
    try:
        source, _ = kind(words[2].decode("ascii")), kind(words[3].decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        raise ProxyError("an address is wrong") from None
    if isinstance(source, IPv6Address) and source.scope_id is not None:
        raise ProxyError("an address is wrong")
    return Header(local=False, source=str(source))


def length_of(start: bytes) -> int:
    """How many octets follow the first 16 of version 2 (§2.2). Raises ProxyError."""
    version_command, _, length = struct.unpack_from(">BBH", start, _START)
    if version_command not in (0x20, 0x21):
        raise ProxyError("neither version 2, nor LOCAL or PROXY")
    if length > LENGTH_MAX:
        raise ProxyError(f"the header has {length} octets more")
    return int(length)


def header_of(start: bytes, rest: bytes) -> Header:
    """Version 2: its first 16 octets, and the `length_of` them that follow (§2.2). Raises ProxyError."""
    version_command, family, _ = struct.unpack_from(">BBH", start, _START)
    if version_command == 0x20:
        return _LOCAL  # whatever follows means nothing
    if family >> 4 == 0:
        return _UNKNOWN  # UNSPEC: as above
    octets = _ADDRESS_OCTETS.get(family)
    if octets is None:
        raise ProxyError("the family is none that has streams")
    if len(rest) < octets:
        raise ProxyError("the addresses are cut off")
    _check_tlvs(rest[octets:])
    if octets == _UNIX_OCTETS:
        return _UNKNOWN
    source = IPv4Address(rest[:4]) if family == 0x11 else IPv6Address(rest[:16])
    return Header(local=False, source=str(source))


def _check_tlvs(octets: bytes) -> None:
    """Nothing in them concerns us, but that they fill the header exactly (§2.2.7)."""
    position = 0
    while position < len(octets):
        if len(octets) - position < 3:
            raise ProxyError("a TLV is cut off")
        (length,) = struct.unpack_from(">H", octets, position + 1)
        position += 3 + length
    if position != len(octets):
        raise ProxyError("a TLV is longer than the header")


async def read_header(connection: socket.socket) -> Header:
    """The header that a connection begins with. Raises ProxyError, OSError; how long it may take is its caller's."""
    start = await _read(connection, _START)
    if start == SIGNATURE:
        start += await _read(connection, 4)
        return header_of(start, await _read(connection, length_of(start)))
    if not start.startswith(b"PROXY "):
        raise ProxyError("no PROXY header")
    line = start
    while not line.endswith(b"\r\n"):
        if len(line) == LINE_MAX:
            raise ProxyError("the line has no end")
        line += await _read(connection, 1)
    return header_of_line(line)


async def _read(connection: socket.socket, octets: int) -> bytes:
    loop, read = asyncio.get_running_loop(), b""
    while len(read) < octets:
        more = await loop.sock_recv(connection, octets - len(read))
        if not more:
            raise ProxyError("the connection ended within the header")
        read += more
    return read
