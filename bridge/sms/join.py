"""Parts put together again. Pure; the waiting for parts is somebody else's.

Parts are joined as octets and decoded afterwards, because clients cut by octets: an escape pair, a surrogate pair or a
UTF-8 sequence cut in two is whole again.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from itertools import groupby
from typing import Final, Protocol

from bridge.sms.encoding import BINARY, decode
from bridge.sms.gsm7 import TextError
from bridge.sms.tables import ESCAPE

GAP: Final = "(...)"  # stands for parts that never came; of the GSM 7-bit alphabet, so that it makes no text longer


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
    runs = _runs(_ordered(portions))
    if [alphabet for alphabet, _ in runs] == [BINARY]:
        return runs[0][1]
    if any(alphabet == BINARY for alphabet, _ in runs):
        raise TextError("some parts are text and others binary")
    return "".join(decode(octets, alphabet) for alphabet, octets in runs)


def join_gapped(portions: Iterable[Portion], total: int, gap: str = GAP) -> str:
    """The text of those parts of `total` that there are, with `gap` for each run of those that are not.

    Half a character beside a gap is dropped. Raises TextError when the octets are not text; binary never is.
    """
    ordered = {portion.number: portion for portion in _ordered(portions)}
    texts = []
    for there, numbers in groupby(range(1, total + 1), key=lambda number: number in ordered):
        if not there:
            texts.append(gap)
            continue
        run = [ordered[number] for number in numbers]
        pieces = _runs(run)
        for at, (alphabet, octets) in enumerate(pieces):
            head, tail = at == 0 and run[0].number > 1, at == len(pieces) - 1 and run[-1].number < total
            texts.append(decode(_without_halves(octets, alphabet, head=head, tail=tail), alphabet))
    return "".join(texts)


def _ordered(portions: Iterable[Portion]) -> list[Portion]:
    return sorted({portion.number: portion for portion in portions}.values(), key=lambda portion: portion.number)


def _runs(ordered: Iterable[Portion]) -> list[tuple[str, bytes]]:
    return [
        (alphabet, b"".join(portion.octets for portion in run))
        for alphabet, run in groupby(ordered, key=lambda portion: portion.alphabet)
    ]


def _without_halves(octets: bytes, alphabet: str, *, head: bool, tail: bool) -> bytes:
    """`octets` without the half of a character where they were cut, at the `head`, at the `tail`, or at both."""
    if alphabet == "ucs2":
        if len(octets) % 2 and (head or tail):
            octets = octets[:-1] if tail else octets[1:]
        if head and octets and 0xDC <= octets[0] <= 0xDF:
            octets = octets[2:]
        if tail and len(octets) >= 2 and 0xD8 <= octets[-2] <= 0xDB:
            octets = octets[:-2]
    elif alphabet == "utf8":
        if head:
            octets = octets.lstrip(_CONTINUATIONS)
        if tail:
            _, consumed = codecs.utf_8_decode(octets, "replace", False)
            octets = octets[:consumed]
    elif alphabet.startswith("gsm7") and tail and (len(octets) - len(octets.rstrip(_ESCAPE))) % 2:
        octets = octets[:-1]
    return octets


_CONTINUATIONS = bytes(range(0x80, 0xC0))
_ESCAPE = bytes((ESCAPE,))
