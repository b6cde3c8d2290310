"""The whole way of a message through the virtual provider, for each row of its table."""

from __future__ import annotations

import pytest

from bridge.message import Accepted, Outcome, Reason, Refused, Report, Retry, State, Unsure
from bridge.providers import Response, virtual
from bridge.providers._cases.making import REFERENCES, attempt_of, references_of
from bridge.providers.virtual import ANSWERS, FATES, Provider, Settings

PROVIDER = Provider("demo", Settings(type="virtual"), REFERENCES)


def send(digits: str, number: int = 1) -> Outcome:
    attempts = [attempt_of({"destination": f"3809720000{digits}", "text": "hello", "attempt": number})]
    response = PROVIDER.answer(PROVIDER.build(attempts))
    assert response is not None
    (outcome,) = PROVIDER.interpret(response, attempts)
    return outcome


def ask(provider_ref: str) -> list[tuple[State, Reason | None]]:
    wanted = references_of([{"message_id": 1, "provider_ref": provider_ref}])
    (request,) = PROVIDER.poll(wanted)
    response = PROVIDER.answer(request)
    assert response is not None
    items = PROVIDER.heard(response, wanted).items
    return [(item.state, item.reason) for item in items if isinstance(item, Report) and item.message_id == 1]


@pytest.mark.parametrize(
    ("digits", "fate"),
    [
        ("00", [(State.DELIVERED, None)]),
        ("42", [(State.DELIVERED, None)]),
        ("01", [(State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER)]),
        ("05", []),
        ("06", [(State.EXPIRED, Reason.VALIDITY_ELAPSED)]),
        ("07", [(State.REJECTED, Reason.BLOCKED)]),
        ("08", [(State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER)]),
        ("09", [(State.DELIVERED, None)]),
    ],
)
def test_accepted_message_meets_its_fate(digits: str, fate: list[tuple[State, Reason | None]]) -> None:
    outcome = send(digits)
    assert isinstance(outcome, Accepted)
    assert outcome.state is (State.DELIVERED if digits == "09" else State.ENROUTE)
    assert outcome.provider_ref is not None
    assert ask(outcome.provider_ref) == fate


def test_refused_message_is_refused_each_time() -> None:
    assert [type(send("02", number)) for number in (1, 2)] == [Refused, Refused]


@pytest.mark.parametrize(("digits", "first"), [("03", Retry), ("04", Unsure)])
def test_first_attempt_may_fail_and_the_next_is_accepted(digits: str, first: type[Outcome]) -> None:
    assert [type(send(digits, number)) for number in (1, 2, 3)] == [first, Accepted, Accepted]
    outcome = send(digits, 2)
    assert isinstance(outcome, Accepted)
    assert outcome.provider_ref is not None
    assert ask(outcome.provider_ref) == [(State.DELIVERED, None)]


def test_table_in_the_docstring_has_a_row_for_each_number() -> None:
    assert virtual.__doc__ is not None
    rows = {line[:2] for line in virtual.__doc__.splitlines() if line[:2].isdigit()}
    assert rows == set(ANSWERS) | set(FATES)


def test_questions_are_asked_in_one_request() -> None:
    wanted = references_of([{"message_id": number, "provider_ref": f"r-{number}"} for number in range(1, 101)])
    assert len(PROVIDER.poll(wanted)) == 1


def test_message_that_was_never_accepted_is_not_asked_for() -> None:
    assert PROVIDER.poll(references_of([{"message_id": 1}])) == []


def test_answer_of_another_status_is_not_read() -> None:
    attempts = [attempt_of({"destination": "38000", "text": "a"})]
    good = PROVIDER.answer(PROVIDER.build(attempts))
    assert good is not None
    (outcome,) = PROVIDER.interpret(Response(status=503, body=good.body), attempts)
    assert isinstance(outcome, Retry)
