"""A process is killed in the middle of its work, or its disk is full: what it was promised is there afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from store import victim
from store.samples import NOW, claimed, owed_to

from bridge.errors import StoreUnavailable
from bridge.message import State
from bridge.reports.correlate import decide
from bridge.store.sqlite import SqliteStore

_TESTS = Path(__file__).parents[1]


async def _start(path: Path, *arguments: int) -> asyncio.subprocess.Process:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(victim.__file__),
        str(path),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )


async def _kill_after(process: asyncio.subprocess.Process, lines: int) -> list[tuple[str, int]]:
    """What the process had said by the time it was dead."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        said = [await process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
    words = [line.decode().split() for line in said if line.endswith(b"\n")]
    assert len(words) >= lines
    return [(word, int(number)) for word, number in words]


@pytest.mark.parametrize("lines", [1, 50, 333])
async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "bridge.db"
    accepted: set[int] = set()
    handed: set[int] = set()
    for first in (1, 1_000_001):
        said = await _kill_after(await _start(path, first), lines)
        accepted |= {number for word, number in said if word == "accepted"}
        handed |= {number for word, number in said if word == "handed"}
    store = SqliteStore(path, NOW, decide)
    for number in accepted:
        record = await store.find(number)
        assert record is not None
        assert record.state is (State.REJECTED if number % 10 == 0 else State.ACCEPTED)
    # Leased or queued, all go on; and nothing is owed that was confirmed.
    assert {number for number in accepted if number % 10} <= set(await claimed(store, limit=1_000_000))
    owed = {owed.known_id for owed in await owed_to(store)}
    assert not owed & handed
    assert {number for number in accepted if number % 10 == 0} - handed <= owed | _handed_unheard(accepted, handed)
    await store.close()


def _handed_unheard(accepted: set[int], handed: set[int]) -> set[int]:
    """Those whose confirmation may have been stored although the process had no time to say so: of the last batch."""
    return {number for number in accepted - handed if number + 20 not in accepted}


async def test_a_store_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    process = await _start(path, 1)
    assert process.stdout is not None
    await process.stdout.readline()
    with pytest.raises(StoreUnavailable, match="in use by another process"):
        SqliteStore(path, NOW, decide)
    process.kill()
    await process.stdout.read()
    await process.wait()
    await SqliteStore(path, NOW, decide).close()


async def test_a_file_that_cannot_grow_fails_what_does_not_fit_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    process = await _start(path, 1, 400_000)
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 0
    said = [line.split() for line in out.decode().splitlines()]
    accepted = [int(number) for word, number in said if word == "accepted"]
    assert len(accepted) > 10
    assert said[-2:] == [["failed", str(accepted[-1] + 1)], ["recovered", str(len(accepted) + 1)]]
    store = SqliteStore(path, NOW, decide)
    assert await claimed(store) == [*accepted, accepted[-1] + 1]
    await store.close()
