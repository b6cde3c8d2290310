"""Lock-outs: who is shut out, for how long, and who is not."""

from __future__ import annotations

import pytest

from bridge.listeners import lockout as module
from bridge.listeners.lockout import Lockout

HERE, THERE = "192.0.2.7", "192.0.2.8"


def fail(lockout: Lockout, times: int, address: str | None = HERE, name: str = "acme", now: float = 0.0) -> list[float]:
    return [lockout.failed(address, name, now) for _ in range(times)]


def test_a_name_is_shut_out_after_so_many_failures() -> None:
    lockout = Lockout(3, 100, 60.0)
    assert fail(lockout, 3) == [0.0, 0.0, 60.0]
    assert lockout.wait_s(HERE, "acme", 0.0) == 60.0
    assert lockout.wait_s(HERE, "acme", 59.0) == 1.0
    assert lockout.wait_s(HERE, "acme", 60.0) == 0.0


def test_others_are_not() -> None:
    lockout = Lockout(3, 100, 60.0)
    fail(lockout, 3)
    assert lockout.wait_s(HERE, "other", 0.0) == 0.0
    assert lockout.wait_s(THERE, "acme", 0.0) == 0.0


def test_one_who_tries_name_after_name_is() -> None:
    lockout = Lockout(3, 5, 60.0)
    assert [lockout.failed(HERE, f"name {number}", 0.0) for number in range(5)] == [0.0, 0.0, 0.0, 0.0, 60.0]
    assert lockout.wait_s(HERE, "acme", 0.0) == 60.0
    assert lockout.wait_s(THERE, "acme", 0.0) == 0.0


def test_the_door_is_closed_for_twice_as_long_each_time_up_to_an_hour() -> None:
    lockout, now, closed = Lockout(2, 100, 600.0), 0.0, []
    lockout.failed(HERE, "acme", now)
    for _ in range(5):
        closed.append(lockout.failed(HERE, "acme", now))
        now += closed[-1]
    assert closed == [600.0, 1200.0, 2400.0, 3600.0, 3600.0]


def test_a_time_above_an_hour_stays_as_it_is() -> None:
    lockout = Lockout(1, 100, 7200.0)
    assert lockout.failed(HERE, "acme", 0.0) == lockout.failed(HERE, "acme", 7200.0) == 7200.0


def test_failures_are_forgotten_when_nothing_is_heard() -> None:
    lockout = Lockout(3, 100, 60.0)
    fail(lockout, 2)
    assert lockout.failed(HERE, "acme", 60.0) == 0.0
    assert fail(lockout, 2, now=60.0) == [0.0, 60.0]
    # Closed until 120; 60 seconds later it has begun anew.
    assert fail(lockout, 3, now=180.0) == [0.0, 0.0, 60.0]


def test_a_right_password_forgives_its_own_name_only() -> None:
    lockout = Lockout(2, 4, 60.0)
    for name in ("acme", "other"):
        lockout.failed(HERE, name, 0.0)
    lockout.succeeded(HERE, "acme")
    assert lockout.failed(HERE, "acme", 0.0) == 0.0
    assert lockout.failed(HERE, "third", 0.0) == 60.0  # the fourth from there


@pytest.mark.parametrize("other", ["2001:db8::2", "::ffff:192.0.2.7"])
def test_households_are_one(other: str) -> None:
    lockout = Lockout(1, 100, 60.0)
    lockout.failed("2001:db8::1", "acme", 0.0)
    lockout.failed(HERE, "acme", 0.0)
    assert lockout.wait_s(other, "acme", 0.0) == 60.0


def test_those_who_are_not_known_are_one() -> None:
    lockout = Lockout(1, 100, 60.0)
    lockout.failed(None, "acme", 0.0)
    assert lockout.wait_s("", "acme", 0.0) == 60.0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECORDS", 10)
    lockout = Lockout(1, 100, 60.0)
    for number in range(50):
        lockout.failed(f"198.51.100.{number}", "x" * 1000, 0.0)
    assert len(lockout._records) == 10
    assert all(len(name or "") <= 64 for _, name in lockout._records)
    assert lockout.wait_s("198.51.100.49", "x" * 1000, 0.0) == 60.0
    assert lockout.wait_s("198.51.100.0", "x" * 1000, 0.0) == 0.0


def test_an_address_stays_known_while_its_names_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECORDS", 4)
    lockout = Lockout(3, 20, 60.0)
    assert [lockout.failed(HERE, str(number), 0.0) for number in range(20)][-1] == 60.0


def test_new_limits_begin_anew() -> None:
    lockout = Lockout(1, 100, 60.0)
    lockout.failed(HERE, "acme", 0.0)
    lockout.configure(2, 100, 30.0)
    assert lockout.wait_s(HERE, "acme", 0.0) == 0.0
    assert fail(lockout, 2) == [0.0, 30.0]
