"""What we owe accounts, kept until they confirm it: an outbox for each account and listener.

The disk holds everything that is owed; an outbox holds in memory what comes next, in order, up to a bound. Whoever
hands it over (an SMPP session with room in its window, a callback, a mail) is a `Sink`. A sink says `confirmed`,
`later` (it failed; it comes again after a growing delay, the others meanwhile), `returned` (it was never tried) or
`given_up`. What is older than the account's cap is given up with a visible event: a line in the log, one in the
message's timeline, and a count.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from bridge.message import Owed
from bridge.reports.withdrawn import OVERTAKEN, Withdrawn
from bridge.store import Event, Store
from bridge.telemetry import metrics

log = structlog.get_logger("bridge.reports")

_IN_MEMORY = 2000  # owed things of one account and listener
_LOAD = 500
_DELAY_MIN_S = 5.0
_DELAY_MAX_S = 3600.0
_FAILURES_TO_PAUSE = 5
_STORE_RETRY_S = 1.0
TOO_OLD = "too old"
_LOOK_EVERY_S = 1.0  # at most so often is the disk looked at for what was put off


class Sink(Protocol):
    """Hands owed things to an account."""

    def room(self) -> int:
        """How many may be given to it now."""

    def send(self, owed: Owed) -> None:
        """Starts to hand it over; the outbox hears later what came of it."""


class Outbox:
    """What one account is owed over one listener."""

    def __init__(self, listener: str, account: str, store: Store, *, kept_s: float, clock: Callable[[], float]) -> None:
        """`kept_s`: how long something is kept for an account that does not take it."""
        self.listener = listener
        self.account = account
        self.kept_s = kept_s
        self.sink: Sink | None = None
        self._store = store
        self._clock = clock
        self._ready: deque[Owed] = deque()
        self._held: set[int] = set()  # owed_ids in memory: ready or with the sink
        self._disordered = False  # something returned stands before what is older
        self._after = 0  # the last owed_id that memory has seen
        self._on_disk = False  # the disk may hold more that is due
        self._spills = 0
        self._looks = 0  # times that memory has started over from the oldest
        self._looked_at = -math.inf  # loop time
        self._due_before: float | None = None  # what the loads since then have looked for; None: not begun
        self._loading = False
        self._gone: set[int] = set()  # left memory while a load ran: what it read of them is stale
        self._confirmed: list[tuple[Owed, Event]] = []
        self._withdrawn = Withdrawn()
        self._failures = 0  # in a row
        self._paused_until = 0.0
        self._again: asyncio.TimerHandle | None = None
        self._again_at = float("inf")
        self._stopped = False

    @property
    def waiting(self) -> int:
        """Things in memory that no sink has yet."""
        return len(self._ready)

    def holds(self, owed: Owed) -> bool:
        """True for something in memory: whoever has it now decides about it."""
        return owed.owed_id in self._held

    def stop(self) -> None:
        """Gives out nothing more, and hands what was confirmed to the store, which commits it when it closes."""
        self.sink = None
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        if self._confirmed:
            self._flush()

    def offer(self, owed: Iterable[Owed]) -> None:
        """Takes things that are on disk now."""
        for item in owed:
            if item.owed_id in self._held:
                continue  # a load was faster
            spills = self._on_disk or len(self._held) >= _IN_MEMORY
            if item.message is not None and item.message.intermediate:
                self._withdrawn.note(item, in_memory=not spills)
            if spills:
                self._on_disk = True
                self._spills += 1
                # Who comes late may stand before what memory has seen.
                self._after = min(self._after, item.owed_id - 1)
            else:
                self._ready.append(item)
                self._held.add(item.owed_id)
                self._after = max(self._after, item.owed_id)
        self.pump()

    def look(self) -> None:
        """Looks on disk, from the oldest on."""
        self._after = 0
        self._looks += 1
        self._due_before = None
        self._looked_at = asyncio.get_running_loop().time()
        self._on_disk = True
        self._spills += 1
        self.pump()

    def pump(self) -> None:
        """Gives the sink what it has room for; to be called whenever it may have got some."""
        if self.sink is None:
            return
        now = self._clock()
        if now < self._paused_until:
            self._look_at(self._paused_until)
            return
        if self._disordered:
            self._ready = deque(sorted(self._ready, key=lambda item: item.owed_id))
            self._disordered = False
        room = self.sink.room()
        while room > 0 and self._ready:
            item = self._ready.popleft()
            if now >= item.created_at + self.kept_s:
                self.given_up(item, TOO_OLD)
                continue
            if self._withdrawn and (why := self._withdrawn.why(item)) is not None:
                self._withdraw(item, why)
                continue
            try:
                self.sink.send(item)
            except Exception:
                # One that cannot be handed over must not hold up the others, nor whoever offered it.
                log.exception("handing_over_failed", listener=self.listener, account=self.account)
                self.later(item, "an error on our side; see the log")
            room -= 1
            if self._ready and self._ready[0] is item:
                break  # returned: there is no room after all
        if self._on_disk and not self._ready:
            self._load(now)

    def give_up_old(self, now: float) -> None:
        """Gives up what waits in memory and is older than the account's cap."""
        old = [item for item in self._ready if now >= item.created_at + self.kept_s]
        if old:
            self._ready = deque(item for item in self._ready if now < item.created_at + self.kept_s)
        for item in old:
            self.given_up(item, TOO_OLD)
        self._withdrawn.forget_old(now - self.kept_s)

    # --- what the sink says -----------------------------------------------------------------------------------------

    def confirmed(self, owed: Owed, event: Event) -> None:
        """The account has it: `event` goes into the message's timeline."""
        self._failures = 0
        metrics.handed.add(self.listener)
        self._forget(owed, event)

    def returned(self, owed: Owed) -> None:
        """It was not tried, or nobody knows: it is next again."""
        self._ready.appendleft(owed)
        self._disordered = True

    def later(self, owed: Owed, why: str) -> None:
        """It failed now: it comes again after a delay; after several failures in a row, so does everything."""
        self._failures += 1
        owed.attempts += 1
        delay_s = min(_DELAY_MAX_S, _DELAY_MIN_S * 2.0 ** min(owed.attempts - 1, 20))
        now = self._clock()
        owed.due_at = now + delay_s
        log.info("report_later", listener=self.listener, account=self.account, why=why, attempts=owed.attempts,
                 delay_s=round(delay_s))  # fmt: skip
        if self._failures >= _FAILURES_TO_PAUSE:
            self._paused_until = now + min(delay_s, 60.0)
        self._postpone(owed)

    def given_up(self, owed: Owed, why: str) -> None:
        """It will never be taken: it is forgotten, visibly."""
        log.warning("report_given_up", listener=self.listener, account=self.account, id=owed.known_id, why=why)
        metrics.given_up.add(self.listener, self.account)
        self._forget(owed, {"at": self._clock(), "event": "report_given_up", "id": owed.known_id, "why": why})

    def drop(self, address: str | None, why: str) -> None:
        """Nothing that is owed until now for that address of the account will be taken."""
        if address:
            self._withdrawn.drop(address, self._clock(), why)

    def _withdraw(self, owed: Owed, why: str) -> None:
        if why == OVERTAKEN:  # the disk has forgotten it already
            self._let_go([owed.owed_id])
        else:
            self.given_up(owed, why)

    # --- the store --------------------------------------------------------------------------------------------------

    def _postpone(self, owed: Owed) -> None:
        done = self._store.postpone([owed])

        def postponed(future: asyncio.Future[None]) -> None:
            if future.exception() is not None:
                if not self._stopped:
                    asyncio.get_running_loop().call_later(_STORE_RETRY_S, self._postpone, owed)
                return
            self._let_go([owed.owed_id])
            self._look_at(owed.due_at)

        done.add_done_callback(postponed)

    def _look_at(self, at: float) -> None:
        loop, now = asyncio.get_running_loop(), self._clock()
        at = max(at, now, now + self._looked_at + _LOOK_EVERY_S - loop.time())
        if at >= self._again_at or self._stopped:
            return
        if self._again is not None:
            self._again.cancel()
        self._again_at = at
        self._again = loop.call_later(at - now + 0.01, self._look_now)

    def _look_now(self) -> None:
        self._again = None
        self._again_at = float("inf")
        self.look()

    def _forget(self, owed: Owed, event: Event) -> None:
        if not self._confirmed:
            asyncio.get_running_loop().call_soon(self._flush)
        self._confirmed.append((owed, event))

    def _flush(self) -> None:
        if not self._confirmed:
            return
        confirmed, self._confirmed = self._confirmed, []
        done = self._store.handed(confirmed)

        def forgotten(future: asyncio.Future[None]) -> None:
            if future.exception() is not None:
                # Not forgotten on disk: if we stop now the account gets it again, which it was promised to expect.
                self._confirmed += confirmed
                if not self._stopped:
                    asyncio.get_running_loop().call_later(_STORE_RETRY_S, self._flush)
                return
            self._let_go([owed.owed_id for owed, _ in confirmed])
            if self._on_disk and not self._ready:
                self.pump()

        done.add_done_callback(forgotten)

    def _let_go(self, owed_ids: Sequence[int]) -> None:
        self._held.difference_update(owed_ids)
        self._withdrawn.forget(owed_ids)
        if self._loading:
            self._gone.update(owed_ids)

    def _load(self, now: float) -> None:
        if self._loading or len(self._held) >= _IN_MEMORY:
            return
        self._loading = True
        if self._due_before is None:
            self._due_before = now
        after, spills, looks, due_before = self._after, self._spills, self._looks, self._due_before
        load = self._store.owed(self.listener, self.account, after, _LOAD, now)

        def loaded(future: asyncio.Future[list[Owed]]) -> None:
            self._loading = False
            if future.exception() is not None:
                self._gone.clear()
                self._look_at(self._clock() + _STORE_RETRY_S)
                return
            owed = future.result()
            fresh = [item for item in owed if item.owed_id not in self._held and item.owed_id not in self._gone]
            self._gone.clear()
            self._ready.extend(fresh)
            self._held.update(item.owed_id for item in fresh)
            for item in fresh:
                if item.message is not None and item.message.intermediate:
                    self._withdrawn.note(item)
            if owed and after == self._after and looks == self._looks:
                self._after = owed[-1].owed_id
            if len(owed) < _LOAD and spills == self._spills:
                self._on_disk = False
                self._due_before = None
                self._find_next_due(due_before)
            self.pump()

        load.add_done_callback(loaded)

    def _find_next_due(self, due_before: float) -> None:
        """All that was due then is in memory; what was put off longer is looked at when its time comes.

        `due_before` is the time of the first of several loads: what came due behind their back is looked at now.
        """

        def found(future: asyncio.Future[float | None]) -> None:
            if future.exception() is not None:
                self._look_at(self._clock() + _STORE_RETRY_S)
            elif (due_at := future.result()) is not None:
                self._look_at(due_at)

        self._store.next_owed(self.listener, self.account, due_before).add_done_callback(found)


