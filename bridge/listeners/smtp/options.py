"""What a mail's own headers ask for its messages: X-SMS-From, X-SMS-Validity, X-SMS-Flash, X-SMS-Priority. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bridge.errors import Refusal
from bridge.message import Reason
from bridge.routing.numbers import NumberError, national_source, source_of
from bridge.values import duration_s

_WORDS = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted beside the text; None where nothing was said."""

    source: str | None = None
    validity_s: float | None = None
    flash: bool = False
    priority: int = 0


def options_of(headers: Mapping[str, str], region: str | None) -> Options:
    """`headers` by their names behind X-SMS-, lower case; others than those four are somebody else's.

    Raises Refusal: INVALID_SOURCE, INVALID_VALIDITY, INVALID_REQUEST.
    """
    if not headers:
        return Options()
    return Options(
        source=_source(headers.get("from"), region),
        validity_s=_validity(headers.get("validity")),
        flash=_flash(headers.get("flash")),
        priority=_priority(headers.get("priority")),
    )


def _source(value: str | None, region: str | None) -> str | None:
    if value is None:
        return None
    try:
        return (national_source(value, region) if region is not None else None) or source_of(value)
    except NumberError as error:
        raise Refusal(Reason.INVALID_SOURCE, f"X-SMS-From: {error}", field="source") from None


def _validity(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return duration_s(value)
    except ValueError as error:
        raise Refusal(Reason.INVALID_VALIDITY, f"X-SMS-Validity: {error}", field="validity") from None


def _flash(value: str | None) -> bool:
    flash = _WORDS.get("no" if value is None else value.lower())
    if flash is None:
        raise Refusal(Reason.INVALID_REQUEST, "X-SMS-Flash is yes or no", field="flash")
    return flash


def _priority(value: str | None) -> int:
    if value is not None and value not in ("0", "1", "2", "3"):
        raise Refusal(Reason.INVALID_REQUEST, "X-SMS-Priority is 0 to 3", field="priority")
    return int(value or 0)
