"""The timers as a value: deadlines, and what is due at them."""

from __future__ import annotations

from bridge.smpp.timers import Timers


def made() -> Timers:
    return Timers(100.0, session_init_s=5.0, enquire_link_s=10.0, inactivity_s=25.0, response_s=3.0)


def test_before_the_bind_only_its_timer_counts() -> None:
    assert made().deadline(bound=False) == 105.0


def test_silence_is_asked_about_once_and_then_counts() -> None:
    timers = made()
    assert timers.deadline(bound=True) == 110.0
    assert not timers.enquire(109.9)
    assert timers.enquire(110.0)
    assert not timers.enquire(111.0)
    assert timers.deadline(bound=True) == 113.0
    assert not timers.silent(112.9)
    assert timers.silent(113.0)


def test_a_sign_of_life() -> None:
    timers = made()
    timers.enquire(110.0)
    timers.touch(112.0)
    assert not timers.silent(120.0)
    assert timers.deadline(bound=True) == 122.0


def test_idleness_ends_it_however_alive_the_peer_is() -> None:
    timers = made()
    timers.heard = 124.0
    assert timers.deadline(bound=True) == 125.0
    assert not timers.idle(124.9)
    assert timers.idle(125.0)


def test_an_account_has_its_own() -> None:
    timers = made()
    timers.adopt(1.0, None, None)
    assert (timers.enquire_link_s, timers.inactivity_s, timers.response_s) == (1.0, 25.0, 3.0)
    timers.adopt(None, 2.0, 0.5)
    assert (timers.enquire_link_s, timers.inactivity_s, timers.response_s) == (1.0, 2.0, 0.5)
