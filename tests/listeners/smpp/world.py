"""What stands behind the listener under test: an intake with a list, and real outboxes on a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bridge.changes import Changes
from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.smpp.ports import Account
from bridge.listeners.smpp.settings import SmppAccount
from bridge.message import Inbound, Message, Owed, Plan, ReportOn, State
from bridge.message import Report as Said
from bridge.reports.correlate import decide
from bridge.reports.delivery import Delivery
from bridge.store import Entry, Stage
from bridge.store.sqlite import SqliteStore


def account(name: str = "acme", **settings: Any) -> Account:
    """An account whose system_id is its name."""
    password = settings.pop("password", "secret")
    sides = {key: settings.pop(key) for key in ("networks", "paced") if key in settings}
    secret = None if password is None else SecretStr(password)
    return Account(name=name, settings=SmppAccount(**{"system_id": name, "password": secret, **settings}), **sides)


class Ledger:
    """Takes messages into a list; what it refuses, and when its disk answers, a test may set."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.refusal: Refusal | None = None
        self.no_ids = False
        self.full = False  # the disk takes nothing
        self.held: asyncio.Event | None = None  # set: the disk takes its time until then
        self.asked = asyncio.Event()  # somebody came with messages
        self._last_id = 100

    def next_id(self) -> int:
        if self.no_ids:
            raise StoreUnavailable("no id")
        self._last_id += 1
        return self._last_id

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        self.asked.set()
        if self.refusal is not None:
            return [self.refusal for _ in messages], None
        self.taken.extend(messages)
        return [None for _ in messages], asyncio.ensure_future(self._commit())

    def room(self, account: str) -> tuple[int, float]:
        return 1000, 0.0

    async def _commit(self) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.full:
            raise StoreUnavailable("no space left")

    async def until(self, count: int) -> None:
        """Waits until so many messages were brought."""
        async with asyncio.timeout(10):
            while len(self.taken) < count:
                self.asked.clear()
                await self.asked.wait()


class World:
    """All that is behind the listener."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger()
        self.ahead_s = 0.0
        self.kept_s = 7 * 86400.0
        self.store = SqliteStore(path, self.clock(), decide)
        self.delivery = Delivery(self.store, lambda account: self.kept_s, self.clock)
        self.changes = Changes(self.store, self.ledger, {}, clock=self.clock, on_owed=self.delivery.offer)  # type: ignore[arg-type]

    def clock(self) -> float:
        return time.time() + self.ahead_s

    async def skip(self, seconds: float) -> None:
        """Lets time pass at once: what has become due is looked for."""
        self.ahead_s += seconds
        await self.delivery.recover()

    async def owe(self, count: int = 1, name: str = "acme") -> list[str]:
        """Owes an account receipts for new messages; gives the ids of these."""
        now = self.clock()
        entries = []
        for _ in range(count):
            message = Message(
                message_id=self.store.next_id(),
                account=name,
                listener="smpp",
                destination="380501234567",
                source="ACME",
                accepted_at=now,
                expires_at=now + 60,
                text="hello",
                report_on=ReportOn.FINAL,
                native={"source": (5, 0, "ACME"), "destination": (1, 1, "380501234567")},
            )
            owed = Owed(
                account=name,
                listener="smpp",
                created_at=now,
                due_at=now,
                known_id=message.message_id,
                message=message,
                report=Said(state=State.DELIVERED, at=now),
            )
            entries.append(
                Entry(message=message, plan=Plan(), stage=Stage.FINAL, next_at=None, state=State.DELIVERED, owed=[owed])
            )
        await self.store.accept(entries)
        self.delivery.offer([owed for entry in entries for owed in entry.owed])
        return [str(entry.message.message_id) for entry in entries]

    async def owe_inbound(self, text: str, name: str = "acme") -> None:
        """Owes an account an inbound message."""
        now = self.clock()
        inbound = Inbound(source="380501234567", destination="7700", text=text)
        owed = Owed(
            account=name,
            listener="smpp",
            created_at=now,
            due_at=now,
            known_id=self.store.next_id(),
            inbound=inbound,
        )
        self.delivery.offer(await self.store.receive("virtual", [(inbound, [owed])], now))

    async def nothing_owed(self) -> None:
        """Waits until everything is confirmed on disk."""
        async with asyncio.timeout(10):
            while await self.store.owing():  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.01)
