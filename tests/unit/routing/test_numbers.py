"""Numbers and senders as they are written, and what is made of them."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.numbers import NumberError, national_source, normalise, source_of


@pytest.mark.parametrize(
    "number",
    [
        "+380501234567",
        "380501234567",
        "00380501234567",
        " +380 50 123-45-67 ",
        "+380 (50) 123.45.67",
        "tel:+380-50-123-45-67",
        "TEL:380501234567",
        "+380\u00a050\u2011123\u201345\u201367",
        "\u202a+380501234567\u202c",
    ],
)
@pytest.mark.parametrize("region", [None, "UA"])
def test_ways_to_write_an_international_number(number: str, region: str | None) -> None:
    assert normalise(number, region) == "380501234567"


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("0501234567", "UA", "380501234567"),
        ("(050) 123-45-67", "UA", "380501234567"),
        ("501234567", "UA", "380501234567"),
        ("tel:050-123-45-67", "UA", "380501234567"),
        ("0171 2345678", "DE", "491712345678"),
        ("020 7946 0018", "GB", "442079460018"),
        ("06 698 12345", "IT", "390669812345"),
        ("(201) 555-0123", "US", "12015550123"),
        ("12015550123", "US", "12015550123"),
        ("011 380 50 123 45 67", "US", "380501234567"),
        ("8 912 345-67-89", "KZ", "79123456789"),
    ],
)
def test_national_numbers_belong_to_the_region(number: str, region: str, expected: str) -> None:
    assert normalise(number, region) == expected


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("491712345678", "UA", "491712345678"),
        ("380501234567", "DE", "380501234567"),
        ("447911123456", "US", "447911123456"),
    ],
)
def test_digits_that_are_no_number_of_the_region_are_international(number: str, region: str, expected: str) -> None:
    assert normalise(number, region) == expected


def test_digits_that_are_a_number_of_the_region_are_national_even_if_they_are_a_foreign_one_too() -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse("+6589234567"))
    assert normalise("6589234567", "US") == "16589234567"
    assert normalise("+6589234567", "US") == "6589234567"


def test_a_national_number_of_a_range_not_in_use_is_taken_if_its_length_is_possible() -> None:
    """Numbering plans grow faster than the tables about them."""
    parsed = phonenumbers.parse("0190000000", "UA")
    assert phonenumbers.is_possible_number(parsed)
    assert not phonenumbers.is_valid_number(parsed)
    assert normalise("0190000000", "UA") == "380190000000"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+44 (0)20 7946 0018", "442079460018"),
        ("+49 (0) 171 2345678", "491712345678"),
        ("0044(0)2079460018", "442079460018"),
    ],
)
def test_a_zero_in_parentheses_is_dialled_from_inside_only(number: str, expected: str) -> None:
    assert normalise(number) == expected


@pytest.mark.parametrize(
    ("number", "region", "message"),
    [
        ("", None, "a number is digits"),
        ("+", None, "a number is digits"),
        ("++380501234567", None, "a number is digits"),
        ("38050x234567", None, "a number is digits"),
        ("tel:+380501234567;ext=1", None, "a number is digits"),
        ("٣٨٠٥٠١٢٣٤٥٦٧", None, "a number is digits"),
        ("380²50123456", None, "a number is digits"),
        ("0501234567", None, "needs the account's region"),
        ("+0501234567", "UA", "begins with its country code"),
        ("000380501234567", None, "begins with its country code"),
        ("123456", None, "7 to 15 digits"),
        ("+1234567890123456", None, "7 to 15 digits"),
        ("+000 (0)", None, "7 to 15 digits"),
        ("12", "UA", "not a number of UA"),
        ("0501234567890123", "UA", "not a number of UA"),
        ("0501234567", "XX", "not a number of XX"),
        ("+380501234567" + " " * 60, None, "at most 15 digits"),
    ],
)
def test_what_is_not_a_number(number: str, region: str | None, message: str) -> None:
    with pytest.raises(NumberError, match=message):
        normalise(number, region)


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True))
def test_plain_international_digits_stay_what_they_are(digits: str) -> None:
    assert normalise(digits) == normalise("+" + digits, "UA") == normalise("00" + digits, "US") == digits


@given(
    st.text(max_size=20) | st.text(alphabet="+0123456789 -()", max_size=20), st.sampled_from([None, "UA", "US", "IT"])
)
def test_any_text_is_a_number_or_refused(text: str, region: str | None) -> None:
    try:
        number = normalise(text, region)
    except NumberError:
        return
    assert number.isascii()
    assert number.isdigit()
    assert len(number) <= 15
    assert normalise(number) == normalise("+" + number, region) == number


# --- senders


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("123", "123"),
        ("380501234567", "380501234567"),
        ("+380501234567", "380501234567"),
        ("+380 50 123-45-67", "380501234567"),
        ("00380501234567", "380501234567"),
        ("0501234567", "0501234567"),
        ("123456789012345", "123456789012345"),
        ("Acme", "Acme"),
        (" Acme ", "Acme"),
        ("A", "A"),
        ("Acme & Co 24", None),
        ("Acme & Co 2", "Acme & Co 2"),
        ("Ångström_@1", "Ångström_@1"),
        ("12345678 €", "12345678 €"),
        ("123456789 €", None),
        ("12 34", "12 34"),
    ],
)
def test_senders(text: str, source: str | None) -> None:
    if source is None:
        with pytest.raises(NumberError, match="at most 11 characters"):
            source_of(text)
    else:
        assert source_of(text) == source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a sender is digits, or"),
        ("  ", "a sender is digits, or"),
        ("a\nb", "a sender is digits, or"),
        ("Acme\x1b", "a sender is digits, or"),
        ("12", "3 to 15"),
        ("+1", "3 to 15"),
        ("1234567890123456", "3 to 15"),
        ("Привет", "GSM 7-bit alphabet only"),
        ("fiança", "GSM 7-bit alphabet only"),
        ("Twelve chars", "at most 11 characters"),
    ],
)
def test_what_is_not_a_sender(text: str, message: str) -> None:
    with pytest.raises(NumberError, match=message):
        source_of(text)


@given(st.text(max_size=16) | st.text(alphabet="+0123 -", max_size=16))
def test_a_sender_that_was_taken_is_taken_as_it_is(text: str) -> None:
    try:
        source = source_of(text)
    except NumberError:
        return
    assert 1 <= len(source) <= 15
    assert source_of(source) == source


@pytest.mark.parametrize(
    ("text", "region", "source"),
    [
        ("0441234567", "UA", "380441234567"),
        ("44 123 45 67", "UA", "380441234567"),
        ("380441234567", "UA", "380441234567"),
        ("011380441234567", "US", "380441234567"),
        ("00380441234567", "DE", "380441234567"),
        ("8 912 345-67-89", "RU", "79123456789"),
        ("1234", "UA", None),
        ("Acme", "UA", None),
        ("0001", "UA", None),
        ("", "UA", None),
    ],
)
def test_senders_as_they_are_dialled_in_a_region(text: str, region: str, source: str | None) -> None:
    assert national_source(text, region) == source
