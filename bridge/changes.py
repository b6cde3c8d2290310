"""Changes that accounts ask for: messages of theirs that no provider has yet are cancelled, or replaced by others.

A lane may be about to send what is to be changed, so the lanes hold a message first: a message that they hold is not
sent, one that they are sending is not changed. Then the store decides, in the one order of its writes; what it changed
is dropped from the memory of its lane, and a replacement waits on disk like any other message. A kill in between leaves
the message as it was, or changed, never both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bridge.errors import Refusal
from bridge.intake import Intake
from bridge.message import Message, Owed, Reason, State
from bridge.store import Alter, Entry, Record, Stage, Store, Wanted, cancelled

_AT_ONCE = 200  # messages changed in one write
_TRIES = 3  # of a part that is being joined while it is to be cancelled


class LanePort(Protocol):
    """What lanes do for a change."""

    def hold(self, message_id: int) -> bool:
        """Keeps a message from being sent until `let_go`; False: it is being sent, or was and nobody knows yet."""

    def let_go(self, message_id: int, *, changed: bool) -> None:
        """Ends a hold; `changed`: what is in memory is not to be sent, its place is on disk or nowhere."""

    def wake(self, at: float) -> None:
        """Says that the disk holds something due at a time."""


class Changes:
    """What accounts may do with messages they have submitted; one per process."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        lanes: Mapping[str, LanePort],
        *,
        clock: Callable[[], float],
        on_owed: Callable[[Sequence[Owed]], None],
    ) -> None:
        self._store = store
        self._intake = intake
        self._lanes = lanes
        self._clock = clock
        self._on_owed = on_owed
        self._turns: dict[str, asyncio.Lock] = {}

    def turn(self, account: str) -> asyncio.Lock:
        """For those who submit only if there is nothing to replace: what one submits the next one sees."""
        return self._turns.setdefault(account, asyncio.Lock())

    async def known(self, account: str, known_id: int) -> list[Record]:
        """The messages of an account that it knows by an id. Raises StoreUnavailable."""
        return [record for record in await self._store.known(known_id) if record.message.account == account]

    async def cancel(self, account: str, known_id: int, wanted: Wanted) -> bool | None:
        """Whether any message with that id was cancelled; None when the account has none that is wanted.

        A part stands for its message; its other parts can be cancelled too, then. Raises StoreUnavailable.
        """
        for _ in range(_TRIES):
            records = [record for record in await self.known(account, known_id) if wanted(record.message)]
            if not records:
                return None
            parts = {record.message.message_id for record in records if record.message.segment is not None}
            ended = self._intake.cancel_parts(lambda part, parts=parts: part.message_id in parts)  # type: ignore[misc]
            await asyncio.gather(*ended)
            whole = [record.message.message_id for record in records if record.message.segment is None]
            done = [*ended, *await self._change(whole, self._cancel)]
            if done or any(_cancelled_before(record) for record in records):
                return True
            if not parts:
                return False
            # The last part has come in between: by now, a write later, the whole is on disk.
        return False

    async def cancel_all(self, account: str, destination: str, before: int, wanted: Wanted) -> int:
        """How many of an account's messages to a number, with ids below `before`, were cancelled.

        Raises StoreUnavailable; some may be cancelled then.
        """

        def waits(part: Message) -> bool:
            mine = part.account == account and part.destination == destination and part.message_id < before
            return mine and wanted(part)

        ended = self._intake.cancel_parts(waits)
        await asyncio.gather(*ended)
        message_ids = await self._store.waiting(account, destination, before, wanted)
        count = len(ended)
        for at in range(0, len(message_ids), _AT_ONCE):
            count += len(await self._change(message_ids[at : at + _AT_ONCE], self._cancel))
        return count

    async def replace(self, account: str, known_id: int, wanted: Wanted, make: Callable[[Message], Message]) -> bool:
        """Whether messages with that id were replaced by what `make` makes of them.

        Raises Refusal when they cannot be (`make` may, too), and StoreUnavailable.
        """
        records = [record for record in await self.known(account, known_id) if wanted(record.message)]
        return bool(await self._replace([record.message.message_id for record in records], make))

    async def replace_latest(
        self, account: str, destination: str, before: int, wanted: Wanted, make: Callable[[Message], Message]
    ) -> Message | None:
        """The replacement of the last message to a number, with an id below `before`, that waits; None: none does.

        Raises Refusal when it cannot be replaced (`make` may, too), and StoreUnavailable.
        """
        message_ids = await self._store.waiting(account, destination, before, wanted)
        for message_id in reversed(message_ids):
            replaced = await self._replace([message_id], make)
            if replaced:
                return replaced[0].message
        return None

    def drop(self, message_ids: Sequence[int]) -> None:
        """Takes messages that are final on disk out of the memory of their lanes; what is being sent is sent."""
        for message_id in message_ids:
            for lane in self._hold(message_id) or ():
                lane.let_go(message_id, changed=True)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _cancel(self, message: Message) -> Entry:
        return cancelled(message, self._clock())

    async def _replace(self, message_ids: Sequence[int], make: Callable[[Message], Message]) -> list[Entry]:
        refusals: list[Refusal] = []

        def alter(message: Message) -> Entry | None:
            if message.parts:
                return None  # its client knows parts, and would replace one of them
            try:
                entry = self._intake.replacement(make(message))
            except Refusal as refusal:
                entry = refusal
            if isinstance(entry, Refusal):
                refusals.append(entry)
                return None
            return entry

        replaced = await self._change(message_ids, alter)
        if refusals and not replaced:
            raise refusals[0]
        return replaced

    async def _change(self, message_ids: Sequence[int], alter: Alter) -> list[Entry]:
        """What those messages were changed to that could be. Raises StoreUnavailable, and none is changed."""
        held = {message_id: lanes for message_id in message_ids if (lanes := self._hold(message_id)) is not None}
        changed: dict[int, Entry] = {}

        def decided(done: asyncio.Future[list[Entry | None]]) -> None:
            if not done.cancelled() and done.exception() is None:
                entries = zip(held, done.result(), strict=True)
                changed.update((message_id, entry) for message_id, entry in entries if entry is not None)
            for message_id, lanes in held.items():
                for lane in lanes:
                    lane.let_go(message_id, changed=message_id in changed)
            for entry in changed.values():
                if entry.stage is not Stage.FINAL:
                    assert entry.next_at is not None
                    self._lanes[entry.plan[0]].wake(entry.next_at)
                elif entry.owed:
                    self._on_owed(entry.owed)

        # By a callback: whoever asked may be gone when the store has decided, and the lanes must hear of it.
        write = self._store.change(list(held), alter, self._clock())
        write.add_done_callback(decided)
        await asyncio.shield(write)
        return list(changed.values())

    def _hold(self, message_id: int) -> list[LanePort] | None:
        """The lanes, which all hold the message now; None when one is sending it."""
        held: list[LanePort] = []
        for lane in self._lanes.values():
            if not lane.hold(message_id):
                for other in held:
                    other.let_go(message_id, changed=False)
                return None
            held.append(lane)
        return held


def _cancelled_before(record: Record) -> bool:
    """Its client cancels one part after the other, and the first of them was the end of all."""
    return record.state is State.DELETED and record.reason is Reason.CANCELLED and bool(record.message.parts)
