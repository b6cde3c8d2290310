"""One SMPP session, the server's side of it, without IO.

Octets go in with `receive`, the end of the stream with `eof`, time with `tick`; events come out, and octets to send are
fetched with `to_write`. `now` is any clock that never goes back, in seconds. `next_deadline` says when to `tick` next.
The socket is to be closed once `state` is CLOSED and `to_write` is flushed.

The session answers by itself what needs no decision: enquire_link, unbind, PDUs that are malformed or out of place
(`bridge.smpp.states`). Everything handed over as `BindRequested`, `Submitted` or `Requested` is answered by its caller,
once each, in any order. Answers to a session that has closed in between go nowhere, without an error.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bridge.smpp.codec import MAX_PDU, Framer, encode
from bridge.smpp.enums import SEQUENCE_MAX, CommandId, Status, Tag, Version, answer_id, status_for, version_of
from bridge.smpp.events import (
    Bind,
    BindRequested,
    Closed,
    ClosedReason,
    Delivered,
    DeliveryFailed,
    Event,
    Malformed,
    Requested,
    Submitted,
    Unbound,
    Violation,
    messages_in,
)
from bridge.smpp.pdus import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DeliverSm,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
)
from bridge.smpp.states import BINDS, TABLE, Do, State, refusal_of
from bridge.smpp.timers import Timers
from bridge.smpp.wire import FramingError, PduError, header_only

# What may wait behind an undecided bind or a full window: nothing should be read then, but one read may be there.
BACKLOG_MAX: Final = 1024 * 1024

_BOUND: Final = frozenset((State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX))
_DELIVERING: Final = frozenset((State.BOUND_RX, State.BOUND_TRX))
_INTERFACE_VERSIONS: Final[dict[Version, bytes]] = {"3.4": b"\x34", "5.0": b"\x50"}
_PARTING_MAX: Final = 2  # unbind and unbind_resp, when both sides part at once; more is a game


class SessionError(Exception):
    """We used the session in a way its state does not allow; nothing was sent."""


class Session:
    """The state of one connection; see the module's text for how to drive it."""

    def __init__(
        self,
        *,
        system_id: str,
        now: float,
        session_init_s: float = 30.0,
        enquire_link_s: float = 30.0,
        inactivity_s: float = 300.0,
        response_s: float = 30.0,
        window: int = 100,
        deliver_window: int = 50,
        max_pdu: int = MAX_PDU,
    ) -> None:
        """`system_id`: ours, in bind responses. The timers are those of 3.4 §7.2; windows are counts of requests."""
        self.state = State.OPEN
        self.version: Version = "3.4"
        self.pending_submits = 0  # requests of the peer that have no answer yet
        self.allowance: int | None = None  # messages that may still be submitted; the caller sets it. None: no limit
        self.timers = Timers(now, session_init_s, enquire_link_s, inactivity_s, response_s)
        self._system_id = system_id
        self._window = window
        self._deliver_window = deliver_window
        self._framer = Framer(max_pdu)
        self._waits = False  # the next PDU is a submission for which there was no allowance
        self._out: list[bytes] = []
        self._sequence = 0
        self._delivering: dict[int, tuple[Any, float]] = {}  # sequence -> token, deadline; the oldest first
        self._bind: Bind | None = None
        self._parting: list[bytes] = []  # unbind and unbind_resp: nothing comes after them, so they go last

    # --- what the shell asks -----------------------------------------------------------------------------------------

    @property
    def wants_data(self) -> bool:
        """False while reading from the peer should stop: a bind is being decided, or it may submit no more now."""
        waits = self.state is State.BINDING or self.state is State.CLOSED or (self._waits and self.allowance == 0)
        return not waits and self.pending_submits < self._window

    @property
    def deliver_room(self) -> int:
        """How many more `deliver` are allowed now; 0 unless bound as receiver or transceiver."""
        return max(0, self._deliver_window - len(self._delivering)) if self.state in _DELIVERING else 0

    @property
    def next_deadline(self) -> float | None:
        """When `tick` has something to do at the latest, or None when the session is closed."""
        if self.state is State.CLOSED:
            return None
        deadline = self.timers.deadline(bound=self.state in _BOUND)
        return min(deadline, next(iter(self._delivering.values()))[1]) if self._delivering else deadline

    def unread(self) -> bytes:
        """The octets of the peer that have not been handled yet."""
        return self._framer.unread

    def to_write(self) -> bytes:
        """The octets to send, all that have gathered since the last call."""
        out, self._out = self._out, []
        return b"".join(out)

    # --- what comes from outside -------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Octets from the peer, cut anywhere.

        What came behind a full window or the allowance waits: call again, with nothing, when `wants_data` is true.
        """
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._framer.feed(data)
        if self.wants_data:
            self._process(now, events)
        elif self._framer.buffered > BACKLOG_MAX:
            self._close("backlog", events)
        return events

    def eof(self, now: float) -> list[Event]:
        """The peer has closed the connection, or it broke."""
        events: list[Event] = []
        self._close("unbound" if self.state in (State.UNBINDING, State.UNBOUND) else "eof", events)
        return events

    def tick(self, now: float) -> list[Event]:
        """Time has passed."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        timers = self.timers
        while self._delivering and now >= next(iter(self._delivering.values()))[1]:
            sequence = next(iter(self._delivering))
            token, _ = self._delivering.pop(sequence)
            if self.wants_data:
                events.append(DeliveryFailed(token, "timeout"))
            else:
                self._delivering[sequence] = token, now + timers.response_s  # it may have answered: we do not read it
        if self.state in (State.OPEN, State.OUTBOUND, State.BINDING):
            if now >= timers.leave_by:
                self._close("session_init_timeout", events)
        elif self.state in (State.UNBINDING, State.UNBOUND):
            if now >= timers.leave_by:
                self._close("unbound", events)
        elif not self.wants_data:
            timers.touch(now)  # nobody is silent whom we do not hear
        elif timers.silent(now):
            self._close("enquire_link_timeout", events)
        elif timers.idle(now):
            self.unbind(now)
        elif timers.enquire(now):
            self._out.append(header_only(CommandId.ENQUIRE_LINK, Status.ROK, self._next_sequence()))
        return events

    # --- what the caller answers and asks ----------------------------------------------------------------------------

    def outbind(self, system_id: str, password: str) -> None:
        """Asks a peer that we have just connected to to bind as a receiver (3.4 §4.1.7). Raises EncodeError."""
        self._out.append(encode(Outbind(system_id=system_id, password=password), self._next_sequence()))
        self.state = State.OUTBOUND

    def accept_bind(
        self,
        pdu: Bind,
        now: float,
        *,
        version: Version | None = None,
        window: int | None = None,
        deliver_window: int | None = None,
    ) -> list[Event]:
        """Binds the peer, and handles what it sent behind its bind.

        `version` overrides what `interface_version` says; the windows are those of the account. Raises SessionError
        when `pdu` is not the bind that waits.
        """
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._take_bind(pdu)
        self.version = version or version_of(pdu.interface_version)
        self._window = window or self._window
        self._deliver_window = deliver_window or self._deliver_window
        self.state, response = BINDS[pdu.command]
        self.timers.touch(now)
        # A peer that sees no sc_interface_version takes it that we know no TLVs (3.4 §5.3.2.25).
        spoken = _INTERFACE_VERSIONS.get(self.version)
        tlvs = () if spoken is None else ((Tag.SC_INTERFACE_VERSION, spoken),)
        self._out.append(encode(response(pdu.sequence, Status.ROK, tlvs, self._system_id)))
        self._process(now, events)
        return events

    def refuse_bind(self, pdu: Bind, status: int) -> list[Event]:
        """Answers the bind with an error and closes. Raises SessionError when `pdu` is not the bind that waits."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._take_bind(pdu)
        self.version = version_of(pdu.interface_version)
        self._out.append(header_only(answer_id(pdu.command), status_for(self.version, status), pdu.sequence))
        self._close("refused", events)
        return events

    def submitted(self, sequence: int, message_id: str) -> None:
        """Answers the submit_sm of that sequence number: accepted as `message_id` (64 characters, 8 towards 3.3)."""
        if self.state is not State.CLOSED:
            self._answer(encode(SubmitSmResp(message_id=message_id), sequence))

    def respond(self, response: Pdu) -> None:
        """Answers a `Requested` (or a `Submitted`) with a response that has its sequence number.

        A 3.3 peer gets it without TLVs.
        """
        if self.state is not State.CLOSED:
            self._answer(encode(self._for_version(response)))

    def refuse(self, request: Pdu, status: int) -> None:
        """Answers a `Submitted` or `Requested` with an error; a status of 5.0 becomes RSUBMITFAIL for older peers."""
        if self.state is not State.CLOSED:
            self._answer(header_only(answer_id(request.command), status_for(self.version, status), request.sequence))

    def deliver(self, pdu: DeliverSm | DataSm, token: Any, now: float) -> int:
        """Sends a deliver_sm or data_sm and returns its sequence number; `Delivered` or `DeliveryFailed` follows, once.

        A 3.3 peer gets it without TLVs, so it must be a deliver_sm with its text in short_message. Raises SessionError
        without `deliver_room`, EncodeError for a PDU that cannot be written.
        """
        if not self.deliver_room:
            raise SessionError(f"no room to deliver: {self.state.name}, {len(self._delivering)} unanswered")
        sequence = self._next_sequence()
        self._out.append(encode(self._for_version(pdu), sequence))
        self._delivering[sequence] = (token, now + self.timers.response_s)
        self.timers.active = now
        return sequence

    def unbind(self, now: float) -> None:
        """Asks a bound peer to leave, once it has all its answers; after `response_s` it is left anyway."""
        if self.state in _BOUND:
            self.state = State.UNBINDING
            self.timers.leave_by = now + self.timers.response_s
            self._part(header_only(CommandId.UNBIND, Status.ROK, self._next_sequence()))

    def close(self) -> list[Event]:
        """Ends the session at once."""
        events: list[Event] = []
        self._close("closed", events)
        return events

    # --- inside ------------------------------------------------------------------------------------------------------

    def _process(self, now: float, events: list[Event]) -> None:
        timers = self.timers
        self._waits = False
        for item in self._framer:
            timers.heard, timers.enquired = now, None  # any PDU is a sign of life (3.4 §4.11)
            if isinstance(item, PduError):
                self._refuse_malformed(item, events)
            elif self.allowance is not None and not self._spend(messages_in(item)):
                return
            elif (cell := TABLE[self.state, item.command]) is Do.SUBMIT:
                assert isinstance(item, SubmitSm)
                timers.active = now
                self.pending_submits += 1
                events.append(Submitted(item))
            else:
                self._obey(cell, item, now, events)
            # Behind a bind, behind what may be submitted now, and behind the end nothing is read until that changes.
            if not self.wants_data:
                return

    def _spend(self, messages: int) -> bool:
        """False when a submission must wait for an allowance; the last one before may be of more than was left."""
        if messages and not self.allowance:
            self._waits = True
            self._framer.put_back()
        else:
            self.allowance = max(0, (self.allowance or 0) - messages)
        return not self._waits

    def _obey(self, cell: Do | Status, item: Pdu, now: float, events: list[Event]) -> None:
        if cell is not Do.ALIVE and cell is not Do.PASS:
            self.timers.active = now
        match cell:
            case Status():
                answer, status = refusal_of(self.state, item.command, cell, self.version)
                self._out.append(header_only(answer, status, item.sequence))
                events.append(Violation(item.command, item.sequence, cell))
            case Do.ALIVE:
                self._out.append(header_only(CommandId.ENQUIRE_LINK_RESP, Status.ROK, item.sequence))
            case Do.SETTLE | Do.FAIL:
                self._settle(item.command, item.status, item.sequence, events)
            case Do.REQUEST:
                self.pending_submits += 1
                events.append(Requested(item))
            case Do.BIND:
                assert isinstance(item, BindReceiver | BindTransmitter | BindTransceiver)
                self._bind = item
                self.state = State.BINDING
                events.append(BindRequested(item))
            case Do.UNBIND:
                if self.state in _BOUND:
                    self.state = State.UNBOUND
                    self.timers.leave_by = now + self.timers.response_s
                    events.append(Unbound())
                self._part(header_only(CommandId.UNBIND_RESP, Status.ROK, item.sequence))
            case Do.TURN_AWAY:
                self._out.append(header_only(CommandId.UNBIND_RESP, Status.RINVBNDSTS, item.sequence))
                self._close("unbound", events)
            case Do.LEAVE:
                self._close("unbound", events)
            case Do.IGNORE:
                events.append(Violation(item.command, item.sequence, None))
            case Do.NACK:
                self._out.append(header_only(CommandId.GENERIC_NACK, Status.RINVBNDSTS, item.sequence))
                events.append(Violation(item.command, item.sequence, Status.RINVBNDSTS))

    def _refuse_malformed(self, error: PduError, events: list[Event]) -> None:
        header = error.header
        if isinstance(error, FramingError):
            events.append(Malformed(header.command_id, error.status, error.text))
            self._out.append(header_only(CommandId.GENERIC_NACK, error.status, header.sequence))
            self._close("framing", events)
            return
        answer, status = refusal_of(self.state, header.command_id, error.status, self.version)
        events.append(Malformed(header.command_id, status, error.text))
        if not header.is_response:
            self._out.append(header_only(answer, status, header.sequence))
            return
        # Of a response to us, the header is all that says anything.
        cell = TABLE.get((self.state, header.command_id))
        if cell is Do.LEAVE:
            self._close("unbound", events)
        elif cell in (Do.SETTLE, Do.FAIL) and header.sequence in self._delivering:
            self._settle(header.command_id, header.status, header.sequence, events)

    def _settle(self, command_id: int, status: int, sequence: int, events: list[Event]) -> None:
        delivery = self._delivering.pop(sequence, None)
        if delivery is None:
            events.append(Violation(command_id, sequence, None))
        elif command_id == CommandId.GENERIC_NACK:
            events.append(DeliveryFailed(delivery[0], "nack", status))
        else:
            events.append(Delivered(delivery[0], status, command_id))

    def _take_bind(self, pdu: Bind) -> None:
        if self._bind is not pdu:
            raise SessionError(f"this bind does not wait for a decision: {self.state.name}")
        self._bind = None

    def _answer(self, octets: bytes) -> None:
        self._out.append(octets)
        self.pending_submits -= 1
        if self._parting and self.pending_submits <= 0:
            self._out += self._parting
            self._parting.clear()

    def _part(self, octets: bytes) -> None:
        waits = self.pending_submits > 0 and len(self._parting) < _PARTING_MAX
        (self._parting if waits else self._out).append(octets)

    def _close(self, reason: ClosedReason, events: list[Event]) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        events.extend(DeliveryFailed(token, "closed") for token, _ in self._delivering.values())
        self._delivering.clear()
        self._parting.clear()
        self._bind = None
        self._framer = Framer()
        events.append(Closed(reason))

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % SEQUENCE_MAX + 1
        return self._sequence

    def _for_version(self, pdu: Pdu) -> Pdu:
        return msgspec.structs.replace(pdu, tlvs=()) if self.version == "3.3" and pdu.tlvs else pdu
