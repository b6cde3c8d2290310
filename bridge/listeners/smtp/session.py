"""One SMTP connection (RFC 5321), on the library's line reader and its STARTTLS; every command that counts is ours.

What the library leaves open and is closed here: AUTH behind implicit TLS and by lower-case names, passwords checked
off the event loop, counted failures; memory of DATA without line ends, bare CR and LF; timers that say 421; commands
that go on after a goodbye; internal errors shown to the client.
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
from aiosmtpd.smtp import SMTP, TLSSetupException

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.addresses import Crowd, may_come, peer_of
from bridge.listeners.passwords import Login, Passwords, stand_in
from bridge.listeners.smtp.auth import credentials
from bridge.listeners.smtp.commands import Rejected, mail_command, rcpt_command, split_address
from bridge.listeners.smtp.data import Endless, read_data
from bridge.listeners.smtp.ports import Account, Intake
from bridge.listeners.smtp.settings import SmtpListener
from bridge.listeners.smtp.submission import submit
from bridge.listeners.smtp.translate import Recipient, Submission, may_send, reply_of, reply_of_taken
from bridge.routing.numbers import NumberError, normalise

_log = structlog.get_logger("bridge.listeners.smtp")

_NO_LOGIN = "This listener offers neither TLS nor AUTH without it: its configuration is at fault"
_LINE_MAX = 16 * 1024  # octets of one line that are held at once; AUTH takes the longest (RFC 4954 §4: 12288)
_COMMAND_MAX = 512  # RFC 5321 §4.5.3.1.4
_COMMANDS_MAX = {"MAIL": 512 + 26 + 10 + 500, "RCPT": 512 + 500, "AUTH": 12288}  # RFC 1870, 6531, 3461, 4954
_FLUSH_S = 5.0  # that a last reply has to leave before the connection is cut

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
    sessions: set[Session] = set()
    empty: asyncio.Event  # set while there is no session
    crowd: Crowd
    stopping: bool = False


class Session(SMTP):
    """A client from its connection to its goodbye."""

    line_length_limit = _LINE_MAX

    def __init__(self, context: Context, peer: str | None = None) -> None:
        """`peer`: the client's address where a proxy told it, `""` when that did not know; None: ask the socket."""
        # The library keeps these on its class, for all servers of a process, and clears them for each connection.
        self.command_size_limits = defaultdict(lambda: _COMMAND_MAX)
        self._context = context
        self._peer = peer
        self._login: str | None = None
        self._auth_failures = 0
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

    # --- greeting, TLS --------------------------------------------------------------------------------------------

    @property
    def _secure(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is not None

    @property
    def _auth_offered(self) -> bool:
        return self._secure or self._context.settings.auth_without_tls

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802 - the library finds commands by these names
        """RFC 5321 §4.1.1.1."""
        self._greet(hostname, extended=False)
        self._writer.write(f"250 {self.hostname}\r\n".encode("ascii"))

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.1, with every extension that is served."""
        self._greet(hostname, extended=True)
        size = f"SIZE {self._context.settings.max_size}"
        lines = [self.hostname, "PIPELINING", size, "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]
        if self.tls_context is not None and not self._secure:
            lines.append("STARTTLS")
        if self._auth_offered:
            lines.append("AUTH PLAIN LOGIN")
        reply = [f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        self._writer.write("".join(reply).encode("ascii"))

    def _greet(self, hostname: str | None, *, extended: bool) -> None:
        if not hostname:
            raise Rejected("501 5.5.4 Say who you are: EHLO hostname")
        assert self.session is not None
        self._set_post_data_state()
        self.session.extended_smtp = extended
        self.session.host_name = hostname

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()  # type: ignore[no-untyped-call]
        self._mail = None

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """RFC 3207; what was sent in clear ahead of the handshake is thrown away by the library."""
        if self._secure or self.tls_context is None:
            raise Rejected(f"503 5.5.1 TLS is {'active' if self._secure else 'not offered'}")
        if arg:
            raise Rejected("501 5.5.4 STARTTLS takes no parameters")
        try:
            await super().smtp_STARTTLS(arg)
        except TLSSetupException as error:
            _log.info("smtp_handshake_failed", error=type(error.__cause__).__name__)
        finally:
            if not self._secure and self._original_transport is not None:
                # Before its handshake is done, the TLS layer tells nobody that the connection is lost.
                self._original_transport.close()
                self.connection_lost(None)
        if self.transport is None:
            raise asyncio.CancelledError

    async def smtp_HELP(self, arg: str) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.8."""
        await self.push("214 2.0.0 Mail to number@domain becomes a message; EHLO lists the extensions (RFC 5321)")

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        """Tells nobody which numbers have a route (RFC 5321 §7.3)."""
        raise Rejected("502 5.5.1 VRFY is disabled")

    # --- AUTH -----------------------------------------------------------------------------------------------------

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """RFC 4954, once and before a mail."""
        assert self.session is not None
        if not self.session.extended_smtp:
            raise Rejected("503 5.5.1 Send EHLO first")
        if not self._auth_offered:
            raise Rejected("538 5.7.11 Encryption is required before AUTH")
        if self._login is not None or self._mail is not None:
            raise Rejected("503 5.5.1 AUTH comes once, and before MAIL")
        login, password = await credentials(arg or "", self._ask)
        account = self._context.accounts.get(login)
        outcome = await self._outcome(login, password, account)
        if outcome is Login.RIGHT and account is not None:
            self._login = login
            _log.info("smtp_authenticated", account=account.name)
            await self.push("235 2.7.0 Authentication successful")
        else:
            await self._failed(outcome)

    async def _ask(self, prompt: str) -> bytes:
        await self.push("334 " + prompt)
        try:
            return (await self._reader.readuntil(b"\n")).strip()
        except asyncio.LimitOverrunError:
            await self._part("500 5.5.6 The line is too long")

    async def _outcome(self, login: str, password: str, account: Account | None) -> Login:
        if account is not None and not may_come(self._peer, account.networks):
            return Login.WRONG  # and its password is not even looked at
        return await self._context.passwords.login(
            login,
            password,
            None if account is None else account.settings.password,
            address=self._peer,
            stand_in=stand_in(each.settings.password for each in self._context.accounts.values()),
        )

    async def _failed(self, outcome: Login) -> None:
        self._auth_failures += 1
        _log.warning("smtp_auth_failed", peer=self._peer, failures=self._auth_failures, why=outcome.name.lower())
        if self._auth_failures >= self._context.settings.max_auth_failures:
            await self._part("421 4.7.0 Too many failed authentications")
        if outcome is Login.WRONG:
            await self.push("535 5.7.8 Wrong login or password")
        else:
            await self.push("454 4.7.0 This cannot be checked now; try again later")  # RFC 4954 §6

    async def smtp_PROXY(self, arg: str | None) -> None:  # noqa: N802
        """A header of the PROXY protocol from somebody who is no proxy of ours: what follows is not his own."""
        await self._part("421 4.7.0 No PROXY header is taken from there")

    # --- a mail ---------------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.2: from an account, in a name that it may use."""
        assert self.session is not None
        if not self.session.host_name:
            raise Rejected("503 5.5.1 Send EHLO first")
        account = None if self._login is None else self._context.accounts.get(self._login)
        if account is None:
            why = "Issue STARTTLS, then AUTH, first" if self._context.tls else _NO_LOGIN
            raise Rejected(f"530 5.7.0 {'Authenticate first' if self._auth_offered else why}")
        if self._mail is not None:
            raise Rejected("503 5.5.1 A mail is under way; RSET ends it")
        command = mail_command(arg or "")
        if command.size > self._context.settings.max_size:
            raise Rejected(f"552 5.3.4 A mail has at most {self._context.settings.max_size} octets")
        if not command.address:
            raise Rejected("550 5.7.1 The null sender submits nothing here")
        if not may_send(account.settings, command.address):
            raise Rejected("550 5.7.1 This account may not send as that address")
        self._mail = Submission(account=account, mail_from=command.address, ret=command.ret, envid=command.envid)
        await self.push("250 2.1.0 Sender ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.3: a number with a route, at our domain."""
        mail = self._mail
        if mail is None:
            raise Rejected("503 5.5.1 Send MAIL first")
        command = rcpt_command(arg or "")
        local, domain = split_address(command.address)
        if domain != self._context.settings.domain.lower():
            raise Rejected("550 5.7.1 Relaying denied")
        try:
            number = normalise(local, mail.account.region)
        except NumberError as error:
            raise Rejected(f"550 5.1.3 Not a phone number: {error}") from None
        # One number gets one message, however often it is named.
        if all(recipient.number != number for recipient in mail.recipients):
            if len(mail.recipients) >= self._context.settings.max_recipients:
                raise Rejected("452 4.5.3 Too many recipients; send the rest in another mail")
            source = mail.account.settings.source
            refusal = self._context.intake.route_of(mail.account.name, "smtp", number, source)
            if refusal is not None:
                raise Rejected(reply_of(refusal))
            mail.recipients.append(
                Recipient(number=number, address=command.address, notify=command.notify, orcpt=command.orcpt)
            )
        await self.push("250 2.1.5 Recipient ok")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.4; `250` when the messages are on disk, not before."""
        mail = self._mail
        if mail is None or not mail.recipients:
            raise Rejected("503 5.5.1 Send MAIL and RCPT first")
        if arg:
            raise Rejected("501 5.5.4 DATA takes no parameters")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        reply = await self._received(mail)
        self._set_post_data_state()
        self._reset_timeout()
        await self.push(reply)
        if self._leaving is not None:
            await self._part(self._leaving)

    async def _received(self, mail: Submission) -> str:
        name, context = mail.account.name, self._context
        try:
            octets = await read_data(self._reader, context.settings.max_size, self._progress)
            assert self._timeout_handle is not None
            self._timeout_handle.cancel()  # it is the client's clock; now the client waits for us
            self._storing = True
            ids = await submit(mail, bytes(octets), context.intake, context.now)
        except Refusal as refusal:
            _log.info("smtp_mail_refused", account=name, reason=refusal.reason)
            return reply_of(refusal)
        except Endless as error:
            await self._part(error.reply)
        except Exception as error:  # noqa: BLE001 - whatever it was, the session goes on
            return await self.handle_exception(error)
        finally:
            self._storing = False
        _log.info("smtp_mail_taken", account=name, messages=len(ids), first_id=ids[0])
        return reply_of_taken(ids)

    def _progress(self) -> None:
        self._reset_timeout(self._context.settings.data_timeout)


def _note_lost(task: asyncio.Task[None]) -> None:
    # The library lets the loss of a connection escape from its task; it is no news.
    if not task.cancelled():
        task.exception()
