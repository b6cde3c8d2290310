"""An SMPP client on a socket, written from the specification alone: it shares no code with what it talks to."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

GENERIC_NACK = 0x80000000
PASSWORD = "secret"
RX, TX, TRX = 0x01, 0x02, 0x09
SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK, DATA_SM = 0x04, 0x05, 0x06, 0x15, 0x103
RESPONSE = 0x80000000
MESSAGE_PAYLOAD = 0x0424

_RECEIPT = re.compile(
    r"id:(?P<id>\S+) sub:(?P<sub>\d{3}) dlvrd:(?P<dlvrd>\d{3}) submit date:(?P<submitted>\d{10}) "
    r"done date:(?P<done>\d{10}) stat:(?P<stat>[A-Z]{7}) err:(?P<err>\d{3}) text:(?P<text>.{0,20})"
)


@dataclass
class Answer:
    """A response, or whatever else came with its sequence number."""

    command: int
    status: int
    sequence: int
    body: bytes

    @property
    def message_id(self) -> str:
        """The C-octet string that the body begins with."""
        return self.body.partition(b"\0")[0].decode("latin-1")


@dataclass
class Deliver:
    """A deliver_sm or data_sm."""

    sequence: int
    source: tuple[int, int, str]
    destination: tuple[int, int, str]
    esm_class: int
    data_coding: int
    text: bytes
    tlvs: dict[int, bytes]
    command: int = DELIVER_SM

    @property
    def receipt(self) -> dict[str, str]:
        """The fields of a receipt's text, which must be in the one order that strict readers take."""
        found = _RECEIPT.fullmatch(self.text.decode("ascii"))
        assert found is not None, self.text
        return found.groupdict()


def c_octets(text: str) -> bytes:
    """A C-octet string."""
    return text.encode("latin-1") + b"\0"


def tlv(tag: int, value: bytes) -> bytes:
    """One TLV."""
    return struct.pack(">HH", tag, len(value)) + value


def pdu(command: int, body: bytes = b"", *, sequence: int = 1, status: int = 0) -> bytes:
    """A PDU."""
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def bind_body(system_id: str, password: str, version: int = 0x34) -> bytes:
    """The body of a bind."""
    return c_octets(system_id) + c_octets(password) + b"\0" + bytes((version, 0, 0)) + b"\0"


def submit_body(
    to: str,
    text: bytes = b"hello",
    *,
    to_ton: int = 1,
    source: tuple[int, int, str] = (5, 0, "ACME"),
    esm_class: int = 0,
    priority: int = 0,
    schedule: str = "",
    validity: str = "",
    registered: int = 1,
    data_coding: int = 0,
    tlvs: bytes = b"",
) -> bytes:
    """The body of a submit_sm."""
    return (
        b"\0"
        + bytes(source[:2])
        + c_octets(source[2])
        + bytes((to_ton, 1))
        + c_octets(to)
        + bytes((esm_class, 0, priority))
        + c_octets(schedule)
        + c_octets(validity)
        + bytes((registered, 0, data_coding, 0, len(text)))
        + text
        + tlvs
    )


def parse_deliver(sequence: int, body: bytes, command: int = DELIVER_SM) -> Deliver:
    """A deliver_sm or data_sm of its body; what 3.4 wants empty must be empty."""
    position = 0

    def text() -> str:
        nonlocal position
        end = body.index(b"\0", position)
        found = body[position:end].decode("latin-1")
        position = end + 1
        return found

    def octets(count: int) -> bytes:
        nonlocal position
        found = body[position : position + count]
        assert len(found) == count
        position += count
        return found

    assert len(text()) <= 5
    source = (*octets(2), text())
    destination = (*octets(2), text())
    assert max(len(source[2]), len(destination[2])) <= 20
    if command == DATA_SM:
        (esm_class, _, data_coding), short_message = octets(3), b""
    else:
        esm_class, _, _ = octets(3)
        assert (text(), text()) == ("", "")
        _, replace, data_coding, default_id, length = octets(5)
        assert (replace, default_id) == (0, 0)
        short_message = octets(length)
    tlvs: dict[int, bytes] = {}
    while position < len(body):
        tag, size = struct.unpack(">HH", octets(4))
        tlvs[tag] = octets(size)
    if command == DATA_SM:
        short_message = tlvs[MESSAGE_PAYLOAD]
    return Deliver(sequence, source, destination, esm_class, data_coding, short_message, tlvs, command)


