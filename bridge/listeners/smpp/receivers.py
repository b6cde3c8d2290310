"""The receiving binds of one account, as the sink of its outbox."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.translate_out import deliver_sm_from_report, deliver_sms_from_inbound
from bridge.message import Owed
from bridge.reports.delivery import Outbox
from bridge.smpp.enums import Status
from bridge.smpp.events import Delivered, DeliveryFailed
from bridge.smpp.pdus import DeliverSm
from bridge.smpp.states import State

if TYPE_CHECKING:
    from bridge.listeners.smpp.connection import Connection

# The client asks to have it again later; what else it answers, it is likely to answer again.
_TEMPORARY = frozenset(
    {
        Status.RSYSERR,
        Status.RMSGQFUL,
        Status.RSUBMITFAIL,
        Status.RTHROTTLED,
        Status.RX_T_APPN,
        Status.RQUERYFAIL,
        Status.RDELIVERYFAILURE,
        Status.RUNKNOWNERR,
    }
)
_TRIES = 3  # of something that the client refuses for good


class Handing(msgspec.Struct):
    """Something owed that is with a client now, in one deliver_sm or several."""

    owed: Owed
    unanswered: int
    status: int = 0
    failure: str | None = None


class Receivers:
    """Shares what an account is owed among its binds that may receive."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._connections: deque[Connection] = deque()
        outbox.sink = self

    def add(self, connection: Connection) -> None:
        """A client has bound as receiver or transceiver."""
        self._connections.append(connection)
        self._outbox.pump()

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        if connection in self._connections:
            self._connections.remove(connection)

    @property
    def pending(self) -> int:
        """Things in memory that wait for a bind with room."""
        return self._outbox.waiting

    def room(self) -> int:
        """How many things fit in the windows of all binds now."""
        room = 0
        for connection in self._connections:
            if connection.clogged and connection.session.state is not State.CLOSED:
                # It does not read its submit_sm_resp: a receipt on another bind would overtake them.
                return 0
            room += connection.session.deliver_room
        return room

    def send(self, owed: Owed) -> None:
        """Sends it over the next bind that has room."""
        for _ in range(len(self._connections)):
            connection = self._connections[0]
            self._connections.rotate(-1)
            if connection.deliver(owed):
                return
        self._outbox.returned(owed)

    def pump(self) -> None:
        """A bind may have room again."""
        self._outbox.pump()

    def heard(self, event: Delivered | DeliveryFailed, at: float) -> None:
        """One deliver_sm was answered, or will not be."""
        handing: Handing = event.token
        handing.unanswered -= 1
        if isinstance(event, DeliveryFailed):
            handing.failure = event.why
        if event.status:
            handing.status = event.status
        if handing.unanswered:
            return
        owed = handing.owed
        if handing.failure == "closed":
            self._outbox.returned(owed)
        elif handing.failure is None and not handing.status:
            self._outbox.confirmed(owed, {"at": at, "event": "reported", "listener": "smpp", "id": owed.known_id})
        else:
            why = handing.failure or f"command_status 0x{handing.status:02X}"
            lasting = handing.status not in _TEMPORARY and handing.failure != "timeout"
            if lasting and owed.attempts + 1 >= _TRIES:
                self._outbox.given_up(owed, why)
            else:
                self._outbox.later(owed, why)


def deliver_sms(owed: Owed, settings: SmppAccount, version: str) -> list[DeliverSm]:
    """The deliver_sm PDUs that hand something over."""
    if owed.inbound is not None:
        return list(deliver_sms_from_inbound(owed, settings, version))
    return [deliver_sm_from_report(owed, settings, version)]
