from __future__ import annotations

from bridge.listeners.smtp.limits import Limits


def test_everybody_has_his_own() -> None:
    limits = Limits(1 / 10)
    assert [limits.allow("a", 0.0), limits.allow("a", 1.0), limits.allow("b", 1.0)] == [True, False, True]
    assert limits.allow("a", 12.0)


def test_no_limit() -> None:
    assert all(Limits(None).allow("a", 0.0) for _ in range(1000))


def test_no_more_is_remembered_than_has_room() -> None:
    limits = Limits(1 / 10)
    for number in range(20_001):
        limits.allow(str(number), 0.0)
    assert limits.allow("0", 0.0)  # forgotten
    assert not limits.allow("20000", 0.0)