@dataclass
class Esme:
    """A client with one connection. It answers enquire_link, unbind, and what is delivered as `answering` says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    delivered: list[Deliver] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)  # command and sequence of all that came, in order
    answering: Callable[[Deliver], int | None] = lambda deliver: 0  # the status; None: no answer
    alive: bool = True  # answers enquire_link
    polite: bool = True  # answers unbind
    answers: list[Answer] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _sequence: int = 0
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, port: int, *, tls: ssl.SSLContext | None = None, reads: bool = True) -> Esme:
        """A connection without a bind; one that does not read must be left with `abort`."""
        name = None if tls is None else "localhost"
        esme = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name))
        if reads:
            esme._reading = asyncio.create_task(esme._read())
        return esme

    @classmethod
    async def bound(
        cls, port: int, kind: int = TRX, *, system_id: str = "acme", password: str = PASSWORD, version: int = 0x34
    ) -> Esme:
        """A connection with a bind that was accepted."""
        esme = await cls.connect(port)
        answer = await esme.bind(kind, system_id=system_id, password=password, version=version)
        assert (answer.command, answer.status) == (kind | RESPONSE, 0)
        return esme

    async def bind(
        self, kind: int = TRX, *, system_id: str = "acme", password: str = PASSWORD, version: int = 0x34
    ) -> Answer:
        return await self.ask(kind, bind_body(system_id, password, version))

    def request(self, command: int, body: bytes = b"") -> asyncio.Future[Answer]:
        """Sends a request; the future is its response, and cancelled when the connection ends before."""
        self._sequence += 1
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[self._sequence] = answer
        self.writer.write(pdu(command, body, sequence=self._sequence))
        return answer

    async def ask(self, command: int, body: bytes = b"") -> Answer:
        async with asyncio.timeout(10):
            return await self.request(command, body)

    async def submit(self, to: str, text: bytes = b"hello", **fields: object) -> Answer:
        return await self.ask(SUBMIT_SM, submit_body(to, text, **fields))  # type: ignore[arg-type]

    def write(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def until(self, condition: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Waits for something that PDUs bring about."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def receipts(self, count: int, timeout_s: float = 10.0) -> list[Deliver]:
        """The first deliver_sm, once so many have come."""
        await self.until(lambda: len(self.delivered) >= count, timeout_s)
        return self.delivered[:count]

    async def end(self, timeout_s: float = 10.0) -> None:
        """Waits until the server closes the connection."""
        async with asyncio.timeout(timeout_s):
            await self.closed.wait()

    async def unbind(self) -> None:
        """Leaves in good order."""
        assert (await self.ask(UNBIND)).status == 0
        await self.close()

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()
        if self._reading is not None:
            await self._reading

    async def abort(self) -> None:
        """Ends the connection without a word."""
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        try:
            while True:
                length, command, status, sequence = struct.unpack(">IIII", await self.reader.readexactly(16))
                self._take(command, status, sequence, await self.reader.readexactly(length - 16))
                self._news.set()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.writer.close()
            self.closed.set()
            self._news.set()
            for answer in self._waiting.values():
                answer.cancel()

    def _take(self, command: int, status: int, sequence: int, body: bytes) -> None:
        self.seen.append((command, sequence))
        if command & RESPONSE:
            answer = Answer(command, status, sequence, body)
            self.answers.append(answer)
            waiting = self._waiting.pop(sequence, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        elif command == ENQUIRE_LINK and self.alive:
            self.writer.write(pdu(ENQUIRE_LINK | RESPONSE, sequence=sequence))
        elif command == UNBIND and self.polite:
            self.writer.write(pdu(UNBIND | RESPONSE, sequence=sequence))
        elif command in (DELIVER_SM, DATA_SM):
            deliver = parse_deliver(sequence, body, command)
            self.delivered.append(deliver)
            said = self.answering(deliver)
            if said is not None:
                self.writer.write(pdu(command | RESPONSE, b"\0" if not said else b"", status=said, sequence=sequence))


class Deaf:
    """A client that writes and never reads; a plain socket, because streams read by themselves."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)

    async def write(self, octets: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, octets)

    async def flood(self, octets: bytes) -> None:
        """Writes `octets` again and again until nobody has read for a second."""
        async with asyncio.timeout(20):
            while True:
                try:
                    async with asyncio.timeout(1.0):
                        await self.write(octets)
                except TimeoutError:
                    return

    async def cut_off(self) -> None:
        """Waits until the server has ended the connection, without reading."""
        async with asyncio.timeout(10):
            with suppress(OSError):
                while True:
                    await self.write(pdu(ENQUIRE_LINK))
                    await asyncio.sleep(0.02)

    def close(self) -> None:
        self._socket.close()
