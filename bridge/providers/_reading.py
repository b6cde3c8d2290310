"""Reading what others wrote: values of a decoded foreign body, which may each be anything; nothing here raises."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.providers._contract import Money


def text_of(value: object) -> str:
    """A string without the spaces around it, or the digits of an integer; `""` for anything else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def int_of(value: object) -> int | None:
    """An integer of at most 18 digits, or one that is written as a string; None for anything else."""
    text = text_of(value)
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def objects_of(value: object) -> list[dict[str, Any]]:
    """The objects in a list, or the object itself."""
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, dict)]


def money_of(amount: object, currency: object = None) -> Money | None:
    """An amount that is a number or written as one; None for anything else."""
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        return None
    try:
        value = Decimal(str(amount).strip())
    except InvalidOperation:
        return None
    return Money(value, text_of(currency) or None) if value.is_finite() else None
