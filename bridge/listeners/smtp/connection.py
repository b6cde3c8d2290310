"""One connection of a mail client, on the library's line reader: who may come, timers, errors, the goodbye.

What the library leaves open and is closed here: timers that say 421; commands that go on after a goodbye, or end in a
bare line feed; errors without end; internal errors shown to the client.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import NoReturn, cast

import msgspec
import structlog
from aiosmtpd.smtp import SMTP

from bridge.errors import StoreUnavailable
from bridge.listeners.addresses import Crowd, may_come, peer_of
from bridge.listeners.passwords import Passwords
from bridge.listeners.smtp.commands import Rejected
from bridge.listeners.smtp.limits import Limits
from bridge.listeners.smtp.origin import Origins
from bridge.listeners.smtp.ports import Account, Intake
from bridge.listeners.smtp.settings import SmtpListener
from bridge.listeners.smtp.translate import Submission

_log = structlog.get_logger("bridge.listeners.smtp")

_LINE_MAX = 16 * 1024  # octets of one line that are held at once; AUTH takes the longest (RFC 4954 §4: 12288)
_COMMAND_MAX = 512  # RFC 5321 §4.5.3.1.4
_COMMANDS_MAX = {"MAIL": 512 + 26 + 10 + 500, "RCPT": 512 + 500, "AUTH": 12288}  # RFC 1870, 6531, 3461, 4954
_MISTAKEN = frozenset({"GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT"})  # HTTP; a browser was led here
_FLUSH_S = 5.0  # that a last reply has to leave before the connection is cut

_IDLE = 100  # commands between two mails, beside those that name recipients

# What the library answers by itself has no enhanced status (RFC 2034 §3: all but greeting, HELO and EHLO have).
_ENHANCED = {"221": "2.0.0", "250": "2.0.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1"}


class Context(msgspec.Struct, kw_only=True):
    """What all sessions of one listener share."""

    settings: SmtpListener
    intake: Intake
    passwords: Passwords
    now: Callable[[], float]
    tls: ssl.SSLContext | None
    accounts: dict[str, Account] = {}  # by login
    unannounced: tuple[Account, ...] = ()  # those that need no AUTH, or not always
    origins: Origins | None = None  # set when any of them wants its senders verified
    of_sender: Limits
    of_network: Limits
    sessions: set[Connection] = set()
    empty: asyncio.Event  # set while there is no session
    crowd: Crowd
    stopping: bool = False


class Connection(SMTP):
    """A client from its connection to its goodbye; which commands it has, its heir says."""

    line_length_limit = _LINE_MAX

    def __init__(self, context: Context, peer: str | None = None) -> None:
        """`peer`: the client's address where a proxy told it, `""` when that did not know; None: ask the socket."""
        # The library keeps these on its class, for all servers of a process, and clears them for each connection.
        self.command_size_limits = defaultdict(lambda: _COMMAND_MAX)
        self._context = context
        self._peer = peer
        self._login: str | None = None
        self._auth_failures = 0
        self._errors = 0
        self._commands = 0  # since the last mail
        self._mail: Submission | None = None
        self._turned_away = False
        self._storing = False  # an answer is under way that must not be cut off
        self._leaving: str | None = None  # the goodbye that waits for that answer
        self._cut: asyncio.TimerHandle | None = None
        super().__init__(
            None,
            data_size_limit=context.settings.max_size,
            enable_SMTPUTF8=True,
            hostname=context.settings.domain,
            ident="ESMTP smsbridge",
            tls_context=context.tls if context.settings.mode == "starttls" else None,
            timeout=context.settings.command_timeout,
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits.update(_COMMANDS_MAX)

    # --- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets, or turns away when the listener is full; comes a second time when STARTTLS is done."""
        context, sessions = self._context, self._context.sessions
        if self in sessions:
            self._login = None  # nothing said before TLS counts: RFC 3207 §4.2
            super().connection_made(transport)
            return
        if self._peer is None:
            self._peer = peer_of(transport)
        if not may_come(self._peer, context.settings.networks):
            _log.warning("smtp_connection_refused", peer=self._peer)
            self._turn_away(transport, "554 5.7.1 You may not connect from there")
        elif not context.stopping and context.crowd.join(self._peer):
            sessions.add(self)
            self._context.empty.clear()
            super().connection_made(transport)
            assert self._handler_coroutine is not None
            self._handler_coroutine.add_done_callback(_note_lost)
        else:
            _log.warning("smtp_connections_full", peer=self._peer)
            self._turn_away(transport, "421 4.3.2 Too many connections; try again later")

    def _turn_away(self, transport: asyncio.BaseTransport, reply: str) -> None:
        self._turned_away = True
        cast("asyncio.WriteTransport", transport).write(reply.encode("ascii") + b"\r\n")
        transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends what the session was doing; what waits for the disk is finished by the store."""
        if self in self._context.sessions:
            self._context.sessions.remove(self)
            self._context.crowd.leave(self._peer)
        if not self._context.sessions:
            self._context.empty.set()
        if self._cut is not None:
            self._cut.cancel()
        if not self._turned_away:
            super().connection_lost(error)

    def eof_received(self) -> bool:
        """What the client sent before it closed its side is still answered, but TLS cannot stay half open."""
        if self._turned_away or self._secure:
            return False
        self._reader.feed_eof()
        return True

    def hang_up(self, reply: str) -> None:
        """Says goodbye and closes, at once or as soon as the answer under way has left."""
        transport = cast("asyncio.WriteTransport | None", self.transport)
        if self._storing:
            self._leaving = reply
        elif transport is not None and not transport.is_closing():
            transport.write(reply.encode("ascii") + b"\r\n")
            transport.close()
            # A client that reads nothing would keep the reply, and so the connection, for ever.
            self._cut = self.loop.call_later(_FLUSH_S, transport.abort)
            if self._handler_coroutine is not None:
                self._handler_coroutine.cancel()

    def abort(self) -> None:
        """Cuts the connection, whatever is under way."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()

    def _timeout_cb(self) -> None:
        self.hang_up(f"421 4.4.2 {self.hostname} waited too long")

    async def push(self, status: str | bytes) -> None:
        """Sends a reply. Raises CancelledError after a goodbye: commands that came along with it are not followed."""
        if self.transport is None or self.transport.is_closing():
            raise asyncio.CancelledError
        reply = status.decode("utf-8") if isinstance(status, bytes) else status
        code, _, text = reply.partition(" ")
        if code in _ENHANCED and not text.startswith(f"{code[0]}."):
            reply = f"{code} {_ENHANCED[code]} {text}"
        await super().push(reply)
        if code.startswith("5"):
            self._errors += 1
            if self._errors > self._context.settings.max_errors:
                await self._part("421 4.7.0 Too many errors")

    async def _handle_client(self) -> None:
        """Follows commands to the end; the library's own loop takes lines that end in a bare LF."""
        try:
            await self.push(f"220 {self.hostname} {self.__ident__}")
            while self.transport is not None:
                try:
                    await self._follow(await self._line())
                except ConnectionError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it was, the session goes on
                    await self.push(await self.handle_exception(error))
        finally:
            self._writer.close()

    async def _line(self) -> str:
        """The next command, without its CRLF. Raises Rejected."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as overrun:
            await self._skip(overrun.consumed)
            raise Rejected("500 5.5.2 The line is too long") from None
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            # Two servers that disagree on where a line ends let one mail pass for two.
            await self._part("521 5.5.2 A line ends in CRLF, and holds no other CR or LF (RFC 5321)")
        return line[:-2].decode("utf-8", "surrogateescape")

    async def _skip(self, consumed: int) -> None:
        while True:
            await self._reader.readexactly(consumed)
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as overrun:
                consumed = overrun.consumed
            else:
                return

    async def _follow(self, line: str) -> None:
        word, _, argument = line.partition(" ")
        command, argument = word.upper(), argument.strip()
        if command in _MISTAKEN:
            await self._part("421 4.7.0 This is no HTTP server")
        self._commands += 1
        if self._commands > _IDLE + 2 * self._context.settings.max_recipients:
            await self._part("421 4.7.0 Too many commands without a mail")
        if len(line.encode("utf-8", "surrogateescape")) > self.command_size_limits[command]:
            raise Rejected("500 5.5.2 The line is too long")
        method = self._smtp_methods.get(command)
        if method is None:
            raise Rejected("500 5.5.2 That is no command that is known here")
        self._reset_timeout()
        await method(argument or None)

    async def handle_exception(self, error: Exception) -> str:
        """The reply to an error: the client's own, or an incident number for ours."""
        if isinstance(error, Rejected):
            return error.reply
        if isinstance(error, StoreUnavailable):
            return "451 4.3.0 The message cannot be stored now; try again later"
        if isinstance(error, asyncio.IncompleteReadError):
            assert self.transport is not None
            self.transport.close()
            return ""  # nobody hears it
        incident = secrets.token_hex(4)
        # Not the error's own text: it may hold what the client sent.
        frames = "".join(traceback.format_tb(error.__traceback__))
        _log.error("smtp_incident", incident=incident, error=type(error).__name__, traceback=frames)
        return f"451 4.3.0 Internal error, incident {incident}"

    async def _part(self, reply: str) -> NoReturn:
        self.hang_up(reply)
        raise asyncio.CancelledError

    @property
    def _secure(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is not None

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()  # type: ignore[no-untyped-call]
        self._mail = None


def _note_lost(task: asyncio.Task[None]) -> None:
    # The library lets the loss of a connection escape from its task; it is no news.
    if not task.cancelled():
        task.exception()
