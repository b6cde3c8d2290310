"""What the SMPP listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bridge.errors import Refusal
from bridge.listeners.addresses import Networks
from bridge.listeners.smpp.settings import SmppAccount
from bridge.message import Message


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the listener must know of one account that has an SMPP side."""

    name: str
    settings: SmppAccount
    region: str | None = None  # ISO 3166-1 alpha-2: where its national numbers belong
    validity_s: float = 172_800.0  # of a message that states none
    networks: Networks | None = None  # where it may connect from; None: everywhere
    paced: bool = False  # over its rate, it is read no faster, instead of being refused


class Intake(Protocol):
    """Takes messages in."""

    def next_id(self) -> int:
        """A new message id. Raises StoreUnavailable."""

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        """A verdict per message at once; the future is done when those taken are on disk, or StoreUnavailable."""

    def room(self, account: str) -> tuple[int, float]:
        """How many messages of a paced account to read now, and when there are none, for how long not to: seconds."""
