"""What an outcome means: the table of the module's docstring, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from unit.world import message_of

from bridge.dispatch.retry import MOVE_AFTER, Policy, delay_s, expire, failed_state, settle
from bridge.message import Accepted, Outcome, Plan, Reason, Refused, ReportOn, Retry, State, Unsure
from bridge.store import Queued, Stage

NOW = 1_000_000.0
REFUSED = Refused(reason=Reason.CONTENT_REFUSED, native="no")
RETRY = Retry(reason=Reason.PROVIDER_UNREACHABLE)
PAUSE = Retry(reason=Reason.NO_CREDIT, pause=True)


def policy(**keys: Any) -> Policy:
    return Policy(**{"on_unsure": "hold", "poll_s": 15.0, "report_timeout_s": 86400.0} | keys)


def queued(*plan: str, **keys: Any) -> Queued:
    values: dict[str, Any] = {"message": message_of(7, now=NOW - 10), "plan": Plan(plan or ("one",)), "attempts": 1}
    return Queued(**values | keys)


def test_message_that_may_have_arrived_is_looked_for_as_the_provider_calls_it() -> None:
    held = settle(queued(), Unsure(provider_ref="7:380"), NOW, 0.5, policy())
    assert (held.stage, held.provider_ref, held.event["provider_ref"]) == (Stage.SENT, "7:380", "7:380")
    assert "provider_ref" not in settle(queued(), Unsure(), NOW, 0.5, policy()).event


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_ends_in_a_final_state_that_is_no_success(reason: Reason) -> None:
    assert failed_state(reason).final
    assert failed_state(reason) is not State.DELIVERED


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.VALIDITY_ELAPSED, State.EXPIRED),
        (Reason.UNSURE, State.UNKNOWN),
        (Reason.NO_REPORT, State.UNKNOWN),
        (Reason.UNKNOWN_SUBSCRIBER, State.UNDELIVERABLE),
        (Reason.PROVIDER_UNREACHABLE, State.UNDELIVERABLE),
        (Reason.CONTENT_REFUSED, State.REJECTED),
        (Reason.PROVIDER_REFUSED, State.REJECTED),
    ],
)
def test_states_of_reasons(reason: Reason, state: State) -> None:
    assert failed_state(reason) is state


@pytest.mark.parametrize(
    ("attempts", "least", "most"),
    [(1, 0.75, 1.25), (2, 1.5, 2.5), (3, 3, 5), (10, 384, 640), (11, 450, 750), (9999, 450, 750)],
)
def test_delays_double_up_to_ten_minutes_with_jitter(attempts: int, least: float, most: float) -> None:
    assert delay_s(attempts, 0.0) == least
    assert delay_s(attempts, 0.5) == (least + most) / 2
    assert delay_s(attempts, 1.0) == most


# --- Accepted ---------------------------------------------------------------------------------------------------------


def test_accepted_is_with_the_provider_and_asked_about_later() -> None:
    done = settle(queued(), Accepted(provider_ref="p-1"), NOW, 0.5, policy())
    assert (done.stage, done.state, done.provider_ref) == (Stage.SENT, State.ENROUTE, "p-1")
    assert (done.next_at, done.sent_at, done.owed) == (NOW + 15, NOW, ())
    assert done.event == {"at": NOW, "provider": "one", "attempt": 1, "event": "sent", "provider_ref": "p-1"}


@pytest.mark.parametrize(
    ("poll_s", "timeout_s", "wait_s"), [(None, 500.0, 500.0), (15.0, 5.0, 5.0), (15.0, 500.0, 15.0)]
)
def test_accepted_waits_for_the_first_question_or_the_deadline(
    poll_s: float | None, timeout_s: float, wait_s: float
) -> None:
    done = settle(queued(), Accepted(), NOW, 0.5, policy(poll_s=poll_s, report_timeout_s=timeout_s))
    assert done.next_at == NOW + wait_s


def test_accepted_and_final_already_is_final_and_its_sender_is_told() -> None:
    outcome = Accepted(state=State.UNDELIVERABLE, reason=Reason.BARRED, native="bar")
    done = settle(queued(), outcome, NOW, 0.5, policy())
    assert (done.stage, done.state, done.reason, done.next_at) == (
        Stage.FINAL,
        State.UNDELIVERABLE,
        Reason.BARRED,
        None,
    )
    (owed,) = done.owed
    assert owed.report is not None
    assert (owed.known_id, owed.report.state, owed.report.reason) == (7, State.UNDELIVERABLE, Reason.BARRED)


# --- Refused ----------------------------------------------------------------------------------------------------------


def test_accepted_is_news_for_whoever_asked() -> None:
    asks = message_of(7, now=NOW - 10, intermediate=True, report_on=ReportOn.FINAL)
    done = settle(queued(message=asks), Accepted(provider_ref="p"), NOW, 0.5, policy())
    (owed,) = done.owed
    assert (done.stage, owed.report and owed.report.state) == (Stage.SENT, State.ENROUTE)
    assert settle(queued(), Accepted(provider_ref="p"), NOW, 0.5, policy()).owed == ()


def test_what_nobody_knows_is_no_news() -> None:
    asks = queued(message=message_of(7, now=NOW - 10, intermediate=True), begun=1)
    assert settle(asks, Unsure(), NOW, 0.5, policy()).owed == ()
    assert expire(asks, NOW, policy()).owed == ()
    assert settle(asks, RETRY, NOW, 0.5, policy()).owed == ()


def test_refused_goes_on_to_the_plans_next_provider() -> None:
    done = settle(queued("one", "two", attempts=2), REFUSED, NOW, 0.5, policy())
    assert (done.stage, done.state, done.lane, done.step) == (Stage.QUEUED, State.ACCEPTED, "two", 1)
    assert (done.attempts, done.next_at, done.begun, done.owed) == (0, NOW, 0, ())
    assert (done.event["event"], done.event["next"], done.event["native"]) == ("refused", "two", "no")


def test_refused_by_the_last_provider_is_final() -> None:
    done = settle(queued("one", "two", step=1), REFUSED, NOW, 0.5, policy())
    assert (done.stage, done.state, done.reason) == (Stage.FINAL, State.REJECTED, Reason.CONTENT_REFUSED)
    (owed,) = done.owed
    assert owed.report is not None
    assert owed.report.native == "no"


@pytest.mark.parametrize(
    ("report_on", "told"), [(ReportOn.NEVER, 0), (ReportOn.FINAL, 1), (ReportOn.FAILURE, 1), (ReportOn.SUCCESS, 0)]
)
def test_only_who_asked_is_told(report_on: ReportOn, told: int) -> None:
    message = message_of(7, now=NOW, report_on=report_on)
    assert len(settle(queued(message=message), REFUSED, NOW, 0.5, policy()).owed) == told


# --- Retry ------------------------------------------------------------------------------------------------------------


def test_retry_comes_again_after_a_growing_delay() -> None:
    for attempts in (1, 2, 3):
        done = settle(queued(attempts=attempts), RETRY, NOW, 0.5, policy())
        assert (done.stage, done.lane, done.attempts) == (Stage.QUEUED, "one", attempts)
        assert done.next_at == NOW + delay_s(attempts, 0.5)
        assert done.event["next_at"] == done.next_at


def test_retry_comes_when_the_provider_says() -> None:
    done = settle(queued(), Retry(reason=Reason.THROTTLED, after_s=33.0), NOW, 0.5, policy())
    assert done.next_at == NOW + 33


def test_retry_comes_no_later_than_the_message_expires() -> None:
    message = message_of(7, now=NOW - 10, expires_at=NOW + 5)
    done = settle(queued(message=message), Retry(reason=Reason.THROTTLED, after_s=3600.0), NOW, 0.5, policy())
    assert done.next_at == NOW + 5


@pytest.mark.parametrize(
    ("attempts", "outcome", "begun", "moves"),
    [
        (1, RETRY, 0, False),
        (MOVE_AFTER - 1, RETRY, 0, False),
        (MOVE_AFTER, RETRY, 0, True),
        (MOVE_AFTER, RETRY, 2, False),  # an earlier attempt may have been taken: never at another provider
        (1, PAUSE, 0, True),
        (1, PAUSE, 1, False),
    ],
)
def test_when_a_retry_moves_to_the_next_provider(attempts: int, outcome: Outcome, begun: int, moves: bool) -> None:
    done = settle(queued("one", "two", attempts=attempts, begun=begun), outcome, NOW, 0.5, policy())
    assert (done.lane, done.step) == (("two", 1) if moves else ("one", 0))
    assert done.stage is Stage.QUEUED
    assert done.begun == begun


def test_a_paused_last_provider_keeps_its_messages() -> None:
    done = settle(queued("one", "two", step=1), PAUSE, NOW, 0.5, policy())
    assert (done.stage, done.lane, done.step) == (Stage.QUEUED, "two", 1)


# --- Unsure -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, MOVE_AFTER, 50])
def test_unsure_retry_comes_again_at_the_same_provider_only(attempts: int) -> None:
    done = settle(queued("one", "two", attempts=attempts), Unsure(native="?"), NOW, 0.5, policy(on_unsure="retry"))
    assert (done.stage, done.lane, done.step, done.begun) == (Stage.QUEUED, "one", 0, attempts)
    assert done.reason is Reason.UNSURE


def test_the_first_attempt_that_may_have_arrived_is_the_one_that_counts() -> None:
    done = settle(queued(attempts=3, begun=2), Unsure(), NOW, 0.5, policy(on_unsure="retry"))
    assert done.begun == 2


def test_unsure_hold_waits_for_a_report_as_if_accepted() -> None:
    done = settle(queued("one", "two"), Unsure(), NOW, 0.5, policy(on_unsure="hold"))
    assert (done.stage, done.state, done.sent_at, done.owed) == (Stage.SENT, State.ENROUTE, NOW, ())
    assert done.event["event"] == "unsure"


def test_unsure_fail_is_final() -> None:
    done = settle(queued("one", "two"), Unsure(), NOW, 0.5, policy(on_unsure="fail"))
    assert (done.stage, done.state, done.reason) == (Stage.FINAL, State.UNKNOWN, Reason.UNSURE)
    assert len(done.owed) == 1


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_what_was_never_sent_expires() -> None:
    done = expire(queued("one", "two"), NOW, policy())
    assert (done.stage, done.state, done.reason) == (Stage.FINAL, State.EXPIRED, Reason.VALIDITY_ELAPSED)
    assert len(done.owed) == 1


def test_what_may_have_been_sent_waits_for_a_report_instead() -> None:
    done = expire(queued(begun=1), NOW, policy())
    assert (done.stage, done.state, done.owed) == (Stage.SENT, State.ENROUTE, ())
    assert done.event["event"] == "expired"


def test_native_words_are_cut_in_the_timeline() -> None:
    done = settle(queued(), Refused(reason=Reason.BLOCKED, native="x" * 1000), NOW, 0.5, policy())
    assert len(done.event["native"]) == 200
