"""Submissions seen before: what is the same, for how long, and how many are remembered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from listeners.smpp.submissions import submit_sm

from bridge.errors import StoreUnavailable
from bridge.listeners.smpp.repeats import Repeat, Repeats
from bridge.smpp.pdus import SubmitSm


@pytest.fixture
async def stored() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def same(**fields: Any) -> SubmitSm:
    return submit_sm(**{"sequence": 7, **fields})


async def test_the_same_octets_of_the_same_account_in_time(stored: asyncio.Future[None]) -> None:
    repeats = Repeats()
    repeats.note("shop", same(), repeat := Repeat(1, stored, 60.0))
    assert repeats.find("shop", same(), 59.9) is repeat
    for other in (same(sequence=8), same(short_message=b"hello!"), same(tlvs=((0x1400, b"x"),))):
        assert repeats.find("shop", other, 0.0) is None
    assert repeats.find("other", same(), 0.0) is None
    assert repeats.find("shop", same(), 60.0) is None
    assert len(repeats) == 0


async def test_what_could_not_be_stored_is_not_remembered(stored: asyncio.Future[None]) -> None:
    repeats = Repeats()
    repeats.note("shop", same(), Repeat(1, stored, 60.0))
    stored.set_exception(StoreUnavailable("no"))
    await asyncio.gather(stored, return_exceptions=True)
    await asyncio.sleep(0)
    assert repeats.find("shop", same(), 0.0) is None


async def test_the_oldest_are_forgotten(stored: asyncio.Future[None]) -> None:
    repeats = Repeats(most=10)
    for number in range(30):
        repeats.note("shop", same(sequence=number), Repeat(number, stored, 60.0))
    found = [repeats.find("shop", same(sequence=number), 0.0) for number in range(30)]
    assert [repeat.message_id for repeat in found if repeat is not None] == list(range(20, 30))
