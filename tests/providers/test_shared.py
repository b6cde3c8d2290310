"""What all providers share: the meaning of HTTP statuses, references, and bodies that may be anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import Outcome, Reason, Retry, Unsure
from bridge.providers import References, Request, Response
from bridge.providers._contract import decode, retry_after_s, shared_outcome, status_outcome

OURS = Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True)
DOWN = Retry(reason=Reason.PROVIDER_UNREACHABLE)
BUSY = Retry(reason=Reason.THROTTLED)
NOT_TAKEN = Retry(reason=Reason.PROVIDER_REFUSED)


def without_native(outcome: Outcome | None) -> Outcome | None:
    if isinstance(outcome, Retry):
        return Retry(reason=outcome.reason, after_s=outcome.after_s, pause=outcome.pause)
    return Unsure() if isinstance(outcome, Unsure) else outcome


@pytest.mark.parametrize(
    ("status", "shared", "alone"),
    [
        (200, None, Unsure()),
        (204, None, Unsure()),
        (302, None, NOT_TAKEN),
        (400, None, NOT_TAKEN),
        (404, None, NOT_TAKEN),
        (401, OURS, OURS),
        (403, OURS, OURS),
        (407, OURS, OURS),
        (408, Unsure(), Unsure()),
        (429, BUSY, BUSY),
        (500, Unsure(), Unsure()),
        (501, Unsure(), Unsure()),
        (502, Unsure(), Unsure()),
        (503, DOWN, DOWN),
        (504, Unsure(), Unsure()),
        (520, Unsure(), Unsure()),
        (599, Unsure(), Unsure()),
        (100, None, Unsure()),
    ],
)
def test_status_means_the_same_everywhere(status: int, shared: Outcome | None, alone: Outcome) -> None:
    response = Response(status=status)
    assert without_native(shared_outcome(response)) == shared
    outcome = status_outcome(response)
    assert without_native(outcome) == alone
    assert getattr(outcome, "native", None) == f"HTTP {status}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("999999", 86400.0), ("9" * 400, 86400.0)),
        *((text, None) for text in ("", "-1", "٧", "soon", "Wed, 21 Oct 2026 07:28:00 GMT")),
    ],
)
def test_retry_after_is_seconds_or_nothing(value: str, seconds: float | None) -> None:
    assert retry_after_s(Response(status=429, headers={"retry-after": value})) == seconds


@pytest.mark.parametrize(
    ("until", "date", "seconds"),
    [
        ("Sun, 22 Nov 2026 10:00:05 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 5.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 0.0),
        ("Sun, 29 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 86400.0),
        ("Sun, 22 Nov 2026 10:00:05 GMT", "", None),
        ("Sun, 22 Nov 2026 10:00:05 GMT", "Sun, 22 Nov 2026 10:00:00", None),
        ("soon", "Sun, 22 Nov 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after_a_date_counts_from_the_date_of_the_answer(until: str, date: str, seconds: float | None) -> None:
    assert retry_after_s(Response(status=429, headers={"retry-after": until, "date": date})) == seconds


def test_retry_after_reaches_the_outcome() -> None:
    outcome = shared_outcome(Response(status=503, headers={"retry-after": "30"}))
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 30.0


@given(st.integers(1, 2**63 - 1), st.integers(0, 15))
def test_reference_leads_back_to_its_message(message_id: int, step: int) -> None:
    references = References("0123456789ab")
    reference = references.of(message_id, step)
    assert (reference == references.of(message_id)) is (step == 0)
    assert references.message_id(reference) == message_id
    assert references.message_id(reference.upper()) == message_id
    assert len(reference) <= 32
    assert References("ba9876543210").message_id(reference) is None


@pytest.mark.parametrize(
    "reference",
    [
        *(None, "", "ext_id_19", "0123456789ab", "0123456789ab0", "0123456789ab01", "0123456789ab-1", "0123456789ab 1"),
        *("0123456789ab1_1", "0123456789abxyz", "0123456789ab1\n"),
        *("0123456789ab8000000000000000", "0123456789ab" + "f" * 5000),  # more than 63 bits
    ],
)
def test_foreign_reference_leads_nowhere(reference: str | None) -> None:
    assert References("0123456789ab").message_id(reference) is None


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b"\xff", b"[" * 100_000, b'"\\ud800"', b"1e999"])
def test_body_that_is_something_else_is_none(body: bytes) -> None:
    assert decode(body, list[str]) is None


def test_body_is_decoded_as_asked() -> None:
    assert decode(b'["a"]', list[str]) == ["a"]


def test_request_shows_neither_query_nor_header_values() -> None:
    request = Request(method="GET", url="https://host/path?key=s3cret", headers={"X-Key": "s3cret"}, body=b"s3cret")
    assert repr(request) == "Request(GET https://host/path, headers=['X-Key'])"
