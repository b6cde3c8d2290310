"""Alphabets by name, and what a data_coding says about the octets beside it.

Pure. Names of alphabets: `gsm7` (unpacked septets; `gsm7-LOCKING-SINGLE` with national tables; `gsm7-packed`, eight of
them in seven octets), `ucs2` (UTF-16BE), the one-octet and multi-octet ones of SMPP, and `binary` for what is no text.
Source: SMPP 3.4 §5.2.19, 5.0 §4.7.7; 3GPP TS 23.038 §4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from bridge.sms import gsm7
from bridge.sms.gsm7 import TextError

__all__ = [
    "BINARY",
    "PACKED",
    "Coding",
    "TextError",
    "best_alphabet",
    "coding_of",
    "data_coding_of",
    "decode",
    "delivered_alphabet",
    "encode",
    "national_alphabet",
]

BINARY = "binary"
PACKED = "gsm7-packed"

_CODECS = {
    "latin1": "latin-1",
    "ascii": "ascii",
    "utf8": "utf-8",
    "cp1252": "cp1252",
    "iso-8859-5": "iso-8859-5",
    "iso-8859-8": "iso-8859-8",
    "iso-2022-jp": "iso-2022-jp",
    "euc-kr": "euc-kr",
}
_BIG_ENDIAN, _LITTLE_ENDIAN = b"\xfe\xff", b"\xff\xfe"
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))
_EIGHT_BITS = bytes(octet | 0x80 for octet in range(256))


def decode(octets: bytes, alphabet: str) -> str:
    """The text that `octets` are in `alphabet`. Raises TextError.

    Two things are repaired instead: a lone ESC at the end of `gsm7` is a space, a lone surrogate of `ucs2` is U+FFFD.
    A byte order mark before `ucs2` is obeyed and dropped, though SMPP knows big-endian only.
    """
    if alphabet == "gsm7":
        return gsm7.decode(octets)
    if alphabet == "ucs2":
        return _decode_ucs2(octets)
    if alphabet == PACKED:
        return gsm7.decode(gsm7.unpack_text(octets))
    if alphabet.startswith("gsm7-"):
        return _national(alphabet).decode(octets)
    try:
        if alphabet == "jisx0208":
            # Clients send it in seven bits, as the standard has it, or in eight, as EUC-JP has it.
            return (octets if max(octets, default=0) > 0x7F else octets.translate(_EIGHT_BITS)).decode("euc-jp")
        return octets.decode(_codec(alphabet))
    except UnicodeDecodeError as error:
        raise TextError(f"octet 0x{octets[error.start]:02X} at {error.start} is not text in {alphabet}") from None


def encode(text: str, alphabet: str) -> bytes:
    """The octets of `text` in `alphabet`, without a byte order mark. Raises TextError."""
    if alphabet == "gsm7":
        return gsm7.encode(text)
    if alphabet == PACKED:
        return gsm7.pack_text(gsm7.encode(text))
    if alphabet.startswith("gsm7-"):
        return _national(alphabet).encode(text)
    try:
        if alphabet == "ucs2":
            return text.encode("utf-16-be")
        if alphabet == "jisx0208":
            return _encode_jisx0208(text)
        return text.encode(_codec(alphabet))
    except UnicodeEncodeError as error:
        raise TextError(f"U+{ord(text[error.start]):04X} is not in {alphabet}") from None


def best_alphabet(text: str) -> str:
    """`gsm7` when the default alphabet and its extension hold the text, else `ucs2`."""
    return "gsm7" if gsm7.fits(text) else "ucs2"


def delivered_alphabet(text: str, default: str) -> str:
    """The alphabet that carries `text` to a client which reads data_coding 0 in `default`: that one, or UCS-2.

    GSM 7-bit octets that read the same in `default` go before it: they need less room.
    """
    if default in ("gsm7", PACKED):
        return default if gsm7.fits(text) else "ucs2"
    try:
        octets = encode(text, default)
    except TextError:
        return "ucs2"
    return "gsm7" if gsm7.fits(text) and gsm7.encode(text) == octets else default


def national_alphabet(locking: int, single: int) -> str:
    """The name of GSM 7-bit with the tables of two National Language Identifiers; 0 is the default table."""
    return f"gsm7-{locking}-{single}" if locking or single else "gsm7"


class Coding(NamedTuple):
    """What a data_coding means. `message_class`: 0 flash, 1 phone, 2 SIM, 3 terminal; None: not said."""

    alphabet: str
    flash: bool = False
    message_class: int | None = None


@lru_cache(maxsize=4096)
def coding_of(data_coding: int, default: str) -> Coding:
    """What `data_coding` (0..255) means; `default` is the account's alphabet of data_coding 0.

    SMPP's own table holds below 0x10, GSM's (23.038 §4) from there up: both use these values, and clients follow
    SMPP in the low ones. An account that packs GSM 7-bit does so wherever it says GSM 7-bit. Raises TextError for what
    cannot be read: SMPP's reserved values and compressed text.
    """
    coding = _coding_of(data_coding, default)
    return coding._replace(alphabet=PACKED) if default == PACKED and coding.alphabet == "gsm7" else coding


def _coding_of(data_coding: int, default: str) -> Coding:
    if data_coding == 0:
        return Coding(default)
    if data_coding < 0x10:
        alphabet = _SMPP_CODINGS.get(data_coding)
        if alphabet is None:
            raise TextError(f"data_coding 0x{data_coding:02X} is reserved")
        return Coding(alphabet)
    if data_coding < 0x80:  # 00xx general, 01xx the same, to be deleted after reading
        if data_coding & 0x20:
            raise TextError(f"data_coding 0x{data_coding:02X} is compressed text, which is not supported")
        return _classed(_GSM_ALPHABETS[data_coding >> 2 & 3], data_coding & 3 if data_coding & 0x10 else None)
    if data_coding >= 0xF0 and not data_coding & 0x08:
        return _classed(BINARY if data_coding & 4 else "gsm7", data_coding & 3)
    # Message waiting: C0 discard, D0 store (both GSM 7-bit), E0 store in UCS-2. The rest is reserved: GSM 7-bit.
    return Coding("ucs2" if data_coding & 0xF0 == 0xE0 else "gsm7")


def data_coding_of(alphabet: str, flash: bool = False, default: str = "gsm7") -> int:
    """The data_coding that says `alphabet` to a client which reads data_coding 0 in `default`.

    Raises TextError when there is none, or none with flash.
    """
    if alphabet == default and not flash:
        return 0
    if alphabet.startswith("gsm7-"):
        alphabet = "gsm7"  # the tables are named in the user data header, the packing nowhere
    codings = _FLASH_DATA_CODINGS if flash else _DATA_CODINGS
    try:
        return codings[alphabet]
    except KeyError:
        raise TextError(f"no data_coding says {alphabet}{' and flash' if flash else ''}") from None


_SMPP_CODINGS = {
    0x01: "ascii",
    0x02: BINARY,
    0x03: "latin1",
    0x04: BINARY,
    0x05: "jisx0208",
    0x06: "iso-8859-5",
    0x07: "iso-8859-8",
    0x08: "ucs2",
    0x09: BINARY,  # pictograms, of which no table was ever published
    0x0A: "iso-2022-jp",
    0x0D: BINARY,  # JIS X 0212 alone: kept as it came
    0x0E: "euc-kr",
}
_GSM_ALPHABETS = ("gsm7", BINARY, "ucs2", "gsm7")  # bits 3-2; 11 is reserved, and reserved means GSM 7-bit
_DATA_CODINGS = {"gsm7": 0x00, BINARY: 0x04} | {
    alphabet: data_coding for data_coding, alphabet in _SMPP_CODINGS.items() if alphabet != BINARY
}
_FLASH_DATA_CODINGS = {"gsm7": 0x10, BINARY: 0x14, "ucs2": 0x18}


def _classed(alphabet: str, message_class: int | None) -> Coding:
    return Coding(alphabet, message_class == 0, message_class)


def _codec(alphabet: str) -> str:
    try:
        return _CODECS[alphabet]
    except KeyError:
        raise TextError(f"{alphabet} is not the name of an alphabet") from None


def _national(alphabet: str) -> gsm7.Alphabet:
    _, _, shifts = alphabet.partition("-")
    locking, _, single = shifts.partition("-")
    if not (locking.isdecimal() and single.isdecimal()):
        raise TextError(f"{alphabet} is not the name of an alphabet")
    return gsm7.alphabet(int(locking), int(single))


def _decode_ucs2(octets: bytes) -> str:
    if len(octets) % 2:
        raise TextError(f"{len(octets)} octets are not UCS-2, which has two for each character")
    mark = octets[:2]
    if mark == _BIG_ENDIAN:
        octets = octets[2:]
    elif mark == _LITTLE_ENDIAN:
        return octets[2:].decode("utf-16-le", "replace")
    return octets.decode("utf-16-be", "replace")


def _encode_jisx0208(text: str) -> bytes:
    octets = text.encode("euc-jp")
    # Only JIS X 0208 is two octets above 0xA0; ASCII, half-width kana (0x8E) and JIS X 0212 (0x8F) are other sets.
    if min(octets, default=0xFF) < 0xA1:
        raise TextError("a character is not in jisx0208")
    return octets.translate(_SEVEN_BITS)
