"""Who may submit how much: the rate and the quotas of each account.

A rate is a token bucket: so much a second, so much at once. A quota is a count of a calendar day or month that goes on
after a restart: it is on disk no later than the messages that it counts. An account without either costs one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog
from pydantic import Field, field_validator, model_validator

from bridge.errors import Refusal
from bridge.message import Message, Reason, Usage
from bridge.sms.encoding import TextError
from bridge.sms.segments import capacity, count_parts
from bridge.throttle import Bucket
from bridge.values import Settings

log = structlog.get_logger("bridge.admission")

_WHOLE = -1e-3  # a clock of Unix seconds cannot tell so small a debt from none
_BREATH_S = 0.01  # a paced account rests at least so long: what has gathered by then is read at once

Counted = Literal["messages", "parts"]
Kind = Literal["day", "month"]


class Quota(Settings):
    """How much an account may submit in a calendar day and month."""

    day: int | None = Field(default=None, ge=1)
    month: int | None = Field(default=None, ge=1)
    counts: Counted = "messages"  # a long message counts once, or as its parts
    timezone: str = "UTC"  # where days and months begin

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        _zone(value)
        return value

    @model_validator(mode="after")
    def _limits(self) -> Quota:
        if self.day is None and self.month is None:
            raise ValueError("a quota needs a day or a month")
        return self


class Limits(Protocol):
    """What is asked of an account's settings."""

    @property
    def rate(self) -> float | None: ...
    @property
    def burst(self) -> int | None: ...
    @property
    def rate_counts(self) -> Counted: ...
    @property
    def over_rate(self) -> Literal["reject", "pace"]: ...
    @property
    def quota(self) -> Quota | None: ...


class UsageKept(Protocol):
    """Where usage outlives the process; a `Store` is one."""

    def usage(self) -> Sequence[Usage]:
        """What was kept (at start)."""

    def keep_usage(self, gather: Callable[[], Sequence[Usage]]) -> asyncio.Future[None]:
        """Keeps usage, before whatever is kept after it; `gather` is asked when it is written, perhaps again."""


class _Count(msgspec.Struct):
    """What an account has used of the current day or month."""

    account: str
    kind: Kind
    zone: tzinfo
    period: str = ""
    ends_at: float = 0.0
    used: int = 0
    told: bool = False  # that it is used up

    def roll(self, now: float) -> None:
        """Begins anew when the period is over."""
        if now < self.ends_at:
            return
        today = datetime.fromtimestamp(now, self.zone).date()
        first = today if self.kind == "day" else today.replace(day=1)
        following = first + timedelta(days=1) if self.kind == "day" else _month_after(first)
        self.ends_at = datetime.combine(following, time(), self.zone).timestamp()
        period = first.isoformat() if self.kind == "day" else f"{first:%Y-%m}"
        if period != self.period:
            self.period, self.used, self.told = period, 0, False


class _Allowance(msgspec.Struct):
    """What one account may do, as it is held here."""

    bucket: Bucket | None
    parts: bool  # what the rate counts
    paces: bool
    quotas: list[tuple[_Count, int]]  # and how much may be used of each
    quota_parts: bool


