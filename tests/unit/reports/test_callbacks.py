"""What providers say: who may, what of it is kept, and whom it concerns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from unit.world import REFERENCES, Api, Clock, Plain, PlainSettings, Store, locked, message_of, plain, queued_entry

from bridge.errors import StoreUnavailable
from bridge.message import Inbound, Owed, Reason, State
from bridge.providers._contract import BadCallback, Callback, Heard
from bridge.reports.callbacks import Hearing
from bridge.routing.rules import InboundRouter, InboundRule

STOP = {"source": "380501234567", "destination": "380440000001", "text": "stop"}


class Room:
    """A hearing, and what it said is owed."""

    def __init__(self, store: Store, clock: Clock, *providers: Plain) -> None:
        self.owed: list[Owed] = []
        self.went_on: list[str] = []
        self.listeners: dict[str, str | None] = {"acme": "smpp", "mute": None}
        self.hearing = Hearing(
            store,
            {provider.name: provider for provider in providers},
            InboundRouter(
                [InboundRule(to="380440000001", account="acme"), InboundRule(to="380440000002", account="mute")]
            ),
            self.listeners.get,
            clock=clock,
            on_owed=self.owed.extend,
            on_went_on=self.went_on.extend,
        )


@pytest.fixture
def provider(api: Api) -> Plain:
    return plain(api)


@pytest.fixture
def room(store: Store, clock: Clock, provider: Plain) -> Room:
    return Room(store, clock, provider)


def said(*items: dict[str, Any]) -> Callback:
    return Callback(method="POST", body=json.dumps(items).encode())


async def test_a_report_is_on_disk_before_it_is_answered_and_owed_then(
    room: Room, store: Store, provider: Plain
) -> None:
    await store.accept([queued_entry(message_of(1), "plain")])
    heard = await room.hearing.hear("plain", None, said({"state": "delivered", "reference": provider.references.of(1)}))
    assert (heard.status, heard.body) == (200, b"ok")
    assert (await store.record_of(1)).state is State.DELIVERED
    assert [(owed.known_id, owed.report and owed.report.state) for owed in room.owed] == [(1, State.DELIVERED)]


async def test_a_report_that_is_repeated_is_owed_once(room: Room, store: Store, provider: Plain) -> None:
    await store.accept([queued_entry(message_of(1), "plain")])
    callback = said({"state": "delivered", "reference": provider.references.of(1)})
    for _ in range(3):
        await room.hearing.hear("plain", None, callback)
    assert len(room.owed) == 1


async def test_an_unknown_provider_is_a_lookup_error(room: Room) -> None:
    with pytest.raises(LookupError):
        await room.hearing.hear("other", None, said())


@pytest.mark.parametrize("token", [None, "", "wrong", "secret-toke", "secret-tokenn"])
async def test_a_wrong_token_is_refused_and_nothing_is_kept(
    store: Store, clock: Clock, api: Api, token: str | None
) -> None:
    provider = plain(api, callback_token="secret-token")
    room = Room(store, clock, provider)
    await store.accept([queued_entry(message_of(1), "plain")])
    with pytest.raises(BadCallback) as refused:
        await room.hearing.hear("plain", token, said({"state": "delivered", "reference": provider.references.of(1)}))
    assert refused.value.status == 401
    assert "secret" not in str(refused.value)
    assert (await store.record_of(1)).state is State.ACCEPTED


async def test_the_right_token_is_heard(store: Store, clock: Clock, api: Api) -> None:
    provider = plain(api, callback_token="secret-token")
    room = Room(store, clock, provider)
    await store.accept([queued_entry(message_of(1), "plain")])
    await room.hearing.hear(
        "plain", "secret-token", said({"state": "delivered", "reference": provider.references.of(1)})
    )
    assert (await store.record_of(1)).state is State.DELIVERED


@pytest.mark.parametrize(
    ("expected", "path", "token", "heard_path"),
    [
        (None, "", None, ""),
        (None, "", "report", "report"),
        (None, "a/b", "report", "a/b/report"),
        ("T", "", "T", ""),
        ("T", "a/b", "T", "a/b"),
        ("T", "T", "report", "report"),
        ("T", "T//a", "report", "a/report"),
        ("T", "a/T", "report", None),
        ("T", "", "report", None),
        ("T", "", None, None),
    ],
)
async def test_the_token_ends_the_path_or_begins_it(
    store: Store, clock: Clock, api: Api, expected: str | None, path: str, token: str | None, heard_path: str | None
) -> None:
    paths: list[str] = []

    class Paths(Plain):
        def reports(self, callback: Callback) -> Heard:
            paths.append(callback.path)
            return Heard()

    room = Room(store, clock, Paths("plain", PlainSettings(url=api.url, callback_token=expected), REFERENCES))
    callback = Callback(method="POST", path=path)
    if heard_path is None:
        with pytest.raises(BadCallback):
            await room.hearing.hear("plain", token, callback)
    else:
        await room.hearing.hear("plain", token, callback)
    assert paths == ([] if heard_path is None else [heard_path])


async def test_what_the_provider_does_not_understand_is_refused(room: Room) -> None:
    with pytest.raises(BadCallback) as refused:
        await room.hearing.hear("plain", None, Callback(method="POST", body=b"<xml>"))
    assert refused.value.status == 400


async def test_a_report_for_nobody_is_answered_and_noted(room: Room, provider: Plain) -> None:
    with capture_logs() as logs:
        heard = await room.hearing.hear(
            "plain", None, said({"state": "delivered", "reference": provider.references.of(12345)})
        )
    assert heard.status == 200
    assert [(line["event"], line["reports"]) for line in logs] == [("stray_reports", 1)]


async def test_a_report_before_the_providers_answer_is_parked_not_lost(room: Room, store: Store) -> None:
    with capture_logs() as logs:
        await room.hearing.hear("plain", None, said({"state": "delivered", "provider_ref": "p-77"}))
    assert [(log["event"], log["log_level"]) for log in logs] == [("reports_parked", "info")]
    assert room.owed == []


async def test_nothing_is_answered_while_the_store_is_away(
    room: Room, store: Store, provider: Plain, tmp_path: Path
) -> None:
    await store.accept([queued_entry(message_of(1), "plain")])
    callback = said({"state": "delivered", "reference": provider.references.of(1)})
    with locked(tmp_path), pytest.raises(StoreUnavailable):
        await room.hearing.hear("plain", None, callback)
    assert room.owed == []
    await room.hearing.hear("plain", None, callback)
    assert len(room.owed) == 1


# --- inbound messages -------------------------------------------------------------------------------------------------


async def test_an_inbound_message_is_owed_to_its_account(room: Room, store: Store, clock: Clock) -> None:
    await room.hearing.hear("plain", None, said({"inbound": STOP}))
    (owed,) = room.owed
    assert (owed.account, owed.listener, owed.inbound) == ("acme", "smpp", Inbound(**STOP))
    assert owed.known_id > 0
    assert [item.owed_id for item in await store.owed("smpp", "acme", 0, 10, clock())] == [owed.owed_id]


async def test_an_inbound_message_that_is_repeated_is_owed_once(room: Room) -> None:
    for _ in range(2):
        await room.hearing.hear("plain", None, said({"inbound": STOP | {"provider_ref": "in-1"}}))
    assert len(room.owed) == 1


async def test_two_inbound_messages_of_one_callback_have_ids_of_their_own(room: Room) -> None:
    await room.hearing.hear("plain", None, said({"inbound": STOP}, {"inbound": STOP | {"text": "go"}}))
    assert len({owed.known_id for owed in room.owed}) == 2


@pytest.mark.parametrize("destination", ["380440000002", "380449999999"])  # nobody to tell; no rule
async def test_an_inbound_message_without_an_account_is_answered_and_noted(room: Room, destination: str) -> None:
    with capture_logs() as logs:
        await room.hearing.hear("plain", None, said({"inbound": STOP | {"destination": destination}}))
    assert room.owed == []
    assert [line["event"] for line in logs] == ["inbound_without_account"]
    assert STOP["source"] not in str(logs)


async def test_reports_and_inbound_messages_may_come_together(room: Room, store: Store, provider: Plain) -> None:
    await store.accept([queued_entry(message_of(1), "plain")])
    reference = provider.references.of(1)
    await room.hearing.hear(
        "plain",
        None,
        said({"inbound": STOP}, {"state": "undeliverable", "reason": "barred", "reference": reference}),
    )
    record = await store.record_of(1)
    assert (record.state, record.reason) == (State.UNDELIVERABLE, Reason.BARRED)
    assert {bool(owed.inbound) for owed in room.owed} == {True, False}


async def test_new_rules_are_taken_over(room: Room) -> None:
    room.listeners["other"] = "http"
    room.hearing.configure(InboundRouter([InboundRule(account="other")]))
    await room.hearing.hear("plain", None, said({"inbound": STOP}))
    assert [(owed.account, owed.listener) for owed in room.owed] == [("other", "http")]
