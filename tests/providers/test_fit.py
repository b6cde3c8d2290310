"""What a provider cannot carry is refused, or left out, before `build`."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.message import Content, Message, Reason
from bridge.providers import Capabilities, fit

EVERYTHING = Capabilities(binary=True, flash=True)


def message(**fields: Any) -> Message:
    base = {"message_id": 1, "account": "acme", "listener": "smpp", "destination": "380972000001"}
    return Message(**base | {"accepted_at": 0.0, "expires_at": 60.0} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "hello"},
        {"binary": b"\x01", "udh": b"\x00"},
        {"text": "a", "flash": True},
        {"text": "a", "source": "Acme"},
    ],
)
def test_what_fits_is_the_same_object(fields: dict[str, Any]) -> None:
    fitting = message(**fields)
    assert fit(fitting, EVERYTHING) is fitting


def test_binary_that_is_not_carried_is_refused() -> None:
    assert fit(message(binary=b"\x01"), Capabilities()) is Reason.UNSUPPORTED


def test_text_for_a_port_is_refused_where_headers_are_not_carried() -> None:
    given = message(text="a", udh=b"\x06\x05\x04\x0b\x84\x23\xf0")
    assert fit(given, Capabilities()) is Reason.UNSUPPORTED
    assert fit(given, Capabilities(binary=True)) is given


@pytest.mark.parametrize(("length", "too_long"), [(10, False), (11, True)])
def test_text_is_refused_beyond_the_limit(length: int, too_long: bool) -> None:
    given = message(text="é" * length)
    assert fit(given, Capabilities(text_max=10)) == (Reason.TEXT_TOO_LONG if too_long else given)


def test_flash_is_left_out() -> None:
    given = message(text="a", flash=True)
    assert fit(given, Capabilities()) == replace(given, flash=False)


@pytest.mark.parametrize("source", ["Acme", "380 97", "٣٨٠", "+380"])
def test_alphanumeric_sender_is_left_out_where_only_numbers_are_taken(source: str) -> None:
    given = message(text="a", source=source)
    assert fit(given, Capabilities(alphanumeric_source=False)) == replace(given, source=None)


def test_numeric_sender_stays_where_only_numbers_are_taken() -> None:
    given = message(text="a", source="380972000002")
    assert fit(given, Capabilities(alphanumeric_source=False)) is given


@pytest.mark.parametrize(("source", "too_long"), [("Elevenchars", False), ("Twelve_chars", True), ("9" * 12, True)])
def test_sender_is_refused_beyond_the_limit(source: str, too_long: bool) -> None:
    given = message(text="a", source=source)
    assert fit(given, Capabilities(source_max=11)) == (Reason.INVALID_SOURCE if too_long else given)


@pytest.mark.parametrize(
    ("source", "too_long"), [("Elevenchars", False), ("Twelve_chars", True), ("9" * 15, False), ("9" * 16, True)]
)
def test_alphanumeric_sender_may_have_a_limit_of_its_own(source: str, too_long: bool) -> None:
    given = message(text="a", source=source)
    can = Capabilities(source_max=15, alphanumeric_max=11)
    assert fit(given, can) == (Reason.INVALID_SOURCE if too_long else given)


PHOTO = Content(kind="photo", url="https://example.com/a.png")


def test_content_that_is_carried_stays() -> None:
    given = message(content=PHOTO)
    assert fit(given, Capabilities(content=frozenset({"photo"}))) is given


@pytest.mark.parametrize("text", [None, ""])
def test_content_that_is_not_carried_is_refused_without_a_text(text: str | None) -> None:
    given = message(text=text, content=PHOTO)
    assert fit(given, Capabilities(content=frozenset({"video"}))) is Reason.UNSUPPORTED


def test_content_that_is_not_carried_leaves_its_text() -> None:
    given = message(text="see example.com", content=PHOTO)
    assert fit(given, Capabilities()) == replace(given, content=None)


def test_both_are_left_out_at_once() -> None:
    given = message(text="a", flash=True, source="Acme")
    fitted = fit(given, Capabilities(alphanumeric_source=False))
    assert fitted == replace(given, flash=False, source=None)
