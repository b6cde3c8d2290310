"""Captures in front of an independent dissector: Wireshark's."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from flows.bridges import Bridge
from interop.programs import needed
from listeners.smpp.esme import DELIVER_SM, ENQUIRE_LINK, RESPONSE, SUBMIT_SM, TRX, UNBIND, Esme
from structlog.testing import capture_logs
from unit.world import until

from bridge.cli.pcap import PcapFile
from bridge.cli.sessions import sessions
from bridge.listeners.smpp.capture import Caught

CONFIG = """
listeners: {smpp: [{listen: 127.0.0.1:0}, {listen: "[::1]:0"}]}
accounts: {acme: {smpp: {system_id: acme, password: secret}}}
providers: {virtual: {type: virtual, poll: 50ms}}
routes: [{send: [virtual]}]
"""
CHECKS = ("tcp.check_checksum", "ip.check_checksum")
FIELDS = ("smpp.command_id", "smpp.command_status", "smpp.password", "smpp.destination_addr", "tcp.stream",
          "tcp.analysis.flags", "_ws.malformed", "ip.checksum.status", "tcp.checksum.status")  # fmt: skip


@pytest.fixture
def tshark() -> str:
    """Wireshark on the command line."""
    return needed("tshark", "tshark")


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    with capture_logs():
        running = Bridge(tmp_path, CONFIG)
        await running.start()
        yield running
        await running.stop()


def dissected(tshark: str, file: Path, *, decode_as: int | None = None) -> list[dict[str, str]]:
    """What it says of each packet."""
    command = [tshark, "-n", "-r", str(file), "-T", "fields"]
    for check in CHECKS:
        command += ["-o", f"{check}:TRUE"]
    for field in FIELDS:
        command += ["-e", field]
    if decode_as is not None:
        command += ["-d", f"tcp.port=={decode_as},smpp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


async def captured(bridge: Bridge, client: Esme, file: Path, *, mask: bool = False) -> None:
    """A whole talk: text of several kinds, receipts, and the end."""
    running = asyncio.create_task(
        asyncio.to_thread(
            sessions, config=bridge.path, capture=("acme", file), seconds=30, count=9, mask=mask, socket=None
        )
    )
    await until(lambda: bridge.app._binds.captures)
    await client.bind()
    await client.submit("380501234510", b"hello")
    await client.receipts(1)
    await client.ask(ENQUIRE_LINK)
    client.request(UNBIND)
    await running


@pytest.mark.parametrize("mask", [False, True])
async def test_wireshark_reads_a_capture(bridge: Bridge, tshark: str, tmp_path: Path, mask: bool) -> None:
    file = tmp_path / "acme.pcap"
    client = await Esme.connect(bridge.smpp)
    await captured(bridge, client, file, mask=mask)
    await client.abort()
    found = dissected(tshark, file)
    commands = [int(each["smpp.command_id"], 16) for each in found]
    assert commands == [
        TRX, TRX | RESPONSE, SUBMIT_SM, SUBMIT_SM | RESPONSE, DELIVER_SM, DELIVER_SM | RESPONSE,
        ENQUIRE_LINK, ENQUIRE_LINK | RESPONSE, UNBIND,
    ]  # fmt: skip
    assert found[0]["smpp.password"] == "******"
    assert found[2]["smpp.destination_addr"] == ("3805******10" if mask else "380501234510")
    assert {each["tcp.stream"] for each in found} == {"0"}
    for each in found:
        assert (each["tcp.analysis.flags"], each["_ws.malformed"]) == ("", "")
        assert (each["ip.checksum.status"], each["tcp.checksum.status"]) == ("1", "1")
    assert dissected(tshark, file, decode_as=bridge.smpp) == found


def test_wireshark_sees_that_some_were_lost(tshark: str, tmp_path: Path) -> None:
    file = tmp_path / "lossy.pcap"
    link = bytes.fromhex("00000010000000150000000000000001")
    with file.open("wb", buffering=0) as stream:
        pcap = PcapFile(stream)
        for offset in (0, 16, 160, 176):
            pcap.write(Caught(1.0, 1, True, ("2001:db8::1", 40000), ("2001:db8::2", 2775), offset, link))
    found = dissected(tshark, file, decode_as=2775)
    assert [bool(each["tcp.analysis.flags"]) for each in found] == [False, False, True, False]
    assert {each["smpp.command_id"] for each in found} == {"0x00000015"}


def test_wireshark_reads_pdus_of_several_packets(tshark: str, tmp_path: Path) -> None:
    file = tmp_path / "large.pcap"
    payload = b"\x04\x24\xf0\x00" + b"x" * 0xF000
    body = b"\0\x01\x01380501234567\0\x01\x01380501234568\0" + bytes(5) + payload
    submit = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("000001030000000000000001") + body
    link = bytes.fromhex("00000010000000150000000000000002")
    with file.open("wb", buffering=0) as stream:
        pcap = PcapFile(stream)
        pcap.write(Caught(1.0, 1, True, ("192.0.2.1", 40000), ("192.0.2.2", 2775), 0, submit))
        pcap.write(Caught(1.0, 1, True, ("192.0.2.1", 40000), ("192.0.2.2", 2775), len(submit), link))
    found = dissected(tshark, file, decode_as=2775)
    assert [each["smpp.command_id"] for each in found if each["smpp.command_id"]] == ["0x00000103", "0x00000015"]
