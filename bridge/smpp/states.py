"""The state machine of the server's side of a session: one table `(state, command) -> what to do`.

A session begins OPEN. A bind makes it BINDING until somebody has decided on it; meanwhile nothing more is read, so
that what a hasty client sent behind its bind is judged by the state the bind leads to. Accepted, it is BOUND_TX,
BOUND_RX or BOUND_TRX: which of the two directions of messages it carries. Where we connected, and sent outbind, it is
OUTBOUND instead of OPEN: only a receiver may bind. Either side ends it with unbind. Ours makes it UNBINDING: the peer
may still answer what we asked, and what it asks anew is refused as temporary, because it could not know. The peer's
makes it UNBOUND: we owe it the responses to what it had asked, then unbind_resp, and the one who asked to unbind hangs
up. CLOSED is the end, from everywhere.

A cell is a `Do`, or a `Status`: refuse with it. BINDING and CLOSED have no cells, since nothing is read in them. Where
3.4 Table 2-1 and 5.0 Table 2-1 differ, the more lenient reading stands: replace_sm on a transceiver (an omission of
3.4), data_sm from transmitters and transceivers (5.0), enquire_link in every state (5.0 §2.8.2).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from bridge.smpp.enums import CommandId, Status, Version, answer_id
from bridge.smpp.pdus import BindReceiverResp, BindTransceiverResp, BindTransmitterResp


class State(IntEnum):
    """Where a session stands (3.4 §2.2)."""

    OPEN = 0
    BINDING = 1  # not a state of the specification: a bind waits for its decision
    BOUND_TX = 2
    BOUND_RX = 3
    BOUND_TRX = 4
    UNBINDING = 5  # we sent unbind
    UNBOUND = 6  # the peer sent unbind
    CLOSED = 7
    OUTBOUND = 8  # we connected and sent outbind: a receiver is to bind (5.0 §2.2)


class Do(IntEnum):
    """What a session does with a PDU that is in its place."""

    BIND = 1  # ask for a decision
    SUBMIT = 2  # hand submit_sm over
    REQUEST = 3  # hand another operation over
    ALIVE = 4  # answer enquire_link
    UNBIND = 5  # answer unbind once everything else is answered
    TURN_AWAY = 6  # answer unbind with RINVBNDSTS, then close
    SETTLE = 7  # a response to our deliver_sm or data_sm
    FAIL = 8  # a generic_nack to something of ours
    LEAVE = 9  # a response to our unbind: close
    PASS = 10  # nothing more than a sign of life
    IGNORE = 11  # a response to nothing: never answered, since that can loop
    NACK = 12  # a request that only a server may send: generic_nack RINVBNDSTS


BINDS: Final = {
    CommandId.BIND_TRANSMITTER: (State.BOUND_TX, BindTransmitterResp),
    CommandId.BIND_RECEIVER: (State.BOUND_RX, BindReceiverResp),
    CommandId.BIND_TRANSCEIVER: (State.BOUND_TRX, BindTransceiverResp),
}

_COLUMNS: Final = (State.OPEN, State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX, State.UNBINDING, State.UNBOUND)

_WRONG = Status.RINVBNDSTS
_BOUND = Status.RALYBND
_LATER = Status.RSYSERR  # temporary: clients send it again, to another session
_NEVER = Status.RINVCMDID

_Cell = Do | Status
# fmt: off
_ROWS: Final[dict[CommandId, tuple[_Cell, ...]]] = {
    #                               OPEN          BOUND_TX      BOUND_RX      BOUND_TRX     UNBINDING     UNBOUND
    CommandId.BIND_RECEIVER:       (Do.BIND,      _BOUND,       _BOUND,       _BOUND,       _WRONG,       _WRONG),
    CommandId.BIND_TRANSMITTER:    (Do.BIND,      _BOUND,       _BOUND,       _BOUND,       _WRONG,       _WRONG),
    CommandId.BIND_TRANSCEIVER:    (Do.BIND,      _BOUND,       _BOUND,       _BOUND,       _WRONG,       _WRONG),
    CommandId.UNBIND:              (Do.TURN_AWAY, Do.UNBIND,    Do.UNBIND,    Do.UNBIND,    Do.UNBIND,    Do.UNBIND),
    CommandId.ENQUIRE_LINK:        (Do.ALIVE,     Do.ALIVE,     Do.ALIVE,     Do.ALIVE,     Do.ALIVE,     Do.ALIVE),
    CommandId.SUBMIT_SM:           (_WRONG,       Do.SUBMIT,    _WRONG,       Do.SUBMIT,    _LATER,       _WRONG),
    CommandId.SUBMIT_MULTI:        (_WRONG,       Do.REQUEST,   _WRONG,       Do.REQUEST,   _LATER,       _WRONG),
    CommandId.DATA_SM:             (_WRONG,       Do.REQUEST,   _WRONG,       Do.REQUEST,   _LATER,       _WRONG),
    CommandId.QUERY_SM:            (_WRONG,       Do.REQUEST,   _WRONG,       Do.REQUEST,   _LATER,       _WRONG),
    CommandId.CANCEL_SM:           (_WRONG,       Do.REQUEST,   _WRONG,       Do.REQUEST,   _LATER,       _WRONG),
    CommandId.REPLACE_SM:          (_WRONG,       Do.REQUEST,   _WRONG,       Do.REQUEST,   _LATER,       _WRONG),
    CommandId.BROADCAST_SM:        (_WRONG,       _NEVER,       _WRONG,       _NEVER,       _WRONG,       _WRONG),
    CommandId.QUERY_BROADCAST_SM:  (_WRONG,       _NEVER,       _WRONG,       _NEVER,       _WRONG,       _WRONG),
    CommandId.CANCEL_BROADCAST_SM: (_WRONG,       _NEVER,       _WRONG,       _NEVER,       _WRONG,       _WRONG),
    CommandId.DELIVER_SM:          (Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK),
    CommandId.ALERT_NOTIFICATION:  (Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK),
    CommandId.OUTBIND:             (Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK,      Do.NACK),
    CommandId.DELIVER_SM_RESP:     (Do.IGNORE,    Do.IGNORE,    Do.SETTLE,    Do.SETTLE,    Do.SETTLE,    Do.SETTLE),
    CommandId.DATA_SM_RESP:        (Do.IGNORE,    Do.IGNORE,    Do.SETTLE,    Do.SETTLE,    Do.SETTLE,    Do.SETTLE),
    CommandId.ENQUIRE_LINK_RESP:   (Do.IGNORE,    Do.PASS,      Do.PASS,      Do.PASS,      Do.PASS,      Do.PASS),
    CommandId.UNBIND_RESP:         (Do.IGNORE,    Do.IGNORE,    Do.IGNORE,    Do.IGNORE,    Do.LEAVE,     Do.IGNORE),
    CommandId.GENERIC_NACK:        (Do.IGNORE,    Do.FAIL,      Do.FAIL,      Do.FAIL,      Do.FAIL,      Do.FAIL),
    CommandId.BIND_RECEIVER_RESP:           (Do.IGNORE,) * 6,
    CommandId.BIND_TRANSMITTER_RESP:        (Do.IGNORE,) * 6,
    CommandId.BIND_TRANSCEIVER_RESP:        (Do.IGNORE,) * 6,
    CommandId.SUBMIT_SM_RESP:               (Do.IGNORE,) * 6,
    CommandId.SUBMIT_MULTI_RESP:            (Do.IGNORE,) * 6,
    CommandId.QUERY_SM_RESP:                (Do.IGNORE,) * 6,
    CommandId.CANCEL_SM_RESP:               (Do.IGNORE,) * 6,
    CommandId.REPLACE_SM_RESP:              (Do.IGNORE,) * 6,
    CommandId.BROADCAST_SM_RESP:            (Do.IGNORE,) * 6,
    CommandId.QUERY_BROADCAST_SM_RESP:      (Do.IGNORE,) * 6,
    CommandId.CANCEL_BROADCAST_SM_RESP:     (Do.IGNORE,) * 6,
}
# fmt: on

TABLE: Final[dict[tuple[int, int], _Cell]] = {
    (state, command): cell for command, cells in _ROWS.items() for state, cell in zip(_COLUMNS, cells, strict=True)
}
# Whom we called is as anybody who is not bound, but that it may not bind to send alone.
TABLE.update({(State.OUTBOUND, command): TABLE[State.OPEN, command] for command in _ROWS})
TABLE[State.OUTBOUND, CommandId.BIND_TRANSMITTER] = _WRONG


def refusal_of(state: State, command_id: int, status: Status, version: Version) -> tuple[int, Status]:
    """What answers a request that is out of its place, or malformed in the way of `status`: command_id and status.

    A PDU out of its place is that first, whatever is in it: nothing else of it means anything there. What came with
    5.0, and is not offered, has no response in an older version.
    """
    cell = TABLE.get((state, command_id))
    if cell is Do.NACK:
        return CommandId.GENERIC_NACK, Status.RINVBNDSTS
    if cell is Status.RINVCMDID and version != "5.0":
        return CommandId.GENERIC_NACK, Status.RINVCMDID
    return answer_id(command_id), cell if isinstance(cell, Status) else status
