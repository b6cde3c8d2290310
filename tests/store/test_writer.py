"""Group commit on a table of its own: what is kept, who hears of a failure, and what waits meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.errors import StoreUnavailable
from bridge.store.writer import Writer


class Counted:
    """A table of numbers, and how many there are, counted in memory as a store counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA busy_timeout=10")
        self.connection.execute("CREATE TABLE number (n INTEGER PRIMARY KEY)")
        self.count = 0
        self.runs: list[int] = []
        self.writer = Writer(self.connection, self._remember)

    def _remember(self) -> Callable[[], None]:
        count = self.count

        def restore() -> None:
            self.count = count

        return restore

    def add(self, number: int, weight: int = 1) -> asyncio.Future[int]:
        def run(connection: sqlite3.Connection) -> int:
            self.runs.append(number)
            self.count += 1
            connection.execute("INSERT INTO number VALUES (?)", (number,))
            return number * 10

        return self.writer.write(run, weight)

    def kept(self) -> list[int]:
        """What another connection sees: only what was committed."""
        other = sqlite3.connect(self.path)
        rows = other.execute("SELECT n FROM number ORDER BY n").fetchall()
        other.close()
        return [number for (number,) in rows]


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Counted]:
    table = Counted(tmp_path / "numbers.db")
    yield table
    await table.writer.close()
    table.connection.close()


async def test_a_write_gives_what_its_work_gave(table: Counted) -> None:
    assert await asyncio.gather(table.add(1), table.add(2)) == [10, 20]
    assert table.kept() == [1, 2]


async def test_what_gathers_is_one_commit(table: Counted) -> None:
    await asyncio.gather(*(table.add(number) for number in range(400)))
    assert table.writer.commits == 1


async def test_what_gathers_while_a_commit_runs_is_the_next(table: Counted) -> None:
    first = table.add(1)
    await asyncio.sleep(0)  # the transaction is on its way to the disk
    rest = [table.add(number) for number in range(2, 50)]
    await asyncio.gather(first, *rest)
    assert table.writer.commits == 2


async def test_a_transaction_holds_so_many_rows_or_one_work(table: Counted) -> None:
    await asyncio.gather(table.add(1, weight=300), table.add(2, weight=100), table.add(3), table.add(4, weight=5000))
    assert table.writer.commits == 3


async def test_work_runs_in_the_order_it_came(table: Counted) -> None:
    await asyncio.gather(*(table.add(number, weight=150) for number in range(20)))
    assert table.runs == list(range(20))


async def test_only_the_one_at_fault_hears_of_it(table: Counted) -> None:
    await table.add(3)
    results = await asyncio.gather(*(table.add(number) for number in range(1, 6)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, StoreUnavailable)] == [10, 20, 40, 50]
    assert table.kept() == [1, 2, 3, 4, 5]
    assert table.count == 5
    assert table.writer.commits == 2


async def test_all_at_fault_all_hear_of_it(table: Counted) -> None:
    await asyncio.gather(*(table.add(number) for number in range(50)))
    results = await asyncio.gather(*(table.add(number) for number in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert table.count == 50
    assert await table.add(50) == 500


async def test_an_error_that_is_not_the_disks_stays_what_it_is(table: Counted) -> None:
    def run(connection: sqlite3.Connection) -> None:
        raise LookupError("no such thing")

    fine, broken = table.add(1), table.writer.write(run)
    with pytest.raises(LookupError, match="no such thing"):
        await broken
    assert await fine == 10


async def test_a_commit_that_fails_is_heard_by_all_in_it(table: Counted) -> None:
    """Foreign keys that are checked at the end make COMMIT itself fail."""
    table.connection.execute("PRAGMA foreign_keys=ON")
    table.connection.execute("CREATE TABLE child (n INTEGER REFERENCES number (n) DEFERRABLE INITIALLY DEFERRED)")

    def orphan(connection: sqlite3.Connection) -> None:
        table.count += 1
        connection.execute("INSERT INTO child VALUES (99)")

    results = await asyncio.gather(table.add(1), table.writer.write(orphan), return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 2
    assert (table.kept(), table.count, table.writer.commits) == ([], 0, 0)
    assert await table.add(1) == 10
    assert (table.kept(), table.count) == ([1], 1)


async def test_a_file_locked_by_somebody_else_is_heard_by_all_and_passes(table: Counted) -> None:
    other = sqlite3.connect(table.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(*(table.add(number) for number in range(100)), return_exceptions=True)
    assert {str(result) for result in results} == {"the store could not write: database is locked"}
    assert table.runs == []
    other.execute("ROLLBACK")
    other.close()
    assert await table.add(1) == 10


async def test_a_caller_that_went_away_undoes_nothing(table: Counted) -> None:
    gone, stays = table.add(1), table.add(2)
    gone.cancel()
    assert await stays == 20
    assert table.kept() == [1, 2]


async def test_closing_waits_for_what_follows_from_what_has_gathered(table: Counted) -> None:
    followers: list[asyncio.Future[int]] = []
    for number in range(1, 4):
        write = table.add(number)
        write.add_done_callback(lambda done: followers.append(table.add(done.result())))
    await table.writer.close()
    assert [write.result() for write in followers] == [100, 200, 300]
    assert table.kept() == [1, 2, 3, 10, 20, 30]


async def test_after_closing_a_write_fails_at_once(table: Counted) -> None:
    await table.writer.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await table.add(1)
    assert table.kept() == []


async def test_a_write_that_comes_while_the_thread_ends_does_not_hang(table: Counted) -> None:
    closing = asyncio.create_task(table.writer.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="closed"):
        await table.add(1)
    await closing
