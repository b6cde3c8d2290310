"""What the SMTP listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bridge.errors import Refusal
from bridge.listeners.addresses import Networks
from bridge.listeners.smtp.settings import SmtpAccount
from bridge.message import Message


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the listener must know of one account that has a mail side."""

    name: str
    settings: SmtpAccount
    region: str | None = None  # ISO 3166-1 alpha-2: where its national numbers belong
    validity_s: float = 172_800.0  # of its messages; mail cannot state another
    networks: Networks | None = None  # where it may log in from; None: everywhere


class Intake(Protocol):
    """Takes messages in."""

    def next_id(self) -> int:
        """A new message id. Raises StoreUnavailable."""

    def route_of(self, account: str, listener: str, destination: str, source: str | None) -> Refusal | None:
        """Why nothing could be sent to a number, before there is a text; None: a route exists."""

    def check(self, message: Message) -> Refusal | None:
        """Why the message cannot be taken whatever the load; None: it can."""

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        """A verdict per message at once; the future is done when those taken are on disk, or StoreUnavailable."""

    def accept_refused(self, message: Message, refusal: Refusal) -> asyncio.Future[None]:
        """Keeps a message that cannot be sent as rejected, so that its sender is told like of any other failure."""
