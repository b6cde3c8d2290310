from __future__ import annotations

import pytest

from bridge.listeners.smtp.commands import RcptCommand, Rejected
from bridge.listeners.smtp.envelope import recipients_of

COMMAND = RcptCommand(address="as@written", notify=("NEVER",), orcpt="rfc822;x")
ALIASES = {
    "oncall": ["+447700900001", "07700 900002", "boss"],
    "Boss": ["+447700900003", "+447700900001"],
    "a+b": ["boss"],
}


@pytest.mark.parametrize(
    ("local", "numbers"),
    [
        ("+447700900001", ["447700900001"]),
        ("447700900001", ["447700900001"]),
        ("+44-7700-900001", ["447700900001"]),
        ("+44 7700 900001", ["447700900001"]),
        ("07700900001", ["447700900001"]),
        ("00447700900001", ["447700900001"]),
        ("OnCall", ["447700900001", "447700900002", "447700900003"]),
        ("boss", ["447700900003", "447700900001"]),
        ("a+b", ["447700900003", "447700900001"]),
    ],
)
def test_numbers(local: str, numbers: list[str]) -> None:
    found = recipients_of(COMMAND, local, "GB", ALIASES)
    assert [each.number for each in found] == numbers
    assert {(each.address, each.notify, each.orcpt) for each in found} == {("as@written", ("NEVER",), "rfc822;x")}


@pytest.mark.parametrize(
    ("local", "flash", "validity_s"),
    [
        ("+447700900001+flash", True, None),
        ("447700900001+valid-30m+FLASH", True, 1800.0),
        ("boss+valid-1h", False, 3600.0),
        ("447700900001+", False, None),
    ],
)
def test_options(local: str, flash: bool, validity_s: float | None) -> None:
    for each in recipients_of(COMMAND, local, None, ALIASES):
        assert (each.flash, each.validity_s) == (flash, validity_s)


@pytest.mark.parametrize("local", ["nobody", "+", "", "447700900001+loud", "447700900001+valid-soon", "123", "round"])
def test_no_such_recipient(local: str) -> None:
    with pytest.raises(Rejected, match=r"^550 5\.1\.1 "):
        recipients_of(COMMAND, local, None, {"round": ["round"]})


def test_groups_that_branch_for_ever_end() -> None:
    with pytest.raises(Rejected):
        recipients_of(COMMAND, "a", None, {"a": ["a"] * 50})
