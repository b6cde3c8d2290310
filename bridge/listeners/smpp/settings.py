"""Settings of the SMPP listener and of an account's SMPP side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from bridge.listeners.certificates import Certificate
from bridge.listeners.smpp.profiles import IdForm, Receipts
from bridge.values import Address, Duration, Listen, Network, Secret, Settings, Size, Tls


class SmppListener(Settings):
    """One address that SMPP clients bind to."""

    listen: Listen
    tls: Tls | None = None
    system_id: str = Field(default="smsbridge", max_length=15)  # what we call ourselves in bind responses
    session_init_timeout: Duration = 30.0  # connect -> bind
    enquire_link_interval: Duration = 30.0  # idle -> we ask
    inactivity_timeout: Duration = 300.0  # no PDU but enquire_link -> unbind
    response_timeout: Duration = 30.0  # our request -> their response
    max_connections: int = Field(default=2000, ge=1)
    max_per_address: int | None = Field(default=None, ge=1)  # connections from one; None: as many as there may be
    networks: list[Network] | None = Field(default=None, min_length=1)  # who may connect; None: everybody
    proxy: list[Network] | None = Field(default=None, min_length=1)  # whose connections begin with a PROXY header
    max_pdu: Size = 70_000


# A distribution list is named in a field of 21 octets, NUL included; its members are numbers with their country code.
ListName = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[\x20-\x7e]+$")]
Number = Annotated[str, StringConstraints(pattern=r"^\+?[1-9][0-9]{6,14}$")]


class Outbind(Settings):
    """Where an account waits for us to connect, when we owe it something and it is not bound (3.4 §2.2.1)."""

    connect: Listen  # host:port
    system_id: str = Field(default="smsbridge", max_length=15)  # ours, by which it knows us
    password: Secret | None = None  # ours
    tls: bool = False
    ca: str | None = None  # PEM file of who signs its certificate; without it, those that the system trusts

    @field_validator("connect")
    @classmethod
    def _connect(cls, value: Address) -> Address:
        if not value.host or not value.port:
            raise ValueError("an address to connect to has a host and a port, such as 192.0.2.7:2776")
        return value


class SmppAccount(Settings):
    """How one account binds."""

    system_id: str = Field(min_length=1, max_length=15)
    password: Secret | None = None  # plain, or an argon2 hash; None: its certificate alone lets it in
    certificate: Certificate | None = None  # what the client must present in TLS; None: whatever the listener asks for
    max_binds: int = Field(default=4, ge=1)
    window: int = Field(default=100, ge=1)  # submits we hold unanswered before we stop reading
    deliver_window: int = Field(default=50, ge=1)  # deliver_sm we leave unanswered
    enquire_link_interval: Duration | None = None  # None: the listener's, and so the next two
    inactivity_timeout: Duration | None = None
    response_timeout: Duration | None = None
    alphabet: Literal["gsm7", "gsm7-packed", "latin1", "ascii", "utf8", "cp1252"] = "gsm7"  # of data_coding 0
    version: Literal["3.3", "3.4", "5.0"] | None = None  # overrides what the bind says
    message_id: IdForm = "decimal"
    receipts: Receipts = Receipts()
    lists: dict[ListName, Annotated[list[Number], Field(min_length=1)]] | None = None  # for submit_multi
    duplicates: Duration | None = None  # how long the same PDU, sent again, gets the first id; None: it is a new one
    outbind: Outbind | None = None

    @model_validator(mode="after")
    def _can_work(self) -> SmppAccount:
        if self.password is None and self.certificate is None:
            raise ValueError("an account needs a password, a certificate, or both")
        if self.version == "3.3" and (self.receipts.id or self.message_id) == "dec10":
            raise ValueError("a client on 3.3 holds ids of 8 characters: use hex8, hex or decimal, not dec10")
        return self
