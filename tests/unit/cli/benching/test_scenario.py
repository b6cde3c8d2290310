"""A scenario runs in a folder of its own, which is gone afterwards, and counts the part after the warm-up."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from bridge.cli.benching.scenario import Backlog, Loop, Name, run
from bridge.cli.benching.stage import Settings

SETTINGS = Settings(
    messages=30, backlog=20, binds=1, window=5, concurrency=4, rate=None, report_delay_s=1.0, directory="/"
)


async def measured(name: Name, folder: Path) -> tuple[Loop | Backlog, list[str]]:
    steps: list[str] = []

    def told(what: str, done: int, count: int) -> None:
        assert 0 <= done <= count
        if what not in steps:
            steps.append(what)

    return await run(name, msgspec.structs.replace(SETTINGS, directory=str(folder)), told), steps


async def test_the_floor_is_measured_after_a_warm_up(tmp_path: Path) -> None:
    found, steps = await measured(Name.FLOOR, tmp_path)
    assert isinstance(found, Loop)
    assert (found.counts.messages, found.counts.reported, found.counts.lost) == (30, 30, 0)
    assert steps == ["floor: start", "floor: warm-up", "floor"]
    assert os.listdir(tmp_path) == []


async def test_in_batch_the_delay_is_in_the_receipts_and_not_in_the_rates(tmp_path: Path) -> None:
    found, _ = await measured(Name.BATCH, tmp_path)
    assert isinstance(found, Loop)
    assert found.receipt_ms.p50 >= 1000.0
    # From the first submit_sm to the last receipt it took a second and more, and that second is left out.
    assert found.reported_per_s > 30 / (found.receipt_ms.max / 1000.0)


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        await measured(Name.FLOOR, tmp_path / "gone")
