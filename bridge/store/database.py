"""The file of a SQLite store: who holds it, how it is opened, its schema and its named statements."""

from __future__ import annotations

import fcntl
import re
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TextIO, TypeVar

from bridge.errors import StoreUnavailable

T = TypeVar("T")


def _queries(text: str) -> dict[str, str]:
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {
        name: "\n".join(line for line in sql.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, sql in zip(parts[::2], parts[1::2], strict=True)
    }


_FOLDER = resources.files("bridge.store") / "sql" / "sqlite"
SQL = _queries((_FOLDER / "queries.sql").read_text())


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the schema up to date: numbered files, forward only, each in a transaction of its own.

    Raises StoreUnavailable when a newer version has made it, or sqlite3.Error.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    steps = sorted(file.name for file in _FOLDER.iterdir() if re.match(r"\d{4}_", file.name))
    if version > len(steps):
        raise StoreUnavailable(f"the store was made by a newer version (schema {version}, this one knows {len(steps)})")
    for number, name in enumerate(steps[version:], version + 1):
        script = (_FOLDER / name).read_text()
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def hold(path: Path) -> TextIO:
    """The lock that keeps other processes away, while it is open. Raises StoreUnavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StoreUnavailable(f"{path} is in use by another process; one process holds a store") from None
    except OSError as error:
        lock.close()
        raise StoreUnavailable(f"{path} cannot be locked: {error.strerror}") from None
    return lock


def open_file(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """The connection that writes, every commit synced, and the one that only reads. Raises sqlite3.Error."""
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-32000", "wal_autocheckpoint=4000"):
            writer.execute(f"PRAGMA {pragma}")
        writer.execute("PRAGMA journal_size_limit=67108864")
        reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        reader.execute("PRAGMA query_only=ON")
    except sqlite3.Error:
        writer.close()
        raise
    return writer, reader


def of_one_moment(connection: sqlite3.Connection, run: Callable[[sqlite3.Connection], T]) -> T:
    """What `run` reads, all of it as it stood at one moment: between two statements, parts may become a message."""
    connection.execute("BEGIN")
    try:
        return run(connection)
    finally:
        connection.execute("COMMIT")
