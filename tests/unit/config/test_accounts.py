"""The accounts as each listener knows them."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from bridge.config.accounts import http_accounts, listener_of, smpp_accounts, smtp_accounts
from bridge.config.schema import Config

SMPP = {"system_id": "acme", "password": "secret"}
SMTP = {"login": "acme", "password": "secret", "from": ["*"]}
CALLED = {"api_key": "k", "callback": "https://acme.example/", "callback_secret": "whsec_c2VjcmV0"}
MAIL = {"smarthost": "smtp://127.0.0.1", "from": "reports@sms.example"}


def config_of(mail: dict[str, str] | None = None, **accounts: dict[str, Any]) -> Config:
    return Config.model_validate({"store": "sqlite:x", "accounts": accounts, "mail": mail})


def test_each_listener_knows_those_with_its_side() -> None:
    accounts = config_of(
        one={"smpp": SMPP, "http": {"api_key": "k"}, "region": "UA", "networks": ["192.0.2.7"], "validity": "1h"},
        two={"smtp": SMTP, "rate": "1/s", "over_rate": "pace"},
        three={"smpp": {**SMPP, "system_id": "three"}, "rate": "1/s", "over_rate": "pace", "max_parts": 3},
    ).accounts
    assert [(each.name, each.paced) for each in smpp_accounts(accounts)] == [("one", False), ("three", True)]
    assert [each.name for each in smtp_accounts(accounts)] == ["two"]
    assert [each.name for each in http_accounts(accounts)] == ["one"]
    for each in (smpp_accounts(accounts)[0], http_accounts(accounts)[0]):
        assert (each.region, each.validity_s, each.networks) == ("UA", 3600.0, [ip_network("192.0.2.7")])
    assert smtp_accounts(accounts)[0].networks is None


@pytest.mark.parametrize(
    ("account", "mail", "listener"),
    [
        ({"smpp": SMPP, "http": CALLED}, None, "smpp"),
        ({"http": CALLED, "smtp": {**SMTP, "inbound_to": "a@b.example"}}, MAIL, "http"),
        ({"http": {"api_key": "k"}, "smtp": {**SMTP, "inbound_to": "a@b.example"}}, MAIL, "smtp"),
        ({"smtp": {**SMTP, "inbound_to": "a@b.example"}}, None, None),
        ({"smtp": SMTP}, MAIL, None),
        ({"http": {"api_key": "k"}}, None, None),
    ],
)
def test_how_inbound_messages_are_handed_over(
    account: dict[str, Any], mail: dict[str, str] | None, listener: str | None
) -> None:
    config = config_of(mail, acme=account)
    assert listener_of(config, "acme") == listener
    assert listener_of(config, "gone") is None
