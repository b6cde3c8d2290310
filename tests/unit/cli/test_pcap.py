"""Capture files, read back by somebody else's reader."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest
from unit.cli.packets import Packet, packets

from bridge.cli.pcap import PcapFile
from bridge.listeners.smpp.capture import Caught, End

CLIENT, SERVER = ("192.0.2.1", 40000), ("192.0.2.2", 2775)
SIX = ("2001:db8::1", 40000), ("2001:db8::2", 2775)


def pdu(
    data: bytes, offset: int = 0, *, incoming: bool = True, number: int = 1, ends: tuple[End, End] = (CLIENT, SERVER)
) -> Caught:
    return Caught(1700000000.25, number, incoming, *ends, offset, data)


def written(tmp_path: Path, *caught: Caught) -> list[Packet]:
    with (tmp_path / "x.pcap").open("wb", buffering=0) as stream:
        file = PcapFile(stream)
        for each in caught:
            file.write(each)
    return packets(tmp_path / "x.pcap")


def test_a_pdu_is_where_it_was_on_the_wire(tmp_path: Path) -> None:
    (packet,) = written(tmp_path, pdu(b"x" * 16))
    assert packet == Packet(1700000000.25, CLIENT, SERVER, 1, 1, b"x" * 16)


def test_numbers_count_octets_and_acknowledge_those_of_the_other_side(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        pdu(b"a" * 16),
        pdu(b"b" * 20, incoming=False),
        pdu(b"c" * 17, 16),
        pdu(b"d" * 16, number=2),
    )
    assert [(each.sequence, each.acknowledged) for each in found] == [(1, 1), (1, 17), (17, 21), (1, 1)]
    assert (found[1].source, found[1].destination) == (SERVER, CLIENT)


def test_what_was_lost_is_a_gap(tmp_path: Path) -> None:
    found = written(tmp_path, pdu(b"a" * 16), pdu(b"b" * 16, 1000))
    assert [each.sequence for each in found] == [1, 1001]


def test_numbers_go_round(tmp_path: Path) -> None:
    found = written(tmp_path, pdu(b"a" * 16, 2**32 - 5), pdu(b"b", 0, incoming=False))
    assert [(each.sequence, each.acknowledged) for each in found] == [(2**32 - 4, 1), (1, 12)]


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, 70_000])
def test_large_pdus_take_several_packets(tmp_path: Path, size: int) -> None:
    found = written(tmp_path, pdu(bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)), pdu(b"next", size))
    *parts, after = found
    assert len(b"".join(part.data for part in parts)) == size
    assert [part.sequence for part in parts] == [1 + 32_768 * number for number in range(len(parts))]
    assert after.sequence == 1 + size


def test_ipv6_where_one_end_is_of_it(tmp_path: Path) -> None:
    found = written(tmp_path, pdu(b"odd", ends=SIX), pdu(b"even", ends=(SIX[0], SERVER)))
    assert (found[0].source, found[0].destination) == SIX
    address, port = found[1].destination
    assert (ip_address(address), port) == (IPv6Address("::ffff:192.0.2.2"), 2775)


def test_connections_are_counted(tmp_path: Path) -> None:
    with (tmp_path / "x.pcap").open("wb", buffering=0) as stream:
        file = PcapFile(stream)
        for number in (1, 2, 2, 1):
            file.write(pdu(b"x", number=number))
        assert file.connections == 2
