"""The GSM 7-bit alphabets: text to septets and back, with national language tables, and septets packed in octets.

Pure. Septets are held *unpacked*, one in an octet, as SMPP carries them; `pack` and `unpack` are for the air form.
Source: 3GPP TS 23.038 §6.1.2.1 (packing), §6.2.1 (default alphabet), §6.2.1.2 (national language tables).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from bridge.sms.tables import ESCAPE, HOLE, LOCKING, SINGLE

_NO_SEPTET = 0xFF
_NO_CHARACTER = "\ufffe"  # what the charmap codec takes for undefined
_CR = b"\r"
_PADDING = b"\0\r"
_PAIR = re.compile(rb"(\x1b.?)", re.DOTALL)


class TextError(ValueError):
    """Octets that are not text in the stated alphabet, or text that the alphabet cannot carry."""


class Alphabet:
    """One locking table with one single shift table. Use `alphabet`, which makes each pair once."""

    def __init__(self, locking: int, single: int) -> None:
        plain, shifted = LOCKING[locking], SINGLE[single]
        # A reserved septet shows as a space (§6.2.1); ESC is taken out before, so the table need not know it.
        self._plain = plain.replace(HOLE, " ")
        # ESC and a septet without a meaning show that septet's own character; ESC ESC and a lone ESC show a space.
        self._pairs = {
            bytes((ESCAPE, septet)): self._plain[septet] if character == HOLE else character
            for septet, character in enumerate(shifted)
        }
        self._pairs[bytes((ESCAPE, ESCAPE))] = self._pairs[bytes((ESCAPE,))] = " "

        septets = {character: chr(ESCAPE) + chr(septet) for septet, character in enumerate(shifted)}
        septets |= {character: chr(septet) for septet, character in enumerate(plain)}
        septets.pop(HOLE, None)
        septets.pop(chr(ESCAPE))
        # Whatever cannot be encoded must not come out as ASCII, or it would pass for a septet.
        self._septets = dict.fromkeys(range(128), _NO_CHARACTER) | {ord(c): s for c, s in septets.items()}
        self._foreign = re.compile(f"[^{re.escape(''.join(septets))}]")
        self._latin = bytes(
            ord(septet) if len(septet := septets.get(chr(code), "")) == 1 else _NO_SEPTET for code in range(256)
        )

    def decode(self, octets: bytes) -> str:
        """The text of unpacked septets. Raises TextError for an octet above 0x7F."""
        try:
            if ESCAPE not in octets:
                return codecs.charmap_decode(octets, "strict", self._plain)[0]
            pieces = _PAIR.split(octets)
            pairs, plain = self._pairs, self._plain
            return "".join(
                pairs[piece] if number % 2 else codecs.charmap_decode(piece, "strict", plain)[0]
                for number, piece in enumerate(pieces)
            )
        except (UnicodeDecodeError, KeyError):
            position = next(position for position, octet in enumerate(octets) if octet > 0x7F)
            raise TextError(f"octet 0x{octets[position]:02X} at {position} is not a GSM 7-bit septet") from None

    def encode(self, text: str) -> bytes:
        """The unpacked septets of `text`, an escaped character as two. Raises TextError."""
        septets = self._encode_latin(text)
        if septets is not None:
            return septets
        try:
            return text.translate(self._septets).encode("ascii")
        except UnicodeEncodeError:
            foreign = self._foreign.search(text)
            assert foreign is not None
            raise TextError(f"U+{ord(foreign[0]):04X} is not in the GSM 7-bit alphabet") from None

    def fits(self, text: str) -> bool:
        """True when every character of `text` can be encoded."""
        return self._encode_latin(text) is not None or self._foreign.search(text) is None

    def _encode_latin(self, text: str) -> bytes | None:
        """The septets of a Latin-1 text without escaped characters, as most are: two look-ups in C for the whole."""
        try:
            septets = text.encode("latin-1").translate(self._latin)
        except UnicodeEncodeError:
            return None
        return None if _NO_SEPTET in septets else septets


@lru_cache(maxsize=256)
def alphabet(locking: int = 0, single: int = 0) -> Alphabet:
    """The alphabet of two National Language Identifiers; one without a table means the default (§6.2.1.2.4)."""
    return Alphabet(locking if locking in LOCKING else 0, single if single in SINGLE else 0)


_DEFAULT = alphabet()


def decode(octets: bytes, locking: int = 0, single: int = 0) -> str:
    """The text of unpacked septets; a lone ESC at the very end shows as a space. Raises TextError."""
    return (_DEFAULT if not locking and not single else alphabet(locking, single)).decode(octets)


def encode(text: str, locking: int = 0, single: int = 0) -> bytes:
    """The unpacked septets of `text`; nothing is transliterated. Raises TextError."""
    return (_DEFAULT if not locking and not single else alphabet(locking, single)).encode(text)


def fits(text: str) -> bool:
    """True when the default alphabet and its extension hold every character of `text`."""
    return _DEFAULT.fits(text)


def fill_bits(header_length: int) -> int:
    """Bits (0..6) between a user data header of `header_length` octets and the first septet (23.040 §9.2.3.24)."""
    return -header_length * 8 % 7


def pack(septets: bytes, fill: int = 0) -> bytes:
    """Eight septets in seven octets, the first bit lowest, after `fill` zero bits (0..6). Raises TextError."""
    octets = bytearray()
    held, bits = 0, fill
    for septet in septets:
        if septet > 0x7F:
            raise TextError(f"0x{septet:02X} is not a septet")
        held |= septet << bits
        bits += 7
        while bits >= 8:
            octets.append(held & 0xFF)
            held >>= 8
            bits -= 8
    if bits:
        octets.append(held)
    return bytes(octets)


def unpack(octets: bytes, count: int, fill: int = 0) -> bytes:
    """`count` septets out of packed octets, after `fill` bits (0..6). Raises TextError when there are fewer."""
    if fill + 7 * count > 8 * len(octets):
        raise TextError(f"{len(octets)} octets do not hold {count} septets")
    packed = int.from_bytes(octets, "little") >> fill
    return bytes(packed >> shift & 0x7F for shift in range(0, 7 * count, 7))


def pack_text(septets: bytes, fill: int = 0) -> bytes:
    """As `pack`, where nobody says how many septets there are: seven spare bits, which would read as `@`, are a CR.

    23.038 §6.1.2.3.1. Raises TextError.
    """
    return pack(septets + b"\r" if (fill + 7 * len(septets)) % 8 == 1 else septets, fill)


def unpack_text(octets: bytes, fill: int = 0, *, more: bool = False) -> bytes:
    """The septets of packed octets whose number nobody says, after `fill` bits (0..6): as many as there are.

    Of octets that could hold one septet less, the last one is padding when it is CR (23.038 §6.1.2.3.1) or NUL; when
    `more` of the text follows in another part, NUL is `@`: there a part is full, or one short of it.
    """
    if not octets:
        return b""
    bits = 8 * len(octets) - fill
    septets = unpack(octets, bits // 7, fill)
    if bits % 7 == 0 and septets[-1] in (_CR if more else _PADDING):
        return septets[:-1]
    return septets
