from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.smpp.times import TimeError, format_absolute, parse_time


def at(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


NOW = at(2026, 1, 31, 12, 0, 0)


def test_empty_is_no_time() -> None:
    assert parse_time("", NOW) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("260302030405000+", at(2026, 3, 2, 3, 4, 5)),
        ("260302030405700+", at(2026, 3, 2, 3, 4, 5) + 0.7),
        ("260302030405012+", at(2026, 3, 2, 0, 4, 5)),  # 12 quarters ahead of UTC
        ("260302030405012-", at(2026, 3, 2, 6, 4, 5)),
        ("260302030405048+", at(2026, 3, 1, 15, 4, 5)),
        ("240229000000000+", at(2024, 2, 29)),
        ("250101000000000+", at(2025, 1, 1)),  # in the past: the caller's to judge
        ("380101000000000+", at(2038, 1, 1)),
        ("990101000000000+", at(2099, 1, 1)),
        ("261122160349300+", at(2026, 11, 22, 16, 3, 49) + 0.3),  # jsmpp's example
    ],
)
def test_a_point_in_time(text: str, expected: float) -> None:
    assert parse_time(text, NOW) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("000000000000000R", NOW),
        ("000000000001000R", NOW + 1),
        ("000000010000000R", NOW + 3600),
        ("000001000000000R", NOW + 86400),
        ("000000480000000R", NOW + 48 * 3600),  # out of the letter's range, but it means one thing
        ("000000000001748R", NOW + 1),  # tenths and offset are not looked at
        ("000100000000000R", at(2026, 2, 28, 12)),  # 31 January + a month
        ("000101000000000R", at(2026, 3, 1, 12)),
        ("001200000000000R", at(2027, 1, 31, 12)),
        ("001300000000000R", at(2027, 2, 28, 12)),
        ("020000000000000R", at(2028, 1, 31, 12)),
        ("020610233429000R", at(2028, 8, 11, 11, 34, 29)),  # the specification's example
    ],
)
def test_a_span_from_now(text: str, expected: float) -> None:
    assert parse_time(text, NOW) == expected


def test_a_leap_day_and_a_year() -> None:
    assert parse_time("010000000000000R", at(2024, 2, 29)) == at(2025, 2, 28)


@pytest.mark.parametrize(
    "text",
    [
        "2603020304050",
        "260302030405000",
        "260302030405000+ ",
        "260302030405049+",
        "260302030405099-",
        "260302030405000*",
        "260302030405000r",
        "2603020304050000",
        "260002030405000+",
        "261302030405000+",
        "260300030405000+",
        "260332030405000+",
        "250229030405000+",
        "260230030405000+",
        "260302240405000+",
        "260302036005000+",
        "260302030460000+",
        "26030203040a000+",
        " 60302030405000+",
        "+60302030405000+",
        "26030203040²000+",
        "٢60302030405000R",
    ],
)
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(TimeError):
        parse_time(text, NOW)


def test_a_span_past_the_end_of_the_calendar() -> None:
    with pytest.raises(TimeError):
        parse_time("990000000000000R", at(9950, 1, 1))


@given(st.integers(int(at(2000, 1, 1)) * 10, int(at(2099, 12, 31)) * 10))
def test_what_is_formatted_parses_to_itself(tenths: int) -> None:
    text = format_absolute(tenths / 10)
    assert len(text) == 16
    # A float may lie just below the tenth it stands for, and formatting rounds down.
    assert tenths / 10 - 0.11 <= (parse_time(text, NOW) or 0.0) <= tenths / 10


@given(st.text(max_size=17), st.floats(0, 4e9))
def test_any_text_is_a_time_or_a_time_error(text: str, now: float) -> None:
    try:
        found = parse_time(text, now)
    except TimeError:
        found = None
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize("when", [at(1999, 12, 31, 23, 59, 59), at(2100, 1, 1), 1e18, float("nan")])
def test_a_time_without_a_two_digit_year_is_not_formatted(when: float) -> None:
    with pytest.raises(TimeError):
        format_absolute(when)


def test_the_form_of_final_date() -> None:
    assert format_absolute(at(2026, 11, 22, 16, 3, 49)) == "261122160349000+"
