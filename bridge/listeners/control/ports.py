"""What the control listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol


class Watch(Protocol):
    """Something that goes on, told as it happens."""

    def next(self) -> Awaitable[Sequence[object] | None]:
        """What has happened since the last time, once there is something; None when it is over."""

    def close(self) -> None:
        """Nobody watches any more."""


class Steering(Protocol):
    """Sees and steers the bridge. What is given is written as JSON."""

    def sessions(self) -> object:
        """Who is connected."""

    def capture(self, account: str, *, masked: bool) -> Watch:
        """The PDUs of an account's binds from now on. Raises LookupError when no account of that name binds."""

    def lanes(self) -> Awaitable[object]:
        """Every provider's lane. Raises StoreUnavailable."""

    def pause(self, provider: str) -> object:
        """Sends nothing more to a provider until `resume`; gives its lane. Raises LookupError."""

    def resume(self, provider: str) -> object:
        """Sends again, also to one that has refused our account with it; gives its lane. Raises LookupError."""
