"""BiP beyond its cases: lists, which messages share a txnid, and words that deny what they seem to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from providers.hostile import check_any_bytes
from providers.subjects import no_network, subject

from bridge.message import Accepted, Report, State
from bridge.providers import Attempt, Callback, Response
from bridge.providers._cases.making import REFERENCES, Subject, attempt_of, attempts_of
from bridge.providers._cases.promises import check_batches, check_secrets_stay_secret
from bridge.providers.bip import Provider, Settings


def provider(**settings: Any) -> Provider:
    given = {"type": "bip", "username": "acme", "password": "p"} | settings
    return Provider("bip", Settings.model_validate(given), REFERENCES)


def attempt(message_id: int, *, number: int = 1, turn: int = 1, text: str = "Hello") -> Attempt:
    message = attempt_of({"destination": f"90532{message_id:07}", "text": text}, message_id).message
    return Attempt(message, REFERENCES.of(message_id), number, turn)


def txnid_of(*attempts: Attempt) -> str:
    body: dict[str, str] = json.loads(provider(method="list").build(attempts).body or b"")
    return body["txnid"]


# --- what HTTP 200 alone accepts, and the contract's cases do not show


@pytest.fixture(params=[{"method": "list"}, {"receiver": "followers"}, {"method": "list", "batch": 1}], ids=str)
def later(request: pytest.FixtureRequest) -> Subject:
    """BiP with settings by which it tells later what became of a message."""
    (changed,) = [subject("bip")]
    return Subject(
        **{**vars(changed), "cases": changed.cases | {"settings": changed.cases["settings"] | request.param}}
    )


def test_promises_hold_for_what_is_told_later(later: Subject) -> None:
    with no_network():
        check_secrets_stay_secret(later)
        check_any_bytes(later)


def test_full_list_holds_every_message() -> None:
    bip = subject("bip")
    check_batches(
        Subject(**{**vars(bip), "cases": bip.cases | {"settings": bip.cases["settings"] | {"method": "list"}}})
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "Accepted"),
        (204, "Accepted"),
        (302, "Retry"),
        (400, "Retry"),
        (401, "Retry"),
        (500, "Unsure"),
        (503, "Retry"),
    ],
)
def test_status_is_all_there_is_to_a_list(status: int, kind: str) -> None:
    (outcome,) = provider(method="list").interpret(Response(status=status), [attempt(1)])
    assert type(outcome).__name__ == kind


# --- lists


@pytest.mark.parametrize(
    ("settings", "size", "idempotent", "validity"),
    [
        ({}, 1, True, True),
        ({"method": "auto"}, 1, True, True),
        ({"method": "list"}, 100, False, False),
        ({"method": "list", "batch": 20}, 20, False, False),
        ({"method": "list", "batch": 1}, 1, True, False),
    ],
)
def test_only_what_goes_alone_is_recognised(
    settings: dict[str, Any], size: int, idempotent: bool, validity: bool
) -> None:
    made = provider(**settings)
    assert (made.batch_size, made.capabilities.idempotent, made.capabilities.validity) == (size, idempotent, validity)


def test_txnid_is_that_of_the_same_list_alone() -> None:
    two = txnid_of(attempt(1), attempt(2))
    assert txnid_of(attempt(1, number=2), attempt(2, number=2)) == two
    others = [
        txnid_of(attempt(1)),
        txnid_of(attempt(1), attempt(3)),
        txnid_of(attempt(1), attempt(2), attempt(3)),
        txnid_of(attempt(1, number=2, turn=2), attempt(2)),
        txnid_of(attempt(2), attempt(3)),
    ]
    assert len({two, *others}) == 6
    assert REFERENCES.message_id(two) is None


def test_entries_in_the_answer_to_a_list_are_taken_by_their_receivers() -> None:
    attempts = attempts_of([{"destination": number, "text": "Hello"} for number in ("905321", "905322", "905323")])
    items = [{"receiver": "905322", "resultcode": 301}, {"receiver": "905321", "resultcode": 0, "reportid": "r-1"}]
    answer = Response(status=200, body=json.dumps({"resultcode": 0, "list": items}).encode())
    first, second, third = provider(method="list").interpret(answer, attempts)
    assert first == Accepted(provider_ref="r-1")
    assert (type(second).__name__, second.native) == ("Refused", "301")
    assert isinstance(third, Accepted)
    assert (third.provider_ref or "").endswith(":905323")


def test_what_was_not_answered_is_known_by_list_and_receiver() -> None:
    made = provider(method="list")
    refs = made.provider_refs([attempt(1), attempt(2)])
    said = {"txnid": txnid_of(attempt(1), attempt(2)), "list": [{"receiver": "905320000002", "resultcode": 0}]}
    heard = made.reports(Callback(method="POST", path="report", body=json.dumps(said).encode()))
    assert [item.provider_ref for item in heard.items] == [refs[1]]


# --- words


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVERED", State.DELIVERED),
        ("message.delivered", State.DELIVERED),
        ("İLETİLDİ", State.UNKNOWN),  # in lower case it has a dot more than the word
        ("D", State.DELIVERED),
        ("undelivered", State.UNKNOWN),
        ("delivery failed, not read", State.UNKNOWN),
        ("R-rated", State.UNKNOWN),
        ("ready", State.UNKNOWN),
    ],
)
def test_word_must_be_there_whole_and_undenied(word: str, state: State) -> None:
    body = json.dumps({"reportid": "r-1", "status": word}).encode()
    (report,) = provider().reports(Callback(method="POST", body=body)).items
    assert isinstance(report, Report)
    assert (report.state, report.native) == (state, word)


def test_own_words_stand_beside_the_known_ones() -> None:
    made = provider(notice_states={"Seen": "delivered"})
    for word in ("SEEN", "read"):
        (report,) = made.reports(Callback(method="POST", body=f'{{"reportid":1,"type":"{word}"}}'.encode())).items
        assert isinstance(report, Report)
        assert report.state is State.DELIVERED
