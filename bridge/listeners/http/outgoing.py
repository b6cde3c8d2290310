"""Callbacks to an account: one signed POST, taken when it is answered 2xx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from bridge.errors import TransportError
from bridge.listeners.http.settings import HttpAccount
from bridge.listeners.http.translate import callback_from_owed
from bridge.message import Owed
from bridge.reports.sender import NotTaken
from bridge.store import Event
from bridge.transport import Transport

_TIMEOUT_S = 15.0


class CallbackSender:
    """Hands what is owed to the account's callback URL."""

    def __init__(self, settings: HttpAccount, transport: Transport, clock: Callable[[], float]) -> None:
        """`settings` has a callback and its secret."""
        self._settings = settings
        self._transport = transport
        self._clock = clock

    async def __call__(self, owed: Owed) -> Event:
        """The event of a callback that was taken. Raises NotTaken."""
        request = callback_from_owed(owed, self._settings, self._clock())
        addresses: Literal["any", "public"] = "any" if self._settings.callback_private else "public"
        try:
            response = await self._transport.send(request, timeout_s=_TIMEOUT_S, addresses=addresses)
        except TransportError as error:
            raise NotTaken(str(error)) from None
        if not 200 <= response.status < 300:
            raise NotTaken(f"HTTP {response.status}")
        return {"at": self._clock(), "event": "reported", "listener": "http", "status": response.status}
