"""The load: an SMPP client with several binds, each with a window, that confirms every receipt at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from bridge.cli.benching.tally import Tally, destination_of, number_of
from bridge.smpp.codec import Framer, encode
from bridge.smpp.enums import Tag
from bridge.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from bridge.smpp.wire import PduError, text_of

_BIND_SEQUENCE = 1
_FIRST_SEQUENCE = 2  # of message 0: a sequence number tells the message
_PACE_S = 0.005  # with a rate: how often something may be submitted
_TON_INTERNATIONAL = 1
_TON_ALPHANUMERIC = 5
_NPI_ISDN = 1


class LoadError(Exception):
    """The load could not be put on: the bind was refused, or a connection ended early."""


class Load:
    """Submits messages by their numbers over all binds, as fast as windows and limits let it."""

    def __init__(
        self, tally: Tally, *, window: int, rate: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`window`: submit_sm unanswered on one bind; `rate`: messages a second, None for no limit.

        With a rate, a message counts as submitted when it was due, so that waiting for a full window shows.
        """
        self.tally = tally
        self.clock = clock
        self.error: LoadError | None = None
        self._window = window
        self._rate = rate
        self._binds: list[_Bind] = []
        self._next = self._stop = 0
        self._on_the_way = 0  # 0: as many as there are
        self._begun_at = 0.0
        self._begun_with = 0
        self._pumping = False
        self._pace: asyncio.TimerHandle | None = None

    async def bind(
        self, host: str, port: int, system_id: str, password: str, binds: int, *, receiving: bool = True
    ) -> None:
        """Opens `binds` transceivers, or transmitters.

        Raises LoadError when one is refused, OSError when nobody listens.
        """
        kind = BindTransceiver if receiving else BindTransmitter
        loop = asyncio.get_running_loop()
        for _ in range(binds):
            _, bind = await loop.create_connection(lambda: _Bind(self), host, port)
            self._binds.append(bind)
            await bind.open(kind(sequence=_BIND_SEQUENCE, system_id=system_id, password=password))

    def submit(self, part: range, *, on_the_way: int = 0) -> None:
        """Starts to submit the messages of `part`, with at most `on_the_way` of them accepted and not yet reported."""
        self._next, self._stop = part.start, part.stop
        self._on_the_way = on_the_way
        self._begun_at, self._begun_with = self.clock(), part.start
        self.pump()

    def stop(self) -> None:
        """Ends every connection; what comes of it is not an error any more."""
        self._next = self._stop
        if self._pace is not None:
            self._pace.cancel()
        binds, self._binds = self._binds, []
        for bind in binds:
            bind.abort()

    # --- what binds say ---------------------------------------------------------------------------------------------

    def pump_soon(self) -> None:
        """Submits more once everything that has arrived is read."""
        if not self._pumping and self._next < self._stop:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Submits what may be submitted now, evenly over the binds."""
        self._pumping = False
        now = self.clock()
        allowed = self._stop - self._next
        if self._on_the_way:
            tally = self.tally
            allowed = min(allowed, self._on_the_way - (tally.submitted - tally.refused - tally.reported))
        if self._rate is not None:
            if allowed > 0 and self._pace is None:
                self._pace = asyncio.get_running_loop().call_later(_PACE_S, self._paced)
            allowed = min(allowed, self._begun_with + 1 + int((now - self._begun_at) * self._rate) - self._next)
        for left, bind in zip(range(len(self._binds), 0, -1), self._binds, strict=True):
            count = min(-(-allowed // left), self._window - bind.unanswered)
            if count > 0:
                bind.submit(range(self._next, self._next + count), now)
                self._next += count
                allowed -= count

    def due_at(self, number: int, now: float) -> float:
        """When a message counts as submitted."""
        if self._rate is None:
            return now
        return min(now, self._begun_at + (number - self._begun_with) / self._rate)

    def lost(self, bind: _Bind) -> None:
        """A connection ended."""
        if bind in self._binds:
            self.error = LoadError("the connection was closed while messages were under way")

    def _paced(self) -> None:
        self._pace = None
        self.pump()


class _Bind(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self.unanswered = 0
        self._load = load
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, pdu: BindTransceiver | BindTransmitter) -> None:
        self._write(encode(pdu))
        await self._bound

    def submit(self, numbers: range, now: float) -> None:
        self.unanswered += len(numbers)
        tally, load = self._load.tally, self._load
        octets = []
        for number in numbers:
            octets.append(encode(submit_sm(number)))
            tally.submit(number, load.due_at(number, now))
        self._write(b"".join(octets))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._bound.done():
            self._bound.set_exception(LoadError("the connection was closed during the bind"))
        self._load.lost(self)

    def data_received(self, data: bytes) -> None:
        tally, now = self._load.tally, self._load.clock()
        answers: list[bytes] = []
        self._framer.feed(data)
        for pdu in self._framer:
            if isinstance(pdu, SubmitSmResp):
                self.unanswered -= 1
                if pdu.status:
                    tally.refuse()
                else:
                    tally.accept(pdu.sequence - _FIRST_SEQUENCE, pdu.message_id, now)
            elif isinstance(pdu, DeliverSm):
                answers.append(encode(DeliverSmResp(sequence=pdu.sequence)))
                self._reported(pdu, now)
            elif isinstance(pdu, BindTransceiverResp | BindTransmitterResp):
                if pdu.status:
                    self._bound.set_exception(LoadError(f"the bind was refused with status {pdu.status:#x}"))
                else:
                    self._bound.set_result(None)
            elif isinstance(pdu, EnquireLink):
                answers.append(encode(EnquireLinkResp(sequence=pdu.sequence)))
            elif isinstance(pdu, Unbind):
                answers.append(encode(UnbindResp(sequence=pdu.sequence)))
            elif isinstance(pdu, PduError):
                self._load.error = LoadError(f"a PDU could not be read: {pdu}")
        if answers:
            self._write(b"".join(answers))
        self._load.pump_soon()

    def _reported(self, pdu: DeliverSm, now: float) -> None:
        message_id = pdu.tlv(Tag.RECEIPTED_MESSAGE_ID)
        try:
            number = number_of(pdu.source_addr)
        except ValueError:
            number = -1
        self._load.tally.report(number, text_of(message_id) if message_id else "0", now)

    def _write(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.write(octets)


def submit_sm(number: int) -> SubmitSm:
    """A message as one-time passwords are: a name as sender, a text of its own, a receipt wanted."""
    return SubmitSm(
        sequence=number + _FIRST_SEQUENCE,
        source_addr_ton=_TON_ALPHANUMERIC,
        source_addr="ACME",
        dest_addr_ton=_TON_INTERNATIONAL,
        dest_addr_npi=_NPI_ISDN,
        destination_addr=destination_of(number),
        registered_delivery=1,
        short_message=b"Your verification code is %06d. It expires in ten minutes." % (number % 1_000_000),
    )
