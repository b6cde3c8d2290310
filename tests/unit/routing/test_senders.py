"""Senders that an account may use: patterns, the default, and others in place of its own."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.errors import Refusal
from bridge.message import Reason
from bridge.routing import senders
from bridge.routing.senders import SenderRules, Senders


def rules(**settings: Any) -> SenderRules:
    return SenderRules(Senders.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "source", "sender"),
    [
        ({}, "Anyone", "Anyone"),
        ({}, None, None),
        ({"default": "ACME"}, None, "ACME"),
        ({"default": "ACME"}, "Else", "Else"),
        ({"default": 12345}, None, "12345"),
        ({"allowed": ["ACME*", "+38044*"]}, "acme shop", "acme shop"),
        ({"allowed": ["ACME*", "+38044*"]}, "380441234567", "380441234567"),
        ({"allowed": [38044123]}, "38044123", "38044123"),
        ({"allowed": ["ACME"]}, None, None),
        ({"allowed": ["ACME"], "default": "Shop"}, None, "Shop"),
        ({"rewrite": {"INFO*": "ACME"}}, "Info 24", "ACME"),
        ({"rewrite": {"INFO*": "ACME"}}, "Else", "Else"),
        ({"rewrite": {"INFO": "One", "*": "Two"}}, "info", "One"),
        ({"rewrite": {"INFO": "One", "*": "Two"}}, "infos", "Two"),
        ({"rewrite": {"INFO": "ACME"}, "allowed": ["Shop"]}, "INFO", "ACME"),
        ({"rewrite": {"*": "+380 44 123-45-67"}}, "INFO", "380441234567"),
        ({"allowed": ["[a]"]}, "[a]", "[a]"),
    ],
)
def test_senders(settings: dict[str, Any], source: str | None, sender: str | None) -> None:
    assert rules(**settings).sender_of(source) == sender


@pytest.mark.parametrize("source", ["Else", "ACMES", "380441234567"])
def test_a_sender_that_is_not_allowed(source: str) -> None:
    compiled = rules(allowed=["ACME", "+4930*"])
    for _ in range(2):  # the second time from memory
        with pytest.raises(Refusal) as caught:
            compiled.sender_of(source)
        assert (caught.value.reason, caught.value.field) == (Reason.SOURCE_NOT_ALLOWED, "from")
        assert source not in caught.value.text


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "_REMEMBERED", 2)
    compiled = rules(allowed=["A?"])
    assert [compiled.sender_of(f"A{number}") for number in range(5)] == [f"A{number}" for number in range(5)]
    assert len(compiled._known) <= 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"default": "Twelve chars"}, "at most 11 characters"),
        ({"default": ""}, "a sender is digits"),
        ({"default": True}, "valid string"),
        ({"rewrite": {"INFO": "Привет"}}, "GSM 7-bit"),
        ({"rewrite": {" ": "ACME"}}, "not empty"),
        ({"allowed": []}, "at least 1 item"),
        ({"allow": ["ACME"]}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rules(**settings)
