"""Settings of the SMTP listener, of an account's mail side, and of the way mail goes out."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bridge.listeners.certificates import Certificate
from bridge.values import Duration, Listen, Network, Rate, Secret, Settings, Size, Tls


class Dns(Settings):
    """Who is asked about senders."""

    servers: list[Listen] | None = Field(default=None, min_length=1)  # host:port; None: those of the system
    timeout: Duration = 10.0  # of all that is asked about one mail, per check


class WithoutAuth(Settings):
    """Which mail is taken as an account's, though its client has not logged in."""

    networks: list[Network] | None = Field(default=None, min_length=1)  # from there nothing else is asked
    verified: Literal["either", "both"] | None = None  # SPF, DKIM: what must speak for the author's domain (RFC 7489)

    @model_validator(mode="after")
    def _says_something(self) -> WithoutAuth:
        if self.networks is None and self.verified is None:
            raise ValueError("without_auth needs networks, verified, or both")
        return self


class SmtpListener(Settings):
    """One address that mail for `<number>@domain` comes to."""

    listen: Listen
    domain: str
    domains: dict[str, str | None] | None = None  # others that are served -> region of their numbers
    protocol: Literal["smtp", "lmtp"] = "smtp"  # LMTP answers for each recipient by itself (RFC 2033)
    dialect: Literal["smscentre"] | None = None  # whose mails are read here; None: to <number>@domain
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
    max_errors: int = Field(default=50, ge=1)  # replies of 5xx on one connection
    sender_rate: Rate | None = None  # mails in the name of one address; None: no limit
    network_rate: Rate | None = None  # mails from one address, or one /64 of IPv6
    dns: Dns = Dns()
    command_timeout: Duration = 300.0
    data_timeout: Duration = 300.0

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: dict[str, str | None] | None) -> dict[str, str | None] | None:
        return None if value is None else {domain.lower(): region for domain, region in value.items()}

    @model_validator(mode="after")
    def _can_serve(self) -> SmtpListener:
        if self.tls is None and self.mode == "implicit":
            raise ValueError("mode: implicit needs tls")
        return self


class SmtpAccount(Settings):
    """Who may send mail in this account's name."""

    login: str | None = Field(default=None, min_length=1)
    password: Secret | None = None  # plain, or an argon2 hash
    certificate: Certificate | None = None  # instead of the password, or besides it
    without_auth: WithoutAuth | None = None  # None: nobody else
    senders: list[str] = Field(alias="from", min_length=1)  # patterns such as *@acme.example
    inbound_to: str | None = None  # the address that its inbound messages are mailed to
    source: str | None = None  # the sender of its messages; None: the provider's default
    max_parts: int = Field(default=10, ge=1, le=255)
    subject: Literal["prefix", "ignore", "only"] = "ignore"  # what of the mail becomes the text
    too_long: Literal["refuse", "truncate"] = "refuse"  # what takes more than max_parts
    attachments: Literal["ignore", "refuse"] = "ignore"
    cut: list[Literal["signature", "quote", "disclaimer"]] | None = None
    end_mark: str | None = Field(default=None, min_length=1)  # what follows it is not sent
    aliases: dict[str, list[str]] | None = None  # local part -> numbers, or other aliases

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> SmtpAccount:
        if (self.login is None) != (self.password is None):
            raise ValueError("login and password belong together")
        if self.login is None and self.certificate is None and self.without_auth is None:
            raise ValueError("an account needs login and password, a certificate, or without_auth")
        if self.without_auth is not None and self.without_auth.verified is not None:
            for pattern in self.senders:
                domain = pattern.rpartition("@")[2]
                if not domain.strip("*?[]."):
                    raise ValueError(f'"{pattern}" has no domain: with verified, everybody could send')
        return self


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
