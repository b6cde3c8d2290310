"""`virtual`: a provider that is built in and needs no network; the number's last two digits say what becomes of it.

========  ==========================================================================
digits    what becomes of the message
========  ==========================================================================
01        accepted, then undeliverable: the subscriber is absent
02        refused when it is sent
03        the first attempt is put off, the next is accepted; then delivered
04        the first attempt is never answered, the next is accepted; then delivered
05        accepted, and never a report
06        accepted, then expired
07        accepted, then rejected by a report: the text was taken for spam
08        accepted, then undeliverable: the subscriber is unknown
09        accepted and already delivered, said in the answer itself
any other accepted, then delivered
========  ==========================================================================

It keeps nothing: what the answer depends on travels in the request, and what a report depends on in the provider's
own reference. Reports are polled for. A repeated reference is the same message, as every answer is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from bridge.message import Accepted, Inbound, Outcome, Reason, Refused, Report, Retry, State, Unsure
from bridge.providers import _contract
from bridge.providers._contract import (
    Attempt,
    Capabilities,
    Heard,
    ProviderSettings,
    Reference,
    Request,
    Response,
    decode,
    status_outcome,
)
from bridge.values import Duration

SEND_URL = "virtual:send"
POLL_URL = "virtual:poll"

# Digits -> the word of each attempt's answer, the last for all that follow; "lost" leaves the item out.
ANSWERS: dict[str, tuple[str, ...]] = {
    "02": ("refused",),
    "03": ("busy", "accepted"),
    "04": ("lost", "accepted"),
    "09": ("delivered",),
}
# Digits -> the word a poll says; None: nothing, ever.
FATES: dict[str, str | None] = {
    "01": "absent",
    "05": None,
    "06": "expired",
    "07": "rejected",
    "08": "no_subscriber",
}
# The words of an answer.
CODES: dict[str, Outcome] = {
    "accepted": Accepted(native="accepted"),
    "delivered": Accepted(state=State.DELIVERED, native="delivered"),
    "refused": Refused(reason=Reason.PROVIDER_REFUSED, native="refused"),
    "busy": Retry(reason=Reason.PROVIDER_UNREACHABLE, native="busy"),
}
# The words of a poll.
STATES: dict[str, tuple[State, Reason | None]] = {
    "delivered": (State.DELIVERED, None),
    "absent": (State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER),
    "expired": (State.EXPIRED, Reason.VALIDITY_ELAPSED),
    "rejected": (State.REJECTED, Reason.BLOCKED),
    "no_subscriber": (State.UNDELIVERABLE, Reason.UNKNOWN_SUBSCRIBER),
}


class Settings(ProviderSettings):
    """The virtual provider has no settings of its own, and is in a hurry."""

    type: Literal["virtual"]
    poll: Duration = 1.0


class _Send(msgspec.Struct, omit_defaults=True):
    to: str
    reference: str
    validity_s: int
    attempt: int = 1
    source: str | None = None
    text: str | None = None
    binary: bytes | None = None
    udh: bytes | None = None
    flash: bool = False


class _Said(msgspec.Struct):
    reference: str
    id: str
    status: str


_SENDS = msgspec.json.Decoder(list[_Send])
_WANTED = msgspec.json.Decoder(list[str])
_encode = msgspec.json.Encoder().encode


class Provider(_contract.Provider):
    """Outcomes by the number's last two digits; see the module's table."""

    capabilities = Capabilities(
        batch_size=100,
        idempotent=True,
        binary=True,
        flash=True,
        alphanumeric_source=True,
        source_max=20,
        validity=True,
        poll_reports=True,
        poll_size=100,
    )

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """One item per message, all that the answer depends on included."""
        return Request(method="POST", url=SEND_URL, body=_encode([_item(attempt) for attempt in attempts]))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Items are matched by reference; a message without one is Unsure."""
        said = decode(response.body, list[_Said])
        if said is None or response.status != 200:
            return [status_outcome(response)] * len(attempts)
        by_reference = {item.reference: item for item in said}
        return [_outcome(by_reference.get(attempt.reference)) for attempt in attempts]

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """Asks by the provider's own references, all in one request."""
        ids = [reference.provider_ref for reference in wanted if reference.provider_ref]
        return [Request(method="POST", url=POLL_URL, body=_encode(ids))] if ids else []

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """One report for each message that has a fate."""
        return Heard(items=[self._report(item) for item in decode(response.body, list[_Said]) or ()])

    def answer(self, request: Request) -> Response | None:
        """The scripted answer to a request of `build` or `poll`."""
        said = list(_polled(request) if request.url == POLL_URL else _sent(request))
        return Response(status=200, headers={"content-type": "application/json"}, body=_encode(said))

    def _report(self, said: _Said) -> Report | Inbound:
        state, reason = STATES.get(said.status, (State.UNKNOWN, None))
        message_id = self.references.message_id(said.reference)
        return Report(state=state, reason=reason, message_id=message_id, provider_ref=said.id, native=said.status)


def _item(attempt: Attempt) -> _Send:
    message = attempt.message
    return _Send(
        to=message.destination,
        reference=attempt.reference,
        validity_s=round(message.expires_at - message.accepted_at),
        attempt=attempt.number,
        source=message.source,
        text=message.text,
        binary=message.binary,
        udh=message.udh,
        flash=message.flash,
    )


def _outcome(said: _Said | None) -> Outcome:
    if said is None:
        return Unsure(native="not in the answer")
    outcome = CODES.get(said.status)
    if isinstance(outcome, Accepted):
        return msgspec.structs.replace(outcome, provider_ref=said.id)
    return outcome or Unsure(native=said.status)


def _sent(request: Request) -> Iterator[_Said]:
    for send in _SENDS.decode(request.body or b"[]"):
        digits = send.to[-2:]
        words = ANSWERS.get(digits, ("accepted",))
        word = words[min(send.attempt, len(words)) - 1]
        if word != "lost":
            yield _Said(send.reference, f"{send.reference}-{digits}", word)


def _polled(request: Request) -> Iterator[_Said]:
    for provider_ref in _WANTED.decode(request.body or b"[]"):
        reference, _, digits = provider_ref.rpartition("-")
        word = FATES.get(digits, "delivered")
        if word is not None:
            yield _Said(reference, provider_ref, word)
