"""Settings of the SMPP listener and of an account's SMPP side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bridge.listeners.smpp.profiles import IdForm, Receipts
from bridge.values import Duration, Listen, Secret, Settings, Size, Tls


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
    max_pdu: Size = 70_000


class SmppAccount(Settings):
    """How one account binds."""

    system_id: str = Field(min_length=1, max_length=15)
    password: Secret  # plain, or an argon2 hash
    max_binds: int = Field(default=4, ge=1)
    window: int = Field(default=100, ge=1)  # submits we hold unanswered before we stop reading
    deliver_window: int = Field(default=50, ge=1)  # deliver_sm we leave unanswered
    alphabet: Literal["gsm7", "latin1", "ascii", "utf8", "cp1252"] = "gsm7"  # of data_coding 0
    version: Literal["3.3", "3.4", "5.0"] | None = None  # overrides what the bind says
    message_id: IdForm = "decimal"
    receipts: Receipts = Receipts()

    @model_validator(mode="after")
    def _ids_fit(self) -> SmppAccount:
        if self.version == "3.3" and (self.receipts.id or self.message_id) == "dec10":
            raise ValueError("a client on 3.3 holds ids of 8 characters: use hex8, hex or decimal, not dec10")
        return self
