"""What an outbox does not hand over any more."""

from __future__ import annotations

from unit.world import message_of

from bridge.message import Inbound, Owed, Report, State
from bridge.reports.withdrawn import OVERTAKEN, Withdrawn

NOW = 1000.0


def told(owed_id: int, state: State = State.ENROUTE, known_id: int = 7, at: float = NOW, source: str = "ACME") -> Owed:
    return Owed(
        account="acme",
        listener="smpp",
        created_at=at,
        due_at=at,
        known_id=known_id,
        owed_id=owed_id,
        message=message_of(known_id, source=source, intermediate=True),
        report=Report(state=state),
    )


def test_the_end_overtakes_what_was_on_the_way() -> None:
    withdrawn = Withdrawn()
    early, other = told(1), told(2, known_id=8)
    for owed in (early, other):
        withdrawn.note(owed)
    assert not withdrawn
    end = told(3, State.DELIVERED)
    withdrawn.note(end)
    assert withdrawn
    assert [withdrawn.why(owed) for owed in (early, other, end)] == [OVERTAKEN, None, None]


def test_what_is_on_disk_only_is_not_remembered() -> None:
    withdrawn = Withdrawn()
    withdrawn.note(told(1), in_memory=False)
    withdrawn.note(told(2, State.DELIVERED), in_memory=False)
    assert not withdrawn
    assert not withdrawn._told
    withdrawn.note(told(3, known_id=8))
    withdrawn.note(told(4, State.DELIVERED, known_id=8), in_memory=False)
    assert withdrawn.why(told(3, known_id=8)) == OVERTAKEN


def test_nothing_is_left_of_what_has_left_memory() -> None:
    withdrawn = Withdrawn()
    for owed in (told(1), told(2), told(3, State.DELIVERED)):
        withdrawn.note(owed)
    withdrawn.forget([1, 3])
    assert withdrawn.why(told(1)) is None
    assert withdrawn.why(told(2)) == OVERTAKEN
    withdrawn.forget([2])
    assert not withdrawn
    withdrawn.note(told(4, State.DELIVERED))
    assert not withdrawn


def test_an_address_is_dropped_for_what_was_owed_until_then() -> None:
    withdrawn = Withdrawn()
    withdrawn.drop("ACME", NOW, "no")
    assert withdrawn
    assert [withdrawn.why(told(number, at=NOW + number)) for number in (-1, 0, 1)] == ["no", "no", None]
    assert withdrawn.why(told(1, source="Other")) is None
    inbound = Inbound(source="380501234567", destination="ACME", text="hi")
    assert withdrawn.why(
        Owed(account="acme", listener="smpp", created_at=NOW, due_at=NOW, known_id=1, inbound=inbound)
    ) == "no"  # fmt: skip
    withdrawn.forget_old(NOW)
    assert withdrawn
    withdrawn.forget_old(NOW + 0.1)
    assert not withdrawn
