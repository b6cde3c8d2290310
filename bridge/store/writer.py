"""Group commit on SQLite: everything that has gathered goes into one transaction and one sync.

The statements run on the event loop's thread, where they cost microseconds and no fight for the interpreter lock;
only COMMIT, which waits for the disk, runs in a thread of its own. While it runs, the next batch gathers. A caller's
future is done when the commit that holds its work was synced.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bridge.errors import StoreUnavailable

T = TypeVar("T")
# A commit costs some 150 µs of CPU whatever is in it: where several wait already, more are awaited. A client that
# sends one message at a time never waits for that.
_SEVERAL = 4
_GATHER_S = 0.008
_BATCH = 400  # rows in one transaction: bounds how long the loop is held (about 5 µs a row)


class _Work:
    __slots__ = ("future", "run", "value", "weight")

    def __init__(self, run: Callable[[sqlite3.Cursor], Any], weight: int, future: asyncio.Future[Any]) -> None:
        self.run = run
        self.weight = weight
        self.future = future
        self.value: Any = None


class Writer:
    """The one writer of a database; `connection` must be in autocommit mode and used by nobody else."""

    def __init__(self, connection: sqlite3.Connection, remember: Callable[[], Callable[[], None]]) -> None:
        """`remember` is called before each transaction; what it gives is called when that one was undone.

        Work of a transaction that was undone may run again.
        """
        self._connection = connection
        self._cursor = connection.cursor()  # one for all: making one costs as much as a small statement
        self._remember = remember
        self._restore = remember()
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Work] = deque()
        self._busy = False
        self._scheduled = False
        self._closed = False
        self._not_before = 0.0  # loop time of the next transaction
        self._idle: asyncio.Future[None] | None = None
        self.commits = 0
        self._commits_to_make: queue.SimpleQueue[list[_Work] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit_forever, name="store-commit", daemon=True)
        self._thread.start()

    def write(self, run: Callable[[sqlite3.Cursor], T], weight: int = 1) -> asyncio.Future[T]:
        """Runs `run` in the next transaction; `weight` is about how many rows it touches.

        The future fails with StoreUnavailable, or with what `run` raised, when nothing of it was kept. Cancelling the
        future does not undo the work.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("the store is closed"))
            return future
        self._waiting.append(_Work(run, weight, future))
        if not self._scheduled and not self._busy:
            self._schedule()
        return future

    async def close(self) -> None:
        """Commits what has gathered, then ends the thread; what comes later fails."""
        while self._busy or self._waiting:
            self._idle = self._loop.create_future()
            await self._idle
        if not self._closed:
            self._closed = True
            self._cursor.close()
        self._commits_to_make.put(None)
        await asyncio.to_thread(self._thread.join)

    def _schedule(self) -> None:
        self._scheduled = True
        wait_s = self._not_before - self._loop.time() if len(self._waiting) >= _SEVERAL else 0.0
        if wait_s > 0:
            self._loop.call_later(wait_s, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._busy or not self._waiting:
            return
        self._not_before = self._loop.time() + _GATHER_S
        batch = self._take()
        self._restore = self._remember()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._failed(batch, error)
            return
        for number, work in enumerate(batch):
            try:
                work.value = work.run(self._cursor)
            except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the caller's future
                # The others are innocent: they try again without it.
                self._waiting.extendleft(reversed(batch[:number] + batch[number + 1 :]))
                self._failed([work], error)
                return
        self._busy = True
        self._commits_to_make.put(batch)

    def _take(self) -> list[_Work]:
        waiting = self._waiting
        batch: list[_Work] = []
        weight = 0
        while waiting and (not batch or weight + waiting[0].weight <= _BATCH):
            work = waiting.popleft()
            weight += work.weight
            batch.append(work)
        return batch

    def _commit_forever(self) -> None:
        while (batch := self._commits_to_make.get()) is not None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._call_loop(self._failed, batch, error)
            else:
                self._call_loop(self._committed, batch)

    def _call_loop(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop is closed: the process ends, and nobody waits any more
            return

    def _committed(self, batch: list[_Work]) -> None:
        self._busy = False
        self.commits += 1
        for work in batch:
            if not work.future.done():
                work.future.set_result(work.value)
        self._go_on()

    def _failed(self, at_fault: Sequence[_Work], error: Exception) -> None:
        """Undoes the transaction; those at fault hear of it."""
        self._busy = False
        # A transaction that cannot even be rolled back now makes the next BEGIN fail, and so gets here again.
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._restore()
        for work in at_fault:
            if not work.future.done():
                work.future.set_exception(
                    StoreUnavailable(f"the store could not write: {error}")
                    if isinstance(error, sqlite3.Error)
                    else error
                )
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._schedule()
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
