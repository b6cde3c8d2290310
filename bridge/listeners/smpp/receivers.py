"""The receiving binds of one account, as the sink of its outbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.statuses import TRIES, Answered, answered
from bridge.listeners.smpp.translate_out import deliver_sms_from_inbound, receipt_from_report
from bridge.message import Owed
from bridge.reports.delivery import Outbox
from bridge.smpp.events import Delivered, DeliveryFailed
from bridge.smpp.pdus import DataSm, DeliverSm
from bridge.smpp.session import Session
from bridge.smpp.states import State

if TYPE_CHECKING:
    from bridge.listeners.smpp.connection import Connection


_NO_REST: deque[DeliverSm | DataSm] = deque(maxlen=0)


class Handing(msgspec.Struct):
    """Something owed that is with a client now, in one PDU or several; `rest` follows as the client answers."""

    owed: Owed
    unanswered: int
    rest: deque[DeliverSm | DataSm]
    status: int = 0
    failure: str | None = None


class Receivers:
    """Shares what an account is owed among its binds that may receive."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._connections: deque[Connection] = deque()
        self.call: Callable[[], None] | None = None  # brings somebody here
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
        if self.call is not None and self.missed:
            self.call()
        for connection in self._connections:
            if connection.clogged and connection.session.state is not State.CLOSED:
                # It does not read its submit_sm_resp: a receipt on another bind would overtake them.
                return 0
            room += connection.session.deliver_room
        return room

    @property
    def missed(self) -> bool:
        """True when something waits and nobody is bound to receive it."""
        return not self._connections and self._outbox.waiting > 0

    def send(self, owed: Owed) -> None:
        """Sends it over the bind that has the most room; of several, over the one whose turn it is."""
        connections = self._connections
        if len(connections) > 1:
            connections.rotate(-1)
        best = max(connections, key=_room_of, default=None)
        if best is None or not best.deliver(owed):
            self._outbox.returned(owed)

    def pump(self) -> None:
        """A bind may have room again."""
        self._outbox.pump()

    def heard(self, connection: Connection, event: Delivered | DeliveryFailed, at: float) -> None:
        """One PDU was answered, or will not be."""
        handing: Handing = event.token
        handing.unanswered -= 1
        if isinstance(event, DeliveryFailed):
            handing.failure = event.why
        if event.status:
            handing.status = event.status
        if handing.rest:
            if handing.failure is None and not handing.status and not connection.go_on(handing):
                handing.failure = "closed"  # the client has asked to unbind
            if handing.failure is not None or handing.status:
                handing.rest.clear()
        if handing.unanswered:
            return
        owed = handing.owed
        if handing.failure == "closed":
            self._outbox.returned(owed)
        elif handing.failure is None and not handing.status:
            self._outbox.confirmed(owed, {"at": at, "event": "reported", "listener": "smpp", "id": owed.known_id})
        else:
            self._failed(handing)

    def _failed(self, handing: Handing) -> None:
        owed = handing.owed
        why = handing.failure or f"command_status 0x{handing.status:02X}"
        match Answered.LATER if handing.failure == "timeout" else answered(handing.status):
            case Answered.NEVER:
                self._outbox.given_up(owed, why)
            case Answered.NEVER_THERE:
                self._outbox.given_up(owed, why)
                self._outbox.drop(owed.address, why)
            case Answered.HARDLY if owed.attempts + 1 >= TRIES:
                self._outbox.given_up(owed, why)
            case _:
                self._outbox.later(owed, why)


def pdus_of(owed: Owed, settings: SmppAccount, version: str) -> list[DeliverSm | DataSm]:
    """The PDUs that hand something over."""
    if owed.inbound is not None:
        return [*deliver_sms_from_inbound(owed, settings, version)]
    return [receipt_from_report(owed, settings, version)]


def _room_of(connection: Connection) -> int:
    return connection.session.deliver_room


def hand_over(session: Session, settings: SmppAccount, owed: Owed, now: float) -> bool:
    """Hands something over to a client; False when its session has no room.

    Of many PDUs at most half a window goes at once: what does not fit follows piece by piece, and the rest of the
    window is for others.
    """
    room = session.deliver_room
    if not room:
        return False
    pdus = pdus_of(owed, settings, session.version)
    if len(pdus) == 1:
        session.deliver(pdus[0], Handing(owed, 1, _NO_REST), now)
        return True
    first = min(room, len(pdus), max(1, settings.deliver_window // 2))
    handing = Handing(owed, first, deque(pdus[first:]))
    for pdu in pdus[:first]:
        session.deliver(pdu, handing, now)
    return True
