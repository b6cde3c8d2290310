"""A stage waits for what was asked, gives up what does not come, and leaves no process behind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.cli.benching.stage import Settings, Stage
from bridge.cli.benching.subject import BenchError

SETTINGS = Settings(
    messages=40, backlog=0, binds=2, window=5, concurrency=4, rate=None, report_delay_s=0.0, directory="/"
)


class Told:
    def __init__(self) -> None:
        self.last = ("", -1, -1)

    def __call__(self, what: str, done: int, count: int) -> None:
        self.last = (what, done, count)


@pytest.fixture
def told() -> Told:
    return Told()


async def test_usage_is_that_of_the_part(tmp_path: Path, told: Told) -> None:
    async with Stage(SETTINGS, tmp_path, 80, told, batch=0) as stage:
        usage = await stage.use(range(40), "one", on_the_way=0, until="reported", stalled_s=20.0)
        assert told.last == ("one", 40, 40)
        other = await stage.use(range(40, 80), "other", on_the_way=0, until="reported", stalled_s=20.0)
        assert stage.tally.counts(range(80)).reported == 80
        assert usage.cpu_s + other.cpu_s <= stage.subject.cpu_s()
    assert 0 < usage.elapsed_s < 20.0
    assert 0 < usage.memory_mb <= other.memory_mb


async def test_accepted_is_not_waited_for_any_longer(tmp_path: Path, told: Told) -> None:
    async with Stage(SETTINGS, tmp_path, 40, told, batch=0) as stage:
        stage.callbacks.stop()
        await stage.use(range(40), "test", on_the_way=0, until="accepted", stalled_s=20.0)
        assert stage.tally.accepted == 40
        assert stage.tally.reported == 0


async def test_what_never_comes_is_given_up_and_lost(tmp_path: Path, told: Told) -> None:
    async with Stage(SETTINGS, tmp_path, 40, told, batch=0) as stage:
        stage.callbacks.stop()
        await stage.use(range(40), "test", on_the_way=0, until="reported", stalled_s=0.3)
        assert stage.tally.counts(range(40)).lost == 40


async def test_the_daemon_goes_through_it_too(tmp_path: Path, told: Told) -> None:
    async with Stage(SETTINGS, tmp_path, 40, told, batch=50) as stage:
        await stage.use(range(40), "test", on_the_way=0, until="reported", stalled_s=20.0)
        counts = stage.tally.counts(range(40))
        subject = stage.subject
    assert (counts.reported, counts.lost, counts.doubled, stage.tally.strange) == (40, 0, 0, 0)
    assert stage.provider.requests < 40
    with pytest.raises(BenchError, match="ended"):
        subject.check()


async def test_a_stage_that_cannot_be_opened_says_why_and_ends_what_it_had_started(tmp_path: Path, told: Told) -> None:
    stage = Stage(msgspec.structs.replace(SETTINGS, window=0), tmp_path, 40, told, batch=50)
    with pytest.raises(BenchError, match=r"did not become ready\n.*accounts.bench.smpp.window"):
        await stage.__aenter__()
    with pytest.raises(BenchError, match="ended"):
        stage.subject.check()
