"""The floor relays: a request for each message, a receipt for each callback, as a client and a provider see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cli.benching.stage import Settings, Stage
from bridge.cli.benching.subject import BenchError

SETTINGS = Settings(
    messages=60, backlog=0, binds=2, window=5, concurrency=4, rate=None, report_delay_s=0.0, directory="/"
)


def quiet(what: str, done: int, count: int) -> None:
    """Nobody looks."""


async def test_each_message_is_sent_once_and_reported_once(tmp_path: Path) -> None:
    async with Stage(SETTINGS, tmp_path, 60, quiet, batch=0) as stage:
        await stage.use(range(60), "test", on_the_way=20, until="reported", stalled_s=20.0)
        counts = stage.tally.counts(range(60))
    assert (counts.accepted, counts.sent, counts.reported) == (60, 60, 60)
    assert (counts.lost, counts.doubled, counts.refused, stage.tally.strange) == (0, 0, 0, 0)
    assert stage.provider.requests == 60


async def test_a_provider_that_takes_nothing_ends_it(tmp_path: Path) -> None:
    async with Stage(SETTINGS, tmp_path, 60, quiet, batch=0) as stage:
        stage.provider.away = True
        with pytest.raises(BenchError, match="floor ended while it was measured"):
            await stage.use(range(60), "test", on_the_way=20, until="reported", stalled_s=20.0)
