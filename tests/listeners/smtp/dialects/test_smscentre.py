from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from bridge.errors import Refusal
from bridge.listeners.smtp.dialects.smscentre import messages_of_order, order_from_text
from bridge.message import Reason

NOW = 1_800_000_000.0


def test_short_form(account: Any) -> None:
    order = order_from_text("acme:secret:77:0:0,1,Acme:+447700900001,447700900002:Ratio 3:1\nsecond line", NOW)
    found = messages_of_order(order, account(), "it@x.example", NOW, count(1).__next__)
    assert [(each.destination, each.text, each.source, each.flash, each.client_ref) for each in found] == [
        (number, "Ratio 3:1\nsecond line", "Acme", True, "77") for number in ("447700900001", "447700900002")
    ]


def test_list_and_wrapping() -> None:
    order = order_from_text("hi\n[text]acme:pw::,:0,0,,1::447700900001:one: 1\n447700900002:two[/text]\nfooter", NOW)
    assert (order.texts, order.test) == ([("447700900001", "one: 1"), ("447700900002", "two")], True)


@pytest.mark.parametrize(
    ("time", "at"),
    [
        ("", None),
        ("0", None),
        ("+5", NOW + 300),
        ("1501271100", NOW - 0.0),
        ("1501271300,2", NOW),
        ("01800000000", NOW),
    ],
)
def test_times(time: str, at: float | None) -> None:
    assert order_from_text(f"a:b::{time}:0:447700900001:x", NOW).deliver_at == at


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", Reason.INVALID_REQUEST),
        ("a:b:::1,0::447700900001:x", Reason.UNSUPPORTED),
        ("a:b:::0,7::447700900001:x", Reason.UNSUPPORTED),
        ("a:b::soon:0:447700900001:x", Reason.INVALID_SCHEDULE),
        ("a:b:::0,0,much too long a name:447700900001:x", Reason.INVALID_SOURCE),
        ("a:b:::0:nobody:x", Reason.INVALID_DESTINATION),
        ("a:b:::0:,:x", Reason.INVALID_DESTINATION),
        ("a:b:::0:447700900001:", Reason.INVALID_TEXT),
        ("a:b:::0:447700900001:" + "x" * 2000, Reason.TEXT_TOO_LONG),
    ],
)
def test_refused(account: Any, text: str, reason: Reason) -> None:
    with pytest.raises(Refusal) as raised:
        messages_of_order(order_from_text(text, NOW), account(), "it@x.example", NOW, count(1).__next__)
    assert raised.value.reason == reason
