"""The embedded store: one SQLite file, write-ahead log, every commit synced (`synchronous=FULL`)."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from bridge.errors import StoreUnavailable
from bridge.message import Inbound, Message, Owed, Part, Report, Usage
from bridge.store import (
    Alter,
    Awaiting,
    Decide,
    Entry,
    Event,
    Queued,
    Record,
    Recorded,
    Settlement,
    Stage,
    Wanted,
)
from bridge.store.attaching import joined
from bridge.store.changes import change, due, waiting
from bridge.store.database import SQL, hold, migrate, of_one_moment, open_file
from bridge.store.ledger import Ledger
from bridge.store.lookup import find, known
from bridge.store.rows import (
    line_of,
    message_from_bytes,
    owed_from_row,
    pack,
    plan_from_text,
    record_from_row,
    row_from_entry,
)
from bridge.store.writer import Writer

T = TypeVar("T")

_ID_BLOCK = 100_000  # ids reserved on disk at once; a restart skips the rest of its block
_LEASE_S = 3600.0  # only orders the leased ones: the process that holds the file is the only one that leases


class SqliteStore:
    """`bridge.store.Store` on one file that this process holds alone."""

    def __init__(self, path: Path, now: float, decide: Decide) -> None:
        """Opens or makes the file, migrates it, and queues again what an earlier process had leased.

        Needs a running loop. `decide` says what a report changes. Raises StoreUnavailable when another process
        holds the file, or when it cannot be used.
        """
        self._lock = hold(path)
        try:
            self._connection, self._reader = open_file(path)
        except sqlite3.Error as error:
            self._lock.close()
            raise StoreUnavailable(f"{path} cannot be used: {error}") from None
        self._read_thread = ThreadPoolExecutor(1, "store-read")
        self._closed = False
        try:
            migrate(self._connection)
            self._take_up(now)
            self._ledger = Ledger(self._connection, decide)
        except (sqlite3.Error, StoreUnavailable) as error:
            self._release()
            raise StoreUnavailable(f"{path} cannot be used: {error}") from None
        # Somebody's tool may lock the file later; the event loop must not wait for that.
        self._connection.execute("PRAGMA busy_timeout=100")
        self._writer = Writer(self._connection, self._ledger.remember)

    def _take_up(self, now: float) -> None:
        """Goes on where an earlier process ended."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        self.store_id = self._meta("store_id") or secrets.token_hex(6)
        connection.execute(SQL["write_meta"], ("store_id", self.store_id))
        connection.execute(SQL["release_leases"], (now,))
        self._next_id = int(self._meta("next_id") or 1)
        self._id_end = self._reserved = self._next_id + _ID_BLOCK
        connection.execute(SQL["write_meta"], ("next_id", str(self._id_end)))
        connection.execute("COMMIT")

    def _meta(self, name: str) -> str | None:
        row = self._connection.execute(SQL["read_meta"], (name,)).fetchone()
        return row[0] if row else None

    async def close(self) -> None:
        """Commits what has gathered and closes the file; whatever is asked later fails with StoreUnavailable."""
        await self._writer.close()
        self._closed = True
        self._release()

    def _release(self) -> None:
        self._read_thread.shutdown()
        self._reader.close()
        self._connection.close()
        self._lock.close()

    @property
    def queued(self) -> int:
        """Messages not yet with a provider, on disk and in memory."""
        return self._ledger.queued

    @property
    def commits(self) -> int:
        """Commits made since start."""
        return self._writer.commits

    def next_id(self) -> int:
        """A new id; the next block is reserved long before this one ends. Raises StoreUnavailable."""
        given = self._next_id
        if given >= self._id_end:
            raise StoreUnavailable("no message id could be reserved on disk")
        self._next_id = given + 1
        if self._id_end - given == _ID_BLOCK // 2 and self._reserved == self._id_end:
            self._reserve()
        return given

    def _reserve(self) -> None:
        self._reserved = end = self._id_end + _ID_BLOCK

        def reserved(future: asyncio.Future[Any]) -> None:
            if future.exception() is None:
                self._id_end = end
            elif not self._closed:
                self._reserved = self._id_end
                asyncio.get_running_loop().call_later(1.0, self._reserve)

        self._writer.write(lambda c: c.execute(SQL["write_meta"], ("next_id", str(end)))).add_done_callback(reserved)

    # --- in -----------------------------------------------------------------------------------------------------

    def accept(self, entries: Sequence[Entry], parts: Sequence[Message] = ()) -> asyncio.Future[None]:
        """Keeps new messages, and parts until the rest of their message has come: all of them or none."""

        def run(cursor: sqlite3.Cursor) -> None:
            if parts:
                rows = [(part.message_id, part.accepted_at, pack(part)) for part in parts]
                cursor.executemany(SQL["keep_part"], rows)
                shared = [(part.known_id, part.message_id) for part in parts if part.known_id is not None]
                cursor.executemany(SQL["share"], shared)
            self._ledger.queued += sum(entry.stage <= Stage.LEASED for entry in entries)
            cursor.executemany(SQL["accept"], [row_from_entry(entry) for entry in entries])
            for entry in entries:
                if entry.joins:
                    message_id = entry.message.message_id
                    marks = zip_longest(entry.joins, entry.marks)
                    cursor.executemany(SQL["join_part"], [(message_id, mark, part_id) for part_id, mark in marks])
                if entry.owed:
                    self._ledger.owe(cursor, entry.message.message_id, entry.owed)
                if entry.message.known_id is not None:
                    cursor.execute(SQL["share"], (entry.message.known_id, entry.message.message_id))

        return self._writer.write(run, len(entries) + len(parts))

    def parts(self) -> list[Message]:
        """Parts that wait for the rest of their message, oldest first."""
        return [message_from_bytes(body) for (body,) in self._connection.execute(SQL["waiting_parts"])]

    def usage(self) -> list[Usage]:
        """What accounts have used of their quotas."""
        return self._connection.execute(SQL["usage"]).fetchall()

    def keep_usage(self, gather: Callable[[], Sequence[Usage]]) -> asyncio.Future[None]:
        """Keeps what accounts have used, before whatever is kept after it."""

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(SQL["keep_usage"], gather())

        return self._writer.write(run)

    def joined(self, span_s: float, limit: int) -> list[tuple[bytes, int]]:
        """Marks of the last parts that were joined, and their messages, oldest first."""
        return joined(self._connection, span_s, limit)

    def attach(
        self, message_id: int, parts: Sequence[tuple[int, Part]], now: float
    ) -> asyncio.Future[list[Owed] | None]:
        """Gives waiting parts to a message that was joined without them; gives what is owed for them now."""

        return self._writer.write(lambda cursor: self._ledger.attach(cursor, message_id, parts, now), len(parts))

    # --- out ----------------------------------------------------------------------------------------------------

    def claim(self, lane: str, limit: int, now: float) -> asyncio.Future[tuple[list[Queued], float | None]]:
        """Leases due messages to a lane; and when the next one is due."""

        def run(cursor: sqlite3.Cursor) -> tuple[list[Queued], float | None]:
            rows = due(cursor, lane, limit, now)
            cursor.executemany(SQL["lease"], [(now + _LEASE_S, row[0]) for row in rows])
            (next_due,) = cursor.execute(SQL["next_due"], (Stage.QUEUED, lane)).fetchone()
            queued = [
                Queued(
                    message=message_from_bytes(body),
                    plan=plan_from_text(plan),
                    step=step,
                    attempts=attempts,
                    begun=begun,
                    alone=bool(alone),
                )
                for _, body, plan, step, attempts, begun, alone in rows
            ]
            return queued, next_due

        return self._writer.write(run, limit)

    def begin(self, message_ids: Sequence[int]) -> asyncio.Future[None]:
        """Notes that attempts start now."""

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(SQL["begin"], [(message_id,) for message_id in message_ids])

        return self._writer.write(run, len(message_ids))

    def lanes(self) -> asyncio.Future[list[str]]:
        """The lanes of messages that are not final."""
        return self._read(lambda connection: [row[0] for row in connection.execute(SQL["lanes"])])

    def depths(self) -> asyncio.Future[dict[str, int]]:
        """How many messages wait for each lane."""
        return self._read(lambda connection: dict(connection.execute(SQL["depths"]).fetchall()))

    def settle(self, settlements: Sequence[Settlement]) -> asyncio.Future[Recorded]:
        """Keeps what came of attempts, and takes reports that came before that; gives what it led to."""
        return self._writer.write(lambda cursor: self._ledger.settle(cursor, settlements), len(settlements))

    # --- changes ------------------------------------------------------------------------------------------------

    def change(self, message_ids: Sequence[int], alter: Alter, now: float) -> asyncio.Future[list[Entry | None]]:
        """Puts what `alter` makes of messages in their place, as long as no provider has, or may have, them."""

        def run(cursor: sqlite3.Cursor) -> list[Entry | None]:
            entries = [change(cursor, message_id, alter, now) for message_id in message_ids]
            for entry in entries:
                if entry is not None and entry.stage is Stage.FINAL:
                    self._ledger.end(cursor, entry)
            return entries

        return self._writer.write(run, len(message_ids))

    async def waiting(self, account: str, destination: str, before: int, wanted: Wanted) -> list[int]:
        """The ids of messages that no provider has yet, those too that were only handed over to be written."""
        await self._writer.write(lambda cursor: None)  # what was asked before this is on disk then
        return await self._read(lambda connection: waiting(connection, account, destination, before, wanted))

    # --- back ---------------------------------------------------------------------------------------------------

    def awaiting(self, lane: str, limit: int, now: float) -> asyncio.Future[tuple[list[Awaiting], float | None]]:
        """Messages with the provider whose report is due; and when the next one will be."""

        def run(connection: sqlite3.Connection) -> tuple[list[Awaiting], float | None]:
            rows = connection.execute(SQL["awaiting"], (lane, now, limit)).fetchall()
            (next_due,) = connection.execute(SQL["next_due"], (Stage.SENT, lane)).fetchone()
            return [
                Awaiting(message_id=message_id, provider_ref=provider_ref, sent_at=sent_at, step=step, else_at=else_at)
                for message_id, provider_ref, sent_at, step, else_at in rows
            ], next_due

        return self._read(run)

    def ask_again(self, due: Sequence[tuple[int, float]]) -> asyncio.Future[None]:
        """Puts off the question for reports."""

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(SQL["ask_again"], [(next_at, message_id) for message_id, next_at in due])

        return self._writer.write(run, len(due))

    def record(self, provider: str, reports: Sequence[Report], now: float) -> asyncio.Future[Recorded]:
        """Keeps reports, final or not, early or repeated."""

        def run(cursor: sqlite3.Cursor) -> Recorded:
            recorded = Recorded()
            for report in reports:
                self._ledger.record(cursor, provider, report, now, recorded)
            return recorded

        return self._writer.write(run, len(reports))

    def go_on(self, message_ids: Sequence[int], now: float) -> asyncio.Future[list[str]]:
        """Queues messages with a provider, whose time there is over, for their plan's next one; gives those lanes."""

        def run(cursor: sqlite3.Cursor) -> list[str]:
            return [lane for message_id in message_ids for lane in self._ledger.go_on(cursor, message_id, now)]

        return self._writer.write(run, len(message_ids))

    def receive(
        self, provider: str, inbound: Sequence[tuple[Inbound, Sequence[Owed]]], now: float
    ) -> asyncio.Future[list[Owed]]:
        """Keeps inbound messages; one that was repeated is not owed again."""

        def run(cursor: sqlite3.Cursor) -> list[Owed]:
            new: list[Owed] = []
            for item, owed in inbound:
                ref = item.provider_ref
                if ref is None or cursor.execute(SQL["see"], (provider, ref, now)).rowcount:
                    self._ledger.owe(cursor, None, owed)
                    new += owed
            return new

        return self._writer.write(run, len(inbound))

    def owed(self, listener: str, account: str, after: int, limit: int, now: float) -> asyncio.Future[list[Owed]]:
        """What is owed to an account and due, in the order it came, after the given owed_id."""

        def run(connection: sqlite3.Connection) -> list[Owed]:
            rows = connection.execute(SQL["owed"], (listener, account, after, now, limit)).fetchall()
            return [owed_from_row(listener, account, row) for row in rows]

        return self._read(run)

    def owing(self) -> asyncio.Future[list[tuple[str, str, float]]]:
        """(listener, account, earliest due) of all that is owed."""
        return self._read(lambda connection: connection.execute(SQL["owing"]).fetchall())

    def next_owed(self, listener: str, account: str, now: float) -> asyncio.Future[float | None]:
        """When the next of what is owed to an account and is not due yet will be."""

        def run(connection: sqlite3.Connection) -> float | None:
            due_at: float | None
            (due_at,) = connection.execute(SQL["next_owed"], (listener, account, now)).fetchone()
            return due_at

        return self._read(run)

    def handed(self, confirmed: Sequence[tuple[Owed, Event]]) -> asyncio.Future[None]:
        """Forgets what an account has confirmed, or what was given up."""

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(SQL["handed"], [(o.listener, o.account, o.owed_id) for o, _ in confirmed])
            cursor.executemany(
                SQL["note_report"],
                [(line_of(event), owed.message.message_id) for owed, event in confirmed if owed.message is not None],
            )

        return self._writer.write(run, len(confirmed))

    def postpone(self, owed: Sequence[Owed]) -> asyncio.Future[None]:
        """Keeps `due_at` and `attempts` of what could not be handed over now."""
        rows = [(o.due_at, o.attempts, o.listener, o.account, o.owed_id) for o in owed]

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(SQL["postpone"], rows)

        return self._writer.write(run, len(rows))

    # --- looking ------------------------------------------------------------------------------------------------

    def find(self, message_id: int) -> asyncio.Future[Record | None]:
        """A message by its id, or by the id of one of its parts."""

        return self._read(lambda connection: find(connection, message_id))

    def known(self, known_id: int) -> asyncio.Future[list[Record]]:
        """The messages that a client knows by an id; and a part, as a message that is accepted, while it waits."""
        return self._read(lambda connection: known(connection, known_id))

    def find_ref(self, account: str, client_ref: str, limit: int = 100) -> asyncio.Future[list[Record]]:
        """Messages of an account by its own reference, newest first."""

        def run(connection: sqlite3.Connection) -> list[Record]:
            rows = connection.execute(SQL["find_ref"], (account, client_ref, limit)).fetchall()
            return [record_from_row(row) for row in rows]

        return self._read(run)

    def _read(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        def attempt() -> T:
            try:
                return of_one_moment(self._reader, run)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"the store could not read: {error}") from None

        loop = asyncio.get_running_loop()
        if self._closed:
            future: asyncio.Future[T] = loop.create_future()
            future.set_exception(StoreUnavailable("the store is closed"))
            return future
        return loop.run_in_executor(self._read_thread, attempt)

    # --- keeping house ------------------------------------------------------------------------------------------

    def purge(self, before: float, limit: int) -> asyncio.Future[int]:
        """Deletes messages final since before a time, and what else is as old; gives how many messages."""

        return self._writer.write(lambda cursor: self._ledger.purge(cursor, before, limit), limit)
