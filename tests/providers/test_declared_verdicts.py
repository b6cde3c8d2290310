"""What an answer means: rules before codes before references, and the status where it decides by itself."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.message import Accepted, Outcome, Reason, Refused, Retry, Unsure
from bridge.providers import Response
from bridge.providers._declared import schema
from bridge.providers._declared.template import Template
from bridge.providers._declared.verdicts import Answer, outcome_of

CODES = {
    "1": outcome_of("refused blocked"),
    "ok": outcome_of("accepted"),
    "busy": outcome_of("retry throttled"),
    "poor": outcome_of("pause no_credit"),
}
RULES = [
    {"status": "500", "text": "no credit", "then": "pause no_credit"},
    {"where": {"state": ["failed", "Rejected"]}, "then": "refused invalid_destination"},
    {"where": {"state": "/^wait/"}, "then": "retry"},
    {"status": ["409", "410-412"], "then": "unsure"},
]


def outcomes(declared: dict[str, Any], status: int, body: Any, count: int = 1, **headers: str) -> list[Outcome]:
    items = declared.get("items", {})
    by = [(path, Template(text, {"n": lambda scope: scope.n})) for path, text in items.get("by", {}).items()]
    answer = Answer(schema.Answer.model_validate(declared), CODES, by)
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status=status, headers=headers, body=octets)
    return answer.outcomes(response, [SimpleNamespace(n=str(number)) for number in range(1, count + 1)])


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"id": "a"}, Accepted(provider_ref="a")),
        (200, {"id": 7, "code": "ok"}, Accepted(provider_ref="7", native="ok")),
        (200, {"code": "OK"}, Accepted(native="OK")),
        (200, {}, Unsure(native="HTTP 200")),
        (200, b"<html>", Unsure(native="HTTP 200")),
        (200, {"id": "a", "code": "new"}, Unsure(native="HTTP 200 new")),
        (400, {"id": "a"}, Retry(reason=Reason.PROVIDER_REFUSED, native="HTTP 400")),
        (400, {"code": "ok"}, Retry(reason=Reason.PROVIDER_REFUSED, native="HTTP 400 ok")),
        (400, {"code": 1, "said": "no"}, Refused(reason=Reason.BLOCKED, native="1 no")),
        (401, {"code": 1}, Refused(reason=Reason.BLOCKED, native="1")),
        (401, {"id": "a"}, Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True, native="HTTP 401")),
        (429, {"id": "a"}, Retry(reason=Reason.THROTTLED, after_s=3.0, native="HTTP 429")),
        (200, {"code": "busy"}, Retry(reason=Reason.THROTTLED, after_s=3.0, native="busy")),
        (402, {"code": "poor"}, Retry(reason=Reason.NO_CREDIT, pause=True, after_s=3.0, native="poor")),
        (500, {"code": 1}, Unsure(native="HTTP 500 1")),
        (500, b"no credit left", Retry(reason=Reason.NO_CREDIT, pause=True, after_s=3.0)),
        (200, {"state": "FAILED", "id": "a"}, Refused(reason=Reason.INVALID_DESTINATION)),
        (200, {"state": "waiting"}, Retry(reason=Reason.PROVIDER_REFUSED, after_s=3.0)),
        (503, {"state": "failed"}, Retry(reason=Reason.PROVIDER_UNREACHABLE, after_s=3.0, native="HTTP 503")),
        (411, {}, Unsure()),
    ],
)
def test_one_message(status: int, body: Any, expected: Outcome) -> None:
    declared = {"ref": "id", "code": "code", "message": "said", "rules": RULES}
    assert outcomes(declared, status, body, **{"retry-after": "3"}) == [expected]


def test_a_rule_that_accepts_takes_the_place_of_the_reference() -> None:
    declared = {"ref": "id", "rules": [{"where": {"state": "sent"}, "then": "accepted"}]}
    assert outcomes(declared, 200, {"id": "a", "state": "sent"}) == [Accepted(provider_ref="a")]
    assert outcomes(declared, 200, {"id": "a", "state": "odd"}) == [Unsure(native="HTTP 200")]
    assert outcomes(declared, 404, {"id": "a", "state": "sent"})[0] == Retry(
        reason=Reason.PROVIDER_REFUSED, native="HTTP 404"
    )


def test_status_alone_accepts_nothing_that_cannot_be_read() -> None:
    declared = {"rules": [{"status": "2xx", "then": "accepted"}]}
    assert outcomes(declared, 200, b"<html>") == [Unsure(native="HTTP 200")]
    assert outcomes(declared, 200, {}) == [Accepted()]


ITEMS = {"code": "error", "items": {"at": "all[*]", "by": {"n": "{n}"}, "ref": "id", "code": "code"}}


def test_items_are_found_by_what_is_equal() -> None:
    body = {"all": [{"n": 3, "id": "c"}, {"n": "1", "id": "a"}, {"n": "x", "id": "x"}]}
    assert outcomes(ITEMS, 200, body, 3) == [
        Accepted(provider_ref="a"),
        Unsure(native="HTTP 200"),
        Accepted(provider_ref="c"),
    ]


def test_two_items_of_one_key_are_taken_in_their_order() -> None:
    declared = {"items": {"at": "[*]", "by": {"n": "x"}, "ref": "id"}}
    body = [{"n": "x", "id": "a"}, {"n": "x", "id": "b"}]
    assert outcomes(declared, 200, body, 3) == [
        Accepted(provider_ref="a"),
        Accepted(provider_ref="b"),
        Unsure(native="HTTP 200"),
    ]


def test_items_without_a_key_are_taken_by_place_or_not_at_all() -> None:
    declared = {"items": {"at": "ids[*]", "ref": "$"}}
    assert outcomes(declared, 200, {"ids": [5, 6]}, 2) == [Accepted(provider_ref="5"), Accepted(provider_ref="6")]
    assert outcomes(declared, 200, {"ids": [5]}, 2) == [Unsure(native="HTTP 200")] * 2


def test_an_error_of_the_whole_does_not_condemn_each_of_many() -> None:
    assert outcomes(ITEMS, 400, {"error": 1}, 1) == [Refused(reason=Reason.BLOCKED, native="1")]
    assert outcomes(ITEMS, 400, {"error": 1}, 2) == [Retry(reason=Reason.PROVIDER_REFUSED, native="1")] * 2
    assert outcomes(ITEMS, 400, {"error": "poor"}, 2)[1] == Retry(reason=Reason.NO_CREDIT, pause=True, native="poor")


def test_success_of_the_whole_says_nothing_of_a_message_without_an_item() -> None:
    told = Unsure(native="accepted, without a word on this message")
    assert outcomes(ITEMS, 200, {"error": "ok", "all": []}, 1) == [told]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("accepted", Accepted()),
        ("unsure", Unsure()),
        ("refused", Refused(reason=Reason.PROVIDER_REFUSED)),
        ("retry", Retry(reason=Reason.PROVIDER_REFUSED)),
        ("pause", Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True)),
        ("retry throttled", Retry(reason=Reason.THROTTLED)),
    ],
)
def test_outcome(words: str, expected: Outcome) -> None:
    assert outcome_of(words) == expected


@pytest.mark.parametrize("words", ["", "acepted", "refused soon", "accepted blocked", "unsure blocked"])
def test_wrong_outcome(words: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        outcome_of(words)
