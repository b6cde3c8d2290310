"""JSON to messages, records to JSON, and signed callbacks."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listeners.http.world import ACME, NOW, OTHER, SECRET, URL
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.errors import Refusal
from bridge.listeners.http.translate import (
    STATUS,
    TYPE,
    callback_from_owed,
    json_from_message,
    json_from_record,
    message_from_json,
    rfc3339,
)
from bridge.message import FINAL, Inbound, Message, Owed, Reason, Report, ReportOn, State
from bridge.store import Record

BODY = {"to": "+380 50 123-45-67", "from": "Acme", "text": "Hello"}
MESSAGE = Message(
    message_id=7,
    account="acme",
    listener="http",
    destination="380501234567",
    source="Acme",
    text="Привіт",
    client_ref="order-1",
    accepted_at=NOW,
    expires_at=NOW + 60,
)


def translate(**changes: Any) -> Message:
    return message_from_json({**BODY, **changes}, ACME, message_id=7, now=NOW)


def test_message() -> None:
    assert translate(client_ref="order-1") == Message(
        message_id=7,
        account="acme",
        listener="http",
        destination="380501234567",
        source="Acme",
        text="Hello",
        client_ref="order-1",
        report_on=ReportOn.FINAL,
        accepted_at=NOW,
        expires_at=NOW + 172_800,
    )


def test_every_optional_field() -> None:
    message = translate(validity="1h30m", flash=True, priority=3)
    assert (message.expires_at, message.flash, message.priority) == (NOW + 5400, True, 3)
    assert translate(validity=90).expires_at == NOW + 90


def test_null_is_absent() -> None:
    names = ("from", "client_ref", "validity", "flash", "priority")
    assert translate(**dict.fromkeys(names)) == message_from_json(
        {"to": BODY["to"], "text": "Hello"}, ACME, message_id=7, now=NOW
    )


def test_settings_of_the_account() -> None:
    body = {"to": "050 123 45 67", "text": "x"}
    account = msgspec.structs.replace(OTHER, validity_s=10.0)
    message = message_from_json(body, account, message_id=1, now=NOW)
    assert message.destination == "380501234567"
    assert message.account == "other"
    assert message.report_on is ReportOn.NEVER
    assert message.expires_at == NOW + 10


@pytest.mark.parametrize("text", ["x" * 307, "є" * 135, "x" * 1_000_000])
def test_length_is_counted_in_parts(text: str) -> None:
    short = msgspec.structs.replace(ACME, max_parts=2)
    fits = {**BODY, "text": "x" * 306}
    assert message_from_json(fits, short, message_id=1, now=NOW).text == "x" * 306
    with pytest.raises(Refusal) as caught:
        message_from_json({**BODY, "text": text}, short, message_id=1, now=NOW)
    assert (caught.value.reason, caught.value.field) == (Reason.TEXT_TOO_LONG, "text")
    assert str(caught.value) == "The text is longer than 2 parts."


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"to": None}, Reason.INVALID_REQUEST, "to"),
        ({"to": 380501234567}, Reason.INVALID_REQUEST, "to"),
        ({"to": ["380501234567"]}, Reason.INVALID_REQUEST, "to"),
        ({"to": ""}, Reason.INVALID_DESTINATION, "to"),
        ({"to": "0501234567"}, Reason.INVALID_DESTINATION, "to"),
        ({"to": "380501234567; DROP"}, Reason.INVALID_DESTINATION, "to"),
        ({"from": 1}, Reason.INVALID_REQUEST, "from"),
        ({"from": ""}, Reason.INVALID_SOURCE, "from"),
        ({"from": "a sender too long"}, Reason.INVALID_SOURCE, "from"),
        ({"text": None}, Reason.INVALID_REQUEST, "text"),
        ({"text": {"body": "x"}}, Reason.INVALID_REQUEST, "text"),
        ({"text": ""}, Reason.INVALID_TEXT, "text"),
        ({"client_ref": 12}, Reason.INVALID_REQUEST, "client_ref"),
        ({"client_ref": ""}, Reason.INVALID_REQUEST, "client_ref"),
        ({"client_ref": "x" * 256}, Reason.INVALID_REQUEST, "client_ref"),
        ({"validity": True}, Reason.INVALID_REQUEST, "validity"),
        ({"validity": [1]}, Reason.INVALID_REQUEST, "validity"),
        ({"validity": 0}, Reason.INVALID_VALIDITY, "validity"),
        ({"validity": -5}, Reason.INVALID_VALIDITY, "validity"),
        ({"validity": 10**400}, Reason.INVALID_VALIDITY, "validity"),
        ({"validity": "soon"}, Reason.INVALID_VALIDITY, "validity"),
        ({"validity": "400d"}, Reason.INVALID_VALIDITY, "validity"),
        ({"flash": 1}, Reason.INVALID_REQUEST, "flash"),
        ({"flash": "true"}, Reason.INVALID_REQUEST, "flash"),
        ({"priority": 4}, Reason.INVALID_REQUEST, "priority"),
        ({"priority": -1}, Reason.INVALID_REQUEST, "priority"),
        ({"priority": True}, Reason.INVALID_REQUEST, "priority"),
        ({"priority": 1.0}, Reason.INVALID_REQUEST, "priority"),
        ({"txt": "x"}, Reason.INVALID_REQUEST, "txt"),
    ],
)
def test_wrong_fields(changes: dict[str, Any], reason: Reason, field: str) -> None:
    with pytest.raises(Refusal) as caught:
        translate(**changes)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert str(caught.value)


@pytest.mark.parametrize("missing", ["to", "text"])
def test_missing_fields(missing: str) -> None:
    body = {name: value for name, value in BODY.items() if name != missing}
    with pytest.raises(Refusal, match=f'"{missing}" is required') as caught:
        message_from_json(body, ACME, message_id=7, now=NOW)
    assert caught.value.field == missing


def test_unknown_fields_name_the_nearest_word() -> None:
    with pytest.raises(Refusal, match=r'"clientref" is not a field of a message; did you mean "client_ref"\?'):
        translate(clientref="x")
    with pytest.raises(Refusal, match=r'"zzz" is not a field of a message; known are to, from, text, client_ref'):
        translate(zzz=1)


@pytest.mark.parametrize("body", [None, [], "text", 1, [BODY]])
def test_a_body_is_an_object(body: object) -> None:
    with pytest.raises(Refusal, match="JSON object") as caught:
        message_from_json(body, ACME, message_id=7, now=NOW)
    assert caught.value.reason is Reason.INVALID_REQUEST


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["to", "from", "text", "client_ref", "validity", "flash", "priority"]), JSON_VALUES)
    | JSON_VALUES
)
def test_any_json_is_a_message_or_a_refusal(body: object) -> None:
    try:
        outcome: Message | Refusal = message_from_json(body, OTHER, message_id=7, now=NOW)
    except Refusal as refusal:
        outcome = refusal
    if isinstance(outcome, Refusal):
        assert STATUS[Reason(outcome.reason)] == 422
    else:
        assert outcome.text
        assert outcome.expires_at > NOW


# --- what we show ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_status(reason: Reason) -> None:
    assert 400 <= STATUS[reason] <= 503
    assert STATUS[reason] != 500


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.INVALID_DESTINATION, 422),
        (Reason.NOT_PERMITTED, 403),
        (Reason.THROTTLED, 429),
        (Reason.QUEUE_FULL, 429),
        (Reason.UNAVAILABLE, 503),
    ],
)
def test_statuses(reason: Reason, status: int) -> None:
    assert STATUS[reason] == status


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW, "2026-11-22T18:37:12.123Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_372_632.9999, "2026-11-22T18:37:12.999Z"),
    ],
)
def test_rfc3339(at: float, text: str) -> None:
    assert rfc3339(at) == text


def test_json_from_message() -> None:
    assert json_from_message(MESSAGE) == {
        "id": "7",
        "state": "accepted",
        "client_ref": "order-1",
        "to": "380501234567",
        "from": "Acme",
        "accepted_at": "2026-11-22T18:37:12.123Z",
        "expires_at": "2026-11-22T18:38:12.123Z",
    }


@pytest.mark.parametrize("state", State)
def test_json_from_record(state: State) -> None:
    timeline = [
        {"at": NOW, "event": "accepted"},
        {"at": NOW + 1, "event": "refused", "provider": "bsg", "next_at": NOW + 2},
    ]
    record = Record(
        message=MESSAGE,
        state=state,
        reason=Reason.BARRED,
        provider="bsg",
        provider_ref="p-1",
        attempts=2,
        updated_at=NOW + 1,
        timeline=timeline,
    )
    assert json_from_record(record) == {
        **json_from_message(MESSAGE),
        "state": state.name.lower(),
        "reason": "barred",
        "provider": "bsg",
        "provider_ref": "p-1",
        "attempts": 2,
        "updated_at": "2026-11-22T18:37:13.123Z",
        "timeline": [
            {"at": "2026-11-22T18:37:12.123Z", "event": "accepted"},
            {
                "at": "2026-11-22T18:37:13.123Z",
                "event": "refused",
                "provider": "bsg",
                "next_at": "2026-11-22T18:37:14.123Z",
            },
        ],
    }
    assert timeline[0]["at"] == NOW  # the record itself is as it was


# --- callbacks ---------------------------------------------------------------------------------------------------


def owed(**changes: Any) -> Owed:
    fields: dict[str, Any] = {
        "owed_id": 31,
        "account": "acme",
        "listener": "http",
        "created_at": NOW + 5,
        "due_at": NOW + 5,
        "known_id": 7,
        "message": MESSAGE,
        "report": Report(state=State.DELIVERED, provider_ref="p-1", at=NOW + 4, native="DELIVRD"),
    }
    return Owed(**{**fields, **changes})


def callback(thing: Owed, now: float = NOW) -> dict[str, Any]:
    body = callback_from_owed(thing, ACME.settings, now).body
    assert body is not None
    content: dict[str, Any] = json.loads(body)
    return content


def test_a_report() -> None:
    request = callback_from_owed(owed(), ACME.settings, NOW + 6)
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_7"
    assert request.headers["webhook-timestamp"] == "1795372638"
    assert callback(owed()) == {
        "type": "message.delivered",
        "timestamp": "2026-11-22T18:37:17.123Z",
        "data": {
            "id": "7",
            "client_ref": "order-1",
            "to": "380501234567",
            "from": "Acme",
            "state": "delivered",
            "reason": None,
            "native": "DELIVRD",
            "provider_ref": "p-1",
            "accepted_at": "2026-11-22T18:37:12.123Z",
            "reported_at": "2026-11-22T18:37:16.123Z",
        },
    }


@pytest.mark.parametrize("state", sorted(FINAL))
def test_types(state: State) -> None:
    content = callback(owed(report=Report(state=state, reason=Reason.ABSENT_SUBSCRIBER)))
    assert content["type"] == ("message.delivered" if state is State.DELIVERED else "message.failed")
    assert content["data"]["state"] == state.word
    assert content["data"]["reason"] == "absent_subscriber"
    assert content["data"]["reported_at"] == content["timestamp"]


def test_types_are_for_final_states() -> None:
    assert set(TYPE) == FINAL


def test_an_inbound_message() -> None:
    thing = owed(
        known_id=8, message=None, report=None, inbound=Inbound(source="380671", destination="1234", text="так 👍")
    )
    assert callback(thing) == {
        "type": "message.inbound",
        "timestamp": "2026-11-22T18:37:17.123Z",
        "data": {"id": "8", "from": "380671", "to": "1234", "text": "так 👍", "sent_at": None},
    }


def test_an_inbound_message_that_is_not_text() -> None:
    def data(**fields: Any) -> dict[str, Any]:
        inbound = Inbound(source="380671", destination="1234", **fields)
        return dict(callback(owed(known_id=8, message=None, report=None, inbound=inbound))["data"])

    told = {"id": "8", "from": "380671", "to": "1234", "text": "", "sent_at": None}
    assert data(binary=b"\0\xff", udh=b"\x05\4") == told | {"binary": "00ff", "udh": "0504"}
    assert data(binary=b"\0\xff") == told | {"binary": "00ff", "udh": None}


@pytest.mark.parametrize("changes", [{"report": None}, {"message": None}, {"report": Report(state=State.ENROUTE)}])
def test_nothing_to_tell(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="what is owed as 7 is neither"):
        callback_from_owed(owed(**changes), ACME.settings, NOW)


def test_an_attempt_differs_in_time_and_signature_only() -> None:
    first = callback_from_owed(owed(), ACME.settings, NOW)
    later = callback_from_owed(owed(attempts=3, due_at=NOW + 90), ACME.settings, NOW + 90)
    assert first.body == later.body
    assert first.headers["webhook-id"] == later.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != later.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != later.headers["webhook-signature"]


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_signature_as_the_standard_library_sees_it(secret: str) -> None:
    inbound = Inbound(source="380671", destination="1234", text="так 👍")
    settings = ACME.settings.model_copy(update={"callback_secret": SecretStr(secret)})
    request = callback_from_owed(owed(inbound=inbound), settings, time.time())
    assert Webhook(SECRET).verify(request.body, request.headers)["data"]["text"] == "так 👍"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAA").verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"380671", b"380672"), request.headers)


def test_no_secret_in_repr() -> None:
    request = callback_from_owed(owed(), ACME.settings, NOW)
    assert SECRET.removeprefix("whsec_") not in repr(request)
    assert request.headers["webhook-signature"] not in repr(request)
