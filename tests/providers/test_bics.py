"""BICS beyond its cases: what may share a request, every reason of a failure, and who is believed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bridge.message import Accepted, Outcome, Reason, Refused, Report, Retry, Unsure
from bridge.providers import BadCallback, Callback, Response
from bridge.providers._cases.making import REFERENCES, attempt_of, attempts_of, references_of
from bridge.providers.bics import Provider, Settings

ONE = {"destination": "380972000001", "text": "a"}


def provider(**settings: Any) -> Provider:
    return Provider("b", Settings.model_validate({"type": "bics", "token": "t"} | settings), REFERENCES)


def built(*messages: dict[str, Any], **settings: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(provider(**settings).build(attempts_of(messages)).body or b"")
    return decoded


def key(settings: dict[str, Any], **message: Any) -> object:
    return provider(**settings).batch_key(attempt_of(ONE | message).message)


@pytest.mark.parametrize("other", [{"destination": "380972000002"}, {"text": "b"}, {"valid_s": 60}])
def test_number_text_and_validity_may_differ_in_a_request(other: dict[str, Any]) -> None:
    assert key({}, **other) == key({})


def test_flash_may_not_and_a_sender_may_where_all_have_one() -> None:
    assert key({}, flash=True) != key({})
    assert key({}, source="Acme") != key({})
    assert key({"sender": "Acme"}, source="Other") == key({"sender": "Acme"})


def test_without_any_sender_none_is_made_up() -> None:
    assert "sender" not in built(ONE)
    assert "sender" not in built(ONE, ONE)["root"]


def test_service_that_reads_queries_finds_every_field_in_them() -> None:
    request = provider(get_only=True, auth="query").build(attempts_of([ONE | {"text": "ä=1&b"}]))
    assert (request.method, request.body) == ("GET", None)
    fields = dict(parse_qsl(urlsplit(request.url).query, strict_parsing=True))
    assert fields["message"] == "ä=1&b"
    assert (fields["access_token"], fields["_method"]) == ("t", "POST")
    assert "Authorization" not in request.headers


def test_only_one_message_fits_an_address_or_a_channel() -> None:
    assert provider().batch_size == 100
    assert provider(get_only=True).batch_size == 1
    assert provider(channel="viber", sender="x").batch_size == 1


def test_channel_is_not_asked_for_what_it_has_no_id_of() -> None:
    assert provider(channel="viber", sender="x").poll(references_of([{"message_id": 1}])) == []
    assert not provider(channel="viber", sender="x").capabilities.lookup


@pytest.mark.parametrize(("channel", "kind"), [("viber", "photo"), ("whatsapp", "contact")])
def test_text_goes_before_content_that_has_no_caption(channel: str, kind: str) -> None:
    content = {"kind": kind, "url": "https://example.com/a", "number": "1", "name": "A"}
    body = built({"destination": "1", "text": "a", "content": content}, channel=channel, sender="x")
    assert body["message"] == {"type": "text", "payload": {"text": "a"}}


def test_answers_take_their_items_in_order_where_two_messages_go_to_one_number() -> None:
    items = [{"id": "g:1", "mobile": "380972000001"}, {"id": "g:2", "mobile": "380972000001"}]
    refs = [
        outcome.provider_ref for outcome in outcomes({"status": 200, "data": items}) if isinstance(outcome, Accepted)
    ]
    assert refs == ["g:1:380972000001", "g:2:380972000001"]


def outcomes(answer: object, status: int = 200, count: int = 2, attempt: int = 1) -> list[Outcome]:
    response = Response(status=status, body=json.dumps(answer).encode())
    return provider().interpret(response, attempts_of([ONE | {"attempt": attempt}] * count))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200},
        {"status": 200, "data": None},
        {"status": 200, "data": [{"mobile": "380972000001", "status": "AWAITING-DLR"}]},
        {"data": [{"id": "g:1", "mobile": "380972000002"}]},
        {},
    ],
)
def test_success_that_does_not_name_a_message_is_none(answer: object) -> None:
    assert [type(outcome) for outcome in outcomes(answer, count=1)] == [Unsure]


def test_duplicate_of_a_first_attempt_is_not_told_from_one_of_another() -> None:
    (first,), (second,) = (outcomes({"status": "DUPLICATE"}, count=1, attempt=number) for number in (1, 2))
    assert isinstance(first, Refused)
    assert isinstance(second, Unsure)


@pytest.mark.parametrize(
    "message", ["Insufficient balance", "You have no credits", "Not enough SMS credits", "low funds"]
)
@pytest.mark.parametrize("status", [200, 400, 422])
def test_empty_account_is_paused_whatever_its_code(message: str, status: int) -> None:
    (outcome,) = outcomes({"status": "ERROR", "message": message}, status, count=1)
    assert isinstance(outcome, Retry)
    assert (outcome.reason, outcome.pause) == (Reason.NO_CREDIT, True)


@pytest.mark.parametrize("status", [400, 422])
def test_refusal_without_a_word_of_why_is_not_the_messages_fault(status: int) -> None:
    (outcome,) = outcomes({}, status, count=1)
    assert isinstance(outcome, Retry)


# Every word and code of a failure, from the documents and not from the table.
REASONS = {
    "unknown_subscriber": "INVALID-SUB 001 002 015",
    "absent_subscriber": "ABSENT-SUB MOB-OFF HANDSET-BUSY offline 003 010 013 016",
    "handset_error": "HANDSET-ERR MEMEXEC 004 006 007 009",
    "barred": "BARRED 005 020",
    "network_error": "NET-ERR 008 011 012 014 017 019",
    "unspecified": "FAILED UNDELIV failed deleted 034 045 099 461 462",
    "provider_unreachable": "SERVER-ERR 403 405 406 430 431 432 433",
    "invalid_destination": "INV-NUMBER 404",
    "blocked": "SERIES-BLK BLOCK SPAM DNDNUMB BLACKLST NOT-OPTIN OPTOUT-REJ 018 400 407 408 450 455 456",
    "no_credit": "NO-CREDITS 401",
    "provider_account": "NO-ACCOUNT INV-SERVICE 402 791",
    "sender_refused": "SNDR-BLOCK INV-SENDER INV-PROVISION DLT-HEADER-INACTIVE DLT-SENDER-NOT-REG-TM 451 454"
    " 787 789 790",
    "content_refused": "TEMPLATE-NOT-FOUND INV-TEMPLATE DLT-REJECTED DLT-INV-TMID DLT-INV-ENTITY DLT-TM-INACTIVE 452"
    " 453 777 780 781 782 783 784 785 786 788",
    "provider_refused": "PROMO-TMOUT REJECTED NOTALLOWED DUPLICATE REJ-MULTIPART rejected 457 458 459 460 778",
    "throttled": "THROTTLED 463",
    "invalid_schedule": "INV-SCHEDULE 792",
    "validity_elapsed": "EXPIRED expired 021",
    "no_report": "TIMEOUT-DLR",
}


@pytest.mark.parametrize(
    ("word", "reason"), [(word, reason) for reason, all_ in REASONS.items() for word in all_.split()]
)
def test_word_of_a_failure_is_its_reason(word: str, reason: str) -> None:
    body = json.dumps({"id": "g:1", "mobile": "1", "status": word}).encode()
    (report,) = provider().reports(Callback(method="POST", body=body)).items
    assert isinstance(report, Report)
    assert report.reason == Reason(reason)


def test_challenge_is_given_back_as_it_came() -> None:
    body = b'{"validation_key":"9012XX","challenge":"a\\"234\\u00e4"}'
    heard = provider(webhook_secret="s").reports(Callback(method="POST", query={"token": "9012XX"}, body=body))
    assert (heard.status, heard.content_type) == (200, "application/json")
    assert json.loads(heard.body) == {"challenge": 'a"234ä'}


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer  s3cret"])
def test_bearer_is_read_as_http_writes_it(header: str) -> None:
    assert heard_with(header).items


@pytest.mark.parametrize(
    "header", ["", "s3cret", "Basic s3cret", "Bearer", "Bearer s3cret2", "Bearer S3CRET", "Bearer é"]
)
def test_whoever_does_not_know_the_secret_is_not_heard(header: str) -> None:
    with pytest.raises(BadCallback) as refused:
        heard_with(header)
    assert refused.value.status == 401


def heard_with(authorization: str) -> Any:
    body = b'{"id":"g:1","mobile":"1","status":"DELIVRD"}'
    callback = Callback(method="POST", headers={"authorization": authorization}, body=body)
    return provider(webhook_secret="s3cret", webhook_id="w").reports(callback)


@pytest.mark.parametrize(
    ("value", "at"),
    [("1701086585", 1701086585.0), (1701086585, 1701086585.0), ("2021-09-07T05:37:58Z", 1630993078.0)]
    + [(value, None) for value in ("", "2021-09-07 05:37:58", "-5", "9" * 15, "soon", None, 1.5)],
)
def test_time_without_a_zone_is_no_time(value: object, at: float | None) -> None:
    body = json.dumps({"id": "g:1", "status": "DELIVRD", "deliv_at": value}).encode()
    (report,) = provider().reports(Callback(method="POST", body=body)).items
    assert report.at == at
