"""What only the SQLite engine promises: its file, its numbers, its commits, and how it fails and recovers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from store.samples import NOW, entry, failed, message, owed_to, part, report, sent, stands

from bridge.errors import StoreUnavailable
from bridge.message import Reason, State
from bridge.reports.correlate import decide
from bridge.store import ledger, sqlite
from bridge.store.lookup import find_record
from bridge.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bridge.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, NOW, decide)
    yield store
    await store.close()


class Elsewhere:
    """A second connection to the file, as another program would have it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
async def elsewhere(path: Path, store: SqliteStore) -> AsyncIterator[Elsewhere]:
    other = Elsewhere(path)
    yield other
    other.close()


# --- the file


async def test_one_process_holds_a_store(path: Path, store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailable, match="in use by another process"):
        SqliteStore(path, NOW, decide)
    await store.close()
    await SqliteStore(path, NOW, decide).close()


async def test_a_store_has_one_id_for_ever(path: Path, tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        store = SqliteStore(path, NOW, decide)
        ids.append(store.store_id)
        await store.close()
    other = SqliteStore(tmp_path / "other.db", NOW, decide)
    await other.close()
    assert ids[0] == ids[1] != other.store_id
    assert len(bytes.fromhex(ids[0])) == 6


def _folder_in_the_way(path: Path) -> None:
    path.mkdir(parents=True)


def _not_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database " * 100)


def _no_folder(path: Path) -> None:
    path.parent.write_text("a file")


@pytest.mark.parametrize("damage", [_folder_in_the_way, _not_a_database, _no_folder])
async def test_a_file_that_cannot_be_used(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    for _ in range(2):  # the second time too: nothing of the first try may stay locked
        with pytest.raises(StoreUnavailable, match=r"bridge\.db cannot be used"):
            SqliteStore(path, NOW, decide)


async def test_a_lock_that_cannot_be_made_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("bridge.db.lock").mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        SqliteStore(path, NOW, decide)


async def test_a_closed_store_is_one_file_that_can_be_copied(path: Path) -> None:
    store = SqliteStore(path, NOW, decide)
    await store.accept([entry(1)])
    await store.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["bridge.db", "bridge.db.lock"]


# --- ids


async def test_ids_are_never_given_out_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_ID_BLOCK", 10)
    given: list[int] = []
    for _ in range(4):
        store = SqliteStore(path, NOW, decide)
        for _ in range(33):
            given.append(store.next_id())
            if len(given) % 5 == 0:
                await store.accept([])  # a commit: the next block is reserved by then
        await store.close()
    assert given == sorted(set(given))
    assert given[0] == 1


async def test_ids_run_out_when_none_can_be_reserved_and_come_back(
    store: SqliteStore, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_ID_BLOCK", 100_000)
    loop = asyncio.get_running_loop()
    again: list[float] = []
    called_later = loop.call_later

    def call_soon(delay: float, *args: object) -> asyncio.TimerHandle:
        again.append(delay)
        return called_later(0, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_later", call_soon)
    elsewhere.execute("BEGIN IMMEDIATE")
    given = [store.next_id() for _ in range(100_000)]
    with pytest.raises(StoreUnavailable, match="no message id"):
        store.next_id()
    with pytest.raises(StoreUnavailable):
        await store.accept([])
    elsewhere.execute("ROLLBACK")
    async with asyncio.timeout(10):
        while (following := _next_id_or_none(store)) is None:
            await store.accept([])
    assert following == given[-1] + 1
    assert again[0] == 1.0


def _next_id_or_none(store: SqliteStore) -> int | None:
    try:
        return store.next_id()
    except StoreUnavailable:
        return None


# --- commits


async def test_a_future_is_done_only_when_its_commit_is(store: SqliteStore, elsewhere: Elsewhere) -> None:
    seen: list[int] = []
    writes = []
    for number in range(1, 4):
        write = store.accept([entry(number)])
        write.add_done_callback(lambda _: seen.append(elsewhere.count("message")))
        writes.append(write)
        assert elsewhere.count("message") == 0
    await asyncio.gather(*writes)
    assert seen == [3, 3, 3]


async def test_every_verb_that_writes_is_committed_when_its_future_is_done(path: Path, store: SqliteStore) -> None:
    """A copy of the file as it is at that moment is a store that knows it."""
    await store.accept([entry(1, leased=True)], [part(7, 1, 2)])
    await store.settle([sent(1, "ref-1")])
    recorded = await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    after_the_crash = SqliteStore(copy, NOW, decide)
    assert await stands(after_the_crash, 1) == (State.DELIVERED, None)
    assert await owed_to(after_the_crash) == recorded.owed
    assert after_the_crash.parts() == [part(7, 1, 2)]
    await after_the_crash.close()


async def test_many_writes_share_few_commits(store: SqliteStore) -> None:
    before = store.commits
    await asyncio.gather(*(store.accept([entry(number)]) for number in range(1, 301)))
    assert store.commits - before <= 2
    await asyncio.gather(*(store.accept([entry(number)]) for number in range(301, 2001)))
    assert 5 <= store.commits - before <= 10  # at most 400 rows each
    assert store.queued == 2000


async def test_every_commit_is_synced(store: SqliteStore) -> None:
    connection = store._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_close_commits_what_has_gathered(path: Path) -> None:
    store = SqliteStore(path, NOW, decide)
    writes = [store.accept([entry(number)]) for number in range(1, 1001)]
    await store.close()
    assert all(write.done() and write.exception() is None for write in writes)
    store = SqliteStore(path, NOW, decide)
    assert store.queued == 1000
    await store.close()


async def test_after_close_nothing_hangs(path: Path) -> None:
    store = SqliteStore(path, NOW, decide)
    await store.close()
    for asked in (store.accept([entry(1)]), store.find(1), store.owing(), store.claim("bsg", 1, NOW)):
        with pytest.raises(StoreUnavailable, match="closed"):
            await asked
    await store.close()


async def test_a_cancelled_caller_undoes_nothing(store: SqliteStore) -> None:
    write = store.accept([entry(1)])
    write.cancel()
    await store.accept([entry(2)])
    assert store.queued == 2
    assert await stands(store, 1) == (State.ACCEPTED, None)


# --- failures


async def test_a_full_disk_is_told_and_passes(store: SqliteStore) -> None:
    await store.accept([entry(1, leased=True), entry(2, leased=True)])
    connection = store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = [store.accept([entry(number, text="x" * 50_000)]) for number in (3, 4)]
    results = await asyncio.gather(*big, return_exceptions=True)
    assert [str(result) for result in results] == ["the store could not write: database or disk is full"] * 2
    assert store.queued == 2
    assert await store.find(3) is None
    connection.execute("PRAGMA max_page_count=1000000")
    await store.accept([entry(number, text="x" * 50_000) for number in (3, 4)])
    assert store.queued == 4
    await store.settle([sent(1, "ref-1"), failed(message(2))])
    assert store.queued == 2


async def test_a_locked_file_is_told_at_once_and_passes(store: SqliteStore, elsewhere: Elsewhere) -> None:
    await store.accept([entry(1)])
    elsewhere.execute("BEGIN IMMEDIATE")
    writes = [store.accept([entry(number)]) for number in range(2, 300)]
    async with asyncio.timeout(3):  # a tenth of a second for all of them, not for each
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert store.queued == 1
    assert await stands(store, 1) == (State.ACCEPTED, None)
    elsewhere.execute("ROLLBACK")
    await store.accept([entry(number) for number in range(2, 300)])
    assert store.queued == 299


async def test_counts_are_right_after_a_failure(store: SqliteStore) -> None:
    """A transaction that is undone takes what it had counted with it; the next one counts it again."""
    await store.accept([entry(number, leased=True) for number in range(1, 5)])
    outcomes = await asyncio.gather(
        store.accept([entry(9)]),
        store.settle([sent(1, "a"), sent(2, "b")]),
        store.record("bsg", [report(State.DELIVERED, ref="early"), report(State.DELIVERED, message_id=4)], NOW),
        store.accept([entry(10), entry(1)]),
        store.settle([sent(3, "early")]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[3], StoreUnavailable)
    assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert store.queued == 1
    assert store._ledger.parked == 0
    assert [await stands(store, number) for number in (3, 4)] == [(State.DELIVERED, None)] * 2
    assert len(await owed_to(store)) == 2


async def test_what_was_undone_is_not_remembered_as_sent(store: SqliteStore, elsewhere: Elsewhere) -> None:
    await store.accept([entry(1, leased=True), entry(2, leased=True)])
    elsewhere.execute("CREATE TRIGGER no BEFORE INSERT ON owed BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreUnavailable):
        await store.settle([sent(1, message=message(1, text="undone")), failed(message(2))])
    elsewhere.execute("DROP TRIGGER no")
    (owed,) = (await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)).owed
    assert owed.message == message(1)


@pytest.mark.parametrize("kept", [1, 10_000])
async def test_a_report_meets_the_same_message_in_memory_and_on_disk(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(ledger, "_SENT_KEPT", kept)
    await store.accept([entry(number, leased=True) for number in range(1, 6)])
    await store.settle([sent(number, f"ref-{number}") for number in range(1, 6)])
    assert len(store._ledger.sent) == min(kept, 5)
    for state in (State.ENROUTE, State.UNDELIVERABLE, State.DELIVERED):
        await store.record("bsg", [report(state, message_id=number) for number in range(1, 6)], NOW)
    assert {await stands(store, number) for number in range(1, 6)} == {(State.UNDELIVERABLE, Reason.UNSPECIFIED)}
    assert [owed.message for owed in await owed_to(store)] == [message(number) for number in range(1, 6)]
    assert not store._ledger.sent


async def test_a_failed_purge_looks_again_where_it_was(store: SqliteStore, elsewhere: Elsewhere) -> None:
    await store.accept([entry(number, leased=True) for number in (1, 2, 3)])
    await store.settle([sent(number, stage=3, state=State.DELIVERED, next_at=None) for number in (1, 2, 3)])
    elsewhere.execute("CREATE TRIGGER no BEFORE DELETE ON message BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreUnavailable):
        await store.purge(NOW + 50, 2)
    elsewhere.execute("DROP TRIGGER no")
    assert await store.purge(NOW + 50, 3) == 3


async def test_a_purged_message_leaves_nothing(store: SqliteStore, elsewhere: Elsewhere) -> None:
    await store.accept([], [part(1, 1, 2), part(2, 2, 2), part(3, 1, 2)])
    await store.accept([entry(1, leased=True, joins=(1, 2))])
    owed = (await store.settle([failed(message(1))])).owed
    await store.handed([(item, {}) for item in owed])
    assert await store.purge(NOW + 50, 10) == 1
    assert [elsewhere.count(table) for table in ("message", "part", "owed")] == [0, 1, 0]


async def test_a_failing_read_is_told(store: SqliteStore, elsewhere: Elsewhere) -> None:
    await store.accept([entry(1)])
    elsewhere.execute("ALTER TABLE message RENAME TO gone")
    with pytest.raises(StoreUnavailable, match="could not read"):
        await store.find(1)
    elsewhere.execute("ALTER TABLE gone RENAME TO message")
    assert await stands(store, 1) == (State.ACCEPTED, None)


# --- looking from outside


async def test_a_message_can_be_looked_up_beside_a_running_store(path: Path, store: SqliteStore) -> None:
    await store.accept([entry(1)])
    assert find_record(path, 1) == await store.find(1)
    assert find_record(path, 2) is None


async def test_a_message_can_be_looked_up_in_a_closed_store(path: Path) -> None:
    store = SqliteStore(path, NOW, decide)
    await store.accept([entry(1)])
    expected = await store.find(1)
    await store.close()
    assert find_record(path, 1) == expected


def test_looking_into_nothing_is_told_and_makes_nothing(path: Path) -> None:
    path.parent.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        find_record(path, 1)
    assert list(path.parent.iterdir()) == []


async def test_what_one_read_asks_is_of_one_moment(store: SqliteStore, elsewhere: Elsewhere) -> None:
    """Parts that become a message in the middle of a look-up are found, as parts or as the message."""
    await store.accept([], [part(1, 1, 2), part(2, 2, 2)])

    def look(connection: sqlite3.Connection) -> tuple[int, int]:
        (before,) = connection.execute("SELECT count(*) FROM part WHERE message_id IS NULL").fetchone()
        elsewhere.execute("UPDATE part SET message_id = 1")
        (after,) = connection.execute("SELECT count(*) FROM part WHERE message_id IS NULL").fetchone()
        return before, after

    assert await store._read(look) == (2, 2)
