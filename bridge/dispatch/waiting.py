"""What waits in a lane's memory: in which order it leaves, and what of it somebody holds back to change it.

Urgent messages (priority 3, 2, 1) leave before all others, and each kind in the order it came. A message is known here
by its id from when it comes until what came of it is on disk, so that nobody changes one that is being sent: `hold`
says whether it may be changed, and keeps it from leaving until `let_go`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from bridge.store import Queued

_LOOKED_AT = 4  # messages, for each that a request may hold
_WITHDRAWN_MAX = 64  # dead messages in the queues, after which they are cleared out when they are more than the others


class Waiting:
    """The messages of one lane; its length is how many may leave now."""

    def __init__(self) -> None:
        self._queues: tuple[deque[Queued], ...] = (deque(), deque(), deque(), deque())  # by priority
        self._plain = self._queues[0]
        self._urgent = 0  # messages in the other queues, those that were withdrawn too
        self._withdrawn = 0  # messages in all queues that will not leave
        self._here: dict[int, Queued] = {}  # all that came and is not settled on disk
        self._holds: Counter[int] = Counter()  # how many hold a message
        self._aside: dict[int, Queued] = {}  # what is held and would otherwise wait

    def __len__(self) -> int:
        return len(self._plain) + self._urgent - self._withdrawn

    def __iter__(self) -> Iterator[Queued]:
        """What may leave, in its order."""
        for queue in reversed(self._queues):
            yield from (queued for queued in queue if not queued.withdrawn)

    def add(self, queued: Iterable[Queued]) -> None:
        """Takes messages, behind those of their priority that are here."""
        for one in queued:
            message = one.message
            self._here[message.message_id] = one
            if self._holds and message.message_id in self._holds:
                self._aside[message.message_id] = one
            elif message.priority:
                self._queue_of(one).append(one)
                self._urgent += 1
            else:
                self._plain.append(one)

    def pop(self) -> Queued:
        """The next one, which is under way from now on. Raises IndexError when none may leave."""
        while True:
            queue = self._plain if not self._urgent else next(queue for queue in reversed(self._queues) if queue)
            one = queue.popleft()
            if queue is not self._plain:
                self._urgent -= 1
            if not one.withdrawn:
                one.under_way = True
                return one
            self._withdrawn -= 1

    def take(self, size: int, key_of: Callable[[Queued], object]) -> list[Queued]:
        """The next one, and those behind it that may share a request with it, `size` at most: of the same key, to
        another number each, and none that is to go alone. The others keep their places.
        """
        first = self.pop()
        if size == 1 or first.alone:
            return [first]
        batch, left = [first], []
        key = key_of(first)
        destinations = {first.message.destination}
        for _ in range(min(len(self), _LOOKED_AT * size)):
            if len(batch) == size:
                break
            one = self.pop()
            if one.alone or one.message.destination in destinations or key_of(one) != key:
                left.append(one)
            else:
                destinations.add(one.message.destination)
                batch.append(one)
        self.put_back(left)
        return batch

    def put_back(self, queued: Sequence[Queued]) -> None:
        """Takes again what was popped and is not sent now, in front."""
        for one in reversed(queued):
            one.under_way = False
            queue = self._queue_of(one)
            queue.appendleft(one)
            if queue is not self._plain:
                self._urgent += 1

    def take_out(self, queued: Iterable[Queued]) -> None:
        """Messages that wait are ended from here, by a settlement."""
        for one in queued:
            one.under_way = True
            self._withdraw(one)
        self._clear_out()

    def settled(self, message_ids: Iterable[int]) -> None:
        """What came of these is on disk."""
        for message_id in message_ids:
            self._here.pop(message_id, None)

    def clear(self) -> None:
        """Lets nothing leave any more."""
        for queue in self._queues:
            queue.clear()
        self._urgent = self._withdrawn = 0
        self._aside.clear()

    # --- changes ----------------------------------------------------------------------------------------------------

    def hold(self, message_id: int) -> bool:
        """Keeps a message, here or yet to come, from leaving; False when it is being sent, or nobody knows yet.

        For each True there is one `let_go`.
        """
        one = self._here.get(message_id)
        if one is not None:
            if one.under_way:
                return False
            if message_id not in self._aside:
                # One in its place stands aside: what is somewhere in a queue is not found without a search.
                self._aside[message_id] = self._here[message_id] = msgspec.structs.replace(one)
                self._withdraw(one)
                self._clear_out()
        self._holds[message_id] += 1
        return True

    def let_go(self, message_id: int, *, changed: bool) -> bool:
        """Ends a hold; `changed`: what is here is not to be sent. True when memory has become free by that."""
        self._holds[message_id] -= 1
        if not self._holds[message_id]:
            del self._holds[message_id]
        if changed:
            self._here.pop(message_id, None)
            return self._aside.pop(message_id, None) is not None
        if message_id not in self._holds and (one := self._aside.pop(message_id, None)) is not None:
            self.put_back([one])
        return False

    # --- inside -----------------------------------------------------------------------------------------------------

    def _queue_of(self, queued: Queued) -> deque[Queued]:
        return self._queues[min(queued.message.priority, len(self._queues) - 1)]

    def _withdraw(self, queued: Queued) -> None:
        queued.withdrawn = True
        self._withdrawn += 1

    def _clear_out(self) -> None:
        if self._withdrawn <= _WITHDRAWN_MAX or self._withdrawn <= len(self):
            return
        for queue in self._queues:
            staying = [one for one in queue if not one.withdrawn]
            queue.clear()
            queue.extend(staying)
        self._urgent = sum(map(len, self._queues[1:]))
        self._withdrawn = 0
