"""The way in: who is refused and why, what is kept, and what lanes are given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from store.samples import NOW, claimed, owed_to, sent, stands
from unit.desk import CAPABILITIES, Desk, Limits, Locked, reasons

from bridge.errors import Refusal, StoreUnavailable
from bridge.message import Reason, State
from bridge.routing.rules import Route, Router
from bridge.routing.senders import Senders
from bridge.store import Queued

# --- taken


async def test_a_message_goes_to_the_first_provider_of_its_route(desk: Desk) -> None:
    given = desk.message()
    assert await desk.take(given) == [None]
    assert desk.lanes["bsg"].offered == [Queued(message=given, plan=("bsg", "virtual"))]
    assert desk.lanes["bsg"].room == 99
    assert desk.offered == [("bsg", "hello")]
    assert await claimed(desk.store) == []  # the lane has it in memory
    assert desk.store.queued == 1


async def test_a_lane_gets_nothing_before_it_is_on_disk(desk: Desk) -> None:
    _, stored = desk.intake.accept([desk.message()])
    assert desk.offered == []
    assert stored is not None
    stored.add_done_callback(lambda _: seen.extend(desk.offered))
    seen: list[object] = []
    await stored
    assert seen == [("bsg", "hello")]


async def test_what_a_lane_has_no_room_for_waits_on_disk(desk: Desk) -> None:
    desk.lanes["bsg"].room = 1
    given = [desk.message() for _ in range(3)]
    assert await desk.take(*given) == [None] * 3
    assert [queued.message for queued in desk.lanes["bsg"].offered] == given[:1]
    assert desk.lanes["bsg"].woken == [NOW, NOW]
    assert await claimed(desk.store) == [item.message_id for item in given[1:]]


async def test_a_scheduled_message_waits_on_disk_for_its_time(desk: Desk) -> None:
    given = desk.message(deliver_at=NOW + 600)
    assert await desk.take(given) == [None]
    assert (desk.offered, desk.lanes["bsg"].woken, desk.lanes["bsg"].room) == ([], [NOW + 600], 100)
    assert await stands(desk.store, given.message_id) == (State.SCHEDULED, None)
    assert await claimed(desk.store, now=NOW + 599) == []
    assert await claimed(desk.store, now=NOW + 600) == [given.message_id]


async def test_a_time_that_has_come_is_no_schedule(desk: Desk) -> None:
    await desk.take(desk.message(deliver_at=NOW))
    assert desk.offered == [("bsg", "hello")]


async def test_refused_and_taken_in_one_call(desk: Desk) -> None:
    given = [desk.message(), desk.message(destination="1"), desk.message(destination="491701234567")]
    assert reasons(await desk.take(*given)) == [None, Reason.NO_ROUTE, None]
    assert desk.offered == [("bsg", "hello"), ("virtual", "hello")]
    assert await desk.store.find(given[1].message_id) is None


async def test_nothing_at_all(desk: Desk) -> None:
    assert desk.intake.accept([]) == ([], None)


# --- refused


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"destination": "12025550123"}, Reason.NO_ROUTE),
        ({"text": "x" * 31}, Reason.TEXT_TOO_LONG),
        ({"destination": "491701234567", "text": "x" * 31}, Reason.TEXT_TOO_LONG),
        ({"expires_at": NOW}, Reason.INVALID_VALIDITY),
        ({"deliver_at": NOW + 60, "expires_at": NOW + 60}, Reason.INVALID_VALIDITY),
        ({"deliver_at": NOW + 367 * 86400, "expires_at": NOW + 400 * 86400}, Reason.INVALID_SCHEDULE),
        ({"account": "gone"}, Reason.NOT_PERMITTED),
    ],
)
async def test_what_cannot_be_taken_whatever_the_load(desk: Desk, fields: dict[str, Any], reason: Reason) -> None:
    given = desk.message(**fields)
    checked = desk.intake.check(given)
    assert checked is not None
    assert checked.reason == reason
    assert reasons(await desk.take(given)) == [reason]
    assert desk.store.queued == 0
    assert (desk.lanes["bsg"].room, desk.lanes["virtual"].room) == (100, 100)


async def test_binary_is_refused_where_no_provider_can_carry_it(desk: Desk) -> None:
    assert desk.intake.check(desk.message(text=None, binary=b"\x00")) is None
    desk.intake.configure(Router([Route(send=["bsg"])], CAPABILITIES), desk.accounts, CAPABILITIES)
    refusal = desk.intake.check(desk.message(text=None, binary=b"\x00"))
    assert refusal is not None
    assert refusal.reason == Reason.UNSUPPORTED


async def test_providers_that_cannot_carry_it_are_left_out_of_the_plan(desk: Desk) -> None:
    await desk.take(desk.message(text="x" * 21))
    (queued,) = desk.lanes["virtual"].offered
    assert queued.plan == ("virtual",)


async def test_a_route_before_there_is_a_text(desk: Desk) -> None:
    assert desk.intake.route_of("shop", "smtp", "380501234567", None) is None
    refusal = desk.intake.route_of("shop", "smtp", "12025550123", None)
    assert refusal is not None
    assert (refusal.reason, refusal.field) == (Reason.NO_ROUTE, "to")


# --- senders


async def test_the_sender_of_an_account_is_what_its_rules_say(desk: Desk) -> None:
    rules = {"default": "ACME", "rewrite": {"INFO*": "Shop"}, "allowed": ["Me"]}
    desk.accounts["shop"] = Limits(senders=Senders.model_validate(rules))
    desk.configure()
    given = [desk.message(source=source) for source in (None, "Info 1", "me", "Else")]
    free = desk.message(source="Else", account="other")
    assert reasons(await desk.take(*given, free)) == [None, None, None, Reason.SOURCE_NOT_ALLOWED, None]
    assert [queued.message.source for queued in desk.lanes["bsg"].offered] == ["ACME", "Shop", "me", "Else"]
    refusals = [desk.intake.check(item) for item in given]
    refusals += [desk.intake.route_of("shop", "smtp", "380501234567", item.source) for item in given]
    assert reasons(refusals) == [None, None, None, Reason.SOURCE_NOT_ALLOWED] * 2


async def test_parts_have_the_sender_that_the_rules_say(desk: Desk) -> None:
    rules = {"rewrite": {"*": "Shop"}, "allowed": ["Me"]}
    desk.accounts["shop"] = Limits(senders=Senders.model_validate(rules))
    desk.configure()
    given = [desk.part(1, 2, source="Info 1"), desk.part(2, 2, source="Info 2")]
    assert await desk.take(*given) == [None, None]
    assert [queued.message.source for queued in desk.lanes["bsg"].offered] == ["Shop"]


async def test_routes_see_the_sender_that_is_used(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(senders=Senders(default="ACME"))
    routes = [Route.model_validate({"from": "ACME", "send": ["virtual"]}), Route(send=["bsg"])]
    desk.intake.configure(Router(routes, CAPABILITIES), desk.accounts, CAPABILITIES)
    await desk.take(desk.message(source=None))
    assert desk.offered == [("virtual", "hello")]


# --- rates


async def test_over_the_rate(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(rate=2.0)
    desk.configure()
    verdicts = await desk.take(*(desk.message() for _ in range(3)), desk.message(account="other"))
    assert reasons(verdicts) == [None, None, Reason.THROTTLED, None]
    assert verdicts[2] is not None
    assert verdicts[2].retry_after_s == pytest.approx(0.5)
    desk.now += 0.5
    assert reasons(await desk.take(desk.message(), desk.message())) == [None, Reason.THROTTLED]


async def test_each_part_counts_for_the_rate(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(rate=1.0, burst=2)
    desk.configure()
    assert reasons(await desk.take(*(desk.part(number, 3) for number in (1, 2, 3)))) == [None, None, Reason.THROTTLED]


async def test_a_reload_gives_no_fresh_allowance_unless_the_rate_has_changed(desk: Desk) -> None:
    desk.accounts["shop"] = Limits(rate=1.0)
    desk.configure()
    assert reasons(await desk.take(desk.message())) == [None]
    desk.configure()
    assert reasons(await desk.take(desk.message())) == [Reason.THROTTLED]
    desk.accounts["shop"] = Limits(rate=3.0)
    desk.configure()
    assert reasons(await desk.take(*(desk.message() for _ in range(4)))) == [None, None, None, Reason.THROTTLED]
    desk.accounts["shop"] = Limits()
    desk.configure()
    assert reasons(await desk.take(*(desk.message() for _ in range(4)))) == [None] * 4


async def test_a_full_queue_counts_what_is_still_on_its_way_to_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "bridge.db")
    desk.queue_max = 3
    await desk.restart()
    first, stored = desk.intake.accept([desk.message(), desk.message()])
    second, also = desk.intake.accept([desk.message(), desk.message()])
    assert reasons(first + second) == [None, None, None, Reason.QUEUE_FULL]
    assert second[1] is not None
    assert second[1].retry_after_s
    assert stored is not None
    assert also is not None
    await asyncio.gather(stored, also)
    assert reasons(await desk.take(desk.message())) == [Reason.QUEUE_FULL]
    await desk.store.settle([sent(desk.lanes["bsg"].offered[0].message.message_id)])
    assert reasons(await desk.take(desk.message(), desk.message())) == [None, Reason.QUEUE_FULL]
    await desk.store.close()


# --- kept although refused


async def test_a_refused_message_can_be_kept_and_its_sender_is_told(desk: Desk) -> None:
    given = desk.message(destination="12025550123")
    refusal = desk.intake.check(given)
    assert refusal is not None
    await desk.intake.accept_refused(given, refusal)
    assert await stands(desk.store, given.message_id) == (State.REJECTED, Reason.NO_ROUTE)
    (owed,) = desk.owed
    assert owed.report is not None
    assert (owed.report.reason, owed.report.native) == (Reason.NO_ROUTE, refusal.text)
    assert await owed_to(desk.store) == [owed]


# --- when the disk does not take it


async def test_a_failed_write_gives_room_back_and_offers_nothing(desk: Desk) -> None:
    with Locked(desk):
        verdicts, stored = desk.intake.accept([desk.message(), desk.message(deliver_at=NOW + 60)])
        assert verdicts == [None, None]
        assert stored is not None
        with pytest.raises(StoreUnavailable):
            await stored
    assert (desk.offered, desk.lanes["bsg"].room, desk.lanes["bsg"].woken) == ([], 100, [])
    assert desk.store.queued == 0
    assert await desk.take(desk.message()) == [None]
    assert desk.offered == [("bsg", "hello")]


async def test_a_caller_that_is_cancelled_changes_nothing(desk: Desk) -> None:
    given = desk.message()
    _, stored = desk.intake.accept([given])
    assert stored is not None
    stored.cancel()
    await desk.settled()
    assert desk.offered == [("bsg", "hello")]
    assert desk.lanes["bsg"].room == 99
    refused = desk.message(destination="12025550123")
    desk.intake.accept_refused(refused, Refusal(Reason.NO_ROUTE, "no")).cancel()
    await desk.settled()
    assert [owed.known_id for owed in desk.owed] == [refused.message_id]
