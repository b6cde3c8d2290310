"""The loop in: check, number, route, store, answer.

A listener turns what it received into messages and hands them over; every one is refused at once, or taken, and the
future that comes with them is done when the taken ones are on disk. Only then may the listener say yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from bridge.admission import Admission, Limits
from bridge.assembly import Assembly, PartsLimits, rejected
from bridge.errors import Refusal
from bridge.message import Message, Owed, Plan, Reason, State
from bridge.providers._contract import Capabilities
from bridge.providers._fit import fit
from bridge.routing.rules import Router
from bridge.routing.senders import SenderRules, Senders
from bridge.store import Entry, Queued, Stage, Store
from bridge.telemetry import metrics

_SCHEDULE_MAX_S = 366 * 86400.0

Verdicts = tuple[list[Refusal | None], "asyncio.Future[None] | None"]


class AccountLimits(Limits, PartsLimits, Protocol):
    """What intake needs to know of an account."""

    @property
    def max_parts(self) -> int: ...
    @property
    def senders(self) -> Senders | None: ...


class LanePort(Protocol):
    """The way into a provider's lane."""

    def reserve(self, *, urgent: bool = False) -> bool:
        """True when one more message may wait in memory; False: it goes on disk only, and the lane will fetch it."""

    def offer(self, queued: Sequence[Queued]) -> None:
        """Hands over messages that were reserved for and are on disk now."""

    def release(self, count: int) -> None:
        """Gives back reservations whose messages could not be stored."""

    def wake(self, at: float) -> None:
        """Says that the disk will hold something due at a time."""


