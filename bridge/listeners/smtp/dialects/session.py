"""The session of a listener that reads somebody else's mails: who sends stands in the mail, not in the envelope."""

from __future__ import annotations

import structlog

from bridge.errors import Refusal
from bridge.listeners.passwords import Login
from bridge.listeners.smtp.commands import Rejected, mail_command, rcpt_command, split_address
from bridge.listeners.smtp.data import Endless, read_data
from bridge.listeners.smtp.dialects.smscentre import CHARSET, messages_of_order, order_from_text
from bridge.listeners.smtp.session import Session
from bridge.listeners.smtp.submission import take
from bridge.listeners.smtp.text import read_mail
from bridge.listeners.smtp.translate import reply_of, reply_of_taken

_log = structlog.get_logger("bridge.listeners.smtp")


class DialectSession(Session):
    """Takes any sender; the mail's first fields must be an account's login and password."""

    _mail_from: str | None = None
    _addressed = False

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()
        self._mail_from, self._addressed = None, False

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.2."""
        assert self.session is not None
        if not self.session.host_name:
            raise Rejected("503 5.5.1 Send EHLO first")
        if self._mail_from is not None:
            raise Rejected("503 5.5.1 A mail is under way; RSET ends it")
        command = mail_command(arg or "")
        if command.size > self._context.settings.max_size:
            raise Rejected(f"552 5.3.4 A mail has at most {self._context.settings.max_size} octets")
        if not command.address:
            raise Rejected("550 5.7.1 The null sender submits nothing here")
        self._check_limits(command.address)
        self._mail_from = command.address
        await self.push("250 2.1.0 Sender ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.3: any name at our domain, send@ by custom."""
        if self._mail_from is None:
            raise Rejected("503 5.5.1 Send MAIL first")
        domain = split_address(rcpt_command(arg or "").address)[1]
        if domain not in (self._context.settings.domain.lower(), *(self._context.settings.domains or ())):
            raise Rejected("550 5.7.1 Relaying denied")
        self._addressed = True
        await self.push("250 2.1.5 Recipient ok")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 §4.1.1.4; `250` when the messages are on disk, not before."""
        if self._mail_from is None or not self._addressed:
            raise Rejected("503 5.5.1 Send MAIL and RCPT first")
        if arg:
            raise Rejected("501 5.5.4 DATA takes no parameters")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            octets = await read_data(self._reader, self._context.settings.max_size, self._progress)
            assert self._timeout_handle is not None
            self._timeout_handle.cancel()
            self._storing = True
            reply = await self._ordered(bytes(octets), self._mail_from)
        except Refusal as refusal:
            reply = reply_of(refusal)
        except Endless as error:
            await self._part(error.reply)
        except Exception as error:  # noqa: BLE001 - whatever it was, the session goes on
            reply = await self.handle_exception(error)
        finally:
            self._storing = False
        self._set_post_data_state()
        self._reset_timeout()
        await self.push(reply)
        if self._leaving is not None:
            await self._part(self._leaving)

    async def _ordered(self, octets: bytes, mail_from: str) -> str:
        context, now = self._context, self._context.now()
        order = order_from_text(read_mail(octets, CHARSET).body, now)
        account = context.accounts.get(order.login)
        outcome = await self._outcome(order.login, order.password, account)
        if outcome is not Login.RIGHT or account is None:
            self._auth_failures += 1
            _log.warning("smtp_auth_failed", peer=self._peer, failures=self._auth_failures, why=outcome.name.lower())
            if self._auth_failures >= context.settings.max_auth_failures:
                self._leaving = "421 4.7.0 Too many failed authentications"
            wrong = outcome is Login.WRONG
            return "535 5.7.8 Wrong login or password" if wrong else "454 4.7.0 This cannot be checked now"
        messages = messages_of_order(order, account, mail_from, now, context.intake.next_id)
        if order.test:
            return f"250 2.0.0 Ok: {len(messages)} messages, and none is sent (test)"
        ids = await take(messages, context.intake)
        self._errors = self._commands = 0
        _log.info("smtp_mail_taken", account=account.name, messages=len(ids), first_id=ids[0])
        return reply_of_taken(ids)
