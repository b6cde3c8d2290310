"""What goes into a row comes out of it, whatever it holds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store.samples import NOW, message

from bridge.message import Content, Inbound, Message, Part, Plan, Reason, Report, ReportOn, Segment, State
from bridge.store import Entry, Stage
from bridge.store.rows import (
    event_from_report,
    inbound_from_bytes,
    line_of,
    message_from_bytes,
    owed_from_row,
    pack,
    plan_from_text,
    record_from_row,
    report_from_bytes,
    row_from_entry,
    text_of_plan,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**63 - 1)
times = st.floats(0, 1e11)
natives: st.SearchStrategy[dict[str, Any]] = st.dictionaries(texts, st.integers(-(2**63), 2**63) | texts | st.binary())
parts = st.builds(
    Part, part_id=numbers, number=st.integers(1, 255), report_on=st.sampled_from(ReportOn), native=natives
)
segments = st.builds(
    Segment,
    reference=st.integers(0, 65535),
    total=st.integers(2, 255),
    number=st.integers(1, 255),
    scheme=st.sampled_from(["udh8", "udh16", "sar"]),
    octets=st.binary(),
    alphabet=st.sampled_from(["gsm7", "ucs2", "binary"]),
)
messages = st.builds(
    Message,
    message_id=numbers,
    account=texts,
    listener=st.sampled_from(["smpp", "smtp", "http"]),
    destination=texts,
    accepted_at=times,
    expires_at=times,
    source=st.none() | texts,
    text=st.none() | texts,
    binary=st.none() | st.binary(),
    udh=st.none() | st.binary(),
    content=st.none()
    | st.builds(
        Content,
        kind=st.sampled_from(["photo", "location"]),
        url=st.none() | texts,
        latitude=st.none() | st.floats(-90, 90),
        native=natives,
    ),
    flash=st.booleans(),
    priority=st.integers(0, 3),
    deliver_at=st.none() | times,
    report_on=st.sampled_from(ReportOn),
    client_ref=st.none() | texts,
    segment=st.none() | segments,
    parts=st.lists(parts, max_size=3).map(tuple),
    native=natives,
)
reports = st.builds(
    Report,
    state=st.sampled_from(State),
    message_id=st.none() | numbers,
    provider_ref=st.none() | texts,
    reason=st.none() | st.sampled_from(Reason),
    at=st.none() | times,
    native=texts,
)
inbounds = st.builds(
    Inbound, source=texts, destination=texts, text=texts, provider_ref=st.none() | texts, at=st.none() | times
)


@given(messages)
def test_messages(given: Message) -> None:
    assert message_from_bytes(pack(given)) == given


@given(reports)
def test_reports(given: Report) -> None:
    assert report_from_bytes(pack(given)) == given


@given(inbounds)
def test_inbound(given: Inbound) -> None:
    assert inbound_from_bytes(pack(given)) == given


def test_what_a_later_version_adds_does_not_hinder_this_one() -> None:
    """A step back to the version before must find its messages readable."""
    fields = msgspec.to_builtins(message(5)) | {"colour": "red"}
    assert message_from_bytes(msgspec.msgpack.encode(fields)) == message(5)


@given(st.lists(st.dictionaries(texts, texts | times, min_size=1), max_size=5))
def test_timelines(events: list[dict[str, Any]]) -> None:
    timeline = "".join(line_of(event) for event in events)
    row = (pack(message(5)), State.ENROUTE, None, "bsg", None, 0, NOW, timeline)
    assert record_from_row(row).timeline == events


def test_an_entry_begins_its_timeline() -> None:
    taken = Entry(message=message(5), plan=Plan(("bsg", "virtual")), stage=Stage.QUEUED, next_at=NOW)
    row = row_from_entry(taken)
    assert row[:5] == (5, "shop", None, Stage.QUEUED, "bsg")
    assert row[8] == "bsg,virtual"
    assert row[-1] == line_of({"at": NOW, "event": "accepted", "listener": "smpp"})


def test_a_long_word_of_a_provider_is_cut() -> None:
    event = event_from_report("bsg", Report(state=State.EXPIRED, reason=Reason.NO_REPORT, native="x" * 999), NOW)
    assert event["native"] == "x" * 200
    assert (event["state"], event["reason"]) == ("expired", "no_report")


def test_owed_is_a_report_beside_its_message_and_else_inbound() -> None:
    report, inbound = Report(state=State.DELIVERED), Inbound(source="1", destination="2", text="hi")
    told = owed_from_row("smpp", "shop", (1, NOW, NOW, 0, 5, pack(report), pack(message(5))))
    assert (told.report, told.inbound, told.message, told.part) == (report, None, message(5), None)
    told = owed_from_row("smpp", "shop", (2, NOW, NOW, 0, 50, pack(inbound), None))
    assert (told.report, told.inbound, told.message) == (None, inbound, None)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (Plan(("bsg",)), "bsg"),
        (Plan(("viber", "sms")), "viber,sms"),
        (Plan(("viber", "bip-2", "sms"), (600, 0, 0)), "viber@600,bip-2,sms"),
        (Plan(("a", "b", "c"), (0.5, 90, 0)), "a@0.5,b@90,c"),
    ],
)
def test_a_plan_is_kept_as_text(plan: Plan, text: str) -> None:
    assert text_of_plan(plan) == text
    again = plan_from_text(text)
    assert (again, again.waits_s) == (plan, plan.waits_s)
