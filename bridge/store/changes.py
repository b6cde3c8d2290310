"""Changes of messages that no provider has yet, and which of them go first: what the SQLite store does for it."""

from __future__ import annotations

import sqlite3

from bridge.store import Alter, Entry, Event, Stage, Wanted
from bridge.store.database import SQL
from bridge.store.rows import Row, line_of, message_from_bytes, pack, plain, text_of_plan

_URGENT = (3, 2, 1)  # priorities, in the order they go


def due(cursor: sqlite3.Cursor, lane: str, limit: int, now: float) -> list[Row]:
    """The rows that a lane may have now, urgent ones first, then in the order they came due."""
    rows: list[Row] = []
    for priority in _URGENT:
        rows += cursor.execute(SQL["due_urgent"], (lane, now, priority, limit - len(rows))).fetchall()
    rows += cursor.execute(SQL["due"], (lane, now, limit - len(rows))).fetchall()
    return rows


def change(cursor: sqlite3.Cursor, message_id: int, alter: Alter, now: float) -> Entry | None:
    """What a message was changed to: ended when the entry is final, else queued anew; None when it was left alone."""
    row = cursor.execute(SQL["pending"], (message_id,)).fetchone()
    entry = alter(message_from_bytes(row[0])) if row is not None else None
    if entry is None:
        return None
    if entry.stage is Stage.FINAL:
        event: Event = {"at": now, "event": "cancelled"}
        cursor.execute(SQL["finish"], (int(entry.state), plain(entry.reason), now, line_of(event), message_id))
        return entry
    message = entry.message
    cursor.execute(
        SQL["replace"],
        (entry.plan[0], entry.next_at, int(entry.state), text_of_plan(entry.plan), message.priority, now, pack(message),
         line_of({"at": now, "event": "replaced"}), message_id),
    )  # fmt: skip
    return entry


def waiting(connection: sqlite3.Connection, account: str, destination: str, before: int, wanted: Wanted) -> list[int]:
    """The ids of an account's messages to a number that no provider has yet, oldest first, below `before`.

    There is no index for it, as every message would pay for that: the queue is read, by SQLite alone but for the
    messages that hold the number.
    """
    rows = connection.execute(SQL["waiting"], (account, before, destination.encode()))
    found = ((message_id, message_from_bytes(body)) for message_id, body in rows)
    return [message_id for message_id, message in found if message.destination == destination and wanted(message)]
