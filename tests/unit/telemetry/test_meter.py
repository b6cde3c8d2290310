"""Rates over the last minute."""

from __future__ import annotations

import pytest

from bridge.telemetry.meter import Meter


def test_nothing_is_nothing() -> None:
    assert Meter(100.0).per_s(100.0) == 0.0


def test_a_young_meter_says_what_it_has_seen() -> None:
    meter = Meter(100.0)
    meter.add(50, 104.0)
    meter.add(50, 109.0)
    assert meter.per_s(110.0) == pytest.approx(10.0)


def test_a_start_of_a_moment_ago_is_no_flood() -> None:
    meter = Meter(100.0)
    meter.add(1, 100.001)
    assert meter.per_s(100.001) == 1.0


def test_a_steady_rate_is_told_as_it_is() -> None:
    meter = Meter(0.0)
    for second in range(1000):
        meter.add(7, second + 0.5)
    assert meter.per_s(1000.0) == pytest.approx(7.0, rel=0.02)
    assert meter.per_s(1003.0) == pytest.approx(7.0, rel=0.1)


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    meter = Meter(0.0)
    meter.add(600, 1.0)
    assert meter.per_s(59.0) > 10.0
    assert meter.per_s(61.0) == 0.0
    meter.add(600, 500.0)
    assert meter.per_s(10_000.0) == 0.0
