"""BSG beyond its cases: what may share a request, and what settings do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.message import Accepted, Refused, Report, Retry, State, Unsure
from bridge.providers import Response
from bridge.providers._cases.making import REFERENCES, attempt_of, attempts_of
from bridge.providers.bsg import Provider, Settings


def provider(**settings: Any) -> Provider:
    return Provider("bsg", Settings.model_validate({"type": "bsg", "api_key": "k"} | settings), REFERENCES)


def built(*messages: dict[str, Any], **settings: Any) -> dict[str, Any]:
    body = provider(**settings).build(attempts_of(messages)).body
    assert body is not None
    decoded: dict[str, Any] = json.loads(body)
    return decoded


@pytest.mark.parametrize(
    ("valid_s", "hours"),
    [(0.5, 1), (1, 1), (3600, 1), (3601, 2), (7200, 2), (72 * 3600, 72), (30 * 86400, 72), (-5, 1)],
)
def test_validity_is_whole_hours_within_what_is_taken(valid_s: float, hours: int) -> None:
    assert built({"destination": "3801", "text": "a", "valid_s": valid_s})["validity"] == hours


def test_only_equal_validity_shares_a_request() -> None:
    keys = [
        provider().batch_key(attempt_of({"destination": "3801", "text": text, "valid_s": valid_s}).message)
        for text, valid_s in [("a", 3601), ("b", 7200), ("a", 7201)]
    ]
    assert keys[0] == keys[1] != keys[2]


def test_configured_sender_stands_in_and_can_make_texts_share_a_form() -> None:
    body = built({"destination": "1", "text": "a"}, {"destination": "2", "text": "a"}, sender="Acme", tariff=3)
    assert (body["destination"], body["originator"], body["tariff"]) == ("phones", "Acme", "3")


def test_different_senders_need_the_individual_form() -> None:
    body = built({"destination": "1", "text": "a", "source": "One"}, {"destination": "2", "text": "a"}, sender="Two")
    assert body["destination"] == "individual"
    assert [phone["originator"] for phone in body["phones"]] == ["One", "Two"]


@pytest.mark.parametrize(
    ("valid_s", "unit", "validity"),
    [
        *((1, "seconds", "15"), (3600.5, "seconds", "3601"), (864000, "seconds", "86400")),
        *((1, "hours", "1"), (3601, "hours", "2"), (864000, "hours", "24")),
    ],
)
def test_viber_validity_is_within_what_is_taken(valid_s: float, unit: str, validity: str) -> None:
    message = {"destination": "3801", "text": "a", "valid_s": valid_s}
    assert built(message, channel="viber", validity_unit=unit)["validity"] == validity


@pytest.mark.parametrize(("after", "validity"), [("1m", "60"), ("1s", "15"), ("2h", "3600")])
def test_viber_is_tried_no_longer_than_it_may_be(after: str, validity: str) -> None:
    message = {"destination": "3801", "text": "a"}
    body = built(message, channel="viber", fallback_sender="Acme", fallback_after=after)
    assert body["validity"] == validity


def test_neighbours_that_say_the_same_on_viber_share_an_entry() -> None:
    texts = ["a", "a", "b", "a"]
    body = built(*({"destination": str(number), "text": text} for number, text in enumerate(texts)), channel="viber")
    assert [[phone["msisdn"] for phone in message["to"]] for message in body["messages"]] == [["0", "1"], ["2"], ["3"]]


def test_any_numbers_may_be_looked_at_together() -> None:
    keys = {
        provider(channel="hlr").batch_key(attempt_of({"destination": "3801", "valid_s": valid_s}).message)
        for valid_s in (1, 86400)
    }
    assert len(keys) == 1


def test_without_an_address_no_request_asks_for_callbacks() -> None:
    for settings in ({"channel": "viber"}, {"channel": "hlr"}, {"generation": 2}):
        body = provider(**settings).build(attempts_of([{"destination": "1", "text": "a"}])).body
        assert body is not None
        assert b"callback_url" not in body


@pytest.mark.parametrize(
    ("valid_s", "validity"),
    [
        *((1, {"validity_seconds": 30}), (86400, {"validity_seconds": 86400})),
        *((86401, {"validity": 25}), (864000, {"validity": 72})),
    ],
)
def test_second_generation_takes_seconds_for_a_day_and_hours_for_more(valid_s: float, validity: dict[str, int]) -> None:
    body = built({"destination": "3801", "text": "a", "valid_s": valid_s}, generation=2)
    assert {name: value for name, value in body.items() if "validity" in name} == validity


def test_what_a_picture_says_to_nobody_is_no_sms() -> None:
    content = {"kind": "photo", "url": "https://x.example/a.png"}
    body = built({"destination": "1", "content": content}, channel="viber", fallback_sender="Acme")
    assert "alt_route" not in body["messages"][0]["options"]["viber"]


@pytest.mark.parametrize("generation", [1, 2])
def test_status_counts_only_where_the_answer_succeeded(generation: int) -> None:
    body = b'{"error": 0, "id": 5, "reference": "0123456789ab1", "status": "delivered"}'
    assert not provider(generation=generation).heard(Response(status=500, body=body), []).items


def test_each_message_of_an_answer_has_one_report() -> None:
    said = [
        {"error": 0, "id": 5, "reference": "0123456789ab1", "status": "expired"},
        {"error": 0, "id": 6, "reference": "0123456789ab2", "status": "sent"},
        {"error": 0, "id": 7, "reference": "0123456789ab1", "status": "delivered"},
    ]
    response = Response(status=200, body=json.dumps({"data": said}).encode())
    heard = provider(generation=2).heard(response, [])
    assert [(item.provider_ref, item.state) for item in heard.items if isinstance(item, Report)] == [
        ("7", State.DELIVERED),
        ("6", State.ENROUTE),
    ]


def test_base_url_may_end_with_a_slash() -> None:
    request = provider(base_url="https://api.bsg.world/rest/").build([attempt_of({"destination": "1", "text": "a"})])
    assert request.url == "https://api.bsg.world/rest/sms/create"


def outcomes(answer: object, count: int = 2, status: int = 200) -> list[type]:
    attempts = attempts_of([{"destination": str(number), "text": "a"} for number in range(count)])
    response = Response(status=status, body=json.dumps(answer).encode())
    return [type(outcome) for outcome in provider().interpret(response, attempts)]


def test_id_of_one_is_not_the_id_of_all() -> None:
    assert outcomes({"error": 0, "id": 5}) == [Unsure, Unsure]


def test_item_with_a_reference_counts_before_the_error_of_all() -> None:
    answer = {"error": 7, "result": [{"error": 0, "id": 5, "reference": "0123456789ab2"}]}
    assert outcomes(answer) == [Retry, Accepted]


def test_error_of_all_that_names_one_condemns_only_that_one() -> None:
    assert outcomes({"error": 21, "reference": "0123456789ab2"}) == [Retry, Refused]


def test_places_are_not_trusted_when_some_are_missing() -> None:
    assert outcomes({"result": [{"error": 21}]}) == [Unsure, Unsure]


@pytest.mark.parametrize("error", [True, None, 1.5, "x", [], {}, "", "-1", 10**30])
def test_error_that_is_no_code_says_nothing(error: object) -> None:
    assert outcomes({"error": error, "id": 5}, count=1) == [Unsure]


def test_success_without_an_id_is_not_a_success() -> None:
    assert outcomes({"error": 0}, count=1) == [Unsure]
