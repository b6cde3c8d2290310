"""A subject is started, measured and stopped; one that does not come up, or goes away, is told with its log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli.benching import subject as subjects
from bridge.cli.benching.subject import BenchError, Ports, Subject
from bridge.config.loader import load, warnings

WAITS = "import sys, time; data = bytearray(20_000_000); print('ready', flush=True); sys.stdin.read(); time.sleep(600)"
BURNS = """
import time
print("ready", flush=True)
while time.process_time() < 0.3: pass
time.sleep(600)
"""
FAILS = "raise SystemExit('the address is taken')"
LEAVES = "print('ready', flush=True); raise SystemExit('no more')"


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[list[Subject]]:
    subjects: list[Subject] = []
    yield subjects
    for subject in subjects:
        await subject.kill()


def program(text: str, tmp_path: Path, started: list[Subject]) -> Subject:
    started.append(Subject(["-c", text], tmp_path / "daemon.log"))
    return started[-1]


async def test_memory_is_that_of_the_process(tmp_path: Path, started: list[Subject]) -> None:
    subject = program(WAITS, tmp_path, started)
    await subject.start()
    assert 20_000_000 < subject.peak_memory_bytes() < 200_000_000


async def test_cpu_is_counted_until_it_rests(tmp_path: Path, started: list[Subject]) -> None:
    subject = program(BURNS, tmp_path, started)
    await subject.start()
    assert 0.2 <= await subject.rest() < 1.0
    assert subject.cpu_s() == await subject.rest()


async def test_stopping_ends_the_process(tmp_path: Path, started: list[Subject]) -> None:
    subject = program(WAITS, tmp_path, started)
    await subject.start()
    subject.check()
    await subject.stop()
    with pytest.raises(BenchError, match="daemon ended while it was measured"):
        subject.check()


async def test_one_that_does_not_come_up_is_told_with_its_log(tmp_path: Path, started: list[Subject]) -> None:
    with pytest.raises(BenchError, match="daemon did not become ready\nthe address is taken"):
        await program(FAILS, tmp_path, started).start()


async def test_one_that_goes_away_is_told_with_its_log(tmp_path: Path, started: list[Subject]) -> None:
    subject = program(LEAVES, tmp_path, started)
    await subject.start()
    with pytest.raises(BenchError, match="ended while it was measured\nno more"):
        await subject.rest()


def test_the_configuration_of_the_daemon_can_be_used_without_a_doubt(tmp_path: Path) -> None:
    ports = Ports.free()
    subjects.daemon(tmp_path, ports, "http://127.0.0.1:1/rest", 32, batch=50, window=70, binds=6)
    path = tmp_path / "bridge.yaml"
    config = load(path)
    assert warnings(config, path) == []
    account = config.accounts["bench"].smpp
    assert account is not None
    assert (account.window, account.max_binds) == (70, 6)
    provider = config.providers["bsg"]
    assert (provider.batch, provider.concurrency, provider.rate) == (50, 32, None)
    assert provider.callback_token is not None
    assert ports.callback_url.endswith("/callbacks/bsg/" + provider.callback_token.get_secret_value())
    assert (config.listeners.smpp[0].listen.port, config.listeners.http[0].listen.port) == ports
