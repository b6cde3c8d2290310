"""What memory knows beside the file, and the steps of transactions that change both: answers, reports, debts."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence

from bridge.message import FAILED, FINAL, Message, Owed, Part, Reason, Report, State
from bridge.store import Decide, Entry, Recorded, Settlement, Stage, Standing
from bridge.store.attaching import attach, owed_with_attached
from bridge.store.database import SQL
from bridge.store.rows import (
    STATES,
    Row,
    event_from_report,
    line_of,
    message_from_bytes,
    pack,
    plain,
    plan_from_text,
    report_from_bytes,
)

_SENT_KEPT = 10_000  # messages in memory for the report that is likely to come soon


class Ledger:
    """Counts, and what was sent a moment ago; every method runs inside a transaction of the writer."""

    def __init__(self, connection: sqlite3.Connection, decide: Decide) -> None:
        """Counts what an earlier process has left. `decide` says what a report changes."""
        self._decide = decide
        self._next_owed: int = connection.execute(SQL["last_owed"]).fetchone()[0] + 1
        self.queued: int = connection.execute(SQL["count_queued"]).fetchone()[0]
        self.parked: int = connection.execute(SQL["count_parked"]).fetchone()[0]
        self.purged_to = 0
        self.attached: set[int] = set()  # messages that were given parts while they may have been with a lane
        # With a provider since a moment, and unchanged since: state, lane, whether the plan goes on, and the message.
        self.sent: OrderedDict[int, tuple[State, str, bool, Message]] = OrderedDict()

    def remember(self) -> Callable[[], None]:
        """How to set back what is counted in memory, should a transaction be undone: counting anew takes too long."""
        queued, parked, purged_to, attached = self.queued, self.parked, self.purged_to, set(self.attached)

        def restore() -> None:
            self.queued, self.parked, self.purged_to, self.attached = queued, parked, purged_to, attached
            self.sent.clear()

        return restore

    def settle(self, cursor: sqlite3.Cursor, settlements: Sequence[Settlement]) -> Recorded:
        """Keeps what came of attempts, and takes reports that came before that; gives what it led to."""
        recorded = Recorded()
        for done in settlements:
            self._settle(cursor, done, recorded)
        return recorded

    def _settle(self, cursor: sqlite3.Cursor, done: Settlement, recorded: Recorded) -> None:
        message_id, line, now = done.message.message_id, line_of(done.event), done.event["at"]
        owed = done.owed
        if message_id in self.attached and done.state in FINAL:
            # Its lane had the message in memory when parts were attached to it.
            owed = owed_with_attached(cursor, done)
            self.attached.discard(message_id)
        changed = cursor.execute(
            SQL["settle"],
            (int(done.stage), int(done.state), done.lane, done.step, done.attempts, done.begun, int(done.alone),
             done.next_at, done.else_at, plain(done.reason), now, done.sent_at, done.provider_ref, line, message_id),
        ).rowcount  # fmt: skip
        if changed:
            self.queued -= done.stage >= Stage.SENT
            if owed:
                self.owe(cursor, message_id, owed)
                recorded.owed += owed
            elif done.stage is Stage.SENT and message_id not in self.attached:
                self.sent[message_id] = (done.state, done.lane, done.else_at is not None, done.message)
                if len(self.sent) > _SENT_KEPT:
                    self.sent.popitem(last=False)
        else:
            cursor.execute(SQL["settle_late"], (done.provider_ref, line, message_id))
        if self.parked:
            if done.provider_ref is not None:
                self._unpark(cursor, done.lane, done.provider_ref, now, recorded)
            if done.else_at is not None:
                self._unpark(cursor, done.lane, _own_ref(message_id), now, recorded)

    def end(self, cursor: sqlite3.Cursor, entry: Entry) -> None:
        """A message that no provider has is final now; keeps who must be told."""
        self.queued -= 1
        self.attached.discard(entry.message.message_id)
        self.owe(cursor, entry.message.message_id, entry.owed)

    def _unpark(self, cursor: sqlite3.Cursor, provider: str, ref: str, now: float, recorded: Recorded) -> None:
        """Keeps reports that came before anybody knew what their provider's id stands for."""
        rows = cursor.execute(SQL["parked"], (provider, ref)).fetchall()
        self.parked -= cursor.execute(SQL["unpark"], (provider, ref)).rowcount
        for (body,) in rows:
            self.record(cursor, provider, report_from_bytes(body), now, recorded)

    def record(self, cursor: sqlite3.Cursor, provider: str, report: Report, now: float, recorded: Recorded) -> None:
        """Keeps a report, and adds to `recorded` what it led to."""
        standing, message_id, stage, has_next = self._standing(cursor, provider, report)
        if standing is None:
            if report.message_id is None and report.provider_ref is not None:
                self._park(cursor, provider, report.provider_ref, report, now, recorded)
            else:
                recorded.stray += 1
            return
        verdict = self._decide(standing, provider, report, now)
        if has_next and stage <= Stage.LEASED and verdict.state in FAILED:
            # It has overtaken the provider's answer, with which the plan can go on: they meet then.
            self._park(cursor, provider, _own_ref(message_id), report, now, recorded)
            return
        line = line_of(event_from_report(provider, report, now))
        if verdict.goes_on:
            cursor.execute(SQL["note_report"], (line, message_id))
            recorded.went_on += self.go_on(cursor, message_id, now)
        elif verdict.state is None:
            cursor.execute(SQL["note_report"], (line, message_id))
        elif verdict.state not in FINAL:
            cursor.execute(SQL["apply_report"], (int(verdict.state), plain(verdict.reason), now, line, message_id))
        else:
            cursor.execute(SQL["finish"], (int(verdict.state), plain(verdict.reason), now, line, message_id))
            if stage <= Stage.LEASED:
                self.queued -= 1
                recorded.ended.append(message_id)
            self.attached.discard(message_id)
        if verdict.owed:
            self.owe(cursor, message_id, verdict.owed)
            recorded.owed += verdict.owed
        if report.new_ref is not None:
            cursor.execute(SQL["keep_leg"], (provider, report.new_ref, message_id))
            if self.parked:
                self._unpark(cursor, provider, report.new_ref, now, recorded)

    def _park(
        self, cursor: sqlite3.Cursor, provider: str, ref: str, report: Report, now: float, recorded: Recorded
    ) -> None:
        key = (provider, ref, int(report.state), now, pack(report))
        self.parked += cursor.execute(SQL["park"], key).rowcount
        recorded.parked += 1

    def _standing(
        self, cursor: sqlite3.Cursor, provider: str, report: Report
    ) -> tuple[Standing | None, int, int, bool]:
        """Where the message of a report stands, its id, its stage, and whether its plan goes on after a failure."""
        row: Row | None = None
        if report.message_id is not None:
            # Whatever the report changes, what is in memory is no longer true.
            sent = self.sent.pop(report.message_id, None)
            if sent is not None:
                state, lane, goes_on, message = sent
                return Standing(state, lane, goes_on, lambda: message), report.message_id, Stage.SENT, goes_on
            row = cursor.execute(SQL["standing"], (report.message_id,)).fetchone()
        elif report.provider_ref is not None:
            row = cursor.execute(SQL["standing_by_ref"], (report.provider_ref, provider)).fetchone()
            if row is None:
                row = cursor.execute(SQL["standing_by_leg"], (report.provider_ref, provider)).fetchone()
        if row is None:
            return None, 0, 0, False
        message_id, number, lane, body, stage, else_at, reason, plan, step = row
        self.sent.pop(message_id, None)
        goes_on, known = else_at is not None, Reason(reason) if reason else None
        has_next = goes_on or ("@" in plan and plan_from_text(plan).wait_s(step) is not None)
        standing = Standing(STATES[number], lane, goes_on, lambda: message_from_bytes(body), known)
        return standing, message_id, stage, has_next

    def go_on(self, cursor: sqlite3.Cursor, message_id: int, now: float) -> list[str]:
        """Queues a message for its plan's next provider; gives that lane, or nothing when there is none."""
        self.sent.pop(message_id, None)
        row = cursor.execute(SQL["leg"], (message_id,)).fetchone()
        if row is None:  # it has ended, or gone on, meanwhile
            return []
        plan, step, lane, provider_ref, body = row
        if now >= message_from_bytes(body).expires_at:
            cursor.execute(SQL["stay"], (message_id,))
            return []
        if provider_ref is not None:
            cursor.execute(SQL["keep_leg"], (lane, provider_ref, message_id))
        lane_after = plan_from_text(plan)[step + 1]
        line = line_of({"at": now, "event": "goes_on", "provider": lane, "next": lane_after})
        cursor.execute(SQL["go_on"], (lane_after, step + 1, now, now, line, message_id))
        self.queued += 1
        return [lane_after]

    def attach(
        self, cursor: sqlite3.Cursor, message_id: int, parts: Sequence[tuple[int, Part]], now: float
    ) -> list[Owed] | None:
        """Gives waiting parts to a message; gives what is owed for them now, None when there is no such message."""
        owed = attach(cursor, message_id, parts, now)
        self.sent.pop(message_id, None)
        if owed:
            self.owe(cursor, message_id, owed)
        elif owed is not None:
            self.attached.add(message_id)
        return owed

    def owe(self, cursor: sqlite3.Cursor, message_id: int | None, owed: Sequence[Owed]) -> None:
        """Keeps what somebody must be told, and numbers it."""
        message, report = (owed[0].message, owed[0].report) if owed else (None, None)
        if message is not None and message.intermediate and report is not None and report.state in FINAL:
            _forget_news(cursor, message_id)
        for number, item in enumerate(owed, self._next_owed):
            item.owed_id = number
        self._next_owed += len(owed)
        cursor.executemany(
            SQL["owe"],
            [
                (o.owed_id, o.listener, o.account, o.due_at, o.created_at, o.attempts, message_id, o.known_id,
                 pack(o.report or o.inbound))
                for o in owed
            ],
        )  # fmt: skip

    def purge(self, cursor: sqlite3.Cursor, before: float, limit: int) -> int:
        """Deletes messages final since before a time, and what else is as old; gives how many messages."""
        rows = cursor.execute(SQL["oldest"], (self.purged_to, limit)).fetchall()
        old = [
            (message_id,)
            for message_id, updated_at, stage, still_owed in rows
            if stage == Stage.FINAL and updated_at < before and not still_owed
        ]
        # Start over from the oldest once the young ones are reached; what had to stay is looked at again then.
        # Not by updated_at: a few old messages that moved only now would hide all that come after them.
        more_are_old = len(rows) == limit and _accepted_at(cursor, rows[-1][0]) < before
        self.purged_to = rows[-1][0] if more_are_old else 0
        cursor.executemany(SQL["forget"], old)
        if cursor.execute(SQL["any_shared"]).fetchone()[0]:
            cursor.executemany(SQL["forget_shared"], [(message_id, message_id) for (message_id,) in old])
        cursor.executemany(SQL["forget_parts"], old)
        cursor.executemany(SQL["forget_legs"], old)
        cursor.execute(SQL["purge_seen"], (before,))
        self.parked -= cursor.execute(SQL["purge_parked"], (before,)).rowcount
        return len(old)


def _own_ref(message_id: int) -> str:
    """Under which a report waits that names the message itself."""
    return f"#{message_id}"


def _forget_news(cursor: sqlite3.Cursor, message_id: int | None) -> None:
    """The end of a message is to be told: what is not final is no news of it any more."""
    for *key, body in cursor.execute(SQL["owed_of"], (message_id,)).fetchall():
        if report_from_bytes(body).state not in FINAL:
            cursor.execute(SQL["handed"], key)


def _accepted_at(cursor: sqlite3.Cursor, message_id: int) -> float:
    (body,) = cursor.execute(SQL["body"], (message_id,)).fetchone()
    return message_from_bytes(body).accepted_at
