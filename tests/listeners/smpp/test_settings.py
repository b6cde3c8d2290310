"""Settings of an account's SMPP side: what is taken, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.listeners.smpp.settings import SmppAccount

PLAIN: dict[str, Any] = {"system_id": "acme", "password": "secret"}
OUTBIND: dict[str, Any] = {"connect": "192.0.2.7:2776"}


def test_nothing_is_on_by_itself() -> None:
    settings = SmppAccount.model_validate(PLAIN)
    assert (settings.lists, settings.duplicates, settings.outbind) == (None, None, None)


def test_what_an_account_may_have() -> None:
    settings = SmppAccount.model_validate(
        PLAIN | {"lists": {"all staff": ["+380501234567", 380501234568]}, "duplicates": "1m", "outbind": OUTBIND}
    )
    assert settings.lists == {"all staff": ["+380501234567", "380501234568"]}
    assert settings.duplicates == 60
    assert settings.outbind is not None
    assert (settings.outbind.connect.host, settings.outbind.connect.port) == ("192.0.2.7", 2776)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lists": {"": ["+380501234567"]}},
        {"lists": {"x" * 21: ["+380501234567"]}},
        {"lists": {"staff": []}},
        {"lists": {"staff": ["0501234567"]}},
        {"lists": {"staff": ["ACME"]}},
        {"duplicates": "0s"},
        {"outbind": {}},
        {"outbind": {"connect": ":2776"}},
        {"outbind": {"connect": "192.0.2.7:0"}},
        {"outbind": OUTBIND | {"system_id": "x" * 16}},
    ],
)
def test_what_it_may_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SmppAccount.model_validate(PLAIN | wrong)
