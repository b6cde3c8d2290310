"""Sums, percentiles and what counts as lost and doubled."""

from __future__ import annotations

import pytest

from bridge.cli.benching.tally import (
    MESSAGES_MAX,
    Counts,
    Percentiles,
    Tally,
    destination_of,
    number_of,
    percentiles,
    rate,
    rates_of_tenths,
)


def told(*, messages: int) -> Tally:
    """All went well: each step of a message takes a second, and one starts each second."""
    tally = Tally(messages)
    for number in range(messages):
        start = 100.0 + number
        tally.submit(number, start)
        tally.accept(number, str(1000 + number), start + 1)
        tally.send(number, start + 2)
        tally.report(number, str(1000 + number), start + 3)
    return tally


@pytest.mark.parametrize("number", [0, 7, MESSAGES_MAX - 1])
def test_a_destination_tells_its_message(number: int) -> None:
    assert number_of(destination_of(number)) == number


@pytest.mark.parametrize("destination", ["", "90532", "905320000001x", "+905320000001", "38067123456", "9053200000011"])
def test_another_destination_is_nobodys(destination: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the one of int() is as good
        number_of(destination)


@pytest.mark.parametrize("messages", [0, MESSAGES_MAX + 1])
def test_a_load_is_bounded(messages: int) -> None:
    with pytest.raises(ValueError, match="a load has 1 to"):
        Tally(messages)


def test_nothing_lost() -> None:
    tally = told(messages=10)
    expected = Counts(messages=10, accepted=10, refused=0, sent=10, reported=10, lost=0, doubled=0)
    assert tally.counts(range(10)) == expected
    assert tally.changes == 40


def test_a_part_counts_for_itself() -> None:
    tally = told(messages=10)
    assert tally.counts(range(4, 6)).messages == tally.counts(range(4, 6)).reported == 2
    assert tally.start(range(4, 6)) == 104.0
    assert tally.response_ms(range(4, 6)) == Percentiles(1000.0, 1000.0, 1000.0, 1000.0)
    assert tally.receipt_ms(range(4, 6)) == Percentiles(3000.0, 3000.0, 3000.0, 3000.0)


def test_accepted_and_never_sent_or_never_reported_is_lost() -> None:
    tally = Tally(3)
    for number in range(3):
        tally.submit(number, 1.0)
        tally.accept(number, str(number + 1), 2.0)
    tally.send(0, 3.0)
    tally.report(0, "1", 4.0)
    tally.send(1, 3.0)
    tally.report(2, "3", 4.0)
    assert tally.counts(range(3)).lost == 2


def test_refused_is_not_lost() -> None:
    tally = Tally(2)
    for number in range(2):
        tally.submit(number, 1.0)
    tally.refuse()
    counts = tally.counts(range(2))
    assert (counts.refused, counts.lost, counts.accepted) == (2, 0, 0)
    assert tally.refused == 1


def test_sent_twice_and_reported_twice_are_doubled() -> None:
    tally = told(messages=4)
    tally.send(1, 200.0)
    tally.report(2, "1002", 200.0)
    assert tally.counts(range(4)).doubled == 2
    assert (tally.sent, tally.reported) == (4, 4)
    assert tally.sent_at[1] == 103.0


@pytest.mark.parametrize(("number", "message_id"), [(-1, "1000"), (4, "1000"), (0, "1001")])
def test_a_receipt_that_fits_no_message_is_strange(number: int, message_id: str) -> None:
    tally = told(messages=4)
    tally.report(number, message_id, 300.0)
    assert tally.strange == 1
    assert tally.counts(range(4)).doubled == 0


def test_a_receipt_may_overtake_the_response() -> None:
    tally = Tally(1)
    tally.submit(0, 1.0)
    tally.report(0, "5", 2.0)
    tally.accept(0, "5", 3.0)
    assert (tally.reported, tally.strange) == (1, 0)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles(float(value) for value in range(100, 0, -1)) == Percentiles(50.0, 95.0, 99.0, 100.0)
    assert percentiles([7.0]) == Percentiles(7.0, 7.0, 7.0, 7.0)
    assert percentiles([]) == Percentiles(0.0, 0.0, 0.0, 0.0)


def test_a_rate_counts_what_happened() -> None:
    assert rate([11.0, 0.0, 14.0, 12.0], 10.0) == 0.75
    assert rate([0.0], 10.0) == 0.0


def test_rates_of_tenths_follow_the_times() -> None:
    slowing = [10.0 + number for number in range(1, 51)] + [60.0 + 2 * number for number in range(1, 51)]
    assert rates_of_tenths(slowing, 10.0) == [1.0] * 5 + [0.5] * 5
