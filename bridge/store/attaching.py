"""Parts that come once their message is made: how they are recognised, and given to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from bridge.message import FINAL, Message, Owed, Part, Reason, Report, State, owed_for
from bridge.store import Settlement
from bridge.store.database import SQL
from bridge.store.rows import STATES, message_from_bytes, pack


def joined(connection: sqlite3.Connection, span_s: float, limit: int) -> list[tuple[bytes, int]]:
    """Marks of the last parts that were joined, and their messages, oldest first."""
    found: list[tuple[bytes, int]] = []
    newest: float | None = None
    for mark, message_id, created_at in connection.execute(SQL["joined_parts"], (limit,)):
        newest = created_at if newest is None else newest
        if created_at < newest - span_s:
            break
        if mark is not None:
            found.append((mark, message_id))
    return found[::-1]


def attach(cursor: sqlite3.Cursor, message_id: int, parts: Sequence[tuple[int, Part]], now: float) -> list[Owed] | None:
    """Writes the message with `parts`, and gives what is owed for them; None: there is no such message."""
    row = cursor.execute(SQL["joined"], (message_id,)).fetchone()
    if row is None:
        return None
    body, state, reason = row
    given = [part for _, part in parts]
    message = _with_parts(message_from_bytes(body), given)
    cursor.execute(SQL["attach"], (pack(message), message_id))
    cursor.executemany(SQL["join_part"], [(message_id, None, kept_id) for kept_id, _ in parts])
    if STATES[state] not in FINAL:
        return []
    return _owed(message, STATES[state], reason, now, [part.part_id for part in given])


def owed_with_attached(cursor: sqlite3.Cursor, done: Settlement) -> Sequence[Owed]:
    """What is owed by a settlement, for the parts too that its lane knows nothing of."""
    body, _, _ = cursor.execute(SQL["joined"], (done.message.message_id,)).fetchone()
    message = message_from_bytes(body)
    told = {owed.known_id for owed in done.owed}
    late = [part.part_id for part in message.parts if part.part_id not in told]
    return [*done.owed, *_owed(message, done.state, done.reason, done.event["at"], late)]


def _with_parts(message: Message, parts: Sequence[Part]) -> Message:
    """The message with more parts; one without any becomes the first of them, or its client would be told no more."""
    before = message.parts or (
        Part(
            part_id=message.message_id,
            number=parts[0].number,
            report_on=message.report_on,
            intermediate=message.intermediate,
            native=message.native,
        ),
    )
    intermediate = message.intermediate or any(part.intermediate for part in parts)
    return replace(message, parts=(*before, *parts), intermediate=intermediate)


def _owed(message: Message, state: State, reason: str | None, now: float, known_ids: Sequence[int]) -> list[Owed]:
    report = Report(state=state, reason=Reason(reason) if reason else None)
    return [owed for owed in owed_for(message, report, now) if owed.known_id in known_ids]
