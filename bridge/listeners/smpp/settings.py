"""Settings of the SMPP listener and of an account's SMPP side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    deliver_window: int = Field(default=50, ge=8)  # deliver_sm we leave unanswered
    alphabet: Literal["gsm7", "gsm7-packed", "latin1", "ascii", "utf8", "cp1252"] = "gsm7"  # of data_coding 0
    version: Literal["3.3", "3.4", "5.0"] | None = None  # overrides what the bind says
    message_id: Literal["decimal", "hex"] = "decimal"
