"""What an administrator sees of the running bridge and does to it, over whatever channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from bridge.dispatch.lane import Lane
from bridge.listeners.http.server import HttpServer
from bridge.listeners.smpp.capture import Capture, Caught
from bridge.listeners.smpp.seen import Seen
from bridge.listeners.smpp.server import Binds, SmppServer
from bridge.listeners.smtp.server import SmtpServer
from bridge.message import Outcome, Reason
from bridge.problems import hint
from bridge.store import Store
from bridge.telemetry.logs import mask

log = structlog.get_logger("bridge.steering")

_NUMBER = re.compile(r"[0-9]{7,15}")


class Connections(msgspec.Struct, frozen=True):
    """Who is connected."""

    now: float  # Unix time
    sessions: list[Seen]  # SMPP binds
    unbound: int  # SMPP connections without a bind yet
    smtp: int
    http: int


class Trouble(msgspec.Struct, frozen=True):
    """An attempt that was not accepted."""

    at: float  # Unix time
    outcome: str  # refused, retry or unsure
    reason: Reason | None
    native: str  # the provider's words, numbers masked


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's lane. States: `open`, `held` (by an administrator), `paused` (it refuses our account with it),
    `unreachable`, `throttled` (it has asked for less).
    """

    name: str
    type: str
    state: str
    wait_s: float | None  # until the next attempt; None: now, or not by itself
    queued: int | None  # messages on their way to it, on disk and in memory; None: not asked for
    in_memory: int
    rate: float | None  # messages a second it may be sent
    trouble: Trouble | None


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """A watcher was too slow for so many PDUs."""

    count: int


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """What a capture begins with."""

    account: str
    binds: int  # there are now


class PduWatch:
    """A capture over all addresses, as lines to tell."""

    def __init__(self, capture: Capture, begun: Begun, end: Callable[[], None]) -> None:
        """`end` is called once."""
        self._capture = capture
        self._begun: Begun | None = begun
        self._end: Callable[[], None] | None = end

    async def next(self) -> Sequence[Begun | Caught | Lost] | None:
        """First how it stands, then what has passed."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return [begun]
        found = await self._capture.next()
        if found is None:
            return None
        caught, lost = found
        return [*caught, Lost(lost)] if lost else caught

    def close(self) -> None:
        """Connections show nothing more."""
        if self._end is not None:
            end, self._end = self._end, None
            self._capture.close()
            end()


class Steering:
    """Over the listeners and lanes of one bridge."""

    def __init__(
        self,
        *,
        smpp: Sequence[SmppServer],
        smtp: Sequence[SmtpServer],
        http: Sequence[HttpServer],
        binds: Binds,
        lanes: Mapping[str, Lane],
        store: Store,
        system_ids: Callable[[], Mapping[str, str]],
        clock: Callable[[], float],
    ) -> None:
        """`system_ids`: those of the accounts that may bind, by account."""
        self._smpp = smpp
        self._smtp = smtp
        self._http = http
        self._binds = binds
        self._lanes = lanes
        self._store = store
        self._system_ids = system_ids
        self._clock = clock

    # --- sessions ---------------------------------------------------------------------------------------------------

    def sessions(self) -> Connections:
        """Who is connected."""
        return Connections(
            now=self._clock(),
            sessions=[seen for server in self._smpp for seen in server.seen()],
            unbound=sum(server.unbound for server in self._smpp),
            smtp=sum(server.connections for server in self._smtp),
            http=sum(server.connections for server in self._http),
        )

    def capture(self, account: str, *, masked: bool) -> PduWatch:
        """The PDUs of an account's binds from now on. Raises LookupError when no account of that name binds."""
        known = self._system_ids()
        if account not in known:
            raise LookupError(f'no account with an smpp side is called "{account}"{hint(account, known)}')
        capture = Capture(account, known[account], hidden=masked)
        self._binds.captures.append(capture)
        binds = sum(server.watch(capture) for server in self._smpp)
        # Somebody reads what was sent in confidence: that is to be seen.
        log.warning("capture_begun", account=account, masked=masked, binds=binds)

        def end() -> None:
            self._binds.captures.remove(capture)
            for server in self._smpp:
                server.unwatch(capture)
            log.warning("capture_ended", account=account, pdus=capture.caught, lost=capture.lost)

        return PduWatch(capture, Begun(account, binds), end)

    # --- providers --------------------------------------------------------------------------------------------------

    async def lanes(self) -> list[LaneState]:
        """Every provider's lane. Raises StoreUnavailable."""
        depths = await self._store.depths()
        return [self._state_of(lane, depths.get(lane.name, 0)) for lane in self._lanes.values()]

    def pause(self, provider: str) -> LaneState:
        """Sends nothing more to a provider until `resume`, or a restart. Raises LookupError."""
        lane = self._lane(provider)
        lane.breaker.hold()
        log.warning("provider_held", provider=provider, hint=f"smsbridge provider resume {provider}")
        return self._state_of(lane, None)

    def resume(self, provider: str) -> LaneState:
        """Sends again, also to one that has refused our account with it. Raises LookupError."""
        lane = self._lane(provider)
        lane.breaker.resume(self._clock())
        log.warning("provider_resumed", provider=provider)
        return self._state_of(lane, None)

    def _lane(self, name: str) -> Lane:
        # Not by key: a mapping of lanes may make one for a name that it does not know.
        lane = self._lanes.get(name)
        if lane is None:
            raise LookupError(f'no provider is called "{name}"{hint(name, self._lanes)}')
        return lane

    def _state_of(self, lane: Lane, queued: int | None) -> LaneState:
        now = self._clock()
        breaker = lane.breaker
        throttled_s = lane.exchange.throttled_until - now
        wait_s: float | None = None
        if breaker.held:
            state = "held"
        elif breaker.open:
            state, wait_s = "paused" if breaker.paused else "unreachable", breaker.wait_s(now)
        elif throttled_s > 0:
            state, wait_s = "throttled", throttled_s
        else:
            state = "open"
        return LaneState(
            name=lane.name,
            type=lane.provider.settings.type,
            state=state,
            wait_s=None if wait_s is None or wait_s == float("inf") else round(wait_s, 1),
            queued=queued,
            in_memory=lane.busy,
            rate=lane.provider.settings.rate,
            trouble=None if lane.exchange.trouble is None else _trouble(*lane.exchange.trouble),
        )


def _trouble(at: float, outcome: Outcome) -> Trouble:
    return Trouble(
        at=at,
        outcome=type(outcome).__name__.lower(),
        reason=getattr(outcome, "reason", None),
        native=_NUMBER.sub(lambda found: mask(found[0]), outcome.native),
    )
