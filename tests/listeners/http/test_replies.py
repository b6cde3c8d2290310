"""Answers, and one shape for every error."""

from __future__ import annotations

import json

import pytest

from bridge.errors import Refusal
from bridge.listeners.http.replies import error_reply, json_reply, refusal_reply, reply
from bridge.listeners.http.translate import STATUS
from bridge.message import Reason


def test_reply() -> None:
    answer = reply(201, b"<ok/>", "text/xml", {"X-Id": "1"})
    assert (answer.status, answer.body) == (201, b"<ok/>")
    assert dict(answer.headers) == {"Content-Type": "text/xml", "Server": "smsbridge", "X-Id": "1"}


def test_json_reply_is_utf8() -> None:
    answer = json_reply(200, {"text": "так"})
    assert answer.body == '{"text":"так"}'.encode()
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (408, "request_timeout"),
        (413, "content_too_large"),
        (415, "unsupported_media_type"),
        (417, "expectation_failed"),
        (431, "header_fields_too_large"),
        (500, "internal_server_error"),
        (418, "error"),
    ],
)
def test_error_reply(status: int, word: str) -> None:
    answer = error_reply(status, "A sentence.")
    assert answer.status == status
    assert json.loads(answer.body) == {"status": status, "code": word, "message": "A sentence."}


@pytest.mark.parametrize(
    ("text", "message"),
    [("no route leads there", "No route leads there."), ("Why?", "Why?"), ("Done.", "Done.")],
)
def test_messages_are_sentences(text: str, message: str) -> None:
    assert json.loads(error_reply(404, text).body)["message"] == message


@pytest.mark.parametrize("reason", Reason)
def test_every_reason(reason: Reason) -> None:
    answer = refusal_reply(Refusal(reason, "A sentence.", field="to"))
    assert answer.status == STATUS[reason]
    assert json.loads(answer.body) == {
        "status": STATUS[reason],
        "code": reason.value,
        "message": "A sentence.",
        "field": "to",
    }
    assert ("Retry-After" in answer.headers) is (answer.status in (429, 503))


@pytest.mark.parametrize(
    ("after_s", "seconds"), [(None, "5"), (0.0, "1"), (0.2, "1"), (1.0, "1"), (1.5, "2"), (60.0, "60")]
)
def test_retry_after(after_s: float | None, seconds: str) -> None:
    answer = refusal_reply(Refusal(Reason.THROTTLED, "Too fast.", retry_after_s=after_s))
    assert answer.headers["Retry-After"] == seconds
