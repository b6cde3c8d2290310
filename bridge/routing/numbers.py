"""Numbers and senders as people write them, turned into the one form that the bridge keeps.

Pure. A destination becomes E.164 digits without `+` (ITU-T E.164 §6: a country code, at most 15 digits in all).
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from bridge.sms import gsm7
from bridge.sms.encoding import TextError

_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")
_DIGITS = re.compile(r"[0-9]+")
_DIALLED = re.compile(r"^00(?=[1-9])")  # what is dialled before a country code
# What people put between digits (blanks, hyphens, dashes, dots, parentheses) and address books around them (marks of
# writing direction).
_SEPARATORS = dict.fromkeys(map(ord, " \t\u00a0\u2007\u2009\u202f-\u2010\u2011\u2012\u2013.()\u200e\u202a\u202c"))
_LONGEST = 64  # characters of a number with everything between its digits; also keeps the cache small
_ALPHANUMERIC_SEPTETS = 11  # 3GPP TS 23.040 §9.1.2.5: an address holds 10 octets


class NumberError(ValueError):
    """A text that is not a number, or not a sender; the message may be shown to the client."""


def normalise(number: str, region: str | None = None) -> str:
    """E.164 digits (7 to 15, no `+`) of `number`; `region` (ISO 3166-1 alpha-2) is where national numbers belong.

    `+` and `00` begin an international number, and so does everything else when there is no region. With a region,
    bare digits are national where the numbering plan knows them so, then international where it knows them so, then
    national if at least their length is possible. Raises NumberError.
    """
    if region is None or number.startswith("+"):
        digits = number.removeprefix("+")
        # Nearly all that programs send: nothing to strip, nothing to look up.
        if _INTERNATIONAL.fullmatch(digits):
            return digits
    return _normalise(number, region)


@lru_cache(maxsize=65536)
def _normalise(number: str, region: str | None) -> str:
    if len(number) > _LONGEST:
        raise NumberError("a number has at most 15 digits")
    text = number.strip()
    if text[:4].lower() == "tel:":
        text = text[4:]
    digits = text.translate(_SEPARATORS)
    if digits.startswith("+"):
        digits, international = digits[1:], True
    elif digits.startswith("00"):
        digits, international = digits[2:], True
    else:
        international = region is None
    if not _DIGITS.fullmatch(digits):
        raise NumberError("a number is digits, with + or 00 before the country code")
    if not international and region is not None:
        return _national(digits, region)
    if "(0)" in text:
        # "+44 (0)20 …": whether that zero is dialled from abroad is a matter of the country's plan.
        parsed = _parsed("+" + digits, None)
        digits = _e164(parsed) if parsed else ""
    if digits.startswith("0"):
        raise NumberError("a number begins with its country code; a national one needs the account's region")
    if not _INTERNATIONAL.fullmatch(digits):
        raise NumberError("an international number has 7 to 15 digits")
    return digits


@lru_cache(maxsize=4096)
def source_of(text: str) -> str:
    """The sender that `text` means: 3 to 15 digits without `+` or `00`, or 1 to 11 GSM 7-bit characters.

    Raises NumberError. An extension character such as `€` counts twice (3GPP TS 23.040 §9.1.2.5).
    """
    source = text.strip()
    digits = source.translate(_SEPARATORS)[1:] if source.startswith("+") else source
    if _DIGITS.fullmatch(digits):
        digits = _DIALLED.sub("", digits)
        if not 3 <= len(digits) <= 15:
            raise NumberError("a sender of digits has 3 to 15 of them")
        return digits
    if not source.isprintable() or not source:
        raise NumberError("a sender is digits, or 1 to 11 characters")
    try:
        septets = gsm7.encode(source)
    except TextError:
        raise NumberError("a sender has characters of the GSM 7-bit alphabet only") from None
    if len(septets) > _ALPHANUMERIC_SEPTETS:
        raise NumberError("a sender that is not all digits has at most 11 characters")
    return source


@lru_cache(maxsize=4096)
def national_source(text: str, region: str) -> str | None:
    """E.164 digits of a sender that is a number as one dials it in `region`, or None: a short code, or a name."""
    number = _parsed(text.translate(_SEPARATORS), region)
    return _e164(number) if number is not None and phonenumbers.is_valid_number(number) else None


def _national(digits: str, region: str) -> str:
    national = _parsed(digits, region)
    if national is None or not phonenumbers.is_valid_number(national):
        international = _parsed("+" + digits, None)
        if international is not None and phonenumbers.is_valid_number(international):
            return _e164(international)
    if national is None or not phonenumbers.is_possible_number(national):
        raise NumberError(f"not a number of {region}, nor an international one")
    return _e164(national)


def _parsed(number: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
