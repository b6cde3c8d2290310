"""One connection: octets between a socket and a `Session`, and its events to intake and outbox. It decides nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import structlog

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.smpp.ports import Account
from bridge.listeners.smpp.receivers import Handing, deliver_sms
from bridge.listeners.smpp.statuses import status_of
from bridge.listeners.smpp.translate import message_from_submit_sm
from bridge.listeners.smpp.translate_out import shown_id
from bridge.message import Message, Owed
from bridge.smpp.enums import Status
from bridge.smpp.events import (
    Bind,
    BindRequested,
    Closed,
    Delivered,
    DeliveryFailed,
    Event,
    Malformed,
    Requested,
    Submitted,
    Violation,
)
from bridge.smpp.pdus import Pdu
from bridge.smpp.session import Session
from bridge.smpp.states import State
from bridge.telemetry import metrics

if TYPE_CHECKING:
    from bridge.listeners.smpp.pace import Pace
    from bridge.listeners.smpp.server import SmppServer

log = structlog.get_logger("bridge.listeners.smpp")

_RECEIVING = (State.BOUND_RX, State.BOUND_TRX)
_UNREAD = 64 * 1024  # octets written and not yet taken by the client, above which it is not read either
_LAST_WORDS_S = 5.0  # for a client to read what we said before we closed


class Connection(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, server: SmppServer, peer: str | None = None) -> None:
        """`peer`: the client's address where a proxy told it, `""` when that did not know; None: ask the socket."""
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")
        self._bind: asyncio.Task[None] | None = None
        self._unclog_by: asyncio.TimerHandle | None = None
        self._reading = True
        self._pace: Pace | None = None
        self.peer = peer
        self.account: Account | None = None
        self.clogged = False  # the client does not read what we write
        self.session: Session = server.new_session()

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked with isinstance: uvloop's transports are of classes of their own.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_UNREAD)
        if self.peer is None:
            place = transport.get_extra_info("peername")
            self.peer = str(place[0]) if place else ""
        if not self._server.joined(self):
            self._transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        self._handle(self._receive(data))

    def eof_received(self) -> None:
        """Nothing: the transport closes, and `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for timer in (self._timer, self._unclog_by):
            if timer is not None:
                timer.cancel()
        if self._pace is not None:
            self._pace.leave(self)
        if self._bind is not None:
            self._bind.cancel()
        self._handle(self.session.eof(self._server.monotonic()))
        self._server.left(self)

    def pause_writing(self) -> None:
        self.clogged = True
        self._steer()
        # It is not read meanwhile, so that no answer of its own could show that it lives.
        self._unclog_by = asyncio.get_running_loop().call_later(self.session.timers.response_s, self._give_up)

    def resume_writing(self) -> None:
        self.clogged = False
        if self._unclog_by is not None:
            self._unclog_by.cancel()
            self._unclog_by = None
        self._steer()
        self._server.pump(self)

    # --- what the server asks ---------------------------------------------------------------------------------------

    def deliver(self, owed: Owed) -> bool:
        """Hands something over, if the session has room for all of it."""
        assert self.account is not None
        room = self.session.deliver_room
        if not room:
            return False
        pdus = deliver_sms(owed, self.account.settings, self.session.version)
        if len(pdus) > room:
            return False
        handing = Handing(owed, len(pdus))
        for pdu in pdus:
            self.session.deliver(pdu, handing, self._server.monotonic())
        self._server.write_soon(self)
        return True

    def unbind(self) -> None:
        """Asks the client to leave."""
        if self.session.state in (State.OPEN, State.BINDING):
            self._handle(self.session.close())
        else:
            self.session.unbind(self._server.monotonic())
            self.flush()

    def read_on(self) -> None:
        """A paced account may be read again."""
        self._handle(self._receive(b""))

    def abort(self) -> None:
        """Ends the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def flush(self) -> None:
        """Writes what the session has to say, and closes after its last word."""
        transport = self._transport
        if transport is None:
            return
        data = self.session.to_write()
        if data:
            transport.write(data)
        if self.session.state is not State.CLOSED:
            self._arm()
        elif not transport.is_closing():
            transport.close()
            # A client that never reads would otherwise keep its connection, and its place among the binds, for ever.
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(_LAST_WORDS_S, self.abort)

    # --- events -----------------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        while events:
            self._obey(events)
            # What a full window had held back, if it was refused on the spot and has room again.
            events = self._receive(b"")
        self.flush()
        self._steer()

    def _receive(self, data: bytes) -> list[Event]:
        if self._pace is not None:
            self.session.allowance = self._pace.room(self)
        return self.session.receive(data, self._server.monotonic()) if data or self.session.wants_data else []

    def _obey(self, events: list[Event]) -> None:
        submits: list[Submitted] = []
        pumps = False
        for event in events:
            if isinstance(event, Submitted):
                submits.append(event)
            elif isinstance(event, Delivered | DeliveryFailed):
                pumps = True
                self._server.heard(self, event)
            elif isinstance(event, BindRequested):
                self._bind = asyncio.get_running_loop().create_task(self._decide_bind(event.pdu))
            elif isinstance(event, Requested):
                self.session.refuse(event.pdu, Status.RINVCMDID)
            elif isinstance(event, Malformed):
                log.info("pdu_malformed", command=hex(event.command_id), status=event.status.name, text=event.text,
                         account=self._name)  # fmt: skip
            elif isinstance(event, Violation):
                log.info("pdu_out_of_place", command=hex(event.command_id), account=self._name)
            elif isinstance(event, Closed):
                self._closed(event)
                pumps = True  # what it left unanswered, or held up, is for the account's other binds
        if submits:
            self._submit(submits)
        if pumps:
            self._server.pump(self)

    @property
    def _name(self) -> str | None:
        return self.account.name if self.account else None

    def _submit(self, submits: list[Submitted]) -> None:
        account, session = self.account, self.session
        assert account is not None
        now = self._server.clock()
        taken: list[Message] = []
        pdus: list[Pdu] = []
        for event in submits:
            try:
                taken.append(
                    message_from_submit_sm(
                        event.pdu,
                        account=account.name,
                        settings=account.settings,
                        region=account.region,
                        validity_s=account.validity_s,
                        message_id=self._server.intake.next_id(),
                        now=now,
                    )
                )
                pdus.append(event.pdu)
            except Refusal as refusal:
                metrics.refused.add("smpp", account.name, refusal.reason)
                self._refuse(event.pdu, refusal)
            except StoreUnavailable:
                session.refuse(event.pdu, Status.RSYSERR)
        if not taken:
            return
        verdicts, stored = self._server.intake.accept(taken)
        kept: list[tuple[int, int]] = []
        for pdu, message, verdict in zip(pdus, taken, verdicts, strict=True):
            if verdict is None:
                kept.append((pdu.sequence, message.message_id))
            else:
                self._refuse(pdu, verdict)
        if stored is not None:
            stored.add_done_callback(lambda done: self._stored(done, kept, pdus))

    def _stored(self, done: asyncio.Future[None], kept: list[tuple[int, int]], pdus: list[Pdu]) -> None:
        """The messages are on disk: now, and only now, they are acknowledged."""
        session, account = self.session, self.account
        assert account is not None
        if done.cancelled() or done.exception() is not None:
            failed = {sequence for sequence, _ in kept}
            for pdu in pdus:
                if pdu.sequence in failed:
                    session.refuse(pdu, Status.RSYSERR)
        else:
            for sequence, message_id in kept:
                session.submitted(sequence, shown_id(message_id, account.settings))
        self._handle(self._receive(b""))

    def _refuse(self, pdu: Pdu, refusal: Refusal) -> None:
        log.info("submit_refused", account=self._name, reason=refusal.reason, text=refusal.text)
        self.session.refuse(pdu, status_of(refusal))

    async def _decide_bind(self, pdu: Bind) -> None:
        now = self._server.monotonic
        status, account = await self._server.admit(pdu, self)
        if account is None:
            log.warning("bind_refused", system_id=pdu.system_id[:16], status=status.name, peer=self.peer)
            self._handle(self.session.refuse_bind(pdu, status))
            return
        self.account = account
        settings = account.settings
        if account.paced:
            self._pace = self._server.pace(account.name)
            self.session.allowance = self._pace.room(self)
        events = self.session.accept_bind(
            pdu,
            now(),
            version=settings.version,
            window=settings.window,
            deliver_window=settings.deliver_window,
            enquire_link_s=settings.enquire_link_interval,
            inactivity_s=settings.inactivity_timeout,
            response_s=settings.response_timeout,
        )
        # The response leaves before anything is delivered.
        self.flush()
        if self.session.state is not State.CLOSED:
            log.info("bound", account=account.name, kind=pdu.command.name.lower(), version=self.session.version,
                     peer=self.peer)  # fmt: skip
        if self.session.state in _RECEIVING:
            self._server.receiving(self)
        self._handle(events)

    @property
    def certificate(self) -> tuple[dict[str, Any] | None, bytes | None]:
        """What the client has presented in TLS and was verified: as words, and as it is (DER)."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        return (None, None) if tls is None else (tls.getpeercert(), tls.getpeercert(True))

    def _closed(self, event: Closed) -> None:
        if self.account is not None:
            log.info("unbound", account=self.account.name, reason=event.reason)
        elif event.reason not in ("eof", "closed"):
            log.info("connection_closed", reason=event.reason, peer=self.peer)

    # --- time and back-pressure -------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        log.warning("client_does_not_read", account=self._name, peer=self.peer)
        self.abort()

    def _arm(self) -> None:
        deadline = self.session.next_deadline
        if deadline is None or deadline >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        wait_s = max(0.0, deadline - self._server.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._armed_for = float("inf")
        self._handle(self.session.tick(self._server.monotonic()))

    def _steer(self) -> None:
        """Reads only while the client's window has room and it takes our answers."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        reading = self.session.wants_data and not self.clogged
        if reading != self._reading:
            self._reading = reading
            if reading:
                transport.resume_reading()
            else:
                transport.pause_reading()
