"""Submissions that were seen before: a client that lost the response sends the same PDU again, and gets the first id.

SMPP has no word for that. It is the same submission when the account, the sequence number and every octet are the same
within a time that the account chooses, over whichever connection. Kept in memory only: a restart forgets.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import blake2b

import msgspec

from bridge.smpp.codec import encode
from bridge.smpp.pdus import Pdu

_MOST = 50_000  # submissions remembered, of all accounts; more, and the oldest are forgotten early


class Repeat(msgspec.Struct, frozen=True):
    """What was answered, or will be once `stored` is done."""

    message_id: int
    stored: asyncio.Future[None]
    until: float  # by the listener's monotonic clock
    response: Pdu | None = None  # of what is no submit_sm, whose response is its id


class Repeats:
    """The submissions of the last while; one for all listeners."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._seen: OrderedDict[bytes, Repeat] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def find(self, account: str, pdu: Pdu, now: float) -> Repeat | None:
        """What the same submission was answered, if it still counts."""
        while self._seen and next(iter(self._seen.values())).until <= now:
            self._seen.popitem(last=False)
        repeat = self._seen.get(_key(account, pdu))
        return repeat if repeat is not None and now < repeat.until else None

    def note(self, account: str, pdu: Pdu, repeat: Repeat) -> None:
        """Remembers a submission that was taken, unless it cannot be stored."""
        key = _key(account, pdu)
        self._seen[key] = repeat
        self._seen.move_to_end(key)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)

        def forget(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._seen.pop(key, None)

        repeat.stored.add_done_callback(forget)


def _key(account: str, pdu: Pdu) -> bytes:
    return blake2b(b"\0".join((account.encode(), encode(pdu))), digest_size=16).digest()
