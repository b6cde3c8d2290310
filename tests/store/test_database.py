"""The file: its schema, its migrations, and its named statements."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from store.samples import NOW, entry, stands

from bridge.errors import StoreUnavailable
from bridge.message import State
from bridge.reports.correlate import decide
from bridge.store import database
from bridge.store.database import SQL, hold, migrate, open_file
from bridge.store.sqlite import SqliteStore


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    writer, reader = open_file(tmp_path / "bridge.db")
    yield writer
    reader.close()
    writer.close()


def _schema(connection: sqlite3.Connection) -> tuple[int, list[str]]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version, [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]


# --- migrations


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection)
    first = _schema(connection)
    migrate(connection)
    assert _schema(connection) == first
    assert first[0] >= 1
    assert "message" in first[1]


def _steps(folder: Path, *scripts: str) -> Path:
    folder.mkdir()
    for number, script in enumerate(scripts, 1):
        (folder / f"{number:04}_step.sql").write_text(script)
    (folder / "queries.sql").write_text("")
    return folder


def test_only_what_is_new_is_run_in_order(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = "CREATE TABLE a (x);", "INSERT INTO a VALUES (1); CREATE TABLE b (y);"
    monkeypatch.setattr(database, "_FOLDER", _steps(tmp_path / "old", first))
    migrate(connection)
    monkeypatch.setattr(database, "_FOLDER", _steps(tmp_path / "new", first, second))
    migrate(connection)
    assert _schema(connection) == (2, ["a", "b"])
    assert connection.execute("SELECT count(*) FROM a").fetchone() == (1,)


def test_a_step_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _steps(tmp_path / "sql", "CREATE TABLE a (x);", "CREATE TABLE b (y); CREATE TABLE a (x);")
    monkeypatch.setattr(database, "_FOLDER", folder)
    for _ in range(2):
        writer, reader = open_file(tmp_path / "bridge.db")
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(writer)
        reader.close()
        writer.close()
    writer, reader = open_file(tmp_path / "bridge.db")
    assert _schema(writer) == (1, ["a"])
    reader.close()
    writer.close()


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    store = SqliteStore(path, NOW, decide)
    await store.accept([entry(1)])
    await store.close()
    writer, reader = open_file(path)
    writer.execute("PRAGMA user_version = 999")
    for _ in range(2):  # the second time too: nothing of the first try may stay locked
        with pytest.raises(StoreUnavailable, match="newer version"):
            SqliteStore(path, NOW, decide)
    assert writer.execute("SELECT stage FROM message").fetchall() == [(0,)]
    writer.execute(f"PRAGMA user_version = {_known_version(tmp_path)}")
    reader.close()
    writer.close()
    store = SqliteStore(path, NOW, decide)
    assert await stands(store, 1) == (State.ACCEPTED, None)
    await store.close()


def _known_version(folder: Path) -> int:
    writer, reader = open_file(folder / "fresh.db")
    migrate(writer)
    (version,) = writer.execute("PRAGMA user_version").fetchone()
    reader.close()
    writer.close()
    return int(version)


# --- statements


@pytest.mark.parametrize("name", sorted(SQL))
def test_every_statement_is_valid_and_alone(connection: sqlite3.Connection, name: str) -> None:
    migrate(connection)
    assert ";" not in SQL[name]
    connection.execute(f"EXPLAIN {SQL[name]}", [None] * SQL[name].count("?"))


def test_every_statement_has_a_sentence_and_a_user() -> None:
    folder = Path(database.__file__).parent
    text = (folder / "sql" / "sqlite" / "queries.sql").read_text()
    code = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    for name in re.findall(r"^-- name: (\w+)\n", text, flags=re.MULTILINE):
        assert re.search(rf"^-- name: {name}\n-- [A-Z].*\.\n(?!-- )", text, flags=re.MULTILINE), name
        assert f'SQL["{name}"]' in code, name


@pytest.mark.parametrize(
    "name",
    [
        "due",
        "due_urgent",
        "awaiting",
        "next_due",
        "standing_by_ref",
        "standing_by_leg",
        "find_ref",
        "find_by_part",
        "sharing",
        "owed",
        "owed_of",
        "next_owed",
        "forget_parts",
        "forget_legs",
        "oldest",
        "purge_seen",
        "purge_parked",
    ],
)
def test_no_statement_of_the_daily_work_reads_a_whole_table(connection: sqlite3.Connection, name: str) -> None:
    migrate(connection)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", [1] * SQL[name].count("?")).fetchall()
    assert plan
    assert not [step for *_, step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step]


def test_the_reader_cannot_write(tmp_path: Path) -> None:
    writer, reader = open_file(tmp_path / "bridge.db")
    migrate(writer)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute(SQL["purge_seen"], (1.0,))
    reader.close()
    writer.close()


def test_a_lock_is_free_again_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "bridge.db"
    lock = hold(path)
    with pytest.raises(StoreUnavailable, match="in use"):
        hold(path)
    lock.close()
    hold(path).close()
