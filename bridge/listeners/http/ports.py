"""What the HTTP listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from bridge.errors import Refusal
from bridge.listeners.addresses import Networks
from bridge.listeners.http.settings import HttpAccount
from bridge.message import Message
from bridge.providers._contract import Callback, Heard
from bridge.store import Record


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the listener must know of one account that has an HTTP side."""

    name: str
    settings: HttpAccount  # with a callback, its messages ask for a final report
    region: str | None = None  # ISO 3166-1 alpha-2: where its national numbers belong
    validity_s: float = 172_800.0  # of a message that states none
    max_parts: int = 10
    networks: Networks | None = None  # where it may call from; None: everywhere


class Intake(Protocol):
    """Takes messages in."""

    def next_id(self) -> int:
        """A new message id. Raises StoreUnavailable."""

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        """A verdict per message at once; the future is done when those taken are on disk, or StoreUnavailable."""


class Records(Protocol):
    """Finds messages; a `Store` is one."""

    def find(self, message_id: int) -> Awaitable[Record | None]:
        """A message by its id, whosever it is."""

    def find_ref(self, account: str, client_ref: str) -> Awaitable[Sequence[Record]]:
        """Messages of an account by its own reference, newest first."""


class Hear(Protocol):
    """Takes what a provider says to us; returns once it is on disk."""

    def __call__(self, provider: str, token: str | None, callback: Callback, /) -> Awaitable[Heard]:
        """Raises LookupError (no such provider), BadCallback, StoreUnavailable."""


Metrics = Callable[[], bytes]  # the Prometheus text format
Health = Callable[[], tuple[bool, Mapping[str, Any]]]  # ready, and why (not)
