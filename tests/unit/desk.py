"""An intake on a real store and real routes, with lanes that note what they are given."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from store.samples import NOW, message, part

from bridge.admission import Counted, Quota
from bridge.assembly import PartsMissing
from bridge.errors import Refusal
from bridge.intake import Intake
from bridge.message import Message, Owed
from bridge.providers._contract import Capabilities
from bridge.reports.correlate import decide
from bridge.routing.rules import Route, Router
from bridge.routing.senders import Senders
from bridge.store import Queued
from bridge.store.sqlite import SqliteStore

CAPABILITIES = {
    "bsg": Capabilities(text_max=20, source_max=11),
    "virtual": Capabilities(binary=True, text_max=30, alphanumeric_source=False),
}
ROUTES = [
    Route(to="380*", send=["bsg", "virtual"]),
    Route(to="49*", send=["virtual"]),
]


@dataclass
class Limits:
    rate: float | None = None
    burst: int | None = None
    rate_counts: Counted = "messages"
    over_rate: Literal["reject", "pace"] = "reject"
    quota: Quota | None = None
    parts_timeout: float = 60.0
    parts_missing: PartsMissing = "refuse"
    max_parts: int = 5
    senders: Senders | None = None


@dataclass
class Lane:
    """Notes what it is given; has room for so many messages."""

    room: int = 100
    offered: list[Queued] = field(default_factory=list)
    woken: list[float] = field(default_factory=list)

    def reserve(self, *, urgent: bool = False) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        return True

    def offer(self, queued: Sequence[Queued]) -> None:
        self.offered += queued

    def release(self, count: int) -> None:
        self.room += count

    def wake(self, at: float) -> None:
        self.woken.append(at)


class Desk:
    """An intake and what stands around it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.accounts: dict[str, Limits] = {"shop": Limits(), "other": Limits()}
        self.queue_max = 1000
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path, self.now, decide)
        self.lanes = {name: Lane() for name in CAPABILITIES}
        self.owed: list[Owed] = []
        self.intake = Intake(
            self.store,
            Router(ROUTES, CAPABILITIES),
            self.accounts,
            CAPABILITIES,
            self.lanes,
            queue_max=self.queue_max,
            clock=lambda: self.now,
            on_owed=self.owed.extend,
        )

    async def restart(self) -> None:
        await self.store.close()
        self.open()
        self.intake.recover()
        await self.settled()

    def configure(self) -> None:
        self.intake.configure(Router(ROUTES, CAPABILITIES), self.accounts, CAPABILITIES)

    def message(self, **fields: Any) -> Message:
        return message(self.intake.next_id(), **{"accepted_at": self.now, "text": "hello"} | fields)

    def part(self, number: int, total: int, **fields: Any) -> Message:
        return part(self.intake.next_id(), number, total, **{"accepted_at": self.now} | fields)

    async def take(self, *messages: Message) -> list[Refusal | None]:
        verdicts, stored = self.intake.accept(messages)
        assert (stored is None) == all(verdicts)
        if stored is not None:
            await stored
        await self.settled()
        return verdicts

    async def settled(self) -> None:
        """What followed from earlier writes is on disk, and heard of."""
        await self.store.accept([])
        await self.store.accept([])

    @property
    def offered(self) -> list[tuple[str, str | bytes | None]]:
        """What lanes were given: lane and content."""
        return [
            (name, queued.message.text or queued.message.binary)
            for name, lane in self.lanes.items()
            for queued in lane.offered
        ]


def reasons(verdicts: Sequence[Refusal | None]) -> list[str | None]:
    return [verdict and verdict.reason for verdict in verdicts]


class Locked:
    """As long as it is open, the store cannot write."""

    def __init__(self, desk: Desk) -> None:
        self._connection = sqlite3.connect(desk.path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


class NoMessages:
    """As long as it is open, the store can keep parts, but no messages."""

    def __init__(self, desk: Desk) -> None:
        self._connection = sqlite3.connect(desk.path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("CREATE TRIGGER no BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'no'); END")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("DROP TRIGGER no")
        self._connection.close()
