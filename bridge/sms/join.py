"""Parts put together again. Pure; the waiting for parts is somebody else's.

Parts are joined as octets and decoded afterwards, because clients cut by octets: an escape pair, a surrogate pair or a
UTF-8 sequence cut in two is whole again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Protocol

from bridge.sms.encoding import BINARY, decode
from bridge.sms.gsm7 import TextError


class Portion(Protocol):
    """What `join` needs to know of a part."""

    @property
    def number(self) -> int:
        """1 for the first."""

    @property
    def octets(self) -> bytes:
        """User data without its header."""

    @property
    def alphabet(self) -> str:
        """A name that `encoding.decode` knows, or `binary`."""


def join(portions: Iterable[Portion]) -> str | bytes:
    """The text of all parts in the order of their numbers, or bytes when they are binary; of equal numbers the later.

    Each run of parts in one alphabet is decoded as a whole; what is cut off at the end of a run is replaced as
    `encoding.decode` says. Raises TextError when the octets are not text, or parts are text and others binary.
    """
    ordered = sorted({portion.number: portion for portion in portions}.values(), key=lambda portion: portion.number)
    runs = [
        (alphabet, b"".join(portion.octets for portion in run))
        for alphabet, run in groupby(ordered, key=lambda portion: portion.alphabet)
    ]
    if [alphabet for alphabet, _ in runs] == [BINARY]:
        return runs[0][1]
    if any(alphabet == BINARY for alphabet, _ in runs):
        raise TextError("some parts are text and others binary")
    return "".join(decode(octets, alphabet) for alphabet, octets in runs)


def missing(numbers: Collection[int], total: int) -> tuple[int, ...]:
    """The numbers of 1..`total` that are not among `numbers`, in order."""
    return tuple(number for number in range(1, total + 1) if number not in numbers)
