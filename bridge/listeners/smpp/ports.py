"""What the SMPP listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec
from pydantic import SecretStr

from bridge.errors import Refusal
from bridge.listeners.smpp.settings import SmppAccount
from bridge.message import Message


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the listener must know of one account that has an SMPP side."""

    name: str
    settings: SmppAccount
    region: str | None = None  # ISO 3166-1 alpha-2: where its national numbers belong
    validity_s: float = 172_800.0  # of a message that states none


class Intake(Protocol):
    """Takes messages in."""

    def next_id(self) -> int:
        """A new message id. Raises StoreUnavailable."""

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        """A verdict per message at once; the future is done when those taken are on disk, or StoreUnavailable."""


class Passwords(Protocol):
    """Verifies passwords."""

    async def verify(self, given: str, secret: SecretStr) -> bool:
        """True when `given` is the password that `secret` holds, plain or as a hash."""
