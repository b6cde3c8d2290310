"""Values of a foreign body, which may each be anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bridge.providers import Money
from bridge.providers._contract import form
from bridge.providers._reading import int_of, money_of, objects_of, text_of


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        *((" a ", "a", None), (5, "5", 5), ("5", "5", 5), ("-5 ", "-5", -5), (-3, "-3", -3), ("", "", None)),
        *((True, "", None), (None, "", None), (1.5, "", None), ([], "", None), ("٣", "٣", None)),
        *(("9" * 18, "9" * 18, 10**18 - 1), ("9" * 19, "9" * 19, None), ("--5", "--5", None), ("-", "-", None)),
    ],
)
def test_text_and_integer(value: object, text: str, number: int | None) -> None:
    assert (text_of(value), int_of(value)) == (text, number)


@pytest.mark.parametrize(
    ("value", "objects"), [({"a": 1}, [{"a": 1}]), ([{"a": 1}, 2, []], [{"a": 1}]), (None, []), ("a", [])]
)
def test_objects(value: object, objects: list[dict[str, Any]]) -> None:
    assert objects_of(value) == objects


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("83.60", "83.60"), (5, "5"), (1.5, "1.5"), (" 2 ", "2"), ("-1", "-1")],
)
def test_money(amount: object, expected: str) -> None:
    assert money_of(amount, "EUR") == Money(Decimal(expected), "EUR")
    assert money_of(amount) == money_of(amount, "") == Money(Decimal(expected))


@pytest.mark.parametrize("amount", [None, True, "", "NaN", "Infinity", float("inf"), [], {}, "1,5", "1 EUR"])
def test_no_money(amount: object) -> None:
    assert money_of(amount) is None


@pytest.mark.parametrize(
    ("body", "encoding", "fields"),
    [
        (b"a=1&b=&a=2", "utf-8", {"a": "2", "b": ""}),
        (b"a=%D0%9F+%2B", "utf-8", {"a": "П +"}),
        (b"a=%CF", "windows-1251", {"a": "П"}),
        (b"a=%FF", "utf-8", {"a": "�"}),
        (b"a=\xff", "utf-8", {}),
        (b"", "utf-8", {}),
        (b"a=1&" * 201, "utf-8", {}),
    ],
)
def test_form(body: bytes, encoding: str, fields: dict[str, str]) -> None:
    assert form(body, encoding) == fields
