"""Looking messages up in a SQLite store, also from another process than the one that holds it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bridge.errors import StoreUnavailable
from bridge.message import State
from bridge.store import Record
from bridge.store.database import SQL, of_one_moment
from bridge.store.rows import message_from_bytes, record_from_row


def find_record(path: Path, message_id: int) -> Record | None:
    """A message from the file of a store, also while another process uses it. Raises StoreUnavailable."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return of_one_moment(connection, lambda connection: find(connection, message_id))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from None


def find(connection: sqlite3.Connection, message_id: int) -> Record | None:
    """A message by its id, or by the id of one of its parts."""
    row = connection.execute(SQL["find"], (message_id,)).fetchone()
    if row is None:
        part = connection.execute(SQL["find_by_part"], (message_id,)).fetchone()
        row = connection.execute(SQL["find"], part).fetchone() if part and part[0] is not None else None
    return record_from_row(row) if row else None


def known(connection: sqlite3.Connection, known_id: int) -> list[Record]:
    """The messages that a client knows by an id; and a part, as a message that is accepted, while it waits."""
    shared = [message_id for (message_id,) in connection.execute(SQL["sharing"], (known_id,))]
    return [
        record
        for message_id in shared or [known_id]
        if (record := find(connection, message_id) or _waiting_part(connection, message_id)) is not None
    ]


def _waiting_part(connection: sqlite3.Connection, part_id: int) -> Record | None:
    row = connection.execute(SQL["waiting_part"], (part_id,)).fetchone()
    if row is None:
        return None
    part = message_from_bytes(row[0])
    return Record(
        message=part,
        state=State.ACCEPTED,
        reason=None,
        provider=None,
        provider_ref=None,
        attempts=0,
        updated_at=part.accepted_at,
        timeline=[],
    )
