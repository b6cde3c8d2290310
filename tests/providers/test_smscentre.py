"""SMS Center beyond its cases: what may share a request, every detail of a failure, and ids."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from bridge.message import Reason, Report, State
from bridge.providers import Attempt, Callback, Response
from bridge.providers._cases.making import REFERENCES, attempt_of, attempts_of
from bridge.providers.smscentre import Provider, Settings


def provider(**settings: Any) -> Provider:
    return Provider("s", Settings.model_validate({"type": "smscentre", "api_key": "k"} | settings), REFERENCES)


def fields_of(*messages: dict[str, Any], **settings: Any) -> dict[str, str]:
    body = provider(**settings).build(attempts_of(messages)).body
    assert body is not None
    return dict(parse_qsl(body.decode(), strict_parsing=True))


def key(**message: Any) -> object:
    return provider().batch_key(attempt_of({"destination": "380972000001", "text": "a"} | message).message)


@pytest.mark.parametrize("other", [{"destination": "380972000002"}, {"text": "b"}, {"valid_s": 3590}])
def test_number_text_and_the_same_minute_may_differ_in_a_request(other: dict[str, Any]) -> None:
    assert key(**other) == key()


@pytest.mark.parametrize(
    "other",
    [
        *({"source": "Acme"}, {"flash": True}, {"valid_s": 7200}, {"text": "a\nb"}, {"text": "a\rb"}),
        *({"text": None, "binary": "AQI="}, {"text": None, "binary": "AQI=", "udh": "AA=="}),
    ],
)
def test_nothing_else_may(other: dict[str, Any]) -> None:
    assert key(**other) != key()


@pytest.mark.parametrize(
    ("valid_s", "valid"),
    [(-5, "00:01"), (1, "00:01"), (60, "00:01"), (61, "00:02"), (3600, "01:00"), (86400, "24:00"), (864000, "24:00")],
)
def test_validity_is_whole_minutes_within_what_is_taken(valid_s: float, valid: str) -> None:
    assert fields_of({"destination": "380972000001", "text": "a", "valid_s": valid_s})["valid"] == valid


def test_ids_are_apart_for_messages_that_follow_each_other_and_fit() -> None:
    message = attempt_of({"destination": "1", "text": "a"}).message
    first = 2**31 - 100
    refs = [
        provider().provider_refs([Attempt(message, REFERENCES.of(number))])[0] for number in range(first, first + 500)
    ]
    ids = {int((ref or "").partition(":")[0]) for ref in refs}
    assert len(ids) == 500
    assert 1 <= min(ids) <= max(ids) <= 2147483647


@pytest.mark.parametrize(("channel", "parameter"), [("whatsapp", "whatsapp"), ("social", "soc"), ("ping", "ping")])
def test_channel_has_its_parameter(channel: str, parameter: str) -> None:
    assert fields_of({"destination": "380972000001", "text": "a"}, channel=channel)[parameter] == "1"


def test_flash_is_a_channel_and_a_wish() -> None:
    assert fields_of({"destination": "380972000001", "text": "a"}, channel="flash")["flash"] == "1"
    assert provider(channel="flash").capabilities.flash is False


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://smsc.ru", "https://smsc.ru/sys/send.php"),
        ("https://smsc.ru/", "https://smsc.ru/sys/send.php"),
        ("https://smsc.ru/sys", "https://smsc.ru/sys/send.php"),
        ("http://127.0.0.1:8080/a/b/", "http://127.0.0.1:8080/a/b/send.php"),
    ],
)
def test_host_alone_stands_for_its_sys(base_url: str, url: str) -> None:
    attempts = attempts_of([{"destination": "380972000001", "text": "a"}])
    assert provider(base_url=base_url).build(attempts).url == url


# Every documented `err`, from the documents and not from the table.
DETAILS = {
    "unknown_subscriber": [1],
    "absent_subscriber": [6, 219, 237, 240, 242],
    "barred": [11, 13, 21],
    "handset_error": [12],
    "network_error": [220, 248, 255],
    "content_refused": [238, 241],
    "provider_account": [239, 243],
    "blocked": [244, 252, 253],
    "provider_refused": [246, 247, 250, 251],
    "invalid_destination": [249],
    "sender_refused": [254],
    "unspecified": [200],
}


@pytest.mark.parametrize(("error", "reason"), [(each, reason) for reason, all_ in DETAILS.items() for each in all_])
def test_detail_of_a_failure_is_its_reason(error: int, reason: str) -> None:
    callback = Callback(method="POST", body=f"id=7&phone=380972000001&status=20&err={error}".encode())
    (report,) = provider().reports(callback).items
    assert isinstance(report, Report)
    assert (report.state, report.reason) == (State.UNDELIVERABLE, Reason(reason))


def test_detail_of_a_delivery_is_not_a_reason() -> None:
    callback = Callback(method="POST", body=b"id=7&phone=380972000001&status=1&err=200")
    (report,) = provider().reports(callback).items
    assert isinstance(report, Report)
    assert (report.state, report.reason) == (State.DELIVERED, None)


def test_longer_time_is_asked_for_in_whole_hours_and_a_week_at_most() -> None:
    asked = [provider().inbox(0.0, now) for now in (0.0, 3601.0, 86400.0, 1e9)]
    hours = [dict(parse_qsl((request.body or b"").decode()))["hour"] for request in asked if request is not None]
    assert hours == ["1", "2", "24", "168"]


def test_inbox_is_left_alone_when_it_is_told_so() -> None:
    assert provider(inbox=False).inbox(0.0, 1.0) is None


def test_price_in_an_error_is_no_price() -> None:
    assert provider().price_of(Response(status=200, body=b'{"error":"no","error_code":3}')) is None
