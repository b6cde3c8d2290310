"""How fast receipts reach a client that comes back, while it submits as fast as it may.

Run by hand: `python tests/bench/bench_receipts.py [MESSAGES [BINDS [RATE]]]`, where RATE is submits a second, 0 for as
many as it may. The daemon, its store on disk and a simulated provider are those of `smsbridge bench`. First a client
submits so many messages without a bind that receives; all receipts wait, most of them on disk. Then it binds as
transceiver and submits as many again. It asserts nothing: rates belong to a machine.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bridge.cli.benching.stage import Settings, Stage
from bridge.cli.benching.tally import rate

BATCH = 50
WINDOW = 100
STALLED_S = 60.0


async def run(messages: int, binds: int, submits: int) -> None:
    settings = Settings(
        messages=messages, backlog=0, binds=binds, window=WINDOW, concurrency=32, rate=None, report_delay_s=0.0,
        directory="/var/tmp",
    )  # fmt: skip
    away, back = range(messages), range(messages, 2 * messages)
    with TemporaryDirectory(prefix="bench-receipts-", dir=settings.directory) as folder:
        async with Stage(settings, Path(folder), back.stop, told, batch=BATCH, receiving=False) as stage:
            tally = stage.tally
            await stage.use(away, "away", on_the_way=0, until="accepted", stalled_s=STALLED_S)
            while tally.sent < messages or stage.callbacks.waiting:  # noqa: ASYNC110 - counts have no event
                await asyncio.sleep(0.1)
            await stage.subject.rest()
            memory = stage.subject.memory_bytes()
            begun, begun_at = stage.begin(), stage.load.clock()
            await stage.receive(submits or None)
            stage.load.submit(back)
            await stage.follow("back", "reported", 0, len(away), STALLED_S)
            drained_at, drained_cpu_s = stage.load.clock(), stage.subject.cpu_s() - begun.cpu_s
            accepted = sum(1 for at in tally.accepted_at[back.start : back.stop] if at)
            caught_up = rate(tally.reported_at[: away.stop], begun_at)
            await stage.follow("back", "reported", 0, back.stop, STALLED_S)
            usage = await stage.end(begun)
            counts = tally.counts(range(back.stop))
    waited_s = drained_at - begun_at
    print(f"{binds} binds, {messages} receipts wait; {memory / 2**20:.0f} MiB then, {usage.memory_mb:.0f} at the peak")
    print(f"a second: {caught_up:.0f} receipts that had waited, and {accepted / waited_s:.0f} submits meanwhile")
    print(f"{drained_cpu_s / messages * 1e6:.0f} us of CPU for each of them, {drained_cpu_s / waited_s:.2f} of a core")
    print(f"lost {counts.lost}, doubled {counts.doubled}, refused {counts.refused}, strange {tally.strange}")


def told(what: str, done: int, count: int) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    uvloop.run(run(*(numbers + [20_000, 4, 0][len(numbers) :])))
