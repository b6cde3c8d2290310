"""Net::SMPP and node-smpp bind, send short, long and Unicode texts, get their receipts, and ask what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flows.bridges import Bridge
from interop.programs import check, needed, net_smpp, node_smpp, story
from interop.tap import Tap, dissect


@pytest.mark.parametrize("interface_version", [0x00, 0x34, 0x50])
@pytest.mark.parametrize("program", [net_smpp, node_smpp])
async def test_the_story_of_a_client(
    bridge: Bridge, tap: Tap, program: Callable[[], list[str]], interface_version: int
) -> None:
    told = await story(program(), tap, interface_version)
    await check(told, bridge)
    await bridge.settled()
    ids = {receipt.get("id") for receipt in told["receipts"]}
    if interface_version < 0x34:
        assert ids == {None}  # no TLVs to a client of 3.3
    else:
        assert {each.rstrip("\0") for each in ids} == {submit["id"] for submit in told["submits"]}


@pytest.mark.parametrize("program", [net_smpp, node_smpp])
async def test_what_went_over_the_wire_is_what_wireshark_reads(
    bridge: Bridge, tap: Tap, program: Callable[[], list[str]], tmp_path: Path
) -> None:
    tshark = needed("tshark", "tshark")
    needed("text2pcap", "tshark")
    await story(program(), tap, 0x34)
    capture = tmp_path / "capture.pcap"
    tap.write_capture(capture)
    found = dissect(tshark, capture)
    assert [each.length for each in found] == [len(octets) for _, octets in tap.sent]
    kinds = {each.command_id for each in found}
    assert kinds == {
        request | response for request in (0x09, 0x04, 0x05, 0x03, 0x15, 0x06) for response in (0, 0x80000000)
    }  # fmt: skip


async def test_what_wireshark_does_not_read_would_be_found(bridge: Bridge, tap: Tap, tmp_path: Path) -> None:
    tshark = needed("tshark", "tshark")
    capture = tmp_path / "capture.pcap"
    tap.sent = [("O", bytes.fromhex("00000014 80000004 00000000 00000001 31323334"))]
    tap.write_capture(capture)
    with pytest.raises(AssertionError):
        dissect(tshark, capture)
