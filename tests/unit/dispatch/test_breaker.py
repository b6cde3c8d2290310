"""The breaker: a row of the story in its docstring for each test."""

from __future__ import annotations

from math import inf

import pytest

from bridge.dispatch.breaker import Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(limit=3, wait_s=1.0, wait_max_s=8.0)
    for _ in range(3):
        breaker.failed(now)
    return breaker


def test_is_closed_until_so_many_fail_in_a_row() -> None:
    breaker = Breaker(limit=3)
    assert not breaker.failed(0.0)
    assert not breaker.failed(0.0)
    breaker.succeeded()
    assert not breaker.failed(0.0)
    assert not breaker.failed(0.0)
    assert not breaker.open
    assert breaker.wait_s(0.0) == 0.0
    assert breaker.failed(0.0)
    assert breaker.open


def test_waits_then_lets_one_probe_through() -> None:
    breaker = opened()
    assert breaker.wait_s(0.0) == 1.0
    assert breaker.wait_s(0.4) == pytest.approx(0.6)
    assert breaker.wait_s(1.0) == 0.0
    assert breaker.start()
    assert breaker.wait_s(1.0) == inf
    assert breaker.wait_s(3600.0) == inf


def test_an_attempt_while_closed_is_no_probe() -> None:
    breaker = Breaker()
    assert not breaker.start()
    assert breaker.wait_s(0.0) == 0.0


def test_a_probe_that_succeeds_closes_it_and_forgets_the_waits() -> None:
    breaker = opened()
    breaker.start()
    breaker.failed(1.0, probe=True)
    breaker.start()
    breaker.succeeded()
    assert not breaker.open
    assert breaker.wait_s(3.0) == 0.0
    assert not breaker.failed(3.0)
    assert not breaker.failed(3.0)
    assert breaker.failed(3.0)
    assert breaker.wait_s(3.0) == 1.0


def test_each_failed_probe_doubles_the_wait_up_to_the_most() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        wait_s = breaker.wait_s(now)
        waits.append(wait_s)
        now += wait_s
        assert breaker.start()
        assert not breaker.failed(now, probe=True)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_attempts_from_before_it_opened_do_not_make_the_wait_longer() -> None:
    breaker = opened()
    for _ in range(20):
        assert not breaker.failed(0.5)
    assert breaker.wait_s(0.5) == 0.5
    breaker.start()
    breaker.failed(1.0)  # one of them, while the probe is under way
    assert breaker.wait_s(1.0) == inf


def test_a_late_success_closes_it() -> None:
    breaker = opened()
    breaker.succeeded()
    assert not breaker.open


def test_a_probe_that_told_nothing_leaves_it_to_the_next() -> None:
    breaker = opened()
    breaker.start()
    breaker.end()
    assert breaker.open
    assert breaker.wait_s(1.0) == 0.0
    assert breaker.start()


def test_a_pause_opens_it_at_once_and_is_news_once() -> None:
    breaker = Breaker()
    assert breaker.pause(0.0, wait_s=60.0)
    assert breaker.paused
    assert breaker.wait_s(0.0) == 60.0
    assert not breaker.pause(10.0, wait_s=60.0)
    assert breaker.wait_s(10.0) == 60.0


def test_a_pause_ends_with_a_probe_that_succeeds() -> None:
    breaker = Breaker()
    breaker.pause(0.0, wait_s=60.0)
    assert breaker.start()
    breaker.succeeded()
    assert not breaker.paused
    assert not breaker.open
    assert breaker.pause(100.0)


def test_a_pause_stays_one_when_its_probe_fails_otherwise() -> None:
    breaker = Breaker(wait_s=1.0)
    breaker.pause(0.0, wait_s=60.0)
    breaker.start()
    breaker.failed(60.0, probe=True)
    assert breaker.paused
    assert breaker.wait_s(60.0) == 1.0


# --- held ---------------------------------------------------------------------------------------------------------


def test_while_it_is_held_nothing_starts_whatever_is_answered() -> None:
    breaker = Breaker()
    breaker.hold()
    assert breaker.wait_s(0.0) == inf
    assert not breaker.open
    breaker.succeeded()  # of a request that was under way
    assert breaker.wait_s(1e9) == inf
    breaker.resume(5.0)
    assert breaker.wait_s(5.0) == 0.0
    assert not breaker.start()


def test_a_pause_that_is_ended_lets_one_probe_through() -> None:
    breaker = Breaker()
    assert breaker.pause(0.0)
    breaker.resume(1.0)
    assert not breaker.paused
    assert breaker.wait_s(1.0) == 0.0
    assert breaker.start()
    assert breaker.wait_s(1.0) == inf
    assert breaker.pause(2.0)  # refused again: that is news


def test_a_probe_under_way_stays_the_only_one() -> None:
    breaker = opened()
    breaker.start()
    breaker.resume(0.5)
    assert breaker.wait_s(0.5) == inf
    breaker.failed(0.6, probe=True)
    breaker.end()
    assert breaker.wait_s(0.6) > 0