class Admission:
    """Says of each message whether its account may submit it now."""

    def __init__(self, kept: UsageKept, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._kept = kept
        self._clock = clock
        self._allowances: dict[str, _Allowance] = {}
        self._stored = {(account, kind): (period, used) for account, kind, period, used in kept.usage()}
        self._counts: dict[tuple[str, str], _Count] = {}
        self._dirty: dict[tuple[str, str], _Count] = {}
        self._keeping = False  # a write that has not begun will take what is dirty

    def configure(self, accounts: Mapping[str, Limits]) -> None:
        """Takes over new settings. Buckets start anew where the rate has changed; what is used of a quota stays."""
        old, self._allowances = self._allowances, {}
        for name, account in accounts.items():
            if account.rate is None and account.quota is None:
                continue
            self._allowances[name] = _Allowance(
                bucket=_bucket(account, old.get(name)),
                parts=account.rate_counts == "parts",
                paces=account.over_rate == "pace",
                quotas=[] if account.quota is None else self._quotas(name, account.quota),
                quota_parts=account.quota is not None and account.quota.counts == "parts",
            )

    def refuse(self, message: Message) -> Refusal | None:
        """Why its account may not submit `message` now; None: it may, and that is counted."""
        allowance = self._allowances.get(message.account)
        if allowance is None:
            return None
        now = self._clock()
        if allowance.quotas:
            used = _counted(message, allowance.quota_parts)
            for count, limit in allowance.quotas:
                count.roll(now)
                if count.used + used > limit:
                    return _used_up(count, limit, now)
        bucket = allowance.bucket
        if bucket is not None:
            # Each part that a client submits by itself counts, also for `messages`: a rate is about work to do.
            cost = _parts(message) if allowance.parts else 1
            if allowance.paces and message.listener == "smpp":
                bucket.owe(cost, now)
            elif not bucket.spend(cost, now):
                wait_s = bucket.wait_s(now, cost)
                return Refusal(Reason.THROTTLED, "over the account's rate", retry_after_s=wait_s)
        if allowance.quotas and used:
            self._use(allowance, used)
        return None

    def give_back(self, message: Message) -> None:
        """What was admitted was not taken after all, so it does not count for a quota."""
        allowance = self._allowances.get(message.account)
        if allowance is not None and allowance.quotas:
            self._use(allowance, -_counted(message, allowance.quota_parts))

    def room(self, account: str) -> tuple[int, float]:
        """How many messages of a paced account may be read now, and when there are none, for how long: seconds.

        One more than its rate allows is read, and then none until that one is due: a client that keeps to its rate is
        never held up.
        """
        allowance = self._allowances.get(account)
        if allowance is None or allowance.bucket is None or not allowance.paces:
            return _UNPACED, 0.0
        bucket = allowance.bucket
        tokens = bucket.level(self._clock())
        if tokens >= _WHOLE:
            return int(max(0.0, tokens) - _WHOLE) + 1, 0.0
        return 0, max(-tokens / bucket.rate_per_s, min(_BREATH_S, bucket.burst / bucket.rate_per_s))

    def _quotas(self, name: str, quota: Quota) -> list[tuple[_Count, int]]:
        zone = _zone(quota.timezone)
        quotas: list[tuple[_Count, int]] = []
        kinds: tuple[tuple[Kind, int | None], ...] = (("day", quota.day), ("month", quota.month))
        for kind, limit in kinds:
            if limit is None:
                continue
            count = self._counts.get((name, kind))
            if count is None:
                period, used = self._stored.get((name, kind), ("", 0))
                count = self._counts[name, kind] = _Count(name, kind, zone, period=period, used=used)
            # Where the day begins may have changed, and a limit that was raised may be reached again.
            count.zone, count.ends_at, count.told = zone, 0.0, False
            quotas.append((count, limit))
        return quotas

    def _use(self, allowance: _Allowance, used: int) -> None:
        for count, _ in allowance.quotas:
            count.used = max(0, count.used + used)
            self._dirty[count.account, count.kind] = count
        if not self._keeping:
            self._keeping = True
            self._keep()

    def _keep(self) -> None:
        """Writes what is dirty, once for all that is counted until the write begins."""
        written: list[Usage] = []

        def gather() -> Sequence[Usage]:
            self._keeping = False
            written[:] = [(count.account, count.kind, count.period, count.used) for count in self._dirty.values()]
            return written

        def kept(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._keeping = False  # it stays dirty, for the next write
                return
            for account, kind, period, used in written:
                count = self._dirty.get((account, kind))
                if count is not None and (count.period, count.used) == (period, used):
                    del self._dirty[account, kind]

        self._kept.keep_usage(gather).add_done_callback(kept)


_UNPACED = 1 << 30


def _bucket(account: Limits, old: _Allowance | None) -> Bucket | None:
    if account.rate is None:
        return None
    bucket = Bucket(account.rate, account.burst)
    before = None if old is None else old.bucket
    same = before is not None and (before.rate_per_s, before.burst) == (bucket.rate_per_s, bucket.burst)
    return before if same else bucket


def _used_up(count: _Count, limit: int, now: float) -> Refusal:
    if not count.told:
        count.told = True
        log.warning("quota_used_up", account=count.account, per=count.kind, limit=limit, period=count.period)
    text = f"the account's quota of the {count.kind} is used up"
    return Refusal(Reason.THROTTLED, text, retry_after_s=max(1.0, count.ends_at - now))


def _counted(message: Message, parts: bool) -> int:
    if parts:
        return _parts(message)
    # A long message counts once: with its first part, without which it never becomes whole.
    return 1 if message.segment is None or message.segment.number == 1 else 0


def _parts(message: Message) -> int:
    """How many short messages it takes; a text is counted in its best alphabet."""
    if message.segment is not None:
        return 1
    if message.binary is not None:
        octets = len(message.binary) + len(message.udh or b"")
        return max(1, -(-octets // capacity("binary")))
    try:
        return count_parts(message.text or "")[1]
    except TextError:
        return 1  # it is refused for that, not here


def _zone(name: str) -> tzinfo:
    """Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("a timezone is a name such as UTC or Europe/Kyiv") from None


def _month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
