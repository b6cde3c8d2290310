"""One connection: octets between a socket and a `Session`, and its events to intake and outbox. It decides nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, cast

import structlog

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.addresses import peer_of
from bridge.listeners.smpp.capture import Tap
from bridge.listeners.smpp.flow import UNREAD, Alarm, Flow
from bridge.listeners.smpp.operations import Asked
from bridge.listeners.smpp.ports import Account, Call
from bridge.listeners.smpp.receivers import Handing, hand_over
from bridge.listeners.smpp.statuses import status_of
from bridge.listeners.smpp.traffic import Traffic
from bridge.listeners.smpp.translate import message_from_submit_sm
from bridge.listeners.smpp.translate_out import shown_id
from bridge.message import Message, Owed
from bridge.smpp.enums import CommandId, Status
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
_LAST_WORDS_S = 5.0  # for a client to read what we said before we closed


class Connection(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, server: SmppServer, peer: str | None = None, *, call: Call | None = None) -> None:
        """`peer`: the client's address where a proxy told it, `""` when that did not know; None: ask the socket.

        `call`: we connected, for somebody to bind.
        """
        self._server = server
        self._call = call
        self._transport: asyncio.Transport | None = None
        self._flow = Flow(self._give_up)
        self._alarm = Alarm(self._tick)
        self._bind: asyncio.Task[None] | None = None
        self.pace: Pace | None = None  # at which it is read
        self.peer = peer
        self._answering: set[asyncio.Task[None]] = set()  # requests that take more than a moment
        self.account: Account | None = None
        self.session: Session = server.new_session()
        self.traffic = Traffic(server.clock, server.monotonic)
        self.tap: Tap | None = None  # somebody watches

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked with isinstance: uvloop's transports are of classes of their own.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNREAD)
        if self.peer is None:
            self.peer = peer_of(transport)
        if not self._server.joined(self):
            self._transport.abort()
            return
        if self._call is not None:
            password = self._call.outbind.password
            self.session.outbind(self._call.outbind.system_id, password.get_secret_value() if password else "")
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self.tap is not None:
            self.tap.received(data, self._server.clock())
        self._handle(self._receive(data))

    def eof_received(self) -> None:
        """Nothing: the transport closes, and `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._call is not None:
            self._call.end(bound=False)
        self._alarm.stop()
        self._flow.unclog()
        if self.pace is not None:
            self.pace.leave(self)
            self.pace = None
        if self._bind is not None:
            self._bind.cancel()
        self._handle(self.session.eof(self._server.monotonic()))
        self._server.left(self)

    def pause_writing(self) -> None:
        self._flow.clog(self.session.timers.response_s)
        self._steer()

    def resume_writing(self) -> None:
        self._flow.unclog()
        self._steer()
        self._server.pump(self)

    # --- what the server asks ---------------------------------------------------------------------------------------

    def deliver(self, owed: Owed) -> bool:
        """Hands something over, or the beginning of it; False: the session has no room."""
        assert self.account is not None
        if not hand_over(self.session, self.account.settings, owed, self._server.monotonic()):
            return False
        self._server.write_soon(self)
        return True

    def go_on(self, handing: Handing) -> bool:
        """Sends the next piece of something, in the place of one that was answered; False: nothing can be sent."""
        if not self.session.deliver_room:
            return False
        self.session.deliver(handing.rest.popleft(), handing, self._server.monotonic())
        handing.unanswered += 1
        self._server.write_soon(self)
        return True

    def unbind(self) -> None:
        """Asks the client to leave."""
        if self.session.state in (State.OPEN, State.OUTBOUND, State.BINDING):
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
            self.traffic.wrote(data, self._name or "")
            if self.tap is not None:
                self.tap.sent(data, self._server.clock())
            transport.write(data)
        if self.session.state is not State.CLOSED:
            self._alarm.set(self.session.next_deadline, self._server.monotonic())
        elif not transport.is_closing():
            transport.close()
            # A client that never reads would otherwise keep its connection, and its place among the binds, for ever.
            self._alarm.stop()
            self._alarm = Alarm(self.abort)
            self._alarm.set(_LAST_WORDS_S, 0.0)

    # --- events -----------------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        while events:
            self._obey(events)
            # What a full window had held back, if it was refused on the spot and has room again.
            events = self._receive(b"")
        self.flush()
        self._steer()

    def _receive(self, data: bytes) -> list[Event]:
        if self.pace is not None:
            self.session.allowance = self.pace.room(self)
        return self.session.receive(data, self._server.monotonic()) if data or self.session.wants_data else []

    def _obey(self, events: list[Event]) -> None:
        submits: list[Submitted] = []
        pumps = False
        for event in events:
            if isinstance(event, Submitted):
                submits.append(event)
            elif isinstance(event, Delivered | DeliveryFailed):
                pumps = True
                self._heard(event)
            elif isinstance(event, BindRequested):
                self._bind = asyncio.get_running_loop().create_task(self._decide_bind(event.pdu))
            elif isinstance(event, Requested):
                # In their order: what came before is given lower ids.
                self._submit(submits)
                submits = []
                self._ask(event.pdu)
            elif isinstance(event, Malformed):
                log.info("pdu_malformed", command=hex(event.command_id), status=event.status.name, text=event.text,
                         account=self._name)  # fmt: skip
            elif isinstance(event, Violation):
                log.info("pdu_out_of_place", command=hex(event.command_id), account=self._name)
            elif isinstance(event, Closed):
                self._closed(event)
                pumps = True  # what it left unanswered, or held up, is for the account's other binds
        self._submit(submits)
        if pumps:
            self._server.pump(self)

    def _heard(self, event: Delivered | DeliveryFailed) -> None:
        """A deliver_sm was answered, or will not be."""
        if isinstance(event, Delivered):
            self.traffic.heard(event.command, event.status, self._name or "")
        elif event.why == "nack":
            self.traffic.heard(CommandId.GENERIC_NACK, event.status, self._name or "")
        self._server.heard(self, event)

    @property
    def _name(self) -> str | None:
        return self.account.name if self.account else None

    def _submit(self, submits: list[Submitted]) -> None:
        if not submits:
            return
        assert self.account is not None
        if self.account.settings.duplicates is None:
            self._take(submits)
            return
        for submit in submits:
            self._take_once(submit)

    def _take(self, submits: list[Submitted]) -> None:
        account, session = self.account, self.session
        assert account is not None
        now = self._server.clock()
        taken: list[Message] = []
        pdus: list[Pdu] = []
        for event in submits:
            if event.pdu.replace_if_present_flag == 1:
                self._ask(event.pdu)
                continue
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
            if account.settings.duplicates is not None and kept:
                (pdu,), ((_, message_id),) = pdus, kept
                self._server.operations.note(pdu, message_id, stored, account)

    def _take_once(self, submit: Submitted) -> None:
        """For an account whose repeated submissions count once."""
        account, pdu = self.account, submit.pdu
        assert account is not None
        repeat = self._server.operations.repeat_of(pdu, account)
        if repeat is None or repeat.response is not None:  # which is given by `operations`
            self._take([submit])
        else:
            # Over the same road as the first one, which may not be on disk yet.
            kept = [(pdu.sequence, repeat.message_id)]
            repeat.stored.add_done_callback(lambda done: self._stored(done, kept, [pdu]))

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

    def _ask(self, pdu: Pdu) -> None:
        assert self.account is not None
        try:
            asked = Asked(self.account, self.session.version, self._server.intake.next_id())
        except StoreUnavailable:
            self.session.refuse(pdu, Status.RSYSERR)
            return
        answering = asyncio.get_running_loop().create_task(self._answer(pdu, asked))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, pdu: Pdu, asked: Asked) -> None:
        session = self.session
        try:
            session.respond(await self._server.operations.answer(pdu, asked))
        except Refusal as refusal:
            self._refuse(pdu, refusal)
        except StoreUnavailable:
            session.refuse(pdu, Status.RSYSERR)
        except Exception:
            log.exception("operation_failed", command=pdu.command.name.lower(), account=self._name)
            session.refuse(pdu, Status.RSYSERR)
        self._handle(self._receive(b""))

    def _refuse(self, pdu: Pdu, refusal: Refusal) -> None:
        log.info("submit_refused", account=self._name, reason=refusal.reason, text=refusal.text)
        self.session.refuse(pdu, status_of(refusal))

    async def _decide_bind(self, pdu: Bind) -> None:
        if self._call is not None and pdu.system_id != self._call.system_id:
            status, account = Status.RBINDFAIL, None  # it would not get what we called for
        else:
            status, account = await self._server.admit(pdu, self)
        if account is None:
            log.warning("bind_refused", system_id=pdu.system_id[:16], status=status.name, peer=self.peer)
            self._handle(self.session.refuse_bind(pdu, status))
            return
        self.account = account
        settings = account.settings
        if account.paced:
            self.pace = self._server.pace(account.name)
            self.session.allowance = self.pace.room(self)
        if self.tap is not None:
            self.tap.bound(settings.system_id)
        self.session.timers.adopt(
            settings.enquire_link_interval, settings.inactivity_timeout, settings.response_timeout
        )
        now = self._server.monotonic()
        events = self.session.accept_bind(
            pdu, now, version=settings.version, window=settings.window, deliver_window=settings.deliver_window
        )
        # The response leaves before anything is delivered.
        self.flush()
        if self.session.state is not State.CLOSED:
            log.info("bound", account=account.name, kind=pdu.command.name.lower(), version=self.session.version,
                     peer=self.peer)  # fmt: skip
        if self.session.state in _RECEIVING:
            self._server.receiving(self)
            if self._call is not None:
                self._call.end(bound=True)
        self._handle(events)

    @property
    def called(self) -> bool:
        """True when we connected, to an address of the configuration."""
        return self._call is not None

    @property
    def clogged(self) -> bool:
        """True while the client does not read what we write."""
        return self._flow.clogged

    def socket(self, name: Literal["peername", "sockname", "ssl_object"]) -> Any:
        """What asyncio knows of the connection's socket by this name; None once it is gone."""
        return self._transport.get_extra_info(name) if self._transport else None

    def _closed(self, event: Closed) -> None:
        if self.account is not None:
            log.info("unbound", account=self.account.name, reason=event.reason)
        elif event.reason not in ("eof", "closed"):
            log.info("connection_closed", reason=event.reason, peer=self.peer)

    def _give_up(self) -> None:
        log.warning("client_does_not_read", account=self._name, peer=self.peer)
        self.abort()

    def _tick(self) -> None:
        self._handle(self.session.tick(self._server.monotonic()))

    def _steer(self) -> None:
        self._flow.steer(self._transport, wanted=self.session.wants_data)
