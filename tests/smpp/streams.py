"""Hostile streams for a session, what is done to it meanwhile, and what has to hold whatever comes.

A `Trial` is one session, one stream and one random number that both come from; it knows what the session may answer
from a framing of its own, so that nothing here is taken from what is tested.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from typing import Any

import smpp34
import smpplib.client
import smpplib.smpp
from smpp.samples import BINDS, DELIVER, VECTORS

from bridge.smpp.codec import decode, encode
from bridge.smpp.enums import CommandId, Status, Tag
from bridge.smpp.events import (
    BindRequested,
    Closed,
    Delivered,
    DeliveryFailed,
    Event,
    Requested,
    Submitted,
)
from bridge.smpp.pdus import (
    PDUS,
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    Pdu,
    SubmitSm,
    Unbind,
)
from bridge.smpp.session import BACKLOG_MAX, Session
from bridge.smpp.states import State

_RESPONSE = 0x80000000
_SINCE_5_0 = {
    CommandId.BROADCAST_SM_RESP,
    CommandId.QUERY_BROADCAST_SM_RESP,
    CommandId.CANCEL_BROADCAST_SM_RESP,
}
_HEADER = struct.Struct(">4I")
# deliver_sm from a client is out of its place in every state: a generic_nack, which says so, and no deliver_sm_resp.
_NACKED = {CommandId.GENERIC_NACK, CommandId.DELIVER_SM_RESP}
_ANSWERED = {command & ~_RESPONSE for command in CommandId if command & _RESPONSE and command not in _NACKED}
_ODD_LENGTHS = (0, 1, 4, 15, 16, 17, 255, 0x7FFFFFFF, 0xFFFFFFFF)
_TAGS = [int(tag) for tag in Tag] + [0, 0x1400, 0x3FFF, 0xFFFF]
_COMMANDS = [int(command) for command in CommandId] + [0, 0x0A, 0x00010200, 0x80010200, 0xFFFFFFFF]
_SAMPLES = [vector.octets for vector in VECTORS] + [
    encode(kind(sequence=1)) for kind in PDUS.values() if kind.command != CommandId.SUBMIT_MULTI
]
_SHORT_CUTS = (1, 2, 3, 4, 15, 16, 17)


def _framed(octets: bytes) -> bytes:
    """The same with a command_length that is right."""
    return struct.pack(">I", len(octets)) + octets[4:]


def mutated(chance: random.Random) -> bytes:
    """A PDU of somebody's, changed in one place or several."""
    octets = bytearray(chance.choice(_SAMPLES))
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        at = chance.randrange(len(octets))
        match chance.randrange(9):
            case 0:
                octets[at] = chance.randrange(256)
            case 1:
                octets[at] ^= 1 << chance.randrange(8)
            case 2:
                octets[at:at] = chance.randbytes(chance.choice((1, 2, 8, 300)))
            case 3:
                del octets[max(16, at) : max(16, at) + chance.choice((1, 2, 8, 300))]
            case 4:
                octets += struct.pack(">2H", chance.choice(_TAGS), chance.choice((0, 1, 2, 4, 65, 0xFFFF)))
                octets += chance.randbytes(chance.choice((0, 1, 2, 4, 65)))
            case 5:
                octets[4:8] = struct.pack(">I", chance.choice(_COMMANDS))
            case 6:
                octets[16:] = chance.choice(_SAMPLES)[16:]
            case 7:
                octets[8:12] = chance.randbytes(4)
            case 8:
                octets += chance.choice((b"\0", b"\0" * 4, b"\xff" * 3))
    octets[12:16] = struct.pack(">I", chance.choice((0, 1, 2, 3, chance.randrange(1 << 32))))
    if chance.random() < 0.02:
        return struct.pack(">I", chance.choice(_ODD_LENGTHS)) + bytes(octets[4:])
    return bytes(octets) if chance.random() < 0.01 else _framed(bytes(octets))


def sensible(chance: random.Random) -> bytes:
    """A PDU that means something to a session."""
    sequence = chance.randrange(1, 1 << 31)
    kinds: list[Pdu] = [
        SubmitSm(sequence=sequence, destination_addr="380501234567", short_message=chance.randbytes(10)),
        EnquireLink(sequence=sequence),
        DeliverSmResp(sequence=chance.randrange(1, 8), status=chance.choice((0, 0x14, 0x65))),
        PDUS[chance.choice((3, 6, 7, 8, 0x103))](sequence=sequence),
        chance.choice(list(BINDS))(sequence=sequence, system_id="acme"),
    ]
    return encode(chance.choices(kinds, (8, 2, 4, 3, 1))[0])


