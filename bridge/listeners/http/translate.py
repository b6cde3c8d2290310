"""Between JSON and our words: requests, records, and the callbacks we owe accounts.

Pure. Times in JSON are RFC 3339 in UTC with milliseconds; ids are strings; numbers are E.164 digits without `+`.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from bridge.errors import Refusal
from bridge.listeners.http.ports import Account
from bridge.listeners.http.settings import HttpAccount
from bridge.message import Message, Owed, Reason, ReportOn, State
from bridge.providers._contract import Request
from bridge.routing.numbers import NumberError, normalise, source_of
from bridge.sms.segments import count_parts
from bridge.store import Record
from bridge.values import duration_s

# The HTTP status of a request refused for a reason. Those below the line are what becomes of a message later; a door
# that already knows better refuses with them too.
STATUS: dict[Reason, int] = {
    Reason.INVALID_REQUEST: 422,
    Reason.INVALID_SOURCE: 422,
    Reason.SOURCE_NOT_ALLOWED: 403,
    Reason.INVALID_DESTINATION: 422,
    Reason.INVALID_TEXT: 422,
    Reason.TEXT_TOO_LONG: 422,
    Reason.INVALID_VALIDITY: 422,
    Reason.INVALID_SCHEDULE: 422,
    Reason.UNSUPPORTED: 422,
    Reason.NO_ROUTE: 422,
    Reason.NOT_PERMITTED: 403,
    Reason.THROTTLED: 429,
    Reason.QUEUE_FULL: 429,
    Reason.UNAVAILABLE: 503,
    # ---
    Reason.PARTS_MISSING: 422,
    Reason.CANCELLED: 409,
    Reason.VALIDITY_ELAPSED: 422,
    Reason.UNKNOWN_SUBSCRIBER: 422,
    Reason.ABSENT_SUBSCRIBER: 422,
    Reason.HANDSET_ERROR: 422,
    Reason.BARRED: 403,
    Reason.BLOCKED: 403,
    Reason.NETWORK_ERROR: 502,
    Reason.CONTENT_REFUSED: 422,
    Reason.SENDER_REFUSED: 422,
    Reason.NO_CREDIT: 503,
    Reason.PROVIDER_ACCOUNT: 503,
    Reason.PROVIDER_UNREACHABLE: 503,
    Reason.PROVIDER_REFUSED: 502,
    Reason.UNSURE: 502,
    Reason.NO_REPORT: 502,
    Reason.UNSPECIFIED: 502,
}

# What a callback is called, by the final state that it tells.
TYPE: dict[State, str] = {
    State.DELIVERED: "message.delivered",
    State.EXPIRED: "message.failed",
    State.DELETED: "message.failed",
    State.UNDELIVERABLE: "message.failed",
    State.UNKNOWN: "message.failed",
    State.REJECTED: "message.failed",
}

_FIELDS = ("to", "from", "text", "client_ref", "validity", "flash", "priority")
_CLIENT_REF_LENGTH = 255
_PART_LENGTH = 160  # characters of a part, at most
_encode = msgspec.json.Encoder().encode


def message_from_json(body: object, account: Account, *, message_id: int, now: float) -> Message:
    """The message that a `POST /v1/messages` asks for; optional fields may also be null.

    Raises Refusal with the reason, a sentence, and the field at fault.
    """
    if not isinstance(body, dict):
        raise Refusal(Reason.INVALID_REQUEST, "The body is a JSON object.")
    for name in body:
        if name not in _FIELDS:
            raise Refusal(Reason.INVALID_REQUEST, _unknown(name), field=name[:64])
    return Message(
        message_id=message_id,
        account=account.name,
        listener="http",
        destination=_destination(body, account.region),
        source=_source(body),
        text=_text(body, account.max_parts),
        client_ref=_client_ref(body),
        flash=bool(_optional(body, "flash", bool, "true or false")),
        priority=_priority(body),
        report_on=ReportOn.FINAL if account.settings.callback else ReportOn.NEVER,
        accepted_at=now,
        expires_at=now + _validity_s(body, account.validity_s),
    )


def json_from_message(message: Message) -> dict[str, Any]:
    """The answer to a message that was taken: where it stands is `accepted`."""
    return {
        "id": str(message.message_id),
        "state": State.ACCEPTED.word,
        "client_ref": message.client_ref,
        "to": message.destination,
        "from": message.source,
        "accepted_at": rfc3339(message.accepted_at),
        "expires_at": rfc3339(message.expires_at),
    }


def json_from_record(record: Record) -> dict[str, Any]:
    """All that an account may know of its message."""
    return {
        **json_from_message(record.message),
        "state": record.state.word,
        "reason": record.reason,
        "provider": record.provider,
        "provider_ref": record.provider_ref,
        "attempts": record.attempts,
        "updated_at": rfc3339(record.updated_at),
        "timeline": [_shown(event) for event in record.timeline],
    }


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: rfc3339(value) if key in ("at", "next_at") else value for key, value in event.items()}


def callback_from_owed(owed: Owed, settings: HttpAccount, now: float) -> Request:
    """The callback that tells an account what we owe it, signed by Standard Webhooks 1.0.

    `settings` has a callback and its secret. Id and body are the same for every attempt, so that a receiver knows a
    repeated one; the timestamp is of this attempt (`now`), because receivers refuse old ones. Raises ValueError when
    nothing final is owed.
    """
    assert settings.callback is not None
    assert settings.callback_secret is not None
    body = _encode(_content(owed))
    # Not the owed_id, which a later thing may get again: a receiver would take it for a repeated one.
    webhook_id = f"msg_{owed.known_id}"
    timestamp = str(int(now))
    key = base64.b64decode(settings.callback_secret.get_secret_value().removeprefix("whsec_"))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return Request(
        method="POST",
        url=settings.callback,
        headers={
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        },
        body=body,
    )


def rfc3339(at: float) -> str:
    """A time as `2026-11-22T18:37:12.123Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


# --- the callback ------------------------------------------------------------------------------------------------


def _content(owed: Owed) -> dict[str, Any]:
    if owed.inbound is not None:
        inbound = owed.inbound
        data: dict[str, Any] = {
            "id": str(owed.known_id),
            "from": inbound.source,
            "to": inbound.destination,
            "text": inbound.text,
            "sent_at": None if inbound.at is None else rfc3339(inbound.at),
        }
        if inbound.binary is not None:  # octets, in hexadecimal; `text` is empty then
            data |= {"binary": inbound.binary.hex(), "udh": None if inbound.udh is None else inbound.udh.hex()}
        return {"type": "message.inbound", "timestamp": rfc3339(owed.created_at), "data": data}
    message, report = owed.message, owed.report
    if message is None or report is None or report.state not in TYPE:
        raise ValueError(f"what is owed as {owed.known_id} is neither a final report nor an inbound message")
    return {
        "type": TYPE[report.state],
        "timestamp": rfc3339(owed.created_at),
        "data": {
            "id": str(owed.known_id),
            "client_ref": message.client_ref,
            "to": message.destination,
            "from": message.source,
            "state": report.state.word,
            "reason": report.reason,
            "native": report.native or None,
            "provider_ref": report.provider_ref,
            "accepted_at": rfc3339(message.accepted_at),
            "reported_at": rfc3339(owed.created_at if report.at is None else report.at),
        },
    }


# --- the fields of a request -------------------------------------------------------------------------------------


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, _FIELDS, n=1)
    hint = f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(_FIELDS)}."
    return f'"{name[:64]}" is not a field of a message; {hint}'


def _optional(body: Mapping[str, Any], name: str, kind: type, wanted: str) -> Any:
    value = body.get(name)
    # A bool is an int to Python, but not to JSON.
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise Refusal(Reason.INVALID_REQUEST, f'"{name}" is {wanted}.', field=name)
    return value


def _required(body: Mapping[str, Any], name: str) -> str:
    value = _optional(body, name, str, "a string")
    if value is None:
        raise Refusal(Reason.INVALID_REQUEST, f'"{name}" is required.', field=name)
    return str(value)


def _destination(body: Mapping[str, Any], region: str | None) -> str:
    try:
        return normalise(_required(body, "to"), region)
    except NumberError as error:
        raise Refusal(Reason.INVALID_DESTINATION, str(error), field="to") from None


def _source(body: Mapping[str, Any]) -> str | None:
    source = _optional(body, "from", str, "a string")
    if source is None:
        return None
    try:
        return source_of(source)
    except NumberError as error:
        raise Refusal(Reason.INVALID_SOURCE, str(error), field="from") from None


def _text(body: Mapping[str, Any], max_parts: int) -> str:
    text = _required(body, "text")
    if not text:
        raise Refusal(Reason.INVALID_TEXT, "A text is not empty.", field="text")
    # A character takes a septet at least, so that what is far too long is not even counted.
    if len(text) > _PART_LENGTH * max_parts or count_parts(text)[1] > max_parts:
        raise Refusal(Reason.TEXT_TOO_LONG, f"The text is longer than {max_parts} parts.", field="text")
    return text


def _client_ref(body: Mapping[str, Any]) -> str | None:
    client_ref: str | None = _optional(body, "client_ref", str, "a string")
    if client_ref is not None and not 1 <= len(client_ref) <= _CLIENT_REF_LENGTH:
        raise Refusal(
            Reason.INVALID_REQUEST, f'"client_ref" has 1 to {_CLIENT_REF_LENGTH} characters.', field="client_ref"
        )
    return client_ref


def _priority(body: Mapping[str, Any]) -> int:
    priority: int = _optional(body, "priority", int, "an integer from 0 to 3") or 0
    if not 0 <= priority <= 3:
        raise Refusal(Reason.INVALID_REQUEST, '"priority" is an integer from 0 to 3.', field="priority")
    return priority


def _validity_s(body: Mapping[str, Any], default_s: float) -> float:
    validity = body.get("validity")
    if validity is None:
        return default_s
    if isinstance(validity, bool) or not isinstance(validity, int | float | str):
        raise Refusal(Reason.INVALID_REQUEST, '"validity" is seconds, or a duration such as "2h".', field="validity")
    try:
        return duration_s(validity)
    except (ValueError, OverflowError) as error:
        raise Refusal(Reason.INVALID_VALIDITY, str(error), field="validity") from None
