"""A process that works with a store until it is killed: `python victim.py FILE FIRST_ID [LARGEST_FILE]`.

It prints what it was promised: `accepted ID` and `handed ID` once the futures are done, `failed ID` and `recovered`
when the file could not grow and could again.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from store.samples import NOW, entry, message, rejected

from bridge.errors import StoreUnavailable
from bridge.reports.correlate import decide
from bridge.store.sqlite import SqliteStore


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def _work_for_ever(store: SqliteStore, first: int) -> None:
    number = first
    while True:
        batch = range(number, number + 20)
        number += 20
        given = [rejected(message(of)) if of % 10 == 0 else entry(of, leased=of % 2 == 0) for of in batch]
        writes = [store.accept([item]) for item in given]
        for item, write in zip(given, writes, strict=True):
            write.add_done_callback(lambda done, of=item.message.message_id: _say("accepted", of))
        await asyncio.gather(*writes)
        owed = [owed for item in given for owed in item.owed]
        await store.handed([(item, {"at": NOW, "event": "reported"}) for item in owed])
        for item in owed:
            _say("handed", item.known_id)


async def _fill(store: SqliteStore, first: int, largest: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    for number in range(first, first + 1000):
        try:
            await store.accept([entry(number, text="x" * 2000)])
        except StoreUnavailable:
            _say("failed", number)
            break
        _say("accepted", number)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await store.accept([entry(number, text="x" * 2000)])
    _say("recovered", store.queued)


async def _main(path: Path, first: int, largest: int | None) -> None:
    store = SqliteStore(path, NOW, decide)
    if largest is None:
        await _work_for_ever(store, first)
    else:
        await _fill(store, first, largest)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None))
