"""Where clients connect from: what an address is, who may come, and how many."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from bridge.listeners.addresses import Crowd, address_of, household, may_come
from bridge.values import Network

NETWORK = TypeAdapter(Network)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        (None, None),
        ("localhost", None),
        ("192.0.2.07", None),
        ("/run/socket", None),
    ],
)
def test_addresses(text: str | None, address: str | None) -> None:
    found = address_of(text)
    assert (found and str(found)) == address


@pytest.mark.parametrize(
    ("text", "networks", "allowed"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.2.7", ["192.0.2.7"], True),
        ("::ffff:192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.2.7", ["::ffff:192.0.2.0/120"], True),
        ("192.0.2.7", ["10.0.0.0/8", "192.0.0.0/16"], True),
        ("2001:db8::1", ["2001:db8::/32"], True),
        ("192.0.3.7", ["192.0.2.0/24"], False),
        ("192.0.2.7", ["2001:db8::/32"], False),
        ("2001:db8::1", ["0.0.0.0/0"], False),
        # Whom nobody knows is in no network, however large.
        ("", ["0.0.0.0/0", "::/0"], False),
        (None, ["0.0.0.0/0", "::/0"], False),
        ("nonsense", ["0.0.0.0/0", "::/0"], False),
        ("192.0.2.7", [], False),
    ],
)
def test_who_may_come(text: str | None, networks: list[str], allowed: bool) -> None:
    assert may_come(text, [NETWORK.validate_python(each) for each in networks]) is allowed


@pytest.mark.parametrize("text", ["192.0.2.7", "", None, "nonsense"])
def test_without_a_list_everybody_may_come(text: str | None) -> None:
    assert may_come(text, None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", None, True),
        ("", "nonsense", True),
        ("", "192.0.2.7", False),
    ],
)
def test_households(one: str | None, other: str | None, same: bool) -> None:
    assert (household(one) == household(other)) is same


def test_a_crowd_is_counted() -> None:
    crowd = Crowd(3, 2)
    assert [crowd.join("192.0.2.7") for _ in range(3)] == [True, True, False]
    assert [crowd.join("192.0.2.8") for _ in range(2)] == [True, False]  # of all there are three
    crowd.leave("192.0.2.7")
    assert crowd.join("192.0.2.7")


def test_a_crowd_without_a_limit_of_its_households() -> None:
    crowd = Crowd(3)
    assert [crowd.join("192.0.2.7") for _ in range(4)] == [True, True, True, False]
    for _ in range(3):
        crowd.leave("192.0.2.7")
    assert crowd.join("192.0.2.7")


def test_a_crowd_remembers_nobody_who_has_gone() -> None:
    crowd = Crowd(3, 2)
    for number in range(100):
        assert crowd.join(f"192.0.2.{number}")
        crowd.leave(f"192.0.2.{number}")
    assert not crowd._of
