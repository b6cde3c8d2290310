"""A store against a small model of what it should know, in any order of events hypothesis comes up with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store.samples import ENGINES, NOW, again, entry, failed, message, owed_to, report, sent

from bridge.errors import StoreUnavailable
from bridge.message import FINAL, Owed, State, merge
from bridge.store import Stage, Store, cancelled

LANES = ("bsg", "virtual")
REFS = ("r1", "r2", "r3")
REPORTED = (State.ACCEPTED, State.ENROUTE, State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED)

lanes = st.sampled_from(LANES)
refs = st.sampled_from(REFS)
reported = st.sampled_from(REPORTED)


@dataclass
class Expected:
    """One message, as the model knows it."""

    number: int
    lane: str
    stage: Stage
    state: State = State.ACCEPTED
    ref: str | None = None
    told: list[State] = field(default_factory=list)  # final states that its sender was told of

    def hear(self, state: State) -> None:
        after = merge(self.state, state)
        if after in FINAL and self.state not in FINAL:
            self.stage = Stage.FINAL
            self.told.append(after)
        self.state = after


class StoreModel(RuleBasedStateMachine):
    """`leased` messages may be settled, as a lane does it; reports may come at any time and for anything."""

    @initialize(engine=st.sampled_from(sorted(ENGINES)))
    def open(self, engine: str) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.make: Callable[[Path, float], Store] = ENGINES[engine]
        self.messages: dict[int, Expected] = {}
        self.parked: dict[tuple[str, str], dict[State, float]] = {}
        self.now = NOW
        self.last_id = 0
        self._open()

    def _open(self) -> None:
        async def open_() -> Store:
            return self.make(Path(self.folder.name) / "bridge.db", self.now)

        self.store = self.runner.run(open_())

    def _do(self, verb: str, *arguments: Any) -> Any:
        async def ask() -> Any:
            return await getattr(self.store, verb)(*arguments)

        return self.runner.run(ask())

    def teardown(self) -> None:
        self._do("close")
        self.runner.close()
        self.folder.cleanup()

    # --- what happens

    @rule(lane=lanes, leased=st.booleans())
    def accept(self, lane: str, leased: bool) -> None:
        number = self.store.next_id()
        assert number > self.last_id
        self.last_id = number
        self._do("accept", [entry(number, plan=(lane,), leased=leased, next_at=self.now)])
        self.messages[number] = Expected(number, lane, Stage.LEASED if leased else Stage.QUEUED)

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), lane=lanes)
    def accept_beside_a_write_that_fails(self, data: st.DataObject, lane: str) -> None:
        number, lost = self.store.next_id(), self.store.next_id()
        twice = data.draw(st.sampled_from(list(self.messages)))
        self.last_id = lost

        async def ask() -> list[BaseException | None]:
            fine = self.store.accept([entry(number, plan=(lane,), next_at=self.now)])
            broken = self.store.accept([entry(lost, plan=(lane,)), entry(twice, plan=(lane,))])
            return await asyncio.gather(fine, broken, return_exceptions=True)

        kept, refused = self.runner.run(ask())
        assert kept is None
        assert isinstance(refused, StoreUnavailable)
        assert self._do("find", lost) is None
        self.messages[number] = Expected(number, lane, Stage.QUEUED)

    @rule(lane=lanes, limit=st.integers(1, 3))
    def claim(self, lane: str, limit: int) -> None:
        queued, _ = self._do("claim", lane, limit, self.now)
        waiting = [of for of in self.messages.values() if (of.lane, of.stage) == (lane, Stage.QUEUED)]
        assert len(queued) == min(limit, len(waiting))
        for item in queued:
            of = self.messages[item.message.message_id]
            assert of in waiting
            of.stage = Stage.LEASED

    def _held(self) -> list[Expected]:
        return [of for of in self.messages.values() if of.stage is Stage.LEASED]

    @precondition(lambda self: self._held())
    @rule(data=st.data(), ref=st.none() | refs)
    def send(self, data: st.DataObject, ref: str | None) -> None:
        of = data.draw(st.sampled_from(self._held()))
        self._do("settle", [sent(of.number, ref, of.lane)])
        of.stage, of.state, of.ref = Stage.SENT, State.ENROUTE, ref or of.ref
        for _, state in self._unparked(of.lane, ref):
            of.hear(state)

    def _unparked(self, lane: str, ref: str | None) -> list[tuple[float, State]]:
        early = self.parked.pop((lane, ref), {}) if ref else {}
        return sorted((at, state) for state, at in early.items())

    @precondition(lambda self: self._held())
    @rule(data=st.data(), lane=lanes)
    def retry(self, data: st.DataObject, lane: str) -> None:
        of = data.draw(st.sampled_from(self._held()))
        self._do("settle", [again(of.number, self.now, lane)])
        of.stage, of.state, of.lane = Stage.QUEUED, State.ACCEPTED, lane

    @precondition(lambda self: self._held())
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        of = data.draw(st.sampled_from(self._held()))
        owed = self._do("settle", [failed(message(of.number), lane=of.lane)]).owed
        assert [item.known_id for item in owed] == [of.number]
        of.stage, of.state = Stage.FINAL, State.REJECTED
        of.told.append(State.REJECTED)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        of = data.draw(st.sampled_from(list(self.messages.values())))
        (done,) = self._do("change", [of.number], lambda given: cancelled(given, self.now), self.now)
        assert (done is not None) is (of.stage <= Stage.LEASED and of.state is State.ACCEPTED)
        if done is not None:
            of.stage, of.state = Stage.FINAL, State.DELETED
            of.told.append(State.DELETED)

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), lane=lanes)
    def replace(self, data: st.DataObject, lane: str) -> None:
        of = data.draw(st.sampled_from(list(self.messages.values())))
        new = entry(of.number, plan=(lane,), next_at=self.now, text="new")
        (done,) = self._do("change", [of.number], lambda given: new, self.now)
        assert (done is not None) is (of.stage <= Stage.LEASED and of.state is State.ACCEPTED)
        if done is not None:
            of.stage, of.lane = Stage.QUEUED, lane

    @precondition(lambda self: any(of.stage is Stage.FINAL for of in self.messages.values()))
    @rule(data=st.data(), ref=st.none() | refs)
    def settle_what_is_final(self, data: st.DataObject, ref: str | None) -> None:
        of = data.draw(st.sampled_from([of for of in self.messages.values() if of.stage is Stage.FINAL]))
        of.ref = ref or of.ref
        self._unparked(of.lane, ref)
        assert self._do("settle", [sent(of.number, ref, of.lane)]).owed == []

    def _meant(self, lane: str, ref: str | None) -> Expected:
        return self.messages[max(of.number for of in self.messages.values() if (of.lane, of.ref) == (lane, ref))]

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), state=reported)
    def hear_by_our_reference(self, data: st.DataObject, state: State) -> None:
        of = data.draw(st.sampled_from(list(self.messages.values())))
        recorded = self._do("record", of.lane, [report(state, message_id=of.number)], self.now)
        before = len(of.told)
        of.hear(state)
        assert len(recorded.owed) == len(of.told) - before

    @rule(lane=lanes, ref=refs, state=reported)
    def hear_by_their_reference(self, lane: str, ref: str, state: State) -> None:
        recorded = self._do("record", lane, [report(state, ref=ref)], self.now)
        known = any((of.lane, of.ref) == (lane, ref) for of in self.messages.values())
        assert recorded.parked == (not known)
        if known:
            self._meant(lane, ref).hear(state)
        else:
            self.parked.setdefault((lane, ref), {}).setdefault(state, self.now)

    def _owed(self) -> list[Owed]:
        async def ask() -> list[Owed]:
            return await owed_to(self.store)

        return self.runner.run(ask())

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        owed = self._owed()
        if owed:
            item = data.draw(st.sampled_from(owed))
            assert item.report is not None
            self._do("handed", [(item, {"at": self.now, "event": "reported"})])
            self.messages[item.known_id].told.remove(item.report.state)

    @rule()
    def time_passes(self) -> None:
        self.now += 1

    @rule()
    def restart(self) -> None:
        self._do("close")
        self._open()
        for of in self._held():
            of.stage = Stage.QUEUED

    # --- what must be so at any time

    @invariant()
    def every_message_stands_where_it_should(self) -> None:
        for number, of in self.messages.items():
            record = self._do("find", number)
            assert (record.state, record.provider, record.provider_ref) == (of.state, of.lane, of.ref)

    @invariant()
    def what_waits_is_counted(self) -> None:
        waiting = sum(of.stage <= Stage.LEASED for of in self.messages.values())
        assert self.store.queued == waiting

    @invariant()
    def whoever_must_be_told_is_owed_it_once(self) -> None:
        told = [(of.number, state) for of in self.messages.values() for state in of.told]
        assert sorted((item.known_id, item.report.state) for item in self._owed() if item.report) == sorted(told)


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
