"""One bind as an administrator sees it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bridge.listeners.smpp.capture import End, Ends
from bridge.listeners.smpp.traffic import Fault
from bridge.smpp.states import State

if TYPE_CHECKING:
    from bridge.listeners.smpp.connection import Connection

_KINDS: Final = {
    State.BOUND_TX: "transmitter",
    State.BOUND_RX: "receiver",
    State.BOUND_TRX: "transceiver",
    State.UNBINDING: "unbinding",
    State.UNBOUND: "unbinding",
}
_numbers = count(1)


class Window(msgspec.Struct, frozen=True):
    """Requests of one direction without an answer yet, and how many there may be."""

    used: int
    size: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to see of a bind; times are Unix times, rates are of the last minute."""

    account: str
    system_id: str
    listener: str
    peer: str  # host:port
    kind: str
    version: str
    tls: str | None  # the version of TLS
    since: float
    taken_per_s: float  # messages of the client
    handed_per_s: float  # deliver_sm to the client
    window_in: Window
    window_out: Window
    pending: int  # of its account in memory: reports and inbound messages that wait for room
    clogged: bool  # it does not read what we write
    fault: Fault | None  # the last


def seen(connection: Connection, listener: str, pending: int, now: float) -> Seen:
    """What there is to see of a connection with an account; `now` is the server's monotonic time."""
    account, session, traffic = connection.account, connection.session, connection.traffic
    assert account is not None
    settings = account.settings
    receives = session.state in (State.BOUND_RX, State.BOUND_TRX)
    window = settings.deliver_window if receives else 0
    tls = connection.socket("ssl_object")
    return Seen(
        account=account.name,
        system_id=settings.system_id,
        listener=listener,
        peer=_peer(connection),
        kind=_KINDS.get(session.state, "closing"),
        version=session.version,
        tls=None if tls is None else tls.version(),
        since=traffic.connected_at,
        taken_per_s=round(traffic.taken.per_s(now), 2),
        handed_per_s=round(traffic.handed.per_s(now), 2),
        window_in=Window(session.pending_submits, settings.window),
        window_out=Window(window - session.deliver_room, window),
        pending=pending,
        clogged=connection.clogged,
        fault=traffic.fault,
    )


def ends_of(connection: Connection) -> Ends:
    """Both ends of a connection, numbered."""
    return Ends(next(_numbers), _end(connection.socket("peername")), _end(connection.socket("sockname")))


def _peer(connection: Connection) -> str:
    """Where the client is; behind a proxy that is its address only, or the proxy's end if that does not tell."""
    end = _end(connection.socket("peername"))
    return _written(end) if connection.peer in (end[0], "", None) else str(connection.peer)


def _end(name: Any) -> End:
    # Of IPv6 the scope is left out: it says something on this machine only. A socket that is gone has no name.
    return (str(name[0]).partition("%")[0], int(name[1])) if name else ("0.0.0.0", 0)  # noqa: S104 - shown only


def _written(end: End) -> str:
    host, port = end
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
