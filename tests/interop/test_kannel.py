"""Kannel's bearerbox, the client that everybody has: it sends, hears what became of it, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows.bridges import Bridge, until
from interop.kannel import Kannel
from interop.programs import ABSENT, DELIVERED, LONG, PUT_OFF, REJECTED, needed
from interop.tap import Tap, dissect

from bridge.message import Inbound
from bridge.providers._contract import Heard
from bridge.store import Record

# Types of Kannel's reports: bits of dlr-mask.
DELIVERED_TO_PHONE, NOT_DELIVERED, QUEUED, TAKEN, REFUSED = 1, 2, 4, 8, 16


@pytest.fixture
async def kannel(tap: Tap, tmp_path: Path) -> AsyncIterator[Kannel]:
    bearerbox, smsbox = needed("bearerbox", "kannel"), needed("smsbox", "kannel")
    async with Kannel(bearerbox, smsbox, tmp_path, tap.port) as running:
        yield running


async def records(bridge: Bridge, number: int) -> list[Record]:
    """The messages that there are, once there are so many."""

    async def look() -> list[Record]:
        found = [await bridge.app.store.find(message_id) for message_id in range(1, 60)]
        whole = {each.message.message_id: each for each in found if each is not None}
        return list(whole.values()) if len(whole) >= number else []

    return await until(look)


async def test_texts_of_every_kind_arrive_and_are_reported(bridge: Bridge, kannel: Kannel) -> None:
    unicode = "Привіт 🙂, " * 12
    await kannel.send("plain", DELIVERED, "hello @ $ {€}")
    await kannel.send("absent", ABSENT, "hello")
    await kannel.send("rejected", REJECTED, "hello")
    await kannel.send("unicode", DELIVERED, "Привіт", coding="2")
    await kannel.send("long", DELIVERED, LONG.strip())
    await kannel.send("long_unicode", DELIVERED, unicode.strip(), coding="2")
    finals = dict.fromkeys(("plain", "unicode", "long", "long_unicode"), DELIVERED_TO_PHONE)
    finals |= {"absent": NOT_DELIVERED, "rejected": NOT_DELIVERED}
    wanted = {(name, kind) for name, final in finals.items() for kind in (TAKEN, final)}
    await kannel.news.until(lambda: set(kannel.reports) >= wanted)
    # It asks for intermediate notifications too; one that comes with the final receipt is left out.
    assert set(kannel.reports) - wanted <= {(name, QUEUED) for name in finals}
    sent = {record.message.text: record.message for record in await records(bridge, 6)}
    assert set(sent) == {"hello @ $ {€}", "hello", "Привіт", LONG.strip(), unicode.strip()}
    assert len(sent[LONG.strip()].parts) == 3
    assert len(sent[unicode.strip()].parts) == 2
    assert {message.source for message in sent.values()} == {"ACME"}
    await bridge.settled()


async def test_a_refusal_is_final_and_said(kannel: Kannel) -> None:
    await kannel.send("nowhere", "12", "hello")
    await kannel.news.until(lambda: kannel.reports)
    assert kannel.reports == [("nowhere", REFUSED)]


async def test_it_comes_back_after_a_restart_and_hears_what_it_missed(bridge: Bridge, kannel: Kannel) -> None:
    await kannel.send("late", PUT_OFF, "hello")
    await kannel.news.until(lambda: kannel.reports)
    await bridge.stop()
    bridge.ahead_s = 3600.0  # the second attempt is due
    await bridge.start()
    await kannel.news.until(lambda: ("late", DELIVERED_TO_PHONE) in kannel.reports)
    assert [kind for _, kind in kannel.reports if kind != QUEUED] == [TAKEN, DELIVERED_TO_PHONE]
    await kannel.send("again", DELIVERED, "hello again")
    await kannel.news.until(lambda: ("again", DELIVERED_TO_PHONE) in kannel.reports)


@pytest.mark.parametrize("text", ["hello from a handset {€}", "Привіт 🙂", LONG.strip(), "Довгий текст, " * 12 + "."])
async def test_a_message_from_a_handset_arrives_as_it_was_written(bridge: Bridge, kannel: Kannel, text: str) -> None:
    inbound = Inbound(source="380671112233", destination="380441234567", text=text)
    await bridge.app.hearing.keep("virtual", Heard(items=(inbound,)))
    await kannel.news.until(lambda: kannel.inbound)
    assert kannel.inbound == [{"from": "+380671112233", "to": "+380441234567", "text": text}]
    await bridge.settled()


async def test_what_went_over_the_wire_is_what_wireshark_reads(kannel: Kannel, tap: Tap, tmp_path: Path) -> None:
    tshark = needed("tshark", "tshark")
    await kannel.send("long", DELIVERED, LONG.strip())
    await kannel.news.until(lambda: ("long", DELIVERED_TO_PHONE) in kannel.reports)
    capture = tmp_path / "capture.pcap"
    tap.write_capture(capture)
    found = dissect(tshark, capture)
    assert [each.length for each in found] == [len(octets) for _, octets in tap.sent]
    assert {each.command_id for each in found} >= {0x09, 0x80000009, 0x04, 0x80000004, 0x05, 0x80000005}
