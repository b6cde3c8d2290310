"""Long messages on the air: the user data header, and texts cut into segments that fit.

Pure. A short message carries 140 octets of user data, its header included. Source: 3GPP TS 23.040 §9.2.3.24.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bridge.sms import gsm7
from bridge.sms.encoding import BINARY, PACKED, best_alphabet, encode, national_alphabet
from bridge.sms.gsm7 import TextError
from bridge.sms.tables import ESCAPE, LOCKING, SINGLE

USER_DATA_OCTETS: Final = 140
MOST_SEGMENTS: Final = 255
CONCAT8_OCTETS: Final = 6  # a header that holds nothing but the 8-bit concatenation

CONCAT8: Final = 0x00
PORTS16: Final = 0x05
CONCAT16: Final = 0x08
SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25


class Element(NamedTuple):
    """One information element of a user data header."""

    identifier: int
    data: bytes


class UserDataHeader(NamedTuple):
    """The elements of a header, and its length in octets, the length octet included."""

    elements: tuple[Element, ...]
    length: int


class Concat(NamedTuple):
    """Which segment of which message it is. `scheme`: `udh8` or `udh16`; equal references of both are different."""

    reference: int
    total: int
    number: int
    scheme: str


class Cut(NamedTuple):
    """One segment of a text, without a header; `bridge.sms.join.join` makes the text of all of them again."""

    number: int
    total: int
    octets: bytes
    alphabet: str


def parse_udh(octets: bytes) -> UserDataHeader:
    """The header at the beginning of `octets`.

    An element that runs over the header's end ends it: what came before counts (23.040 §9.2.3.24). Raises TextError
    when the header is longer than the user data, for then nobody knows where the text begins.
    """
    length = 1 + octets[0] if octets else 1
    if length > len(octets):
        raise TextError(f"a user data header of {length} octets in {len(octets)} octets of user data")
    elements = []
    at = 1
    while at + 2 <= length:
        end = at + 2 + octets[at + 1]
        if end > length:
            break
        elements.append(Element(octets[at], bytes(octets[at + 2 : end])))
        at = end
    return UserDataHeader(tuple(elements), length)


def build_udh(elements: Iterable[Element]) -> bytes:
    """A header of `elements`, its length octet included. Raises TextError when it leaves no room in a message."""
    body = b"".join(bytes((identifier, len(data))) + data for identifier, data in elements)
    if len(body) >= USER_DATA_OCTETS:
        raise TextError(f"a user data header of {1 + len(body)} octets leaves no room for user data")
    return bytes((len(body),)) + body


def concat_of(elements: Sequence[Element]) -> Concat | None:
    """What the elements say about concatenation: the last valid one counts, an impossible one is ignored (§9.2.3.24.1).

    Valid is 1 ≤ number ≤ total.
    """
    for identifier, data in reversed(elements):
        if identifier == CONCAT8 and len(data) == 3:
            concat = Concat(data[0], data[1], data[2], "udh8")
        elif identifier == CONCAT16 and len(data) == 4:
            concat = Concat(int.from_bytes(data[:2], "big"), data[2], data[3], "udh16")
        else:
            continue
        if 1 <= concat.number <= concat.total:
            return concat
    return None


def element_of(concat: Concat) -> Element:
    """The element that says `concat`; the reference is 0..255 for `udh8`, 0..65535 for `udh16`."""
    wide = concat.scheme == "udh16"
    reference = concat.reference.to_bytes(2 if wide else 1, "big")
    return Element(CONCAT16 if wide else CONCAT8, reference + bytes((concat.total, concat.number)))


def ports_of(destination: int, source: int) -> Element:
    """The element that addresses an application by 16-bit ports, 0..65535 (§9.2.3.24.4)."""
    return Element(PORTS16, destination.to_bytes(2, "big") + source.to_bytes(2, "big"))


def kept_udh(elements: Iterable[Element], alphabet: str) -> bytes | None:
    """The header that is left once a message is whole, or None when nothing is: of binary all but concatenation.

    Of text, only what says whom or what it is for: ports, control protocols, e-mail, SIM toolkit. National shifts have
    done their work then, and formatting changes only how a text looks.
    """
    kept = [
        element
        for element in elements
        if element.identifier not in _CONCATS and (alphabet == BINARY or _tells(element))
    ]
    return build_udh(kept) if kept else None


def merge_udh(headers: Iterable[bytes | None]) -> bytes | None:
    """One header with each element of all of them, equal ones once, as far as there is room; None: there is none."""
    merged = dict.fromkeys(element for header in headers if header for element in parse_udh(header).elements)
    elements: list[Element] = []
    room = USER_DATA_OCTETS - 1
    for element in merged:
        room -= 2 + len(element.data)
        if room > 0:
            elements.append(element)
    return build_udh(elements) if elements else None


def alphabet_of(elements: Sequence[Element]) -> str:
    """The name of the GSM 7-bit alphabet that the elements' national shifts ask for; unknown languages are ignored."""
    shifts = {SINGLE_SHIFT: 0, LOCKING_SHIFT: 0}
    for identifier, data in elements:
        known = LOCKING if identifier == LOCKING_SHIFT else SINGLE
        if identifier in shifts and len(data) == 1 and data[0] in known:
            shifts[identifier] = data[0]
    return national_alphabet(shifts[LOCKING_SHIFT], shifts[SINGLE_SHIFT])


