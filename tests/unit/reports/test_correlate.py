"""What a report changes: every state against every report."""

from __future__ import annotations

import pytest
from unit.world import message_of

from bridge.message import Message, Reason, Report, ReportOn, State
from bridge.reports.correlate import decide
from bridge.store import Standing, Verdict

NOW = 1000.0
S, A, E, K = State.SCHEDULED, State.ACCEPTED, State.ENROUTE, State.UNKNOWN
D, X, L, U, R = State.DELIVERED, State.EXPIRED, State.DELETED, State.UNDELIVERABLE, State.REJECTED
ENDS = (D, X, L, U, R)

# Where it stands -> the reports that change it; each then stands as the report says.
CHANGES = {
    S: (A, E, *ENDS),
    A: (E, *ENDS),
    E: ENDS,
    **dict.fromkeys((*ENDS, K), ()),
}


def standing(state: State, lane: str = "one", message: Message | None = None, *, goes_on: bool = False) -> Standing:
    def decode() -> Message:
        assert message is not None, "the message was read although nothing is owed"
        return message

    return Standing(state, lane, goes_on, decode)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("said", State)
def test_every_state_against_every_report(state: State, said: State) -> None:
    verdict = decide(standing(state, message=message_of(1)), "one", Report(state=said), NOW)
    assert verdict.state is (said if said in CHANGES[state] else None)
    told = said in CHANGES[state] and said.final
    assert [owed.known_id for owed in verdict.owed] == ([1] if told else [])


def test_a_report_that_changes_nothing_reads_no_message() -> None:
    assert decide(standing(E), "one", Report(state=E), NOW) == Verdict(None)


def test_news_that_is_not_final_is_for_whoever_asked_for_it() -> None:
    assert decide(standing(A, message=message_of(1)), "one", Report(state=E), NOW) == Verdict(E, None, ())
    verdict = decide(standing(A, message=message_of(1, intermediate=True)), "one", Report(state=E), NOW)
    assert (verdict.state, [owed.known_id for owed in verdict.owed]) == (E, [1])


def test_another_difficulty_at_the_provider_is_news_too() -> None:
    """The provider has had the message before, and now says what keeps it: once, however often it says so."""
    asks = message_of(1, intermediate=True)
    absent = Report(state=E, reason=Reason.ABSENT_SUBSCRIBER)
    verdict = decide(standing(E, message=asks), "one", absent, NOW)
    assert (verdict.state, verdict.reason) == (E, Reason.ABSENT_SUBSCRIBER)
    assert [owed.report for owed in verdict.owed] == [absent]
    again = Standing(E, "one", False, lambda: asks, Reason.ABSENT_SUBSCRIBER)
    assert decide(again, "one", absent, NOW) == Verdict(None)
    full = decide(again, "one", Report(state=E, reason=Reason.HANDSET_ERROR), NOW)
    assert len(full.owed) == 1


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("said", set(State) - {E})
def test_a_reason_alone_is_no_news_of_another_state(state: State, said: State) -> None:
    report = Report(state=said, reason=Reason.BARRED)
    verdict = decide(standing(state, message=message_of(1, intermediate=True)), "one", report, NOW)
    if state is said and not state.final:
        assert verdict.state is state
    else:
        assert verdict.state is (said if said in CHANGES[state] else None)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("said", State)
def test_from_a_provider_that_is_no_longer_concerned_only_a_delivery_counts(state: State, said: State) -> None:
    verdict = decide(standing(state, "two", message_of(1)), "one", Report(state=said), NOW)
    assert verdict.state is (D if said is D and state not in (*ENDS, K) else None)


@pytest.mark.parametrize("state", State)
def test_when_nobody_will_tell_any_more_it_becomes_unknown(state: State) -> None:
    report = Report(state=K, reason=Reason.NO_REPORT)
    verdict = decide(standing(state, message=message_of(1)), "one", report, NOW)
    if state.final:
        assert verdict == Verdict(None)
    else:
        assert (verdict.state, verdict.reason) == (K, Reason.NO_REPORT)
        assert [owed.report for owed in verdict.owed] == [report]


@pytest.mark.parametrize(
    ("said", "given", "kept"),
    [
        (U, Reason.BARRED, Reason.BARRED),
        (U, None, Reason.UNSPECIFIED),
        (R, None, Reason.UNSPECIFIED),
        (D, None, None),
    ],
)
def test_a_failure_always_has_a_reason(said: State, given: Reason | None, kept: Reason | None) -> None:
    report = Report(state=said, reason=given)
    verdict = decide(standing(E, message=message_of(1)), "one", report, NOW)
    (owed,) = verdict.owed
    assert verdict.reason is kept
    assert owed.report is not None
    assert owed.report.reason is kept


@pytest.mark.parametrize(
    ("report_on", "said", "told"),
    [
        (ReportOn.NEVER, D, 0),
        (ReportOn.FINAL, D, 1),
        (ReportOn.FINAL, U, 1),
        (ReportOn.FAILURE, D, 0),
        (ReportOn.FAILURE, U, 1),
        (ReportOn.SUCCESS, D, 1),
        (ReportOn.SUCCESS, U, 0),
    ],
)
def test_only_who_asked_is_told(report_on: ReportOn, said: State, told: int) -> None:
    verdict = decide(standing(E, message=message_of(1, report_on=report_on)), "one", Report(state=said), NOW)
    assert verdict.state is said
    assert len(verdict.owed) == told
    assert all((owed.created_at, owed.due_at) == (NOW, NOW) for owed in verdict.owed)


@pytest.mark.parametrize("state", [A, E])
@pytest.mark.parametrize("said", State)
def test_a_failure_is_the_next_providers_turn_where_there_is_one(state: State, said: State) -> None:
    verdict = decide(standing(state, message=message_of(1), goes_on=True), "one", Report(state=said), NOW)
    ends = said.final and said in CHANGES[state]
    assert verdict.goes_on is (ends and said is not D)
    assert verdict.state is (said if said in CHANGES[state] and not verdict.goes_on else None)
    assert bool(verdict.owed) is (said is D)


def test_a_failure_of_a_message_whose_time_is_over_ends_it() -> None:
    message = message_of(1)
    verdict = decide(standing(E, message=message, goes_on=True), "one", Report(state=U), message.expires_at)
    assert (verdict.state, verdict.goes_on) == (U, False)
