"""The shared words: states, reasons, what a report does to a state, and who is told."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store.samples import NOW, message

from bridge.message import FINAL, Inbound, Owed, Part, Reason, Report, ReportOn, State, merge, owed_for

states = st.sampled_from(State)
_MOVING = sorted(set(State) - FINAL)

# --- states


def test_states_are_the_numbers_of_smpp() -> None:
    """SMPP 5.0 §4.7.15; 9 (SKIPPED) is never ours."""
    assert {state.word: int(state) for state in State} == {
        "scheduled": 0,
        "enroute": 1,
        "delivered": 2,
        "expired": 3,
        "deleted": 4,
        "undeliverable": 5,
        "accepted": 6,
        "unknown": 7,
        "rejected": 8,
    }


def test_what_is_final() -> None:
    assert {state for state in State if not state.final} == {State.SCHEDULED, State.ACCEPTED, State.ENROUTE}
    assert {state for state in State if state.final} == FINAL


def test_reasons_are_words_that_can_be_shown() -> None:
    assert all(reason.value == reason.name.lower() for reason in Reason)


# --- merge


@pytest.mark.parametrize(("state", "report"), list(product(sorted(FINAL), State)))
def test_final_never_moves(state: State, report: State) -> None:
    assert merge(state, report) is state


@pytest.mark.parametrize(
    ("state", "report", "after"),
    [
        (State.SCHEDULED, State.ACCEPTED, State.ACCEPTED),
        (State.SCHEDULED, State.ENROUTE, State.ENROUTE),
        (State.ACCEPTED, State.SCHEDULED, State.ACCEPTED),
        (State.ACCEPTED, State.ENROUTE, State.ENROUTE),
        (State.ENROUTE, State.SCHEDULED, State.ENROUTE),
        (State.ENROUTE, State.ACCEPTED, State.ENROUTE),
        *((state, final, final) for state in _MOVING for final in sorted(FINAL - {State.UNKNOWN})),
        *((state, State.UNKNOWN, state) for state in _MOVING),
        *((state, state, state) for state in State),
    ],
)
def test_nothing_goes_back(state: State, report: State, after: State) -> None:
    assert merge(state, report) is after


@given(states, st.lists(states))
def test_repeating_reports_changes_nothing(state: State, reports: list[State]) -> None:
    def after(state: State) -> State:
        for report in reports:
            state = merge(state, report)
        return state

    assert after(after(state)) is after(state)


# --- who is told


@pytest.mark.parametrize(
    ("report_on", "wanted"),
    [
        (ReportOn.NEVER, set()),
        (ReportOn.FINAL, FINAL),
        (ReportOn.FAILURE, FINAL - {State.DELIVERED}),
        (ReportOn.SUCCESS, {State.DELIVERED}),
    ],
)
def test_who_wants_what(report_on: ReportOn, wanted: set[State]) -> None:
    assert {state for state in FINAL if report_on.wants(state)} == wanted


def test_the_sender_of_a_whole_message_is_told() -> None:
    whole, report = message(5, report_on=ReportOn.FINAL), Report(state=State.DELIVERED)
    (owed,) = owed_for(whole, report, NOW)
    assert (owed.account, owed.listener, owed.known_id, owed.part) == ("shop", "smpp", 5, None)
    assert (owed.message, owed.report, owed.inbound) == (whole, report, None)
    assert (owed.created_at, owed.due_at, owed.attempts, owed.owed_id) == (NOW, NOW, 0, 0)


def test_each_part_is_told_as_it_asked_and_the_whole_is_not() -> None:
    parts = tuple(Part(part_id=10 + on, number=on + 1, report_on=on) for on in ReportOn)
    whole = message(10, report_on=ReportOn.FINAL, parts=parts)
    told = {state: [owed.part for owed in owed_for(whole, Report(state=state), NOW)] for state in FINAL}
    assert told[State.DELIVERED] == [parts[ReportOn.FINAL], parts[ReportOn.SUCCESS]]
    for state in FINAL - {State.DELIVERED}:
        assert told[state] == [parts[ReportOn.FINAL], parts[ReportOn.FAILURE]]
    assert [owed.known_id for owed in owed_for(whole, Report(state=State.DELIVERED), NOW)] == [11, 13]


def test_one_report_of_all_parts_is_for_the_first_that_asked() -> None:
    parts = tuple(Part(part_id=10 + on, number=on + 1, report_on=on) for on in ReportOn)
    whole = message(10, parts=parts, one_report=True)
    told = {state: [owed.known_id for owed in owed_for(whole, Report(state=state), NOW)] for state in FINAL}
    assert set(map(tuple, told.values())) == {(11,)}
    last = message(10, parts=parts[:1] + parts[3:], one_report=True)
    assert [owed.known_id for owed in owed_for(last, Report(state=State.DELIVERED), NOW)] == [13]
    assert owed_for(last, Report(state=State.EXPIRED), NOW) == []


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_what_is_not_final_is_for_whoever_asked_for_it(state: State) -> None:
    report = Report(state=state)
    assert owed_for(message(5, report_on=ReportOn.FINAL), report, NOW) == []
    assert [owed.known_id for owed in owed_for(message(5, intermediate=True), report, NOW)] == [5]
    parts = (Part(part_id=11, number=1, report_on=ReportOn.FINAL), Part(part_id=12, number=2, intermediate=True))
    assert [owed.known_id for owed in owed_for(message(11, parts=parts, intermediate=True), report, NOW)] == [12]


def test_who_asked_for_intermediate_reports_only_is_not_told_of_the_end() -> None:
    asks = message(5, intermediate=True, report_on=ReportOn.NEVER)
    assert owed_for(asks, Report(state=State.DELIVERED), NOW) == []


def test_the_address_that_something_owed_is_for() -> None:
    (owed,) = owed_for(message(5, source="ACME", report_on=ReportOn.FINAL), Report(state=State.DELIVERED), NOW)
    assert owed.address == "ACME"
    inbound = Inbound(source="380501234567", destination="7700", text="hi")
    told = Owed(account="a", listener="smpp", created_at=NOW, due_at=NOW, known_id=1, inbound=inbound)
    assert told.address == "7700"


def test_nobody_asked() -> None:
    assert owed_for(message(5, report_on=ReportOn.NEVER), Report(state=State.DELIVERED), NOW) == []


# --- values


def test_a_message_never_changes() -> None:
    with pytest.raises(AttributeError):
        message(5).text = "other"  # type: ignore[misc]


def test_what_is_not_given_takes_no_room() -> None:
    fields = set(msgspec.to_builtins(message(5)))
    assert fields == {
        "message_id",
        "account",
        "listener",
        "destination",
        "source",
        "text",
        "accepted_at",
        "expires_at",
        "report_on",
    }
