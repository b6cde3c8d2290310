"""Rates and quotas of accounts: what they count, when they refuse, and what outlives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from pydantic import ValidationError
from store.samples import message, part
from unit.desk import Desk, Limits, Locked, reasons

from bridge.admission import Admission, Quota
from bridge.message import Message, Reason, Usage

LONG = "x" * 161  # two parts
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON + 12 * 3600


class Disk:
    """Writes when it is told to, as a store does; what it was given is in `rows`."""

    def __init__(self, *rows: Usage) -> None:
        self.rows = {row[:2]: row for row in rows}
        self.waiting: list[tuple[Callable[[], Sequence[Usage]], asyncio.Future[None]]] = []

    def usage(self) -> list[Usage]:
        return list(self.rows.values())

    def keep_usage(self, gather: Callable[[], Sequence[Usage]]) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((gather, future))
        return future

    async def write(self, error: Exception | None = None) -> None:
        waiting, self.waiting = self.waiting, []
        for gather, future in waiting:
            rows = gather()
            if error is None:
                self.rows |= {row[:2]: row for row in rows}
                future.set_result(None)
            else:
                future.set_exception(error)
        await asyncio.sleep(0)


class Door:
    """An admission with one account, `shop`, and a clock to be set."""

    def __init__(self, disk: Disk | None = None, **limits: Any) -> None:
        self.now = NOON
        self.disk = disk or Disk()
        self.admission = Admission(self.disk, lambda: self.now)
        self.configure(**limits)

    def configure(self, **limits: Any) -> None:
        self.admission.configure({"shop": Limits(**limits)})

    def admits(self, given: Message | None = None, **fields: Any) -> bool:
        return self.admission.refuse(given or message(1, **fields)) is None

    def count(self, most: int = 1000, **fields: Any) -> int:
        """How many messages are admitted until one is refused."""
        return next((number for number in range(most) if not self.admits(**fields)), most)


# --- rates


async def test_an_account_without_limits_is_never_refused() -> None:
    door = Door()
    assert door.count() == 1000
    assert door.admits(message(1, account="stranger"))
    assert door.admission.room("shop")[0] > 10_000
    assert door.disk.waiting == []


async def test_a_burst_and_then_the_rate() -> None:
    door = Door(rate=10.0, burst=25)
    assert door.count() == 25
    refusal = door.admission.refuse(message(1))
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == (Reason.THROTTLED, pytest.approx(0.1))
    door.now += 0.5
    assert door.count() == 5


@pytest.mark.parametrize(
    ("counts", "fields", "cost"),
    [
        ("messages", {"text": LONG}, 1),
        ("parts", {"text": "x" * 160}, 1),
        ("parts", {"text": LONG}, 2),
        ("parts", {"text": "ж" * 71}, 2),
        ("parts", {"text": None, "binary": b"x" * 281}, 3),
        ("parts", {"text": "\ud800"}, 1),
    ],
)
async def test_what_a_rate_counts(counts: str, fields: dict[str, Any], cost: int) -> None:
    assert Door(rate=1.0, burst=12, rate_counts=counts).count(**fields) == 12 // cost


@pytest.mark.parametrize("counts", ["messages", "parts"])
async def test_a_part_that_is_submitted_by_itself_counts_one(counts: str) -> None:
    door = Door(rate=1.0, burst=3, rate_counts=counts)
    assert [door.admits(part(1, number, 5)) for number in (1, 2, 3, 4)] == [True, True, True, False]


async def test_a_message_of_more_parts_than_the_burst_takes_a_full_bucket() -> None:
    door = Door(rate=1.0, burst=2, rate_counts="parts")
    longest = "x" * 153 * 5
    assert door.admits(text=longest)
    refusal = door.admission.refuse(message(1, text=longest))
    assert refusal is not None
    assert refusal.retry_after_s == pytest.approx(5.0)
    door.now += 4.9
    assert not door.admits(text=longest)
    door.now += 0.1
    assert door.admits(text=longest)


# --- pacing


async def test_a_paced_account_is_never_refused_over_smpp() -> None:
    door = Door(rate=10.0, over_rate="pace")
    assert door.count(listener="smpp") == 1000
    assert not door.admits(listener="http")
    assert not door.admits(listener="smtp")


async def test_a_paced_account_is_read_one_message_ahead_of_its_rate() -> None:
    door = Door(rate=10.0, burst=5, over_rate="pace")
    room, wait_s = door.admission.room("shop")
    assert (room, wait_s) == (6, 0.0)
    for _ in range(room):
        assert door.admits(listener="smpp")
    assert door.admission.room("shop") == (0, pytest.approx(0.1))
    door.now += 0.1
    assert door.admission.room("shop") == (1, 0.0)
    door.now += 10
    assert door.admission.room("shop") == (6, 0.0)


async def test_a_fast_paced_account_rests_a_moment_and_not_for_each_message() -> None:
    door = Door(rate=10_000.0, over_rate="pace")
    for _ in range(10_001):
        door.admits(listener="smpp")
    assert door.admission.room("shop") == (0, pytest.approx(0.01))
    # Never so long that its bucket would run over.
    door.configure(rate=10_000.0, burst=1, over_rate="pace")
    for _ in range(2):
        door.admits(listener="smpp")
    assert door.admission.room("shop") == (0, pytest.approx(0.0001))


# --- quotas


@pytest.mark.parametrize(
    ("quota", "ends_at"),
    [
        ({"day": 3}, MIDNIGHT),
        ({"month": 3}, MIDNIGHT + 8 * 86400),
        ({"day": 9, "month": 3}, MIDNIGHT + 8 * 86400),
        ({"day": 3, "timezone": "Europe/Kyiv"}, MIDNIGHT - 2 * 3600),
    ],
)
async def test_a_quota_lasts_until_its_period_ends(quota: dict[str, Any], ends_at: float) -> None:
    door = Door(quota=Quota(**quota))
    assert door.count() == 3
    refusal = door.admission.refuse(message(1))
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == (Reason.THROTTLED, ends_at - NOON)
    door.now = ends_at - 0.001
    assert not door.admits()
    door.now = ends_at
    assert door.count() == 3


async def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is() -> None:
    door = Door(quota=Quota(day=1, timezone="Europe/Kyiv"))
    door.now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert door.admits()
    refusal = door.admission.refuse(message(1))
    assert refusal is not None
    assert refusal.retry_after_s == 21.5 * 3600  # its hour before summer time ended is over, and 25 hours are not


async def test_december_is_followed_by_january() -> None:
    door = Door(quota=Quota(month=1))
    door.now = datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp()
    assert door.admits()
    assert not door.admits()
    door.now += 3600
    assert door.admits()


@pytest.mark.parametrize(("counts", "number"), [("messages", 6), ("parts", 3)])
async def test_what_a_quota_counts(counts: str, number: int) -> None:
    assert Door(quota=Quota(day=6, counts=counts)).count(text=LONG) == number


async def test_parts_of_one_message_count_once_for_a_quota_of_messages() -> None:
    door = Door(quota=Quota(day=1))
    assert all(door.admits(part(1, number, 3)) for number in (1, 2, 3))
    assert not door.admits(part(1, 1, 3))


async def test_a_quota_that_is_used_up_is_told_once() -> None:
    door = Door(quota=Quota(day=1))
    with structlog.testing.capture_logs() as logs:
        door.count()
        assert not door.admits()
        door.now = MIDNIGHT
        door.count()
    assert [(line["event"], line["account"], line["per"], line["period"]) for line in logs] == [
        ("quota_used_up", "shop", "day", "2026-11-22"),
        ("quota_used_up", "shop", "day", "2026-11-23"),
    ]


async def test_what_is_over_the_rate_is_not_counted_for_the_quota() -> None:
    door = Door(rate=1.0, burst=1, quota=Quota(day=2))
    assert [door.admits() for _ in range(5)] == [True, False, False, False, False]
    door.now += 1
    assert door.admits()


async def test_a_reload_keeps_what_is_used() -> None:
    door = Door(quota=Quota(day=2))
    assert door.admits()
    door.configure(quota=Quota(day=3, month=5))
    assert door.count() == 2
    door.configure()
    assert door.count() == 1000
    door.configure(quota=Quota(day=4))
    assert door.count() == 1


@pytest.mark.parametrize("wrong", [{}, {"day": 0}, {"day": 1, "timezone": "Mars/Olympus"}, {"day": 1, "week": 1}])
def test_a_quota_that_says_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Quota(**wrong)


# --- on disk


async def test_usage_is_taken_up_in_the_same_period_only() -> None:
    rows = [("shop", "day", "2026-11-22", 2), ("shop", "month", "2026-10", 9)]
    assert Door(Disk(*rows), quota=Quota(day=5)).count() == 3
    assert Door(Disk(*rows), quota=Quota(month=5)).count() == 5


async def test_one_write_does_for_all_that_is_counted_before_it_begins() -> None:
    door = Door(quota=Quota(day=9, month=9))
    for _ in range(3):
        door.admits()
    assert len(door.disk.waiting) == 1
    await door.disk.write()
    assert sorted(door.disk.rows.values()) == [("shop", "day", "2026-11-22", 3), ("shop", "month", "2026-11", 3)]
    door.admits()
    await door.disk.write()
    assert door.disk.rows["shop", "day"][3] == 4


async def test_what_could_not_be_written_is_written_with_the_next() -> None:
    door = Door(quota=Quota(day=9))
    door.admits()
    await door.disk.write(OSError("no space"))
    assert door.disk.rows == {}
    door.admits()
    await door.disk.write()
    assert door.disk.rows["shop", "day"][3] == 2


async def test_a_write_that_runs_again_says_the_same() -> None:
    door = Door(quota=Quota(day=9))
    door.admits()
    ((gather, _),) = door.disk.waiting
    assert list(gather()) == list(gather()) == [("shop", "day", "2026-11-22", 1)]


# --- in intake


async def test_a_quota_goes_on_after_a_restart(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(quota=Quota(day=3))
    desk.configure()
    assert reasons(await desk.take(desk.message(), desk.message())) == [None, None]
    await desk.restart()
    assert reasons(await desk.take(desk.message(), desk.message())) == [None, Reason.THROTTLED]


async def test_what_is_refused_or_cannot_be_kept_does_not_count(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(quota=Quota(day=1))
    desk.configure()
    assert reasons(await desk.take(desk.message(destination="12025550123"))) == [Reason.NO_ROUTE]
    with Locked(desk):
        verdicts, stored = desk.intake.accept([desk.message()])
        assert (verdicts, stored is None) == ([None], False)
        assert stored is not None
        await asyncio.wait([stored])
        assert stored.exception() is not None
    assert reasons(await desk.take(desk.message(), desk.message())) == [None, Reason.THROTTLED]
