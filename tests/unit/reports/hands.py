"""Something owed, and a sink that a test plays by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from unit.world import WAIT_S, Store

from bridge.message import Inbound, Owed
from bridge.reports.delivery import Outbox


async def owe(
    store: Store, clock: Callable[[], float], numbers: Iterable[int], listener: str = "smpp", account: str = "acme"
) -> list[Owed]:
    """Things that are on disk and owed; `known_id` is the number."""
    now = clock()
    rows = []
    for number in numbers:
        item = Inbound(source="380501234567", destination="380440000001", text=str(number))
        owed = Owed(account=account, listener=listener, created_at=now, due_at=now, known_id=number, inbound=item)
        rows.append((item, [owed]))
    return await store.receive("plain", rows, now)


async def on_disk(store: Store, listener: str = "smpp", account: str = "acme") -> list[int]:
    """The numbers of what is still owed."""
    return [owed.known_id for owed in await store.owed(listener, account, 0, 100_000, float("inf"))]


class Hand:
    """Takes so many at once; the test says what becomes of each."""

    def __init__(self, outbox: Outbox, window: int = 1) -> None:
        self.outbox = outbox
        self.window = window
        self.under_way: list[Owed] = []
        self.got: list[int] = []  # known_ids, as they came
        self._changed = asyncio.Event()
        outbox.sink = self

    def room(self) -> int:
        return self.window - len(self.under_way)

    def send(self, owed: Owed) -> None:
        self.under_way.append(owed)
        self.got.append(owed.known_id)
        self._changed.set()

    async def until(self, count: int) -> None:
        """Waits for so many."""
        async with asyncio.timeout(WAIT_S):
            while len(self.got) < count:
                self._changed.clear()
                await self._changed.wait()

    def confirm(self) -> None:
        """The account has the oldest of what is under way."""
        owed = self.under_way.pop(0)
        self.outbox.confirmed(owed, {"at": owed.created_at, "event": "reported", "id": owed.known_id})
        self.outbox.pump()

    def fail(self) -> None:
        self.outbox.later(self.under_way.pop(0), "busy")
        self.outbox.pump()

    def put_back(self) -> None:
        self.outbox.returned(self.under_way.pop(0))

    async def take_all(self, count: int) -> None:
        """Confirms all that comes, until so many have come."""
        while len(self.got) < count or self.under_way:
            if not self.under_way:
                await self.until(len(self.got) + 1)
            self.confirm()


class SlowReads(Store):
    """What was read arrives only when `go` is set."""

    go: asyncio.Event | None = None

    def owed(self, listener: str, account: str, after: int, limit: int, now: float) -> asyncio.Future[list[Owed]]:
        return asyncio.ensure_future(self._when_told(super().owed(listener, account, after, limit, now)))

    async def _when_told(self, read: asyncio.Future[list[Owed]]) -> list[Owed]:
        owed = await read
        if self.go is not None:
            await self.go.wait()
        return owed