class Delivery:
    """All outboxes."""

    def __init__(self, store: Store, kept_s: Callable[[str], float], clock: Callable[[], float]) -> None:
        """`kept_s` gives an account's age cap in seconds."""
        self._store = store
        self._kept_s = kept_s
        self._clock = clock
        self._outboxes: dict[tuple[str, str], Outbox] = {}

    def outbox(self, listener: str, account: str) -> Outbox:
        """The outbox of an account over a listener, made at first use."""
        key = (listener, account)
        outbox = self._outboxes.get(key)
        if outbox is None:
            outbox = Outbox(listener, account, self._store, kept_s=self._kept_s(account), clock=self._clock)
            self._outboxes[key] = outbox
        return outbox

    def offer(self, owed: Sequence[Owed]) -> None:
        """Sorts owed things, on disk already, into their outboxes."""
        if len(owed) == 1:
            self.outbox(owed[0].listener, owed[0].account).offer(owed)
            return
        sorted_: dict[tuple[str, str], list[Owed]] = {}
        for item in owed:
            sorted_.setdefault((item.listener, item.account), []).append(item)
        for (listener, account), items in sorted_.items():
            self.outbox(listener, account).offer(items)

    @property
    def waiting(self) -> int:
        """Things in memory that wait to be handed over."""
        return sum(outbox.waiting for outbox in self._outboxes.values())

    def configure(self) -> None:
        """Takes over changed age caps, and looks for what waits for accounts that can be reached only now."""
        for (_, account), outbox in self._outboxes.items():
            outbox.kept_s = self._kept_s(account)
            outbox.look()

    def stop(self) -> None:
        """Gives out nothing more; the store has all confirmations when it is closed next."""
        for outbox in self._outboxes.values():
            outbox.stop()

    async def recover(self) -> None:
        """Opens an outbox for everybody to whom an earlier process owed something."""
        for listener, account, _ in await self._store.owing():
            self.outbox(listener, account).look()

    async def sweep(self, batch: int = 500) -> None:
        """Gives up what is older than its account's cap; call it about once a minute. Raises StoreUnavailable."""
        now = self._clock()
        for listener, account, _ in await self._store.owing():
            await self._sweep(self.outbox(listener, account), now, batch)

    async def _sweep(self, outbox: Outbox, now: float, batch: int) -> None:
        outbox.give_up_old(now)
        after = 0
        while True:
            oldest = await self._store.owed(outbox.listener, outbox.account, after, batch, math.inf)
            old = [item for item in oldest if now >= item.created_at + outbox.kept_s and not outbox.holds(item)]
            events: list[tuple[Owed, Event]] = [
                (item, {"at": now, "event": "report_given_up", "id": item.known_id, "why": TOO_OLD}) for item in old
            ]
            if events:
                log.warning("reports_given_up", listener=outbox.listener, account=outbox.account, reports=len(events),
                            why=TOO_OLD)  # fmt: skip
                metrics.given_up.add(outbox.listener, outbox.account, count=len(events))
                await self._store.handed(events)
            if len(oldest) < batch or now < oldest[-1].created_at + outbox.kept_s:
                return
            after = oldest[-1].owed_id
