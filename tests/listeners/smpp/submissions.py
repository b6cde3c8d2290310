"""A submit_sm with the fields that a test wants, and the message or the refusal that it becomes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from bridge.errors import Refusal
from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.translate import message_from_submit_sm
from bridge.message import Message
from bridge.smpp.pdus import SubmitSm

NOW = 1_795_372_632.0  # 2026-11-22 18:37:12 UTC
HOUR = 3600.0
SETTINGS = SmppAccount(system_id="acme", password=SecretStr("secret"))


def submit_sm(**fields: Any) -> SubmitSm:
    return SubmitSm(
        **{
            "source_addr_ton": 5,
            "source_addr": "ACME",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": "380501234567",
            "short_message": b"hello",
            **fields,
        }
    )


def taken(
    region: str | None = None, settings: SmppAccount = SETTINGS, validity_s: float = 48 * HOUR, **fields: Any
) -> Message:
    return message_from_submit_sm(
        submit_sm(**fields),
        account="acme-account",
        settings=settings,
        region=region,
        validity_s=validity_s,
        message_id=7,
        now=NOW,
    )


def refused(**fields: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        taken(**fields)
    return caught.value


def with_alphabet(alphabet: str) -> SmppAccount:
    return SETTINGS.model_copy(update={"alphabet": alphabet})
