"""What the SMPP listener asks of the rest of the program; `bridge.app` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bridge.errors import Refusal
from bridge.listeners.addresses import Networks
from bridge.listeners.smpp.settings import Outbind, SmppAccount
from bridge.message import Message
from bridge.store import Record, Wanted


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the listener must know of one account that has an SMPP side."""

    name: str
    settings: SmppAccount
    region: str | None = None  # ISO 3166-1 alpha-2: where its national numbers belong
    validity_s: float = 172_800.0  # of a message that states none
    networks: Networks | None = None  # where it may connect from; None: everywhere
    paced: bool = False  # over its rate, it is read no faster, instead of being refused


class Call(msgspec.Struct, frozen=True):
    """A connection that we made, to have somebody bind on it."""

    system_id: str  # who may bind
    outbind: Outbind
    bound: asyncio.Future[bool]  # to be done when that is decided

    def end(self, *, bound: bool) -> None:
        """Somebody has bound, or has not and the connection is gone; the first word counts."""
        if not self.bound.done():
            self.bound.set_result(bound)


class Intake(Protocol):
    """Takes messages in."""

    def next_id(self) -> int:
        """A new message id. Raises StoreUnavailable."""

    def accept(self, messages: Sequence[Message]) -> tuple[list[Refusal | None], asyncio.Future[None] | None]:
        """A verdict per message at once; the future is done when those taken are on disk, or StoreUnavailable."""

    def room(self, account: str) -> tuple[int, float]:
        """How many messages of a paced account to read now, and when there are none, for how long not to: seconds."""


class Changes(Protocol):
    """Finds, cancels and replaces messages of an account. All raise StoreUnavailable."""

    def turn(self, account: str) -> asyncio.Lock:
        """For those who submit only if there is nothing to replace: what one submits the next one sees."""

    async def known(self, account: str, known_id: int) -> list[Record]:
        """The messages that the account knows by an id."""

    async def cancel(self, account: str, known_id: int, wanted: Wanted) -> bool | None:
        """Whether any message with that id was cancelled; None: there is none that is wanted."""

    async def cancel_all(self, account: str, destination: str, before: int, wanted: Wanted) -> int:
        """How many messages to a number, with ids below `before`, were cancelled."""

    async def replace(self, account: str, known_id: int, wanted: Wanted, make: Callable[[Message], Message]) -> bool:
        """Whether messages with that id were replaced. Raises Refusal when what is made cannot be sent."""

    async def replace_latest(
        self, account: str, destination: str, before: int, wanted: Wanted, make: Callable[[Message], Message]
    ) -> Message | None:
        """What replaced the last message to a number, with an id below `before`, that waits. Raises Refusal."""
