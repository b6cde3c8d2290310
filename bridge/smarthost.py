"""The way out for mail: one SMTP connection to the smarthost, kept for the next mail for a little while."""

from __future__ import annotations

import asyncio
from email.utils import parseaddr
from typing import Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib

from bridge.errors import BridgeError, TransportError

_IDLE_S = 10.0  # that a connection is kept; smarthosts end idle ones after a minute or more
_MAILS_MAX = 100  # of one connection; many smarthosts set a limit here


class MailRefused(BridgeError):
    """The smarthost will never take this mail (a reply 5xx); repeating it is useless."""


class Smarthost:
    """Hands mails to one smarthost, one after the other.

    The certificate is verified, but for `when_offered` without a login: whoever could forge it there could as well
    remove the offer (RFC 7435), and encryption is still better than none. With a login, `when_offered` is `always`:
    a password is not sent in clear unless `never` says so.
    """

    def __init__(
        self,
        url: str,
        *,
        starttls: Literal["always", "when_offered", "never"] = "when_offered",
        timeout_s: float = 60.0,
        hostname: str | None = None,
    ) -> None:
        """`url`: `smtp://[login:password@]host[:port]` or `smtps://…`; `hostname`: what EHLO says, None: our own."""
        parts = urlsplit(url)
        login = None if parts.username is None else unquote(parts.username)
        implicit = parts.scheme == "smtps"
        wanted = {"always": True, "when_offered": True if login else None, "never": False}[starttls]
        verified = implicit or wanted is True
        self._smtp = aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port or (465 if implicit else 25),
            use_tls=implicit,
            start_tls=False if implicit else wanted,
            validate_certs=verified,
            username=login,
            password=None if parts.password is None else unquote(parts.password),
            timeout=timeout_s,
            local_hostname=hostname,
        )
        self._turn = asyncio.Lock()
        self._mails = 0  # of this connection
        self._idle: asyncio.TimerHandle | None = None

    async def send(self, sender: str, recipient: str, mail: bytes) -> None:
        """Returns once the smarthost has the mail (250 after DATA); `sender` is `""` for the null sender.

        Raises MailRefused, or TransportError for what may pass: with `sent` when the mail may have arrived.
        """
        for address in filter(None, (sender, recipient)):
            # The library sends to what it can make of an address: `a` of `a,b@example.org`.
            if parseaddr(address)[1] != address or not address.isprintable():
                raise MailRefused("an address of the mail is malformed")
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                await self._connect()
                await self._envelope(sender, recipient, mail)
                await self._data(mail)
            except BaseException:
                self._smtp.close()  # nobody knows where the dialogue stands
                raise
            self._mails += 1
            if self._mails >= _MAILS_MAX:
                self._smtp.close()
            else:
                self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._smtp.close)

    async def close(self) -> None:
        """Takes leave of the smarthost, after the mail that is under way."""
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            if self._smtp.is_connected:
                try:
                    await self._smtp.quit()
                except (aiosmtplib.SMTPException, OSError):
                    self._smtp.close()

    async def _connect(self) -> None:
        if self._smtp.is_connected:
            return
        self._mails = 0
        try:
            await self._smtp.connect()
            if self._smtp.is_ehlo_or_helo_needed:
                await self._smtp.ehlo()
        except (aiosmtplib.SMTPException, OSError) as error:
            # A wrong login is no fault of the mail either: it waits until somebody has seen to it.
            raise TransportError(f"the smarthost cannot be used: {_words(error)}", sent=False) from None

    async def _envelope(self, sender: str, recipient: str, mail: bytes) -> None:
        smtp = self._smtp
        try:
            options = []
            if smtp.supports_extension("size"):
                options.append(f"SIZE={len(mail)}")
            if smtp.supports_extension("8bitmime") and not mail.isascii():
                options.append("BODY=8BITMIME")
            utf8 = not (sender + recipient).isascii()
            if utf8:
                if not smtp.supports_extension("smtputf8"):
                    raise MailRefused("the smarthost does not take addresses that are not ASCII (SMTPUTF8)")
                options.append("SMTPUTF8")
            encoding = "utf-8" if utf8 else "ascii"
            await smtp.mail(sender, options=options, encoding=encoding)
            await smtp.rcpt(recipient, encoding=encoding)
        except ValueError:  # of the library's own check
            raise MailRefused("an address of the mail is malformed") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error, sent=False) from None

    async def _data(self, mail: bytes) -> None:
        try:
            await self._smtp.data(mail)
        except (aiosmtplib.SMTPException, OSError) as error:
            # A reply says what became of it; without one it may have arrived.
            raise _failure(error, sent=not isinstance(error, aiosmtplib.SMTPResponseException)) from None


def _failure(error: Exception, *, sent: bool) -> BridgeError:
    if isinstance(error, aiosmtplib.SMTPResponseException) and 500 <= error.code < 600:
        return MailRefused(f"the smarthost refuses the mail: {_words(error)}")
    return TransportError(f"the smarthost did not take the mail: {_words(error)}", sent=sent)


def _words(error: Exception) -> str:
    """What the smarthost or the system said, on one line; never what we said, which may hold a password."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {' '.join(error.message.split())[:300]}"
    return " ".join(str(error).split())[:300] or type(error).__name__
