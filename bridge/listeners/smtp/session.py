"""The commands of one SMTP or LMTP session (RFC 5321, RFC 2033).

What the library leaves open and is closed here: AUTH behind implicit TLS and by lower-case names, passwords checked
off the event loop, counted failures; memory of DATA without line ends, bare CR and LF.
"""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import msgspec
import structlog
from aiosmtpd.smtp import TLSSetupException

from bridge.errors import Refusal
from bridge.listeners.addresses import household, may_come
from bridge.listeners.certificates import presents
from bridge.listeners.passwords import Login, stand_in
from bridge.listeners.smtp.auth import credentials
from bridge.listeners.smtp.commands import Rejected, mail_command, rcpt_command, split_address
from bridge.listeners.smtp.connection import Connection
from bridge.listeners.smtp.data import Endless, read_data
from bridge.listeners.smtp.envelope import recipients_of
from bridge.listeners.smtp.origin import Sent
from bridge.listeners.smtp.ports import Account
from bridge.listeners.smtp.submission import submit
from bridge.listeners.smtp.translate import Submission, may_send, reply_of, reply_of_taken

_log = structlog.get_logger("bridge.listeners.smtp")

_NO_LOGIN = "This listener offers neither TLS nor AUTH without it: its configuration is at fault"


class Session(Connection):
    """The commands of a client."""

    # --- greeting, TLS --------------------------------------------------------------------------------------------

    @property
    def _auth_offered(self) -> bool:
        return self._secure or self._context.settings.auth_without_tls

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802 - the library finds commands by these names
        """RFC 5321 §4.1.1.1."""
        self._check_protocol("smtp")
        self._greet(hostname, extended=False)
        self._writer.write(f"250 {self.hostname}\r\n".encode("ascii"))

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.1, with every extension that is served."""
        self._check_protocol("smtp")
        self._extend(hostname)

    async def smtp_LHLO(self, hostname: str) -> None:  # noqa: N802
        """RFC 2033 §4.1: EHLO of LMTP."""
        self._check_protocol("lmtp")
        self._extend(hostname)

    def _check_protocol(self, spoken: str) -> None:
        if self._context.settings.protocol != spoken:
            raise Rejected(f"500 5.5.1 This listener speaks {self._context.settings.protocol.upper()}")

    def _extend(self, hostname: str | None) -> None:
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
        outcome = await self._context.passwords.login(
            login,
            password,
            None if account is None else account.settings.password,
            address=self._peer,
            stand_in=stand_in(each.settings.password for each in self._context.accounts.values()),
        )
        if outcome is Login.RIGHT and account is not None and not self._presents(account):
            return Login.WRONG
        return outcome

    def _presents(self, account: Account) -> bool:
        wanted = account.settings.certificate
        tls = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        return wanted is None or presents(wanted, tls)

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
        if self._mail is not None:
            raise Rejected("503 5.5.1 A mail is under way; RSET ends it")
        logged_in = None if self._login is None else self._context.accounts.get(self._login)
        if logged_in is None and not self._context.unannounced:
            raise Rejected(self._who_are_you())
        command = mail_command(arg or "")
        if command.size > self._context.settings.max_size:
            raise Rejected(f"552 5.3.4 A mail has at most {self._context.settings.max_size} octets")
        if not command.address:
            raise Rejected("550 5.7.1 The null sender submits nothing here")
        account, verify = (logged_in, None) if logged_in is not None else self._unannounced(command.address)
        if not may_send(account.settings, command.address):
            raise Rejected("550 5.7.1 This account may not send as that address")
        self._check_limits(command.address)
        self._mail = Submission(
            account=account, mail_from=command.address, ret=command.ret, envid=command.envid, verify=verify
        )
        await self.push("250 2.1.0 Sender ok")

    def _who_are_you(self) -> str:
        why = "Issue STARTTLS, then AUTH, first" if self._context.tls else _NO_LOGIN
        return f"530 5.7.0 {'Authenticate first' if self._auth_offered else why}"

    def _unannounced(self, address: str) -> tuple[Account, Literal["either", "both"] | None]:
        """The account of a sender who has not logged in, and what must still be verified. Raises Rejected."""
        able = [
            account
            for account in self._context.unannounced
            if may_send(account.settings, address) and may_come(self._peer, account.networks)
        ]
        for account in able:
            settings = account.settings
            if settings.certificate is not None and settings.password is None and self._presents(account):
                return account, None
            allowed = settings.without_auth
            if allowed is not None and allowed.networks is not None and may_come(self._peer, allowed.networks):
                return account, None
        for account in able:
            allowed = account.settings.without_auth
            if allowed is not None and allowed.verified is not None:
                return account, allowed.verified
        raise Rejected(self._who_are_you())

    def _check_limits(self, address: str) -> None:
        now = time.monotonic()
        context = self._context
        if not (context.of_network.allow(household(self._peer), now) and context.of_sender.allow(address.lower(), now)):
            raise Rejected("450 4.7.1 Too many mails; try again later")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.3: a number with a route, or an alias of the account, at a domain of ours."""
        mail, settings = self._mail, self._context.settings
        if mail is None:
            raise Rejected("503 5.5.1 Send MAIL first")
        command = rcpt_command(arg or "")
        local, domain = split_address(command.address)
        account = mail.account
        if domain == settings.domain.lower():
            region = account.region
        elif settings.domains is not None and domain in settings.domains:
            region = settings.domains[domain] or account.region
        else:
            raise Rejected("550 5.7.1 Relaying denied")
        # One number gets one message, however often it is named.
        known = {recipient.number for recipient in mail.recipients}
        found = recipients_of(command, local, region, account.settings.aliases or {})
        new = [recipient for recipient in found if recipient.number not in known]
        if len(mail.recipients) + len(new) > settings.max_recipients:
            raise Rejected("452 4.5.3 Too many recipients; send the rest in another mail")
        refusals = [
            self._context.intake.route_of(account.name, "smtp", recipient.number, account.settings.source)
            for recipient in new
        ]
        if refusals and all(refusals) and refusals[0] is not None:
            raise Rejected(reply_of(refusals[0]))
        mail.recipients += new
        mail.commands.append(new)
        await self.push("250 2.1.5 Recipient ok")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.4; `250` when the messages are on disk, not before."""
        mail = self._mail
        if mail is None or not mail.recipients:
            raise Rejected("503 5.5.1 Send MAIL and RCPT first")
        if arg:
            raise Rejected("501 5.5.4 DATA takes no parameters")
        # Who is no mail server may be a script that says everything at once; a mail server waits (RFC 2920 §3.1).
        if self._login is None and self._reader._buffer:  # type: ignore[attr-defined]
            await self._part("503 5.5.0 The mail came ahead of the reply to DATA")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        replies = await self._received(mail)
        self._set_post_data_state()
        self._reset_timeout()
        for reply in replies:
            await self.push(reply)
        if replies[0].startswith("2"):
            self._errors = self._commands = 0
        if self._leaving is not None:
            await self._part(self._leaving)

    async def _received(self, mail: Submission) -> list[str]:
        each = self._context.settings.protocol == "lmtp"
        try:
            octets = bytes(await read_data(self._reader, self._context.settings.max_size, self._progress))
            assert self._timeout_handle is not None
            self._timeout_handle.cancel()  # it is the client's clock; now the client waits for us
            self._storing = True
            if mail.verify is not None:
                await self._verify(mail, octets)
            if each:
                parts = [msgspec.structs.replace(mail, recipients=part) for part in mail.commands]
                return await asyncio.gather(*(self._submitted(part, octets) for part in parts))
            return [await self._submitted(mail, octets)]
        except Endless as error:
            await self._part(error.reply)
        except Exception as error:  # noqa: BLE001 - whatever it was, the session goes on
            return [await self.handle_exception(error)] * (len(mail.commands) if each else 1)
        finally:
            self._storing = False

    async def _verify(self, mail: Submission, octets: bytes) -> None:
        assert self.session is not None
        assert mail.verify is not None
        if self._context.origins is None:
            raise Rejected(self._who_are_you())
        sent = Sent(octets=octets, peer=self._peer or "", helo=self.session.host_name or "", mail_from=mail.mail_from)
        try:
            await self._context.origins.check(sent, mail.account.settings.senders, mail.verify)
        except Rejected as error:
            _log.warning("smtp_origin_refused", account=mail.account.name, peer=self._peer, reply=error.reply)
            raise

    async def _submitted(self, mail: Submission, octets: bytes) -> str:
        """The reply to a mail for the recipients that it is left for."""
        if not mail.recipients:
            return "250 2.0.0 Ok: that number was named before"
        name = mail.account.name
        try:
            ids = await submit(mail, octets, self._context.intake, self._context.now)
        except Refusal as refusal:
            _log.info("smtp_mail_refused", account=name, reason=refusal.reason)
            return reply_of(refusal)
        except Exception as error:  # noqa: BLE001
            return await self.handle_exception(error)
        _log.info("smtp_mail_taken", account=name, messages=len(ids), first_id=ids[0])
        return reply_of_taken(ids)

    def _progress(self) -> None:
        self._reset_timeout(self._context.settings.data_timeout)