class Intake:
    """Takes messages of all listeners; one per process."""

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts: Mapping[str, AccountLimits],
        capabilities: Mapping[str, Capabilities],
        lanes: Mapping[str, LanePort],
        *,
        queue_max: int,
        clock: Callable[[], float],
        on_owed: Callable[[Sequence[Owed]], None],
    ) -> None:
        """`queue_max`: messages not yet with a provider before accounts are told that the queue is full."""
        self._store = store
        self._lanes = lanes
        self._queue_max = queue_max
        self._clock = clock
        self._on_owed = on_owed
        self._storing = 0  # messages on their way to disk
        self._assembly = Assembly(store, entry=self._entry, keep=self._keep, on_owed=on_owed, clock=clock)
        self._admission = Admission(store, clock)
        self.configure(router, accounts, capabilities)

    def configure(
        self, router: Router, accounts: Mapping[str, AccountLimits], capabilities: Mapping[str, Capabilities]
    ) -> None:
        """Takes over a new configuration; rates start anew only for accounts whose rate changed, quotas never."""
        self._router = router
        self._accounts = accounts
        self._capabilities = capabilities
        self._admission.configure(accounts)
        self._senders = {name: SenderRules(a.senders) for name, a in accounts.items() if a.senders is not None}
        self._assembly.configure(accounts)

    def next_id(self) -> int:
        """The id of the next message. Raises StoreUnavailable."""
        return self._store.next_id()

    def check(self, message: Message) -> Refusal | None:
        """Why the message cannot be taken whatever the load; None: it can."""
        try:
            return self._check(self._with_sender(message))
        except Refusal as refusal:
            return refusal

    def route_of(self, account: str, listener: str, destination: str, source: str | None) -> Refusal | None:
        """Why nothing could be sent to a number, before there is a text; None: a route exists."""
        now = self._clock()
        probe = Message(
            message_id=0,
            account=account,
            listener=listener,
            destination=destination,
            source=source,
            accepted_at=now,
            expires_at=now + 1,
        )
        try:
            probe = self._with_sender(probe)
        except Refusal as refusal:
            return refusal
        return None if self._router.plan(probe) else _no_route(probe)

    def accept(self, messages: Sequence[Message]) -> Verdicts:
        """A refusal or None for each message, and a future for those that were taken (None when none was).

        The future is done when they are on disk, or raises StoreUnavailable when none of them was kept. Cancelling it
        changes nothing.
        """
        verdicts: list[Refusal | None] = []
        entries: list[Entry] = []
        parts: list[Message] = []
        for message in messages:
            verdict: Refusal | None = None
            if self._senders:
                try:
                    message = self._with_sender(message)
                except Refusal as refusal:
                    verdict = refusal
            verdict = verdict or self._admit(message, len(entries))
            if verdict is None and message.segment is not None:
                parts.append(message)
                self._assembly.expect(1)
            elif verdict is None:
                entry = self._entry(message)
                if isinstance(entry, Refusal):
                    verdict = entry
                    self._admission.give_back(message)
                else:
                    entries.append(entry)
            verdicts.append(verdict)
            if verdict is not None:
                metrics.refused.add(message.listener, message.account, verdict.reason)
        if not entries and not parts:
            return verdicts, None
        return verdicts, asyncio.shield(self._keep(entries, parts))

    def accept_refused(self, message: Message, refusal: Refusal) -> asyncio.Future[None]:
        """Keeps a message that cannot be sent as rejected, so that its sender is told like of any other failure."""
        entry = rejected(message, Reason(refusal.reason), refusal.text, self._clock())
        return asyncio.shield(self._keep([entry]))

    def room(self, account: str) -> tuple[int, float]:
        """How many messages of a paced account to read now, and when there are none, for how long not to: seconds."""
        return self._admission.room(account)

    def replacement(self, message: Message) -> Entry | Refusal:
        """The entry for a message that takes the place of one that waits: it was admitted with that one."""
        return self._entry(message, in_memory=False) if message.account in self._accounts else _no_account()

    def cancel_parts(self, wanted: Callable[[Message], bool]) -> list[asyncio.Future[None]]:
        """Ends messages whose parts have not all come, if any of their parts is wanted.

        A future for each: done when it is on disk as cancelled, or StoreUnavailable when its parts wait on.
        """
        return self._assembly.cancel(wanted)

    def recover(self) -> None:
        """Takes up the parts that an earlier process kept."""
        self._assembly.recover()

    def give_up_parts(self, now: float) -> None:
        """Ends long messages whose missing parts are overdue; to be called about once a second."""
        self._assembly.sweep(now)

    # --- one message ----------------------------------------------------------------------------------------------

    def _admit(self, message: Message, before: int) -> Refusal | None:
        """`before`: messages already taken by the same call."""
        if message.account not in self._accounts:
            return _no_account()
        full = self._store.queued + self._storing + before >= self._queue_max
        if full or (message.segment is not None and self._assembly.full):
            return Refusal(Reason.QUEUE_FULL, "the queue is full; try again later", retry_after_s=5.0)
        if message.segment is not None:
            refusal = self._check(message)
            if refusal is not None:
                return refusal
        return self._admission.refuse(message)

    def _check(self, message: Message) -> Refusal | None:
        account = self._accounts.get(message.account)
        if account is None:
            return _no_account()
        untimely = _untimely(message)
        if untimely is not None:
            return untimely
        if message.segment is not None:
            if message.segment.total > account.max_parts:
                return Refusal(Reason.TEXT_TOO_LONG, "the message has more parts than the account may send")
            return None if self._router.plan(message) else _no_route(message)
        plan = self._plan(message)
        return plan if isinstance(plan, Refusal) else None

    def _with_sender(self, message: Message) -> Message:
        """The message with the sender that the rules of its account give it. Raises Refusal."""
        rules = self._senders.get(message.account)
        sender = message.source if rules is None else rules.sender_of(message.source)
        return message if sender == message.source else msgspec.structs.replace(message, source=sender)

    def _entry(self, message: Message, *, in_memory: bool = True) -> Entry | Refusal:
        plan = self._plan(message)
        if isinstance(plan, Refusal):
            return plan
        untimely = _untimely(message)
        if untimely is not None:
            return untimely
        now = message.accepted_at
        deliver_at = message.deliver_at
        if deliver_at is not None and deliver_at > now:
            return Entry(message=message, plan=plan, stage=Stage.QUEUED, next_at=deliver_at, state=State.SCHEDULED)
        leased = in_memory and self._lanes[plan[0]].reserve(urgent=message.priority > 0)
        stage = Stage.LEASED if leased else Stage.QUEUED
        return Entry(message=message, plan=plan, stage=stage, next_at=now)

    def _plan(self, message: Message) -> Plan | Refusal:
        plan = self._router.plan(message)
        if not plan:
            return _no_route(message)
        reason = Reason.UNSUPPORTED
        able = []
        for name in plan:
            fitted = fit(message, self._capabilities[name])
            if isinstance(fitted, Reason):
                reason = fitted
            else:
                able.append(name)
        if not able:
            return Refusal(reason, "no provider of the route can carry this message")
        return plan if len(able) == len(plan) else plan.only(able)

    def _keep(self, entries: Sequence[Entry], parts: Sequence[Message] = ()) -> asyncio.Future[None]:
        """Stores entries and parts, and hands them on once they are safe. A failed write gives nothing to anybody.

        The future is for this module: whoever could cancel it would make what is stored look failed.
        """
        self._storing += len(entries)
        future = self._store.accept(entries, parts)
        future.add_done_callback(lambda done: self._kept(entries, parts, done))
        return future

    def _kept(self, entries: Sequence[Entry], parts: Sequence[Message], done: asyncio.Future[None]) -> None:
        self._storing -= len(entries)
        failed = done.exception() is not None
        offers: dict[str, list[Queued]] = {}
        submitted = [entry.message for entry in entries if not entry.joins and entry.stage is not Stage.FINAL]
        for message in (*submitted, *parts):
            if failed:
                self._admission.give_back(message)
            else:
                metrics.accepted.add(message.listener, message.account)
        for entry in entries:
            if entry.stage is Stage.LEASED:
                offers.setdefault(entry.plan[0], []).append(Queued(message=entry.message, plan=entry.plan))
            elif failed:
                continue
            elif entry.stage is Stage.QUEUED:
                assert entry.next_at is not None
                self._lanes[entry.plan[0]].wake(entry.next_at)
            elif entry.owed:
                self._on_owed(entry.owed)
        for lane, queued in offers.items():
            if failed:
                self._lanes[lane].release(len(queued))
            else:
                self._lanes[lane].offer(queued)
        if failed:
            self._assembly.expect(-len(parts))
        else:
            for part in parts:
                self._assembly.add(part)


def _untimely(message: Message) -> Refusal | None:
    if message.deliver_at is not None and message.deliver_at > message.accepted_at + _SCHEDULE_MAX_S:
        return Refusal(Reason.INVALID_SCHEDULE, "the scheduled time is more than a year away")
    if message.expires_at <= max(message.accepted_at, message.deliver_at or 0.0):
        return Refusal(Reason.INVALID_VALIDITY, "the message would expire before it is sent")
    return None


def _no_account() -> Refusal:
    # A reload has removed it; its clients may still be connected.
    return Refusal(Reason.NOT_PERMITTED, "the account does not exist any more")


def _no_route(message: Message) -> Refusal:
    return Refusal(Reason.NO_ROUTE, "no route leads to this destination", field="to")