def capacity(alphabet: str, header_octets: int = 0) -> int:
    """Octets of `alphabet` as SMPP carries them that fit beside a header; a septet is one. Raises TextError."""
    room = USER_DATA_OCTETS - header_octets
    if alphabet == "gsm7" or (alphabet.startswith("gsm7-") and alphabet != PACKED):
        return room * 8 // 7
    if alphabet == "ucs2":
        return room // 2 * 2
    if alphabet in _OCTET_ALPHABETS:
        return room
    raise TextError(f"text in {alphabet} is not cut into segments")


def split(text: str, alphabet: str | None = None, header_octets: int = CONCAT8_OCTETS) -> list[Cut]:
    """The segments of `text`, one if it fits without a header, in `alphabet` or the best one.

    Never cuts an escape pair, a surrogate pair or a sequence of UTF-8, nor a combining sequence as long as that is
    shorter than a segment. `header_octets` is the length of the header that each of several segments gets: packed
    septets begin after it, with the fill bits that it needs. Raises TextError for more than 255.
    """
    alphabet = alphabet or best_alphabet(text)
    if alphabet == PACKED:
        cuts = split(text, "gsm7", header_octets)
        fill = gsm7.fill_bits(header_octets) if len(cuts) > 1 else 0
        return [cut._replace(octets=gsm7.pack_text(cut.octets, fill), alphabet=PACKED) for cut in cuts]
    octets = encode(text, alphabet)
    ends = _ends(octets, alphabet, header_octets)
    if len(ends) > MOST_SEGMENTS:
        raise TextError(f"{len(ends)} segments are more than {MOST_SEGMENTS}")
    starts = [0, *ends[:-1]]
    return [
        Cut(number, len(ends), octets[start:end], alphabet)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
    ]


def count_parts(text: str) -> tuple[str, int]:
    """The best alphabet of `text` and how many segments it takes, with an 8-bit concatenation if several.

    160 or 153 septets, 70 or 67 UTF-16 units; one fewer where a pair would be cut. Empty text takes one.
    Raises TextError for a lone surrogate, which is no character.
    """
    alphabet = best_alphabet(text)
    return alphabet, len(_ends(encode(text, alphabet), alphabet, CONCAT8_OCTETS))


_CONCATS = frozenset({CONCAT8, CONCAT16})
_PORTS_OCTETS = {0x04: 2, PORTS16: 4}  # of 8 and of 16 bits
_TELLING = frozenset({0x09, 0x20, *range(0x70, 0x80)})  # WCMP, RFC 822 header, SIM toolkit security
_OCTET_ALPHABETS = frozenset({"latin1", "ascii", "cp1252", "iso-8859-5", "iso-8859-8", "utf8", PACKED, BINARY})
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def _tells(element: Element) -> bool:
    """True when an element says what a text is for; ports of another length than theirs say nothing."""
    octets = _PORTS_OCTETS.get(element.identifier)
    return element.identifier in _TELLING if octets is None else len(element.data) == octets


def _ends(octets: bytes, alphabet: str, header_octets: int) -> list[int]:
    """Where each segment ends."""
    if len(octets) <= capacity(alphabet):
        return [len(octets)]
    size = capacity(alphabet, header_octets)
    ends = []
    start = 0
    while len(octets) - start > size:
        start = _end(octets, alphabet, start, start + size)
        ends.append(start)
    return [*ends, len(octets)]


def _end(octets: bytes, alphabet: str, start: int, end: int) -> int:
    """The best place to cut, at `end` or before it; there is text on both sides of it."""
    if alphabet.startswith("gsm7"):
        return end - 1 if octets[end - 1] == ESCAPE else end
    if alphabet == "utf8":
        while end > start + 1 and 0x80 <= octets[end] <= 0xBF:
            end -= 1
        return end
    if alphabet != "ucs2":
        return end
    if _is_low(octets, end):
        end -= 2
    # A sequence that fills the segment must be cut, or there would be no end to it.
    nice = end
    while nice > start and _belong_together(octets, nice):
        nice -= 4 if _is_low(octets, nice - 2) else 2
    return nice if nice > start else end


def _is_low(octets: bytes, at: int) -> bool:
    """True when the unit at `at` is the second of a surrogate pair."""
    return 0xDC <= octets[at] <= 0xDF


def _belong_together(octets: bytes, at: int) -> bool:
    """True when the character at `at` is shown as one with that before it."""
    # At most a pair: two units, of which the second may be the next character's first and is then dropped.
    following = octets[at : at + 4].decode("utf-16-be", "ignore")[:1]
    return (
        following == _ZERO_WIDTH_JOINER
        or unicodedata.category(following).startswith("M")
        or ord(following) in _SKIN_TONES
        or octets[at - 2 : at].decode("utf-16-be", "ignore") == _ZERO_WIDTH_JOINER
    )
