"""The provider to copy: a small made-up JSON API. Say here what the real one is, and link its documents.

Copy this file to `NAME.py` and `tests/providers/_template.yaml` to `tests/providers/NAME.yaml`. Write the cases first,
from the provider's documents; then change this until `pytest tests/providers` agrees. Nothing else is edited: the
folder is the registry.

The API: POST /messages takes one message and answers 201 {"id"}, or {"error": {"code"}}; a message's `ref` may be
repeated and is sent once. Reports are POSTed to us as {"id", "ref", "status", "time"}, `time` in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from bridge.message import Accepted, Outcome, Reason, Refused, Report, Retry, State
from bridge.providers import _contract
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    ProviderSettings,
    Request,
    Response,
    decode,
    status_outcome,
)
from bridge.values import BaseUrl, Secret

# The codes of a refused send. Retry: the provider does not have it; `pause`: our account is at fault, not the message.
CODES: dict[str, Outcome] = {
    "bad_number": Refused(reason=Reason.INVALID_DESTINATION),
    "bad_sender": Refused(reason=Reason.SENDER_REFUSED),
    "busy": Retry(reason=Reason.THROTTLED),
    "no_credit": Retry(reason=Reason.NO_CREDIT, pause=True),
}
# The words of a report.
STATES: dict[str, tuple[State, Reason | None]] = {
    "queued": (State.ENROUTE, None),
    "delivered": (State.DELIVERED, None),
    "failed": (State.UNDELIVERABLE, Reason.UNSPECIFIED),
    "expired": (State.EXPIRED, Reason.VALIDITY_ELAPSED),
}


class Settings(ProviderSettings):
    """How this provider is configured; `sender` is used for messages that have none."""

    type: Literal["_template"]
    base_url: BaseUrl = "https://api.provider.example/v1"
    token: Secret
    sender: str | None = None


class _Error(msgspec.Struct):
    code: str


class _Answer(msgspec.Struct):
    id: str | None = None
    error: _Error | None = None


class _Event(msgspec.Struct):
    id: str
    status: str
    ref: str | None = None
    time: float | None = None


class Provider(_contract.Provider):
    """One message a request, reports by callback."""

    capabilities = Capabilities(idempotent=True, source_max=11, validity=True, push_reports=True)
    settings: Settings

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """POST /messages."""
        message, reference = attempts[0].message, attempts[0].reference
        body = {
            "to": message.destination,
            "text": message.text,
            "ref": reference,
            "valid_s": round(message.expires_at - message.accepted_at),
        }
        if sender := message.source or self.settings.sender:
            body["from"] = sender
        headers = {
            "Authorization": f"Bearer {self.settings.token.get_secret_value()}",
            "Content-Type": "application/json",
        }
        url = f"{self.settings.base_url}/messages"
        return Request(method="POST", url=url, headers=headers, body=msgspec.json.encode(body))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """A code is believed whatever the status is, success only with 2xx."""
        answer = decode(response.body, _Answer)
        if answer is None:
            return [status_outcome(response)]
        if answer.error is not None:
            code = answer.error.code
            return [msgspec.structs.replace(CODES.get(code) or status_outcome(response), native=code)]
        if answer.id is not None and 200 <= response.status < 300:
            return [Accepted(provider_ref=answer.id)]
        return [status_outcome(response)]

    def reports(self, callback: Callback) -> Heard:
        """One event a callback."""
        if callback.method != "POST":
            raise BadCallback("a report is POSTed", status=405)
        event = decode(callback.body, _Event)
        if event is None:
            raise BadCallback("a report is a JSON object with id and status")
        state, reason = STATES.get(event.status, (State.UNKNOWN, None))
        report = Report(
            state=state,
            reason=reason,
            message_id=self.references.message_id(event.ref),
            provider_ref=event.id,
            at=event.time,
            native=event.status,
        )
        return Heard(items=[report])
