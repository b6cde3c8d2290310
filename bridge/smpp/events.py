"""What a session tells its caller (`bridge.smpp.session`).

A PDU shows no text in its `repr`, so an event may be logged; a token is the caller's own.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bridge.smpp.enums import CommandId, Status
from bridge.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter, DataSm, Pdu, SubmitMulti, SubmitSm

Bind = BindReceiver | BindTransmitter | BindTransceiver

ClosedReason = Literal[
    "backlog", "closed", "enquire_link_timeout", "eof", "framing", "refused", "session_init_timeout", "unbound"
]


class BindRequested(msgspec.Struct, frozen=True, gc=False):
    """A peer wants to bind: answer with `accept_bind` or `refuse_bind`."""

    pdu: Bind


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """A submit_sm: answer with `submitted` or `refuse`."""

    pdu: SubmitSm


class Requested(msgspec.Struct, frozen=True, gc=False):
    """submit_multi, data_sm, query_sm, cancel_sm or replace_sm: answer with `respond` or `refuse`."""

    pdu: Pdu


class Delivered(msgspec.Struct, frozen=True):
    """The response to a `deliver`, of this command; `status` 0 or the error of the peer."""

    token: Any
    status: int
    command: int = CommandId.DELIVER_SM_RESP


class DeliveryFailed(msgspec.Struct, frozen=True):
    """A `deliver` had no response: it may have arrived or not. `status` is that of a generic_nack, else 0."""

    token: Any
    why: Literal["timeout", "closed", "nack"]
    status: int = 0


class Malformed(msgspec.Struct, frozen=True):
    """A PDU that could not be decoded; it has been answered with `status`, unless it was a response."""

    command_id: int
    status: Status
    text: str


class Violation(msgspec.Struct, frozen=True):
    """A PDU out of place; it has been answered with `status`, or ignored when that is None (an unasked response)."""

    command_id: int
    sequence: int
    status: Status | None


class Unbound(msgspec.Struct, frozen=True):
    """The peer sent unbind: nothing more can be delivered to it."""


class Closed(msgspec.Struct, frozen=True):
    """The session is over; the last event."""

    reason: ClosedReason


Event = BindRequested | Submitted | Requested | Delivered | DeliveryFailed | Malformed | Violation | Unbound | Closed


def messages_in(pdu: Pdu) -> int:
    """How many messages a request submits, 0 when it is another; a distribution list is one."""
    if isinstance(pdu, SubmitMulti):
        return len(pdu.dest_address)
    return int(isinstance(pdu, SubmitSm | DataSm))
