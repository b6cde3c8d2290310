"""Settings of the HTTP side of an account."""

from __future__ import annotations

from typing import Any

import pytest
from listeners.http.world import SECRET, URL
from pydantic import ValidationError

from bridge.listeners.http.settings import HttpAccount, HttpListener


def test_defaults() -> None:
    listener = HttpListener.model_validate({"listen": "127.0.0.1:8080"})
    assert (listener.tls, listener.max_body, listener.metrics) == (None, 1024 * 1024, True)
    account = HttpAccount.model_validate({"api_key": "k"})
    assert (account.callback, account.callback_secret, account.callback_private) == (None, None, False)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"callback": "ftp://acme.example/"}, "http:// or https:// URL"),
        ({"callback": "acme.example/reports"}, "http:// or https:// URL"),
        ({"callback": "https:///reports"}, "http:// or https:// URL"),
        ({"callback_secret": "whsec_not base64"}, "whsec_ and base64"),
        ({"callback_secret": None}, "needs a callback_secret"),
        ({"api_key": None}, "api_key"),
        ({"apikey": "k"}, "apikey"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(changes: dict[str, Any], problem: str) -> None:
    right = {"api_key": "secret-key", "callback": URL, "callback_secret": SECRET}
    HttpAccount.model_validate(right)
    with pytest.raises(ValidationError, match=problem) as caught:
        HttpAccount.model_validate({**right, **changes})
    assert "secret-key" not in str(caught.value)
    assert "not base64" not in str(caught.value)


def test_no_secret_in_repr() -> None:
    account = HttpAccount.model_validate({"api_key": "secret-key", "callback": URL, "callback_secret": SECRET})
    assert "secret-key" not in repr(account)
    assert SECRET not in repr(account)
