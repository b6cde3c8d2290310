"""What providers say later: in time, early, repeated, out of order, or about something nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
from store.samples import NOW, Open, again, claimed, entry, failed, message, owed_to, part, report, sent, stands

from bridge.message import Part, Plan, Reason, ReportOn, State, owed_for
from bridge.store import Recorded, Store


async def _sent(store: Store, message_id: int = 1, ref: str = "ref-1", lane: str = "bsg") -> None:
    await store.accept([entry(message_id, leased=True, plan=(lane,))])
    await store.settle([sent(message_id, ref, lane)])


# --- in time


async def test_a_final_report_is_owed(store: Store) -> None:
    await _sent(store)
    recorded = await store.record("bsg", [report(State.DELIVERED, ref="ref-1", native="DELIVRD", at=NOW + 2)], NOW + 3)
    assert (recorded.parked, recorded.stray) == (0, 0)
    (owed,) = recorded.owed
    assert (owed.account, owed.listener, owed.known_id, owed.created_at, owed.due_at) == (
        "shop",
        "smpp",
        1,
        NOW + 3,
        NOW + 3,
    )
    assert owed.message == message(1)
    assert owed.report == report(State.DELIVERED, ref="ref-1", native="DELIVRD", at=NOW + 2)
    assert await owed_to(store) == [owed]
    record = await store.find(1)
    assert record is not None
    assert (record.state, record.updated_at) == (State.DELIVERED, NOW + 3)
    assert record.timeline[-1] == {
        "at": NOW + 3,
        "event": "report",
        "provider": "bsg",
        "state": "delivered",
        "native": "DELIVRD",
    }


async def test_a_report_finds_its_message_by_our_reference(store: Store) -> None:
    await _sent(store)
    recorded = await store.record("bsg", [report(State.UNDELIVERABLE, message_id=1, reason=Reason.BARRED)], NOW)
    assert [owed.known_id for owed in recorded.owed] == [1]
    assert await stands(store, 1) == (State.UNDELIVERABLE, Reason.BARRED)


async def test_a_report_that_is_not_final_changes_the_state_only(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    assert await store.record("bsg", [report(State.ENROUTE, message_id=1)], NOW) == Recorded()
    assert await stands(store, 1) == (State.ENROUTE, None)
    assert store.queued == 1
    assert await owed_to(store) == []


async def test_news_is_owed_to_whoever_asked_and_repeated_news_is_none(store: Store) -> None:
    await store.accept([entry(1, leased=True, intermediate=True)])
    taken = message(1, intermediate=True)
    told = (
        await store.settle([sent(1, "ref-1", message=taken, owed=owed_for(taken, report(State.ENROUTE), NOW + 1))])
    ).owed
    assert [owed.report and owed.report.state for owed in told] == [State.ENROUTE]
    absent = report(State.ENROUTE, ref="ref-1", reason=Reason.ABSENT_SUBSCRIBER)
    for count in (1, 0):
        assert len((await store.record("bsg", [absent], NOW + 2)).owed) == count
    assert len(await owed_to(store)) == 2
    assert await stands(store, 1) == (State.ENROUTE, Reason.ABSENT_SUBSCRIBER)


async def test_the_end_overtakes_news_that_still_waits(store: Store) -> None:
    for number in (1, 2):
        taken = message(number, intermediate=True)
        await store.accept([entry(number, leased=True, intermediate=True)])
        owed = owed_for(taken, report(State.ENROUTE), NOW + 1)
        await store.settle([sent(number, f"ref-{number}", message=taken, owed=owed)])
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW + 2)
    left = [(owed.known_id, owed.report and owed.report.state) for owed in await owed_to(store)]
    assert left == [(2, State.ENROUTE), (1, State.DELIVERED)]


async def test_each_part_that_asked_is_told(store: Store) -> None:
    parts = tuple(
        Part(part_id=number, number=number, report_on=report_on)
        for number, report_on in enumerate((ReportOn.FINAL, ReportOn.FAILURE, ReportOn.SUCCESS), 1)
    )
    await store.accept([], [part(number, number, 3) for number in (1, 2, 3)])
    await store.accept([entry(1, leased=True, joins=(1, 2, 3), parts=parts)])
    await store.settle([sent(1, "ref-1")])
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    owed = await owed_to(store)
    assert [(item.known_id, item.part) for item in owed] == [(1, parts[0]), (3, parts[2])]


async def test_nobody_is_told_who_did_not_ask(store: Store) -> None:
    await store.accept([entry(1, leased=True, report_on=ReportOn.NEVER)])
    await store.settle([sent(1, "ref-1")])
    assert await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW) == Recorded()
    assert await stands(store, 1) == (State.DELIVERED, None)


async def test_a_report_while_the_message_still_waits_ends_it(store: Store) -> None:
    await store.accept([entry(1)])
    await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)
    assert store.queued == 0
    assert await claimed(store) == []


async def test_no_report_came(store: Store) -> None:
    await _sent(store)
    recorded = await store.record("bsg", [report(State.UNKNOWN, message_id=1, reason=Reason.NO_REPORT)], NOW)
    assert len(recorded.owed) == 1
    assert await stands(store, 1) == (State.UNKNOWN, Reason.NO_REPORT)


async def test_a_message_of_many_reports_stays_readable(store: Store) -> None:
    await _sent(store)
    for _ in range(5):
        await store.record("bsg", [report(State.ENROUTE, ref="ref-1", native="x" * 500)] * 100, NOW)
    record = await store.find(1)
    assert record is not None
    assert len(record.timeline) < 100
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    record = await store.find(1)
    assert record is not None
    assert record.timeline[-1]["state"] == "delivered"


async def test_foreign_words_do_not_break_the_timeline(store: Store) -> None:
    await _sent(store)
    native = 'a\nb\x85c\u2028d\u2029e\x1cf"\\'
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1", native=native)], NOW)
    record = await store.find(1)
    assert record is not None
    assert record.timeline[-1]["native"] == native


# --- early


async def test_a_report_before_the_providers_answer_waits_for_it(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    early = [report(State.ENROUTE, ref="ref-1"), report(State.DELIVERED, ref="ref-1", native="ok")]
    assert await store.record("bsg", early, NOW) == Recorded(parked=2)
    assert await stands(store, 1) == (State.ACCEPTED, None)
    (owed,) = (await store.settle([sent(1, "ref-1")])).owed
    assert owed.report == early[1]
    assert await stands(store, 1) == (State.DELIVERED, None)
    assert await owed_to(store) == [owed]
    assert store.queued == 0
    assert await store.awaiting("bsg", 10, NOW + 1e6) == ([], None)


async def test_an_early_report_waits_over_a_restart(open_store: Open) -> None:
    store = open_store()
    await store.accept([entry(1, leased=True)])
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    await store.close()
    store = open_store()
    assert await claimed(store) == [1]
    assert len((await store.settle([sent(1, "ref-1")])).owed) == 1


async def test_an_early_report_and_the_answer_in_one_commit(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    recording = store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    settling = store.settle([sent(1, "ref-1")])
    assert (await recording).parked == 1
    assert [owed.known_id for owed in (await settling).owed] == [1]


async def test_an_early_report_counts_once_however_often_it_came(store: Store) -> None:
    await store.accept([entry(1, leased=True), entry(2, leased=True)])
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")] * 3, NOW)
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW + 1)
    assert len((await store.settle([sent(1, "ref-1")])).owed) == 1
    assert (await store.settle([sent(2, "ref-1")])).owed == []  # nothing waits for the reference any more


async def test_an_early_report_of_another_provider_is_not_ours(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    await store.record("virtual", [report(State.UNDELIVERABLE, ref="ref-1")], NOW)
    assert (await store.settle([sent(1, "ref-1")])).owed == []
    assert await stands(store, 1) == (State.ENROUTE, None)


async def test_an_early_report_meets_an_answer_that_is_final_itself(store: Store) -> None:
    await store.accept([entry(1, leased=True)])
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    refused = failed(message(1))
    owed = (await store.settle([sent(1, "ref-1", stage=refused.stage, state=refused.state, owed=refused.owed)])).owed
    assert [item.report and item.report.state for item in owed] == [State.REJECTED]
    assert await stands(store, 1) == (State.REJECTED, None)


async def test_early_reports_are_forgotten_with_their_time(store: Store) -> None:
    await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)
    await store.purge(NOW + 1, 10)
    await store.accept([entry(1, leased=True)])
    assert (await store.settle([sent(1, "ref-1")])).owed == []


# --- repeated, out of order, too late


async def test_nothing_final_moves(store: Store) -> None:
    await _sent(store)
    assert len((await store.record("bsg", [report(State.DELIVERED, ref="ref-1")], NOW)).owed) == 1
    for state in State:
        for reason in (None, Reason.NO_REPORT):
            late = report(state, ref="ref-1", reason=reason)
            assert await store.record("bsg", [late], NOW + 9) == Recorded()
    assert await stands(store, 1) == (State.DELIVERED, None)
    assert len(await owed_to(store)) == 1


async def test_a_report_twice_in_one_call_is_owed_once(store: Store) -> None:
    await _sent(store)
    recorded = await store.record("bsg", [report(State.DELIVERED, ref="ref-1")] * 2, NOW)
    assert len(recorded.owed) == 1


async def test_a_report_that_comes_after_a_later_one_is_noted(store: Store) -> None:
    await _sent(store)
    await store.record("bsg", [report(State.ACCEPTED, ref="ref-1"), report(State.UNKNOWN, ref="ref-1")], NOW)
    assert await stands(store, 1) == (State.ENROUTE, None)
    record = await store.find(1)
    assert record is not None
    assert [event.get("state") for event in record.timeline] == [None, None, "accepted", "unknown"]


# --- unknown, or somebody else's


@pytest.mark.parametrize("of", [{}, {"message_id": 77}, {"message_id": 77, "ref": "ref-1"}])
async def test_a_stray_report_changes_nothing(store: Store, of: dict[str, object]) -> None:
    await _sent(store)
    assert await store.record("bsg", [report(State.DELIVERED, **of)], NOW) == Recorded(stray=1)  # type: ignore[arg-type]
    assert await stands(store, 1) == (State.ENROUTE, None)


async def test_two_providers_may_give_the_same_reference(store: Store) -> None:
    """The newer message of one provider must not hide the older one of the other."""
    await _sent(store, 1, "1001", "bsg")
    await _sent(store, 2, "1001", "virtual")
    recorded = await store.record("bsg", [report(State.DELIVERED, ref="1001")], NOW)
    assert [owed.known_id for owed in recorded.owed] == [1]
    assert await stands(store, 1) == (State.DELIVERED, None)
    assert await stands(store, 2) == (State.ENROUTE, None)


async def test_of_two_messages_with_one_reference_the_newer_is_meant(store: Store) -> None:
    await _sent(store, 1, "1001")
    await _sent(store, 2, "1001")
    recorded = await store.record("bsg", [report(State.DELIVERED, ref="1001")], NOW)
    assert [owed.known_id for owed in recorded.owed] == [2]


async def test_a_provider_that_no_longer_has_the_message_can_only_say_delivered(store: Store) -> None:
    await store.accept([entry(1, leased=True, plan=("bsg", "virtual"))])
    await store.settle([again(1, NOW, lane="virtual", step=1, attempts=0)])
    assert await store.record("bsg", [report(State.UNDELIVERABLE, message_id=1)], NOW) == Recorded()
    assert await stands(store, 1) == (State.ACCEPTED, None)
    assert len((await store.record("bsg", [report(State.DELIVERED, message_id=1)], NOW)).owed) == 1
    assert await claimed(store, "virtual") == []
    assert store.queued == 0


# --- another name


async def test_a_report_gives_a_name_by_which_later_ones_come(store: Store) -> None:
    await _sent(store, 1, "list:380")
    recorded = await store.record("bsg", [report(State.ENROUTE, ref="list:380", new_ref="r-1")], NOW)
    assert recorded == Recorded()
    assert len((await store.record("bsg", [report(State.DELIVERED, ref="r-1")], NOW)).owed) == 1
    record = await store.find(1)
    assert record is not None
    assert [event.get("provider_ref") for event in record.timeline] == [None, None, "r-1", None]


async def test_a_name_belongs_to_the_provider_that_gave_it(store: Store) -> None:
    await _sent(store)
    await store.record("bsg", [report(State.ENROUTE, message_id=1, new_ref="r-1")], NOW)
    assert (await store.record("virtual", [report(State.DELIVERED, ref="r-1")], NOW)).parked == 1


@pytest.mark.parametrize("named_first", [True, False])
async def test_what_comes_before_its_name_waits_for_it(open_store: Open, named_first: bool) -> None:
    store = open_store()
    await store.accept([entry(1, leased=True)])
    early = [report(State.ENROUTE, ref="list:380", new_ref="r-1"), report(State.DELIVERED, ref="r-1")]
    assert (await store.record("bsg", early if named_first else early[::-1], NOW)).parked == 2
    await store.close()
    store = open_store()
    assert [owed.known_id for owed in (await store.settle([sent(1, "list:380")])).owed] == [1]
    assert await stands(store, 1) == (State.DELIVERED, None)
    assert (await store.record("bsg", [report(State.DELIVERED, ref="r-1")], NOW)).parked == 0


# --- plans that go on


async def _with(store: Store, provider_ref: str | None, *, else_at: float | None = NOW + 600) -> None:
    await store.accept([entry(1, leased=True, plan=Plan(("viber", "sms"), (600, 0)))])
    await store.settle([sent(1, provider_ref, "viber", else_at=else_at)])


async def test_a_failure_goes_on_where_the_plan_says_so(store: Store) -> None:
    await _with(store, "v-1")
    recorded = await store.record("viber", [report(State.UNDELIVERABLE, ref="v-1")], NOW + 9)
    assert (recorded.went_on, recorded.owed) == (["sms"], [])
    assert store.queued == 1
    ([queued], _) = await store.claim("sms", 10, NOW + 9)
    assert (queued.step, queued.attempts, queued.begun, queued.plan.waits_s) == (1, 0, 0, (600, 0))
    # It went on once, and the first provider has no more to say but that it was delivered after all.
    assert (await store.record("viber", [report(State.EXPIRED, ref="v-1")], NOW)).went_on == []
    await store.settle([sent(1, "s-1", "sms", step=1)])
    recorded = await store.record("viber", [report(State.DELIVERED, ref="v-1")], NOW)
    assert [owed.known_id for owed in recorded.owed] == [1]
    record = await store.find(1)
    assert record is not None
    assert (record.provider, record.provider_ref, record.state) == ("sms", "s-1", State.DELIVERED)
    assert store.queued == 0


@pytest.mark.parametrize("of", [{"ref": "v-1"}, {"message_id": 1}])
async def test_a_failure_that_overtakes_the_answer_goes_on_with_it(open_store: Open, of: dict[str, Any]) -> None:
    store = open_store()
    await store.accept([entry(1, leased=True, plan=Plan(("viber", "sms"), (600, 0)))])
    early = await store.record("viber", [report(State.UNDELIVERABLE, **of)], NOW)
    assert (early.parked, early.went_on, early.owed) == (1, [], [])
    await store.close()
    store = open_store()
    assert await claimed(store, "viber") == [1]
    recorded = await store.settle([sent(1, "v-1", "viber", else_at=NOW + 600)])
    assert (recorded.went_on, recorded.owed) == (["sms"], [])
    assert await claimed(store, "sms", NOW + 1) == [1]
    # Of the last one of a plan there is nothing to wait for.
    recorded = await store.record("sms", [report(State.UNDELIVERABLE, message_id=1)], NOW)
    assert [owed.known_id for owed in recorded.owed] == [1]


async def test_a_failure_after_its_time_is_the_end_whatever_the_plan_says(store: Store) -> None:
    await _with(store, "v-1")
    recorded = await store.record("viber", [report(State.UNDELIVERABLE, ref="v-1")], NOW + 3600)
    assert ([owed.known_id for owed in recorded.owed], recorded.went_on, recorded.parked) == ([1], [], 0)


async def test_it_goes_on_by_the_clock(open_store: Open) -> None:
    store = open_store()
    await _with(store, None)
    await store.close()
    store = open_store()
    assert (await store.awaiting("viber", 10, NOW + 60))[0][0].else_at == NOW + 600
    assert await store.go_on([1, 2], NOW + 600) == ["sms"]
    assert await store.go_on([1], NOW + 600) == []
    ([queued], _) = await store.claim("sms", 10, NOW + 600)
    assert queued.step == 1


async def test_what_is_final_does_not_go_on(store: Store) -> None:
    await _with(store, "v-1")
    await store.record("viber", [report(State.DELIVERED, ref="v-1")], NOW)
    assert await store.go_on([1], NOW + 600) == []
    assert store.queued == 0


async def test_a_purge_forgets_who_had_a_message(store: Store) -> None:
    await _with(store, "v-1")
    await store.go_on([1], NOW)
    ((owed,), *_) = [(await store.record("viber", [report(State.DELIVERED, ref="v-1")], NOW)).owed]
    await store.handed([(owed, {"at": NOW, "event": "reported"})])
    assert await store.purge(NOW + 50, 10) == 1
    assert (await store.record("viber", [report(State.DELIVERED, ref="v-1")], NOW)).parked == 1


async def test_what_has_expired_does_not_go_on_but_waits_for_who_has_it(store: Store) -> None:
    await _with(store, "v-1", else_at=NOW + 4000)
    assert await store.go_on([1], NOW + 4000) == []
    ((awaiting,), _) = await store.awaiting("viber", 10, NOW + 4000)
    assert awaiting.else_at is None
    recorded = await store.record("viber", [report(State.DELIVERED, ref="v-1")], NOW + 4001)
    assert [owed.known_id for owed in recorded.owed] == [1]
