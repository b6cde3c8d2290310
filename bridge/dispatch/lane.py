"""A lane: one provider's way out, with its rate, its concurrency, its breaker and natural batching.

Messages come fresh from intake, as long as the lane's share of memory lasts and nothing older waits on disk;
otherwise they stay on disk and the lane claims them in order. Each of `concurrency` senders takes whatever waits and
fits into one request as soon as it is free; nothing waits just to fill a batch. What came of it goes to the store,
which tells what is owed then.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from bridge.dispatch.breaker import Breaker
from bridge.dispatch.exchange import Exchange
from bridge.dispatch.retry import Policy, expire, set_apart, settle
from bridge.dispatch.waiting import Waiting
from bridge.message import Outcome, Owed, Reason, Refused, Retry, Unsure
from bridge.providers._contract import Attempt, Provider
from bridge.providers._fit import fit
from bridge.store import Queued, Recorded, Settlement, Stage, Store
from bridge.throttle import Bucket
from bridge.transport import Transport

log = structlog.get_logger("bridge.dispatch")

_CLAIM = 256  # messages claimed from disk at once
_STORE_RETRY_S = 1.0
_UNSETTLED = 2000  # outcomes not on disk yet before senders wait for the store
_LOOK_EVERY_S = 1.0  # how often a lane that may not send looks through what waits
_TIMER_MAX_S = 60.0  # timers do not notice that the clock was set; this late it is noticed


class Lane:
    """The way to one provider."""

    def __init__(
        self,
        provider: Provider,
        store: Store,
        transport: Transport,
        lanes: Mapping[str, Lane],
        *,
        memory: int,
        clock: Callable[[], float],
        on_owed: Callable[[Sequence[Owed]], None],
    ) -> None:
        """`memory`: messages held in memory; `lanes`: all of them by name, for plans with a next provider."""
        self.provider = provider
        self.name = provider.name
        self._store = store
        self._lanes = lanes
        self._memory = max(memory, 2 * provider.batch_size)
        self._clock = clock
        self._on_owed = on_owed
        settings, can = provider.settings, provider.capabilities
        self._concurrency: int = settings.concurrency
        self._bucket = (
            Bucket(settings.rate, max(settings.rate / 10, provider.batch_size)) if settings.rate is not None else None
        )
        self.breaker = Breaker()
        self.exchange = Exchange(provider, store, transport, self.breaker, clock=clock, on_works=self._rouse)
        self._policy = Policy(
            on_unsure=settings.on_unsure or ("retry" if can.idempotent else "hold"),
            poll_s=settings.poll if can.poll_reports else None,
            report_timeout_s=settings.report_timeout,
        )
        self._note_begin = not can.idempotent
        self._ready = Waiting()
        self._held = 0  # reserved, ready or under way
        self._on_disk = True  # something due may wait on disk; true at start
        self._spills = 0  # times that something was left on disk
        self._claiming = False
        self._claim_timer: asyncio.TimerHandle | None = None
        self._wake_at = float("inf")
        self._idle: deque[asyncio.Future[None]] = deque()
        self._senders: list[asyncio.Task[None]] = []
        self._stopping = False
        self._look_at = 0.0
        self._unsettled = 0  # outcomes that are not on disk yet
        self._all_settled: asyncio.Future[None] | None = None  # what `stop` waits for
        self._stopped = False
        self._beat_at = clock()

    # --- in ---------------------------------------------------------------------------------------------------------

    def reserve(self, *, urgent: bool = False) -> bool:
        """True when one more message may wait in memory; False: it goes on disk only, and the lane will fetch it.

        An urgent one need not wait behind what is on disk, and has as much room again.
        """
        full = self._held >= 2 * self._memory if urgent else self._on_disk or self._held >= self._memory
        if full or self._stopping:
            self._on_disk = True
            self._spills += 1
            return False
        self._held += 1
        return True

    def release(self, count: int) -> None:
        """Gives back reservations whose messages could not be stored."""
        self._held -= count
        self._claim()

    def offer(self, queued: Sequence[Queued]) -> None:
        """Takes messages that were reserved for and are on disk now."""
        self._ready.add(queued)
        self._rouse()

    def hold(self, message_id: int) -> bool:
        """Keeps a message from being sent until `let_go`; False: it is being sent, or was and nobody knows yet."""
        return self._ready.hold(message_id)

    def let_go(self, message_id: int, *, changed: bool) -> None:
        """Ends a hold; `changed`: what is in memory is not to be sent, its place is on disk or nowhere."""
        if self._ready.let_go(message_id, changed=changed):
            self.release(1)
        self._rouse()

    def wake(self, at: float) -> None:
        """Says that the disk holds, or will hold, something due at a time."""
        if at <= self._clock():
            self._on_disk = True
            self._spills += 1
            self._claim()
        elif at < self._wake_at:
            self._wake_at = at
            if self._claim_timer is not None:
                self._claim_timer.cancel()
            self._claim_timer = asyncio.get_running_loop().call_later(min(at - self._clock(), _TIMER_MAX_S), self._due)

    @property
    def waiting(self) -> int:
        """Messages in memory that no sender has yet."""
        return len(self._ready)

    @property
    def busy(self) -> int:
        """Messages in memory, waiting or under way."""
        return self._held

    def silent_s(self, now: float) -> float:
        """Seconds that the lane has had work and no sender took any, for the watchdog."""
        return now - self._beat_at if self._ready else 0.0

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the senders, and looks on disk for what an earlier process left."""
        self._senders = [
            asyncio.create_task(self._send_forever(), name=f"lane-{self.name}-{number}")
            for number in range(self._concurrency)
        ]
        self._claim()

    async def stop(self, grace_s: float) -> None:
        """Takes nothing more, gives what is under way, and outcomes not on disk yet, `grace_s`; the rest is on disk."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        self._stopping = True
        if self._claim_timer is not None:
            self._claim_timer.cancel()
        self._ready.clear()
        for sleeper in self._idle:
            if not sleeper.done():
                sleeper.set_result(None)
        if self._senders:
            _, late = await asyncio.wait(self._senders, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._unsettled:
            self._all_settled = loop.create_future()
            await asyncio.wait([self._all_settled], timeout=max(0.0, end - loop.time()))
        self._stopped = True

    # --- from disk --------------------------------------------------------------------------------------------------

    def _due(self) -> None:
        self._claim_timer = None
        self._wake_at = float("inf")
        self._on_disk = True
        self._claim()

    def _claim(self) -> None:
        if self._claiming or self._stopping or not self._on_disk:
            return
        room = min(_CLAIM, self._memory - self._held)
        if room <= 0 or len(self._ready) >= max(_CLAIM, self.provider.batch_size):
            return
        self._claiming = True
        self._held += room
        spills = self._spills
        claim = self._store.claim(self.name, room, self._clock())
        claim.add_done_callback(lambda done: self._claimed(done, room, spills))

    def _claimed(self, done: asyncio.Future[tuple[list[Queued], float | None]], room: int, spills: int) -> None:
        self._claiming = False
        if done.cancelled() or done.exception() is not None:
            self._held -= room
            self.wake(self._clock() + _STORE_RETRY_S)
            return
        queued, next_due = done.result()
        self._held -= room - len(queued)
        if len(queued) < room and spills == self._spills:
            self._on_disk = False
        if queued:
            self._ready.add(queued)
            self._look_at = 0.0
            self._rouse()
        if next_due is not None and not self._on_disk:
            self.wake(next_due)
        self._claim()

    # --- out --------------------------------------------------------------------------------------------------------

    def _rouse(self) -> None:
        wanted = -(-len(self._ready) // self.provider.batch_size)
        while wanted > 0 and self._idle:
            sleeper = self._idle.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                wanted -= 1

    async def _sleep(self, at_most_s: float | None = None) -> None:
        """Until there is work, or for so long."""
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        self._idle.append(sleeper)
        timer = None if at_most_s is None else loop.call_later(at_most_s, self._wake_sleeper, sleeper)
        await sleeper
        if timer is not None:
            timer.cancel()

    def _wake_sleeper(self, sleeper: asyncio.Future[None]) -> None:
        if not sleeper.done():
            self._idle.remove(sleeper)
            sleeper.set_result(None)

    async def _send_forever(self) -> None:
        while not self._stopping:
            self._beat_at = now = self._clock()
            if not self._ready:
                self._claim()
                await self._sleep()
                continue
            wait_s = self._wait_s(now)
            if wait_s > 0:
                await self._sleep(min(wait_s, 1.0))
                continue
            if batch := self._take(now):
                try:
                    await self._attempt(batch)
                except Exception:
                    # Nothing of it is settled yet; without that the messages would be nobody's until a restart.
                    log.exception("attempt_failed", provider=self.name)
                    unsure = Unsure(native="an error on our side; see the log")
                    self._settle([settle(queued, unsure, now, random.random(), self._policy) for queued in batch])
                finally:
                    self._held -= len(batch)
                self._claim()

    def _wait_s(self, now: float) -> float:
        wait_s = self.breaker.wait_s(now)
        if wait_s > 0:
            self._look_through(now, divert=True)
        elif self.exchange.throttled_until > now:
            wait_s = self.exchange.throttled_until - now
            self._look_through(now, divert=False)
        elif self._bucket is not None:
            wait_s = self._bucket.wait_s(now)
        return wait_s

    def _look_through(self, now: float, *, divert: bool) -> None:
        """While nothing may be sent, ends what expires meanwhile.

        `divert`: this provider does not work, so what was certainly not sent goes on to the plan's next one.
        """
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        away = Retry(reason=Reason.PROVIDER_UNREACHABLE, pause=True)
        settlements: list[Settlement] = []
        leaving: list[Queued] = []
        for queued in self._ready:
            if now >= queued.message.expires_at:
                settlements.append(expire(queued, now, self._policy))
            elif divert and queued.step + 1 < len(queued.plan) and not queued.begun:
                settlements.append(settle(queued, away, now, 0.0, self._policy))
            else:
                continue
            leaving.append(queued)
        if settlements:
            self._ready.take_out(leaving)
            self._held -= len(settlements)
            self._settle(settlements)
            self._claim()

    def _take(self, now: float) -> list[Queued]:
        """What goes into one request: the first that waits, and those behind it that may share a request with it."""
        size = 1 if self.breaker.open else min(self.provider.batch_size, len(self._ready))
        if self._bucket is not None:
            size = self._bucket.take(size, now)
        batch = self._ready.take(size, self._batch_key) if size else []
        if self._bucket is not None:
            self._bucket.give_back(size - len(batch))
        return batch

    def _batch_key(self, queued: Queued) -> object:
        try:
            return self.provider.batch_key(queued.message)
        except Exception:
            log.exception("provider_batch_key_failed", provider=self.name)
            return object()  # equal to no other: it goes alone

    async def _attempt(self, batch: list[Queued]) -> None:
        """One request for the whole batch, and the settlement of each message."""
        now = self._clock()
        settlements: list[Settlement] = []
        attempts: list[Attempt] = []
        sent: list[Queued] = []
        blind = self._note_begin and self._policy.on_unsure != "retry"
        for queued in batch:
            if now >= queued.message.expires_at:
                settlements.append(expire(queued, now, self._policy))
                continue
            queued.attempts += 1
            outcome: Outcome | None = None
            fitted = fit(queued.message, self.provider.capabilities)
            if queued.begun and blind:
                # A crash came between the request and its answer, and this provider would send it twice.
                outcome = Unsure(native="interrupted")
            elif isinstance(fitted, Reason):
                outcome = Refused(reason=fitted)
            else:
                reference = self.provider.references.of(fitted.message_id, queued.step)
                attempts.append(Attempt(fitted, reference, queued.attempts, queued.begun or queued.attempts))
                sent.append(queued)
            if outcome is not None:
                settlements.append(settle(queued, outcome, now, random.random(), self._policy))
        if self._bucket is not None:
            self._bucket.give_back(len(batch) - len(sent))
        if attempts:
            # A plan that goes on to another provider must know after a crash that this one may have the message.
            noted = [q.message.message_id for q in sent if self._note_begin or q.step + 1 < len(q.plan)]
            probe = self.breaker.start()
            try:
                outcomes = await self.exchange.send(attempts, noted, probe=probe)
            finally:
                if probe:
                    self.breaker.end()
            self.exchange.count_repeats(sent, outcomes)
            now = self._clock()
            if len(sent) > 1:
                set_apart(sent, outcomes)
            settlements += [
                settle(queued, outcome, now, random.random(), self._policy)
                for queued, outcome in zip(sent, outcomes, strict=True)
            ]
        done = self._settle(settlements)
        if self._unsettled > _UNSETTLED:
            await asyncio.wait([done])
            while done.exception() is not None and self._unsettled > _UNSETTLED and not self._stopping:
                await self._sleep(_STORE_RETRY_S)

    # --- to the store -----------------------------------------------------------------------------------------------

    def _settle(self, settlements: list[Settlement]) -> asyncio.Future[Recorded]:
        self._unsettled += len(settlements)
        return self._store_settlements(settlements)

    def _store_settlements(self, settlements: list[Settlement]) -> asyncio.Future[Recorded]:
        done = self._store.settle(settlements)
        done.add_done_callback(lambda future: self._settled(future, settlements))
        return done

    def _settled(self, done: asyncio.Future[Recorded], settlements: list[Settlement]) -> None:
        if done.exception() is not None:
            if self._stopped:
                return
            # The outcome is known here and nowhere else: keep it until the store takes it.
            log.error("settle_failed", provider=self.name, messages=len(settlements), error=str(done.exception()))
            asyncio.get_running_loop().call_later(_STORE_RETRY_S, self._store_settlements, settlements)
            return
        self._unsettled -= len(settlements)
        self._ready.settled([settlement.message.message_id for settlement in settlements])
        if self._all_settled is not None and not self._unsettled and not self._all_settled.done():
            self._all_settled.set_result(None)
        for settlement in settlements:
            if settlement.stage is Stage.QUEUED and settlement.next_at is not None:
                self._lanes[settlement.lane].wake(settlement.next_at)
        recorded = done.result()
        for name in recorded.went_on:
            self._lanes[name].wake(self._clock())
        if recorded.owed:
            self._on_owed(recorded.owed)
