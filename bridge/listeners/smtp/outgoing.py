"""Reports and inbound messages by mail: one mail through the smarthost, taken when the smarthost takes it."""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import TransportError
from bridge.listeners.smtp.settings import Mail
from bridge.listeners.smtp.translate import mail_from_owed
from bridge.message import Owed
from bridge.reports.sender import NotTaken
from bridge.smarthost import MailRefused, Smarthost
from bridge.store import Event


class MailSender:
    """Hands what is owed over by mail."""

    def __init__(
        self, settings: Mail, smarthost: Smarthost, domain: str, inbound_to: str | None, clock: Callable[[], float]
    ) -> None:
        """`domain`: ours, the one that reports come from; `inbound_to`: who gets the account's inbound messages."""
        self._settings = settings
        self._smarthost = smarthost
        self._domain = domain
        self._inbound_to = inbound_to
        self._clock = clock

    async def __call__(self, owed: Owed) -> Event:
        """The event of a mail that the smarthost took. Raises NotTaken."""
        now = self._clock()
        mail = mail_from_owed(owed, self._settings, self._domain, now, self._inbound_to)
        if mail is None:
            raise NotTaken("there is no address to write to", final=True)
        try:
            await self._smarthost.send(*mail)
        except MailRefused as error:
            raise NotTaken(str(error), final=True) from None
        except TransportError as error:
            raise NotTaken(str(error)) from None
        return {"at": self._clock(), "event": "reported", "listener": "smtp", "id": owed.known_id}
