"""The PROXY protocol: what is taken, and that everything else is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listeners.proxy import (
    LENGTH_MAX,
    SIGNATURE,
    Header,
    ProxyError,
    header_of,
    header_of_line,
    length_of,
    read_header,
)

LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNIX, UDP4 = 0x11, 0x21, 0x31, 0x12
UNKNOWN = Header(local=False, source=None)
PORTS = struct.pack(">HH", 56324, 2775)


def addresses(source: str, destination: str = "203.0.113.9") -> bytes:
    """The address block of TCP over the family of the source."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    return one.packed + (other.packed if other.version == one.version else bytes(len(one.packed))) + PORTS


def version_2(command: int, family: int, rest: bytes, *, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(rest) if length is None else length) + rest


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def taken(octets: bytes) -> Header:
    assert length_of(octets[:16]) == len(octets) - 16
    return header_of(octets[:16], octets[16:])


# --- version 1


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("PROXY TCP4 192.0.2.7 203.0.113.9 56324 2775", "192.0.2.7"),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255"),
        ("PROXY TCP4 192.0.2.7 203.0.113.9 0 0", "192.0.2.7"),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 1 2", "2001:db8::1"),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2", "::ffff:192.0.2.7"),
        ("PROXY UNKNOWN", None),
        ("PROXY UNKNOWN 192.0.2.7 203.0.113.9 56324 2775", None),
        ("PROXY UNKNOWN ffff:f...f:ffff and so on", None),
    ],
)
def test_lines(line: str, source: str | None) -> None:
    found = header_of_line(line.encode() + b"\r\n")
    assert (found.local, found.source and ipaddress.ip_address(found.source)) == (
        False,
        source and ipaddress.ip_address(source),
    )


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"proxy TCP4 192.0.2.7 203.0.113.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 1 2",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 1 2\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 1\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 1 2 3\r\n",
        b"PROXY TCP4  192.0.2.7 203.0.113.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 -1 2\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 01 2\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 \xb2 2\r\n",
        b"PROXY TCP4 192.0.2.256 203.0.113.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.07 203.0.113.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 somewhere 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 203.0.113.9 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP6 \xff ::1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 203.0.113.9 1 2\r\n",
        b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\r\n",
    ],
)
def test_lines_that_are_refused(line: bytes) -> None:
    with pytest.raises(ProxyError):
        header_of_line(line)


# --- version 2


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        (version_2(PROXY, TCP4, addresses("192.0.2.7")), Header(False, "192.0.2.7")),
        (version_2(PROXY, TCP6, addresses("2001:db8::1")), Header(False, "2001:db8::1")),
        (version_2(PROXY, TCP4, addresses("192.0.2.7") + tlv(4, b"") + tlv(5, b"x" * 9)), Header(False, "192.0.2.7")),
        (version_2(PROXY, UNIX, bytes(216)), UNKNOWN),
        (version_2(PROXY, 0x00, b""), UNKNOWN),
        (version_2(PROXY, 0x00, b"whatever"), UNKNOWN),
        (version_2(LOCAL, 0x00, b""), Header(True, None)),
        (version_2(LOCAL, TCP4, addresses("192.0.2.7")), Header(True, None)),
        (version_2(LOCAL, 0xFF, b"whatever"), Header(True, None)),
        (version_2(PROXY, TCP4, addresses("192.0.2.7") + tlv(4, bytes(LENGTH_MAX - 15))), Header(False, "192.0.2.7")),
    ],
)
def test_headers(octets: bytes, header: Header) -> None:
    assert taken(octets) == header


@pytest.mark.parametrize(
    "octets",
    [
        version_2(0x11, TCP4, addresses("192.0.2.7")),
        version_2(0x22, TCP4, addresses("192.0.2.7")),
        version_2(0x31, TCP4, addresses("192.0.2.7")),
        version_2(PROXY, UDP4, addresses("192.0.2.7")),
        version_2(PROXY, 0x41, addresses("192.0.2.7")),
        version_2(PROXY, TCP4, addresses("192.0.2.7")[:11]),
        version_2(PROXY, TCP6, addresses("192.0.2.7")),
        version_2(PROXY, UNIX, bytes(215)),
        version_2(PROXY, TCP4, addresses("192.0.2.7") + b"\x04\x00"),
        version_2(PROXY, TCP4, addresses("192.0.2.7") + b"\x04\x00\x02x"),
        version_2(PROXY, TCP4, addresses("192.0.2.7") + tlv(4, b"") + b"\x05\xff\xff"),
        version_2(PROXY, TCP4, bytes(LENGTH_MAX + 1)),
        version_2(PROXY, TCP4, bytes(12), length=0xFFFF),
    ],
)
def test_headers_that_are_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        taken(octets)


@given(st.binary(max_size=120))
def test_any_line_is_a_header_or_refused(octets: bytes) -> None:
    for line in (octets, b"PROXY " + octets + b"\r\n", b"PROXY TCP4 " + octets + b"\r\n"):
        try:
            assert header_of_line(line).local is False
        except ProxyError:
            continue


@given(st.sampled_from([LOCAL, PROXY, 0]), st.sampled_from([0, TCP4, TCP6, UNIX, UDP4]), st.binary(max_size=300))
def test_any_octets_are_a_header_or_refused(command: int, family: int, rest: bytes) -> None:
    octets = version_2(command, family, rest)
    try:
        length_of(octets[:16])
        found = header_of(octets[:16], rest)
    except ProxyError:
        return
    assert found.source is None or ipaddress.ip_address(found.source)


# --- from a socket

GOOD = [
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    (b"PROXY TCP4 192.0.2.7 203.0.113.9 56324 2775\r\n", Header(False, "192.0.2.7")),
    (version_2(LOCAL, 0, b""), Header(True, None)),
    (version_2(PROXY, TCP4, addresses("192.0.2.7") + tlv(4, b"abc")), Header(False, "192.0.2.7")),
]


@pytest.mark.parametrize(("octets", "header"), GOOD)
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_exactly_the_header_is_read(octets: bytes, header: Header, size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        reading = asyncio.create_task(read_header(ours))
        sent = octets + b"behind it"
        for start in range(0, len(sent), size):
            theirs.sendall(sent[start : start + size])
            await asyncio.sleep(0)
        assert await reading == header
        rest = b""
        while len(rest) < len(b"behind it"):
            rest += await asyncio.get_running_loop().sock_recv(ours, 100)
        assert rest == b"behind it"


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x00\x23\x00\x00\x00\x09" + bytes(27),
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
        SIGNATURE[:-1] + b"\r" + bytes(10),
    ],
)
async def test_what_is_no_header_is_refused_without_reading_on(octets: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(octets)
        with pytest.raises(ProxyError):
            async with asyncio.timeout(5):
                await read_header(ours)


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD])
@pytest.mark.parametrize("missing", [1, 4, 13])
async def test_a_header_that_is_cut_off(octets: bytes, missing: int) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        with theirs:
            theirs.sendall(octets[:-missing])
        with pytest.raises(ProxyError):
            async with asyncio.timeout(5):
                await read_header(ours)
