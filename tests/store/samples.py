"""Messages, entries and settlements, with only what a test is about in its arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.message import Message, Owed, Plan, Reason, Report, ReportOn, Segment, State, owed_for
from bridge.reports.correlate import decide
from bridge.store import Entry, Settlement, Stage, Store
from bridge.store.sqlite import SqliteStore

NOW = 1_795_372_632.0

Open = Callable[..., Store]

ENGINES: dict[str, Callable[[Path, float], Store]] = {"sqlite": lambda path, now: SqliteStore(path, now, decide)}


def message(message_id: int, **fields: Any) -> Message:
    given: dict[str, Any] = {
        "message_id": message_id,
        "account": "shop",
        "listener": "smpp",
        "destination": "380501234567",
        "source": "Acme",
        "text": f"message {message_id}",
        "accepted_at": NOW,
        "expires_at": NOW + 3600,
        "report_on": ReportOn.FINAL,
    }
    return Message(**given | fields)


def part(message_id: int, number: int, total: int, **fields: Any) -> Message:
    octets = fields.pop("octets", f"<{number}>".encode())
    segment = Segment(
        reference=fields.pop("reference", 7),
        total=total,
        number=number,
        scheme=fields.pop("scheme", "udh8"),
        octets=octets,
        alphabet=fields.pop("alphabet", "latin1"),
        udh=fields.pop("udh", None),
    )
    return message(message_id, text=None, segment=segment, **fields)


def entry(message_id: int, *, leased: bool = False, plan: tuple[str, ...] = ("bsg",), **fields: Any) -> Entry:
    next_at = fields.pop("next_at", NOW)
    state = fields.pop("state", State.ACCEPTED)
    joins, marks = fields.pop("joins", ()), fields.pop("marks", ())
    return Entry(
        message=message(message_id, **fields),
        plan=plan if isinstance(plan, Plan) else Plan(plan),
        stage=Stage.LEASED if leased else Stage.QUEUED,
        next_at=next_at,
        state=state,
        joins=joins,
        marks=marks,
    )


def rejected(of: Message, reason: Reason = Reason.NO_ROUTE) -> Entry:
    """A message that was refused after it had been taken."""
    report = Report(state=State.REJECTED, reason=reason)
    return Entry(
        message=of,
        plan=Plan(),
        stage=Stage.FINAL,
        next_at=None,
        state=State.REJECTED,
        reason=reason,
        owed=owed_for(of, report, NOW),
    )


def sent(message_id: int, provider_ref: str | None = None, lane: str = "bsg", **fields: Any) -> Settlement:
    """The provider has it, and is asked for a report in a minute."""
    given: dict[str, Any] = {
        "message": message(message_id),
        "stage": Stage.SENT,
        "state": State.ENROUTE,
        "lane": lane,
        "step": 0,
        "attempts": 1,
        "next_at": NOW + 60,
        "sent_at": NOW + 1,
        "provider_ref": provider_ref,
        "event": {"at": NOW + 1, "event": "sent", "provider": lane},
    }
    return Settlement(**given | fields)


def again(message_id: int, next_at: float, lane: str = "bsg", **fields: Any) -> Settlement:
    """It is to be tried again."""
    event = {"at": NOW + 1, "event": "retry", "provider": lane}
    retry = {"stage": Stage.QUEUED, "state": State.ACCEPTED, "next_at": next_at, "sent_at": None, "event": event}
    return sent(message_id, lane=lane, **retry | fields)


def failed(of: Message, reason: Reason = Reason.BLOCKED, lane: str = "bsg") -> Settlement:
    """The provider will never take it."""
    report = Report(state=State.REJECTED, reason=reason)
    return sent(
        of.message_id,
        lane=lane,
        stage=Stage.FINAL,
        state=State.REJECTED,
        reason=reason,
        next_at=None,
        sent_at=None,
        event={"at": NOW + 1, "event": "refused", "reason": reason},
        owed=owed_for(of, report, NOW + 1),
    )


def report(state: State, *, ref: str | None = None, message_id: int | None = None, **fields: Any) -> Report:
    return Report(state=state, provider_ref=ref, message_id=message_id, **fields)


async def owed_to(store: Store, account: str = "shop", listener: str = "smpp", now: float = NOW + 9e6) -> list[Owed]:
    """All that an account is owed, whenever it is due."""
    return await store.owed(listener, account, 0, 10_000, now)


async def stands(store: Store, message_id: int) -> tuple[State, Reason | None]:
    """The state of a message that is there, and why."""
    record = await store.find(message_id)
    assert record is not None
    return record.state, record.reason


async def claimed(store: Store, lane: str = "bsg", now: float = NOW, limit: int = 1000) -> list[int]:
    """The ids of what a lane gets."""
    queued, _ = await store.claim(lane, limit, now)
    return [item.message.message_id for item in queued]
