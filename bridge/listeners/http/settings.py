"""Settings of the HTTP listener and of an account's HTTP side."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.values import Listen, Network, Secret, Settings, Size, Tls


class HttpListener(Settings):
    """One address that serves the REST API and the callbacks of providers."""

    listen: Listen
    tls: Tls | None = None
    max_body: Size = 1024 * 1024
    networks: list[Network] | None = Field(default=None, min_length=1)  # who may connect; None: everybody
    proxy: list[Network] | None = Field(default=None, min_length=1)  # whose connections begin with a PROXY header
    metrics: bool = True  # GET /metrics, /livez, /readyz


class HttpAccount(Settings):
    """How one account calls us, and where we call it."""

    api_key: Secret  # plain, or an argon2 hash
    callback: str | None = None
    callback_secret: Secret | None = None  # whsec_<base64>, Standard Webhooks
    callback_private: bool = False  # the callback may be a private address other than loopback

    @field_validator("callback")
    @classmethod
    def _callback(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("a callback is an http:// or https:// URL")
        return value

    @field_validator("callback_secret")
    @classmethod
    def _callback_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True)
            except binascii.Error:
                raise ValueError("a callback_secret is whsec_ and base64 (Standard Webhooks)") from None
        return value

    @model_validator(mode="after")
    def _signed(self) -> HttpAccount:
        if self.callback and self.callback_secret is None:
            raise ValueError("a callback needs a callback_secret, so that its receiver can tell us from others")
        return self
