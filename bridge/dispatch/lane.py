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
from bridge.dispatch.retry import Policy, expire, settle
from bridge.errors import StoreUnavailable, TransportError
from bridge.message import Accepted, Outcome, Owed, Reason, Refused, Retry, Unsure
from bridge.providers._contract import Attempt, Provider
from bridge.providers._fit import fit
from bridge.store import Queued, Settlement, Stage, Store
from bridge.telemetry import metrics
from bridge.throttle import Bucket
from bridge.transport import Transport

log = structlog.get_logger("bridge.dispatch")

_CLAIM = 256  # messages claimed from disk at once
_STORE_RETRY_S = 1.0
_UNSETTLED = 2000  # outcomes not on disk yet before senders wait for the store


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
        self._transport = transport
        self._lanes = lanes
        self._memory = max(memory, 2 * provider.batch_size)
        self._clock = clock
        self._on_owed = on_owed
        settings, can = provider.settings, provider.capabilities
        self._timeout_s: float = settings.timeout
        self._concurrency: int = settings.concurrency
        self._bucket = (
            Bucket(settings.rate, max(settings.rate / 10, provider.batch_size)) if settings.rate is not None else None
        )
        self.breaker = Breaker()
        self._policy = Policy(
            on_unsure=settings.on_unsure or ("retry" if can.idempotent else "hold"),
            poll_s=settings.poll if can.poll_reports else None,
            report_timeout_s=settings.report_timeout,
        )
        self._note_begin = not can.idempotent
        self._ready: deque[Queued] = deque()
        self._held = 0  # reserved, ready or under way
        self._on_disk = True  # something due may wait on disk; true at start
        self._spills = 0  # times that something was left on disk
        self._claiming = False
        self._claim_timer: asyncio.TimerHandle | None = None
        self._wake_at = float("inf")
        self._idle: deque[asyncio.Future[None]] = deque()
        self._senders: list[asyncio.Task[None]] = []
        self._stopping = False
        self._counters = {
            kind: metrics.attempts.labels(self.name, kind.__name__.lower())
            for kind in (Accepted, Refused, Retry, Unsure)
        }
        self._throttled_until = 0.0
        self._unsettled = 0  # outcomes that are not on disk yet
        self._beat_at = clock()

    # --- in ---------------------------------------------------------------------------------------------------------

    def reserve(self) -> bool:
        """True when one more message may wait in memory; False: it goes on disk only, and the lane will fetch it."""
        if self._on_disk or self._held >= self._memory or self._stopping:
            self._on_disk = True
            self._spills += 1
            return False
        self._held += 1
        return True

    def release(self, count: int) -> None:
        """Gives back reservations whose messages could not be stored."""
        self._held -= count

    def offer(self, queued: Sequence[Queued]) -> None:
        """Takes messages that were reserved for and are on disk now."""
        self._ready.extend(queued)
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
            self._claim_timer = asyncio.get_running_loop().call_later(at - self._clock(), self._due)

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
        """Takes nothing more, gives what is under way `grace_s`; the rest stays on disk and is queued at next start."""
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
            self._claim_timer = asyncio.get_running_loop().call_later(_STORE_RETRY_S, self._due)
            return
        queued, next_due = done.result()
        self._held -= room - len(queued)
        if len(queued) < room and spills == self._spills:
            self._on_disk = False
        if queued:
            self._ready.extend(queued)
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
            batch = self._take(now)
            if batch:
                await self._attempt(batch)
                self._held -= len(batch)
                self._claim()

    def _wait_s(self, now: float) -> float:
        wait_s = self.breaker.wait_s(now)
        if wait_s > 0:
            self._divert(now)
        elif self._throttled_until > now:
            wait_s = self._throttled_until - now
        elif self._bucket is not None:
            wait_s = self._bucket.wait_s(now)
        return wait_s

    def _divert(self, now: float) -> None:
        """While this provider does not work, messages that were certainly not sent go on to the plan's next one."""
        movable: list[Queued] = []
        staying: deque[Queued] = deque()
        for queued in self._ready:
            movable_now = queued.step + 1 < len(queued.plan) and not queued.begun
            (movable if movable_now else staying).append(queued)
        if movable:
            self._ready = staying
            self._held -= len(movable)
            away = Retry(reason=Reason.PROVIDER_UNREACHABLE, pause=True)
            self._settle([settle(queued, away, now, 0.0, self._policy) for queued in movable])

    def _take(self, now: float) -> list[Queued]:
        """What goes into one request: the first that waits, and those behind it that may share a request with it."""
        ready = self._ready
        size = 1 if self.breaker.open else min(self.provider.batch_size, len(ready))
        if self._bucket is not None:
            size = self._bucket.take(size, now)
        if size == 0:
            return []
        first = ready.popleft()
        if size == 1:
            return [first]
        batch, left = [first], []
        key = self.provider.batch_key(first.message)
        destinations = {first.message.destination}
        for _ in range(min(len(ready), 4 * size)):
            if len(batch) == size:
                break
            queued = ready.popleft()
            message = queued.message
            if message.destination in destinations or self.provider.batch_key(message) != key:
                left.append(queued)
            else:
                destinations.add(message.destination)
                batch.append(queued)
        ready.extendleft(reversed(left))
        return batch

    async def _attempt(self, batch: list[Queued]) -> None:
        """One request for the whole batch, and the settlement of each message."""
        now = self._clock()
        settlements: list[Settlement] = []
        attempts: list[Attempt] = []
        sent: list[Queued] = []
        for queued in batch:
            if now >= queued.message.expires_at:
                settlements.append(expire(queued, now, self._policy))
                continue
            queued.attempts += 1
            outcome: Outcome | None = None
            fitted = fit(queued.message, self.provider.capabilities)
            if queued.begun and self._note_begin:
                # A crash came between the request and its answer, and this provider would send it twice.
                outcome = Unsure(native="interrupted")
            elif isinstance(fitted, Reason):
                outcome = Refused(reason=fitted)
            else:
                attempts.append(Attempt(fitted, self.provider.references.of(fitted.message_id), queued.attempts))
                sent.append(queued)
            if outcome is not None:
                settlements.append(settle(queued, outcome, now, random.random(), self._policy))
        if attempts:
            self.breaker.start()
            outcomes = await self._exchange(attempts)
            now = self._clock()
            self._judge(outcomes, now)
            settlements += [
                settle(queued, outcome, now, random.random(), self._policy)
                for queued, outcome in zip(sent, outcomes, strict=True)
            ]
        done = self._settle(settlements)
        if self._unsettled > _UNSETTLED:
            await asyncio.wait([done])

    async def _exchange(self, attempts: list[Attempt]) -> list[Outcome]:
        """The outcomes of one request; nothing that a provider or its code does gets past this as an exception."""
        provider = self.provider
        try:
            if self._note_begin:
                await self._store.begin([attempt.message.message_id for attempt in attempts])
            request = provider.build(attempts)
            response = provider.answer(request)
            if response is None:
                response = await self._transport.send(request, timeout_s=self._timeout_s)
        except StoreUnavailable as error:
            return [Retry(reason=Reason.UNAVAILABLE, native=str(error))] * len(attempts)
        except TransportError as error:
            if error.sent:
                return [Unsure(native=str(error))] * len(attempts)
            return [Retry(reason=Reason.PROVIDER_UNREACHABLE, native=str(error))] * len(attempts)
        except Exception:
            log.exception("provider_build_failed", provider=self.name)
            return [Refused(reason=Reason.UNSPECIFIED, native="this provider's code failed; see the log")] * len(
                attempts
            )
        try:
            return provider.interpret(response, attempts)
        except Exception:
            log.exception("provider_interpret_failed", provider=self.name)
            return [Unsure(native=f"HTTP {response.status}, not understood")] * len(attempts)

    def _judge(self, outcomes: Sequence[Outcome], now: float) -> None:
        """What the outcomes say about the provider itself."""
        for outcome in outcomes:
            self._counters[type(outcome)].inc()
        outcome = outcomes[0]
        if isinstance(outcome, Retry) and outcome.pause:
            if self.breaker.pause(now):
                hint = "the account with the provider is at fault: check its credentials and credit"
                log.error(
                    "provider_paused", provider=self.name, reason=outcome.reason, native=outcome.native, hint=hint
                )
        elif isinstance(outcome, Retry) and outcome.reason is Reason.THROTTLED:
            self._throttled_until = now + (outcome.after_s or 1.0)
        elif isinstance(outcome, Unsure) or (
            isinstance(outcome, Retry) and outcome.reason is Reason.PROVIDER_UNREACHABLE
        ):
            if self.breaker.failed(now):
                log.warning("provider_unreachable", provider=self.name, native=outcome.native)
        elif self.breaker.open:
            self.breaker.succeeded()
            log.info("provider_works_again", provider=self.name)
            self._rouse()
        else:
            self.breaker.succeeded()

    # --- to the store -----------------------------------------------------------------------------------------------

    def _settle(self, settlements: list[Settlement]) -> asyncio.Future[list[Owed]]:
        self._unsettled += len(settlements)
        return self._store_settlements(settlements)

    def _store_settlements(self, settlements: list[Settlement]) -> asyncio.Future[list[Owed]]:
        done = self._store.settle(settlements)
        done.add_done_callback(lambda future: self._settled(future, settlements))
        return done

    def _settled(self, done: asyncio.Future[list[Owed]], settlements: list[Settlement]) -> None:
        if done.cancelled() or done.exception() is not None:
            # The outcome is known here and nowhere else: keep it until the store takes it.
            log.error("settle_failed", provider=self.name, messages=len(settlements), error=str(done.exception()))
            asyncio.get_running_loop().call_later(_STORE_RETRY_S, self._store_settlements, settlements)
            return
        self._unsettled -= len(settlements)
        owed = done.result()
        if owed:
            self._on_owed(owed)
        for settlement in settlements:
            if settlement.stage is Stage.QUEUED and settlement.next_at is not None:
                self._lanes[settlement.lane].wake(settlement.next_at)
