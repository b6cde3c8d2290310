"""Settings of the SMTP listener, of an account's mail side, and of the way mail goes out."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bridge.values import Duration, Listen, Network, Secret, Settings, Size, Tls


class SmtpListener(Settings):
    """One address that mail for `<number>@domain` comes to."""

    listen: Listen
    domain: str
    tls: Tls | None = None
    mode: Literal["starttls", "implicit"] = "starttls"
    auth_without_tls: bool = False  # AUTH offered in clear: only where the network is trusted
    max_connections: int = Field(default=500, ge=1)
    max_per_address: int | None = Field(default=None, ge=1)  # connections from one; None: as many as there may be
    networks: list[Network] | None = Field(default=None, min_length=1)  # who may connect; None: everybody
    proxy: list[Network] | None = Field(default=None, min_length=1)  # whose connections begin with a PROXY header
    max_size: Size = 10 * 1024 * 1024
    max_recipients: int = Field(default=100, ge=1)
    max_auth_failures: int = Field(default=3, ge=1)
    command_timeout: Duration = 300.0
    data_timeout: Duration = 300.0

    @model_validator(mode="after")
    def _can_serve(self) -> SmtpListener:
        if self.tls is None and self.mode == "implicit":
            raise ValueError("mode: implicit needs tls")
        return self


class SmtpAccount(Settings):
    """Who may send mail in this account's name."""

    login: str = Field(min_length=1)
    password: Secret  # plain, or an argon2 hash
    senders: list[str] = Field(alias="from", min_length=1)  # patterns such as *@acme.example
    inbound_to: str | None = None  # the address that its inbound messages are mailed to
    source: str | None = None  # the sender of its messages; None: the provider's default
    max_parts: int = Field(default=10, ge=1, le=255)
    subject: Literal["prefix", "ignore", "only"] = "ignore"  # what of the mail becomes the text


class Mail(Settings):
    """How reports and inbound messages leave by mail."""

    smarthost: str = Field(repr=False)  # smtp://[login:password@]host[:port] or smtps://…
    sender: str = Field(alias="from")
    starttls: Literal["always", "when_offered", "never"] = "when_offered"
    timeout: Duration = 60.0

    @field_validator("smarthost")
    @classmethod
    def _smarthost(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("a smarthost is smtp://host:port or smtps://host:port")
        return value
