"""`smsbridge demo` as a person runs it: a command of its own, watched from outside."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOPS = ["accepted", "bsg took it", "bsg reports enroute", "bsg reports delivered", "the client has it"]
WAIT_S = 20.0


@pytest.fixture
def short_path() -> Iterator[Path]:
    """An empty folder with a name that leaves room: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def start(folder: Path, *words: str) -> asyncio.subprocess.Process:
    """The command in a process of its own, which keeps what it makes in `folder`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", "from bridge.cli import main; main()", *words,
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def end_of(process: asyncio.subprocess.Process) -> tuple[str, str, int | None]:
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate()
    return out.decode(), err.decode(), process.returncode


async def test_once_shows_every_hop_of_every_protocol_and_leaves_nothing(short_path: Path) -> None:
    out, err, code = await end_of(await start(short_path, "demo", "--once"))
    assert (code, err) == (0, "")
    for protocol, told in (("smpp", "deliver_sm: delivered"), ("smtp", "mail to"), ("http", "rightly signed")):
        lines = [line for line in out.splitlines() if line.startswith(protocol)]
        shown = "\n".join(lines)
        assert [hop for hop in [*HOPS, "told to the client"] if hop not in shown] == []
        assert told in next(line for line in lines if "the client has it" in line)
        assert len(lines) == len(set(lines)) == len(HOPS) + 1
    assert os.listdir(short_path) == []


async def test_it_stays_and_can_be_played_with_until_it_is_told_to_stop(short_path: Path) -> None:
    demo = await start(short_path, "demo")
    assert demo.stdout is not None
    async with asyncio.timeout(WAIT_S):
        seen = (await demo.stdout.readuntil(b"put off once and then delivered.")).decode()
    commands = [line.split()[1:] for line in seen.splitlines() if line.startswith("  smsbridge ")]
    assert [words[0] for words in commands] == ["send", "send", "send", "trace"]
    processes = [await start(short_path, *words) for words in commands]
    for out, err, code in await asyncio.gather(*map(end_of, processes)):
        assert (code, err) == (0, "")
        assert re.match(r"taken as [0-9]+\n|message 1: delivered\n", out)
    demo.send_signal(signal.SIGINT)
    rest, err, code = await end_of(demo)
    assert (code, err) == (0, "")
    assert re.search(r"^message [0-9]+: callback message.delivered, rightly signed$", rest, re.MULTILINE)
    assert os.listdir(short_path) == []
