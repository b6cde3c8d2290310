from __future__ import annotations

import pytest

from bridge.errors import Refusal
from bridge.listeners.smtp.options import Options, options_of
from bridge.message import Reason


def test_all() -> None:
    headers = {"from": "020 7946 0000", "validity": "1h30m", "flash": "Yes", "priority": "3", "mailer": "x"}
    assert options_of(headers, "GB") == Options(source="442079460000", validity_s=5400.0, flash=True, priority=3)
    assert options_of({"from": "Acme"}, None).source == "Acme"
    assert options_of({}, None) == Options()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("from", "much too long a name", Reason.INVALID_SOURCE),
        ("validity", "soon", Reason.INVALID_VALIDITY),
        ("flash", "maybe", Reason.INVALID_REQUEST),
        ("priority", "9", Reason.INVALID_REQUEST),
    ],
)
def test_wrong(name: str, value: str, reason: Reason) -> None:
    with pytest.raises(Refusal) as raised:
        options_of({name: value}, None)
    assert raised.value.reason == reason
