from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.listeners.smtp.settings import Mail, SmtpAccount, SmtpListener

TLS = {"certificate": "/c.pem", "key": "/k.pem"}


@pytest.mark.parametrize(
    "settings", [{"tls": TLS}, {"tls": TLS, "mode": "implicit"}, {"auth_without_tls": True}], ids=str
)
def test_listener(settings: dict[str, Any]) -> None:
    listener = SmtpListener(listen=":25", domain="sms.example", **settings)
    assert listener.max_size == 10 * 1024 * 1024


def test_implicit_tls_without_tls() -> None:
    with pytest.raises(ValidationError, match="implicit needs tls"):
        SmtpListener(listen=":25", domain="sms.example", mode="implicit")


@pytest.mark.parametrize("smarthost", ["mail.example:25", "http://mail.example", "smtp://"])
def test_smarthost_that_is_none(smarthost: str) -> None:
    with pytest.raises(ValidationError, match="a smarthost is smtp://"):
        Mail(smarthost=smarthost, **{"from": "a@b"})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"login": "acme"}, "login and password belong together"),
        ({}, "an account needs login and password"),
        ({"without_auth": {}}, "without_auth needs networks, verified"),
        ({"without_auth": {"verified": "either"}, "from": ["*@*"]}, "everybody could send"),
    ],
)
def test_account_that_nobody_or_everybody_could_use(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        SmtpAccount(**{"from": ["*@acme.example"], **settings})
