"""Answers of the HTTP listener: JSON, and one shape for every error.

An error is `{"status", "code", "message"}`: the HTTP status, one word a program can act on (a `Reason`, or the name of
the status), a sentence for a person; plus `field` where one is at fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge.errors import BridgeError, Refusal
from bridge.listeners.http.translate import STATUS
from bridge.message import Reason

JSON = "application/json"
_WORDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "content_too_large",
    415: "unsupported_media_type",
    417: "expectation_failed",
    431: "header_fields_too_large",
    500: "internal_server_error",
}
_RETRY_AFTER_S = 5.0  # of a refusal that is temporary and says no time itself
_encode = msgspec.json.Encoder().encode


class HttpError(BridgeError):
    """A request that HTTP itself has the answer to; `text` goes to the client."""

    def __init__(
        self, status: int, text: str, *, headers: Mapping[str, str] | None = None, close: bool = False
    ) -> None:
        """`status`: 4xx; `close`: what is left of the request is not worth reading."""
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers
        self.close = close


def reply(status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer; `Server` tells the name only, because aiohttp would add its own version and Python's."""
    return web.Response(
        status=status, body=body, headers={"Content-Type": content_type, "Server": "smsbridge", **(headers or {})}
    )


def json_reply(status: int, content: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of JSON."""
    return reply(status, _encode(content), headers=headers)


def error_reply(
    status: int,
    text: str,
    *,
    code: str | None = None,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> web.Response:
    """An error; `code` defaults to the word of the status, `text` is made a sentence."""
    message = text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
    content: dict[str, Any] = {
        "status": status,
        "code": code or _WORDS.get(status, "error"),
        "message": message,
        **more,
    }
    if field is not None:
        content["field"] = field
    return json_reply(status, content, headers)


def refusal_reply(refusal: Refusal) -> web.Response:
    """The answer to a request that was refused; 429 and 503 say when to come back (RFC 9110 §10.2.3, seconds)."""
    reason = Reason(refusal.reason)
    status = STATUS[reason]
    headers = None
    if status in (429, 503):
        after_s = _RETRY_AFTER_S if refusal.retry_after_s is None else refusal.retry_after_s
        headers = {"Retry-After": str(max(1, math.ceil(after_s)))}
    return error_reply(status, refusal.text, code=reason, field=refusal.field, headers=headers)
