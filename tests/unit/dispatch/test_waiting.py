"""What waits in a lane: its order, what is held back, and that nothing is lost or sent twice by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.world import message_of

from bridge.dispatch.waiting import Waiting
from bridge.message import Plan
from bridge.store import Queued


def queued(message_id: int, priority: int = 0, **keys: Any) -> Queued:
    return Queued(message=message_of(message_id, priority=priority, **keys), plan=Plan(("plain",)))


def waiting(*given: Queued) -> Waiting:
    made = Waiting()
    made.add(given)
    return made


def ids(of: list[Queued]) -> list[int]:
    return [one.message.message_id for one in of]


def left(of: Waiting) -> list[int]:
    """What may leave, in its order, all taken."""
    shown = ids(list(of))
    taken = [of.pop().message.message_id for _ in range(len(of))]
    assert shown == taken
    with pytest.raises(IndexError):
        of.pop()
    return taken


# --- order ------------------------------------------------------------------------------------------------------------


def test_in_the_order_they_came() -> None:
    assert left(waiting(*map(queued, (3, 1, 2)))) == [3, 1, 2]


def test_urgent_ones_first() -> None:
    made = waiting(queued(1), queued(2, 1), queued(3, 3), queued(4), queued(5, 2), queued(6, 3), queued(7, 9))
    assert left(made) == [3, 6, 7, 5, 2, 1, 4]


def test_put_back_in_front_of_their_kind() -> None:
    made = waiting(queued(1), queued(2), queued(3, 1), queued(4, 1), queued(5))
    taken = [made.pop() for _ in range(3)]
    assert ids(taken) == [3, 4, 1]
    assert all(one.under_way for one in taken)
    made.put_back(taken)
    assert not any(one.under_way for one in taken)
    assert left(made) == [3, 4, 1, 2, 5]


def test_taken_together_of_one_key_and_to_different_numbers() -> None:
    made = waiting(*(queued(n, destination=f"38050{n % 4}", text="ab"[n % 2]) for n in range(12)))
    assert ids(made.take(3, lambda one: one.message.text)) == [0, 2]
    assert ids(made.take(1, lambda one: one.message.text)) == [1]
    assert ids(made.take(2, lambda one: one.message.text)) == [3, 5]
    assert left(made) == [4, 6, 7, 8, 9, 10, 11]


# --- held back --------------------------------------------------------------------------------------------------------


def test_held_ones_stay_and_come_back_in_front() -> None:
    made = waiting(*map(queued, (1, 2, 3, 4)))
    assert made.hold(3)
    assert made.hold(2)
    assert len(made) == 2
    assert made.pop().message.message_id == 1
    assert made.let_go(3, changed=False) is False
    assert left(made) == [3, 4]
    made.let_go(2, changed=False)
    assert left(made) == [2]


def test_what_was_changed_is_gone() -> None:
    made = waiting(*map(queued, (1, 2, 3)))
    assert made.hold(2)
    assert made.let_go(2, changed=True) is True
    assert left(made) == [1, 3]
    made.add([queued(2)])  # what took its place comes from disk, as another
    assert left(made) == [2]


def test_held_by_several() -> None:
    made = waiting(queued(1))
    assert made.hold(1)
    assert made.hold(1)
    made.let_go(1, changed=False)
    assert len(made) == 0
    made.let_go(1, changed=False)
    assert left(made) == [1]


def test_changed_while_another_holds_it() -> None:
    made = waiting(queued(1))
    assert made.hold(1)
    assert made.hold(1)
    assert made.let_go(1, changed=True) is True
    assert made.let_go(1, changed=True) is False  # the memory was given back once
    assert len(made) == 0


def test_held_before_it_comes() -> None:
    made = waiting()
    assert made.hold(1)
    made.add([queued(1), queued(2)])
    assert left(made) == [2]
    assert made.let_go(1, changed=True) is True
    assert made.hold(3)
    made.add([queued(3)])
    made.let_go(3, changed=False)
    assert left(made) == [3]


def test_nothing_here_to_change() -> None:
    made = waiting()
    assert made.hold(1)
    assert made.let_go(1, changed=True) is False


def test_what_is_being_sent_is_not_changed_until_that_is_settled() -> None:
    made = waiting(queued(1), queued(2))
    made.pop()
    assert not made.hold(1)
    made.settled([1])
    assert made.hold(1)  # as far as memory knows; the disk knows better
    made.take_out(list(made))
    assert not made.hold(2)
    assert len(made) == 0


def test_what_is_put_back_may_be_changed_again() -> None:
    made = waiting(queued(1))
    made.put_back([made.pop()])
    assert made.hold(1)


@pytest.mark.parametrize("changed", [True, False])
def test_the_dead_do_not_pile_up(changed: bool) -> None:
    made = waiting(*map(queued, range(10)))
    for number in range(1000):
        if changed:
            made.add([queued(100 + number, number % 4)])
        assert made.hold(100 + number if changed else 5)
        made.let_go(100 + number if changed else 5, changed=changed)
    assert sum(map(len, made._queues)) < 100
    assert sorted(left(made)) == list(range(10))


def test_nothing_leaves_once_cleared() -> None:
    made = waiting(queued(1), queued(2, 3))
    made.hold(1)
    made.clear()
    assert left(made) == []


_STEP = st.tuples(st.sampled_from(["add", "pop", "back", "hold", "keep", "change", "settle"]), st.integers(0, 8))


@given(st.lists(_STEP, max_size=80))
def test_against_a_model(steps: list[tuple[str, int]]) -> None:
    """Each message is in one place: here, under way, changed or settled; and what leaves is what may."""
    made, here, away, holds = Waiting(), set[int](), dict[int, Queued](), dict[int, int]()
    for step, number in steps:
        if step == "add" and number not in here | away.keys():
            made.add([queued(number, number % 4)])
            here.add(number)
        elif step == "pop" and len(made):
            one = made.pop()
            assert one.message.message_id in here
            assert one.message.message_id not in holds
            here.remove(one.message.message_id)
            away[one.message.message_id] = one
        elif step == "back" and number in away:
            made.put_back([away.pop(number)])
            here.add(number)
        elif step == "settle" and number in away:
            del away[number]
            made.settled([number])
        elif step == "hold":
            assert made.hold(number) is (number not in away)
            if number not in away:
                holds[number] = holds.get(number, 0) + 1
        elif step in ("keep", "change") and number in holds:
            assert made.let_go(number, changed=step == "change") is (step == "change" and number in here)
            if step == "change":
                here.discard(number)
            holds[number] -= 1
            if not holds[number]:
                del holds[number]
        assert len(made) == len(here - holds.keys())
    assert sorted(left(made)) == sorted(here - holds.keys())


def test_who_goes_alone_shares_with_nobody() -> None:
    made = waiting(*map(queued, range(1, 4)), msgspec.structs.replace(queued(4), alone=True), *map(queued, (5, 6)))
    assert ids(made.take(10, lambda one: None)) == [1, 2, 3, 5, 6]
    assert ids(made.take(10, lambda one: None)) == [4]
