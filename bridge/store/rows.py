"""Rows of the store's tables and our words, both ways: a message is kept as it came, in msgpack."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from bridge.message import Inbound, Message, Owed, Plan, Reason, Report, State
from bridge.store import Entry, Event, Record

Row = tuple[Any, ...]
STATES = {int(state): state for state in State}  # a look-up: a tenth of what State(value) costs

pack = msgspec.msgpack.Encoder().encode
message_from_bytes = msgspec.msgpack.Decoder(Message).decode
report_from_bytes = msgspec.msgpack.Decoder(Report).decode
inbound_from_bytes = msgspec.msgpack.Decoder(Inbound).decode
_json = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(dict[str, Any]).decode


def plain(reason: Reason | None) -> str | None:
    """A reason as a parameter. Members of an enum, bool too, are no plain values to `sqlite3`: it looks for an adapter,
    which takes as long as a small statement.
    """
    return None if reason is None else reason.value


def line_of(event: Event) -> str:
    """One line of a timeline. Not `str.splitlines` takes them apart: text within may hold what it splits at."""
    return _json(event).decode() + "\n"


def row_from_entry(entry: Entry) -> Row:
    """The parameters of the query `accept`."""
    message = entry.message
    event: Event = {"at": message.accepted_at, "event": "accepted", "listener": message.listener}
    if entry.reason is not None:
        event |= {"event": "refused", "reason": entry.reason}
    return (
        message.message_id, message.account, message.client_ref, int(entry.stage), entry.plan[0] if entry.plan else "",
        entry.next_at, int(entry.state), plain(entry.reason), text_of_plan(entry.plan), message.priority,
        message.accepted_at, pack(message), line_of(event),
    )  # fmt: skip


def text_of_plan(plan: Plan) -> str:
    """A plan as it is kept: `viber@600,sms` is viber, and sms too after 600 s."""
    if not any(plan.waits_s):
        return ",".join(plan)
    return ",".join(f"{name}@{wait_s:g}" if wait_s else name for name, wait_s in zip(plan, plan.waits_s, strict=True))


@lru_cache(maxsize=256)
def plan_from_text(text: str) -> Plan:
    """The plan that `text_of_plan` wrote."""
    steps = [step.partition("@") for step in text.split(",")]
    return Plan((name for name, _, _ in steps), (float(wait_s or 0) for _, _, wait_s in steps))


def event_from_report(provider: str, report: Report, now: float) -> Event:
    """What a timeline says of a report."""
    event: Event = {"at": now, "event": "report", "provider": provider, "state": report.state.word}
    if report.reason is not None:
        event["reason"] = report.reason
    if report.native:
        event["native"] = report.native[:200]
    if report.new_ref is not None:
        event["provider_ref"] = report.new_ref
    return event


def owed_from_row(listener: str, account: str, row: Row) -> Owed:
    """What the query `owed` gives: a report when its message stands beside it, else an inbound message."""
    owed_id, due_at, created_at, attempts, known_id, body, message_body = row
    message = message_from_bytes(message_body) if message_body is not None else None
    part = next((part for part in message.parts if part.part_id == known_id), None) if message else None
    return Owed(
        owed_id=owed_id,
        account=account,
        listener=listener,
        created_at=created_at,
        due_at=due_at,
        attempts=attempts,
        known_id=known_id,
        part=part,
        message=message,
        report=report_from_bytes(body) if message is not None else None,
        inbound=inbound_from_bytes(body) if message is None else None,
    )


def record_from_row(row: Row) -> Record:
    """What the queries `find` and `find_ref` give."""
    body, state, reason, lane, provider_ref, attempts, updated_at, timeline = row
    return Record(
        message=message_from_bytes(body),
        state=STATES[state],
        reason=Reason(reason) if reason else None,
        provider=lane or None,
        provider_ref=provider_ref,
        attempts=attempts,
        updated_at=updated_at,
        timeline=[_event(line) for line in timeline.split("\n")[:-1]],
    )
