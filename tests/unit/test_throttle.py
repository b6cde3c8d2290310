"""The token bucket: what it gives, when, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.throttle import Bucket


def test_starts_full_and_gives_no_more_than_it_has() -> None:
    bucket = Bucket(10, 5)
    assert bucket.take(3, 0.0) == 3
    assert bucket.take(3, 0.0) == 2
    assert bucket.take(1, 0.0) == 0


@pytest.mark.parametrize(("rate", "burst", "expected"), [(10, None, 10), (10, 4, 4), (0.5, None, 1), (0.5, 0.1, 1)])
def test_burst_defaults_to_a_second_and_is_at_least_one(rate: float, burst: float | None, expected: float) -> None:
    bucket = Bucket(rate, burst)
    assert bucket.burst == expected
    assert bucket.take(100, 0.0) == expected


def test_says_exactly_when_the_next_token_comes() -> None:
    bucket = Bucket(4, 1)
    assert bucket.wait_s(0.0) == 0.0
    assert bucket.take(1, 0.0) == 1
    assert bucket.wait_s(0.0) == 0.25
    assert bucket.wait_s(0.1) == pytest.approx(0.15)
    assert bucket.take(1, 0.24) == 0
    assert bucket.take(1, 0.25) == 1


def test_a_pause_fills_it_to_the_burst_only() -> None:
    bucket = Bucket(10, 3)
    bucket.take(3, 0.0)
    assert bucket.take(100, 3600.0) == 3


def test_a_clock_that_goes_back_gives_nothing_and_stops_nothing() -> None:
    bucket = Bucket(10, 1)
    assert bucket.take(1, 1000.0) == 1
    assert bucket.take(1, 10.0) == 0
    assert bucket.take(1, 10.1) == 1


def test_what_was_not_used_can_be_given_back_but_never_above_the_burst() -> None:
    bucket = Bucket(1, 5)
    assert bucket.take(5, 0.0) == 5
    bucket.give_back(3)
    assert bucket.take(5, 0.0) == 3
    bucket.give_back(100)
    assert bucket.take(100, 0.0) == 5


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 100),
    steps=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), max_size=40),
)
def test_never_gives_more_than_burst_and_rate_allow(rate: float, burst: float, steps: list[tuple[int, float]]) -> None:
    bucket, now, given_out = Bucket(rate, burst), 0.0, 0
    for wanted, pause_s in steps:
        now += pause_s
        given_out += bucket.take(wanted, now)
        assert given_out <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 100), spent=st.integers(1, 100))
def test_after_the_wait_there_is_a_token(rate: float, burst: float, spent: int) -> None:
    bucket = Bucket(rate, burst)
    bucket.take(spent, 0.0)
    now = bucket.wait_s(0.0)
    assert bucket.take(1, now) == 1


def test_spending_all_or_nothing() -> None:
    bucket = Bucket(2.0, burst=3)
    assert bucket.spend(2, 100.0)
    assert not bucket.spend(2, 100.0)
    assert bucket.wait_s(100.0, 2) == 0.5
    assert bucket.spend(1, 100.0)
    assert bucket.spend(2, 101.0)


def test_what_costs_more_than_the_burst_leaves_a_debt() -> None:
    bucket = Bucket(2.0, burst=3)
    assert bucket.spend(5, 100.0)
    assert bucket.level(100.0) == -2.0
    assert bucket.wait_s(100.0, 5) == 2.5  # until it is full
    assert not bucket.spend(5, 102.4)
    assert bucket.spend(5, 102.5)


def test_owing() -> None:
    bucket = Bucket(2.0, burst=1)
    bucket.owe(3, 100.0)
    assert bucket.level(100.0) == -2.0
    assert bucket.level(101.0) == 0.0
    assert bucket.level(200.0) == 1.0