def stream(chance: random.Random) -> bytes:
    """Many of them in a row, or octets without sense."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(2000))
    makers = chance.choices((mutated, sensible), (chance.choice((0, 1, 4)), 2), k=chance.randrange(1, 60))
    return b"".join(maker(chance) for maker in makers)


class Trial:
    """One session that is fed one stream; `run` raises AssertionError for whatever must not be."""

    def __init__(self, number: int) -> None:
        self.chance = chance = random.Random(number)
        self.window = chance.choice((1, 2, 5, 100))
        self.deliver_window = chance.choice((1, 3, 50))
        self.max_pdu = chance.choice((64, 300, 70_000, 70_000))
        self.now = 0.0
        self.session = Session(
            system_id="bridge",
            now=0.0,
            window=self.window,
            deliver_window=self.deliver_window,
            max_pdu=self.max_pdu,
        )
        self.fed = bytearray()
        self.written: list[bytes] = []
        self.waiting: list[Pdu] = []  # requests that we owe an answer
        self.bind: BindRequested | None = None
        self.handed = 0
        self.settled: list[int] = []
        self.closed = False

    def run(self) -> int:
        """Feeds the stream in pieces and does what a server would in between; gives how many PDUs were answered."""
        chance, octets = self.chance, stream(self.chance)
        self._reach(chance.choice(list(State)))
        small = chance.random() < 0.1
        at = 0
        while at < len(octets):
            size = chance.choice(_SHORT_CUTS) if small else chance.randrange(1, 3000)
            self._feed(octets[at : at + size])
            at += size
            for _ in range(chance.randrange(3)):
                self._act()
        self._finish()
        return len(self.written)

    def _reach(self, state: State) -> None:
        kinds = [kind for kind, (reached, _) in BINDS.items() if reached is state] or [BindTransceiver]
        if state is State.OUTBOUND:
            self.session.outbind("bridge", "secret")
        if state in (State.OPEN, State.OUTBOUND):
            return
        version = self.chance.choice((0x00, 0x33, 0x34, 0x50, 0xFF))
        self._feed(encode(kinds[0](sequence=9, system_id="acme", interface_version=version)))
        if state is State.BINDING:
            return
        self._decide(True)
        if state is State.UNBINDING:
            self.session.unbind(self.now)
        elif state is State.UNBOUND:
            self._feed(encode(Unbind(sequence=10)))
        elif state is State.CLOSED:
            self._take(self.session.close())

    def _feed(self, data: bytes) -> None:
        # As a shell does: little is read that the session does not want, and nothing after the end.
        if not self.session.wants_data and self.chance.random() < 0.9:
            self._unblock()
        was_closed = self.session.state is State.CLOSED
        events = self.session.receive(data, self.now)
        if was_closed:
            assert events == []
        else:
            self.fed += data
        self._take(events)

    def _unblock(self) -> None:
        for _ in range(1000):
            if self.session.wants_data or self.closed:
                return
            self._decide(True)
            self._answer(len(self.waiting))
            self._take(self.session.receive(b"", self.now))
        raise AssertionError("the session does not want to go on")

    def _act(self) -> None:
        chance = self.chance
        match chance.randrange(12):
            case 0:
                self.now += chance.choice((0.1, 5.0, 31.0))
                self._take(self.session.tick(self.now))
            case 1 | 2 | 3 | 4:
                self._answer(chance.randrange(len(self.waiting) + 1))
                self._take(self.session.receive(b"", self.now))
            case 5:
                self._decide(chance.random() < 0.9)
            case 6 | 7 | 8:
                for _ in range(chance.randrange(self.session.deliver_room + 1)):
                    self.session.deliver(DELIVER, self.handed, self.now)
                    self.handed += 1
            case 9 if chance.random() < 0.05:
                self.session.unbind(self.now)
            case 10 if chance.random() < 0.02:
                self._take(self.session.close())
        self._check()

    def _answer(self, number: int) -> None:
        self.chance.shuffle(self.waiting)
        for _ in range(number):
            pdu = self.waiting.pop()
            if self.chance.random() < 0.3:
                self.session.refuse(pdu, self.chance.choice(list(Status)[1:]))
            elif isinstance(pdu, SubmitSm):
                self.session.submitted(pdu.sequence, "1234")
            else:
                response: Any = PDUS[pdu.command | _RESPONSE]
                self.session.respond(response(sequence=pdu.sequence))

    def _decide(self, accepted: bool) -> None:
        if self.bind is None:
            return
        pdu, self.bind = self.bind.pdu, None
        if accepted:
            self._take(self.session.accept_bind(pdu, self.now))
        else:
            self._take(self.session.refuse_bind(pdu, Status.RBINDFAIL))

    def _take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.closed, f"{event} after the end"
            if isinstance(event, Submitted | Requested):
                self.waiting.append(event.pdu)
            elif isinstance(event, BindRequested):
                assert self.bind is None
                self.bind = event
            elif isinstance(event, Delivered | DeliveryFailed):
                self.settled.append(event.token)
            elif isinstance(event, Closed):
                self.closed = True
                self.waiting.clear()
                self.bind = None
        self._check()

    def _check(self) -> None:
        session = self.session
        assert self.closed == (session.state is State.CLOSED)
        assert (session.next_deadline is None) == self.closed
        if not self.closed:
            assert session.pending_submits == len(self.waiting) <= self.window
        self._collect(session.to_write())
        held = [len(value) for value in vars(session).values() if isinstance(value, list | dict | bytearray)]
        assert max(held) <= max(self.deliver_window, 2)
        buffered = session._framer.buffered
        assert buffered <= (BACKLOG_MAX if not session.wants_data else self.max_pdu - 1)

    def _collect(self, octets: bytes) -> None:
        at = 0
        while at < len(octets):
            (length,) = struct.unpack_from(">I", octets, at)
            self.written.append(octets[at : at + length])
            at += length
        assert at == len(octets)

    def _finish(self) -> None:
        self._unblock()
        self._answer(len(self.waiting))
        self._check()
        ended, asked = self._asked()
        answered = Counter(_HEADER.unpack_from(each)[1::2] for each in self.written if each[4] & 0x80)
        if ended:
            asked[CommandId.GENERIC_NACK, ended[0]] += 1
        for command, sequence in [key for key in asked if key[0] in _SINCE_5_0]:
            # To an older peer, these are unknown.
            nacks = answered[CommandId.GENERIC_NACK, sequence] - asked[CommandId.GENERIC_NACK, sequence]
            nacks = max(0, min(nacks, asked[command, sequence] - answered[command, sequence]))
            asked[command, sequence] -= nacks
            asked[CommandId.GENERIC_NACK, sequence] += nacks
        assert answered <= asked, answered - asked
        if not self.closed:
            assert answered == asked, asked - answered
        for octets in self.written:
            is_read_by_others(octets)
        self._take(self.session.eof(self.now))
        assert self.closed
        assert sorted(self.settled) == list(range(self.handed))

    def _asked(self) -> tuple[list[int], Counter[tuple[int, int]]]:
        """Who may have been answered, as a framing of our own sees it, and where the framing was lost."""
        asked: Counter[tuple[int, int]] = Counter()
        at, fed = 0, bytes(self.fed)
        while len(fed) - at >= 4:
            (length,) = struct.unpack_from(">I", fed, at)
            if not 16 <= length <= self.max_pdu:
                # Judged by four octets, or by more if they were there: then the sequence number is known.
                nacks = [each for each in self.written if each[4:12] == b"\x80\0\0\0\0\0\0\x02"]
                return [_HEADER.unpack(nacks[-1])[3]] if nacks else [], asked
            if len(fed) - at < length:
                break
            _, command, _, sequence = _HEADER.unpack_from(fed, at)
            at += length
            if not command & _RESPONSE:
                asked[command | _RESPONSE if command in _ANSWERED else CommandId.GENERIC_NACK, sequence] += 1
        return [], asked


def is_read_by_others(octets: bytes) -> None:
    """What the session wrote is what two other decoders and ours read alike."""
    length, command, status, sequence = _HEADER.unpack_from(octets)
    pdu = decode(octets)
    assert (len(octets), int(pdu.command), pdu.status, pdu.sequence) == (length, command, status, sequence)
    other = smpp34.decode(octets)
    assert other.sequence_number == sequence
    if isinstance(pdu, DeliverSm):
        assert (other.source_addr, other.short_message) == (pdu.source_addr, pdu.short_message)
        return
    assert (other.command_id, other.command_status) == (command, status)
    if command not in _READ_BY_SMPPLIB:
        return
    third = smpplib.smpp.parse_pdu(octets, client=_SMPPLIB, allow_unknown_opt_params=True)
    assert (third.sequence, third.status) == (sequence, status)
    for name in ("system_id", "message_id"):
        if getattr(pdu, name, ""):
            assert getattr(third, name).decode("latin-1") == getattr(pdu, name)


# It has no words for the others.
_READ_BY_SMPPLIB = frozenset(
    {
        CommandId.BIND_RECEIVER_RESP,
        CommandId.BIND_TRANSMITTER_RESP,
        CommandId.BIND_TRANSCEIVER_RESP,
        CommandId.SUBMIT_SM_RESP,
        CommandId.QUERY_SM_RESP,
        CommandId.DATA_SM_RESP,
        CommandId.UNBIND,
        CommandId.UNBIND_RESP,
        CommandId.ENQUIRE_LINK,
        CommandId.ENQUIRE_LINK_RESP,
        CommandId.GENERIC_NACK,
    }
)
_SMPPLIB = smpplib.client.Client("localhost", 0)
