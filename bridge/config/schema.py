"""Everything that a configuration may hold; the settings of listeners, routes and providers are composed here.

Each package owns its `Settings`; this file owns what belongs to none of them. Defaults are the ones of
`config/bridge.yaml`, which a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import phonenumbers
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from bridge import providers
from bridge.admission import Counted, Quota
from bridge.assembly import PartsMissing
from bridge.errors import ConfigError
from bridge.listeners.control.settings import Control
from bridge.listeners.http.settings import HttpAccount, HttpListener
from bridge.listeners.smpp.settings import SmppAccount, SmppListener
from bridge.listeners.smtp.settings import Mail, SmtpAccount, SmtpListener
from bridge.problems import hint
from bridge.providers._contract import ProviderSettings
from bridge.routing.rules import InboundRule, Route
from bridge.routing.senders import Senders
from bridge.values import Duration, Network, Rate, Settings

_HOUR_S = 3600.0
_DAY_S = 86400.0
_SQLITE = "sqlite:"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)]


class Listeners(Settings):
    """The addresses we serve, by protocol."""

    smpp: list[SmppListener] = Field(default_factory=list)
    smtp: list[SmtpListener] = Field(default_factory=list)
    http: list[HttpListener] = Field(default_factory=list)


class Account(Settings):
    """A client that may connect to us, by one or more protocols, and what it may do."""

    smpp: SmppAccount | None = None
    smtp: SmtpAccount | None = None
    http: HttpAccount | None = None
    rate: Rate | None = None  # messages a second it may submit; None: no limit
    burst: int | None = Field(default=None, ge=1)  # messages above the rate at once; None: one second's worth
    rate_counts: Counted = "messages"  # what is submitted, or the short messages that it takes
    over_rate: Literal["reject", "pace"] = "reject"  # pace: SMPP clients are read no faster; others are refused
    quota: Quota | None = None  # None: no limit
    networks: list[Network] | None = Field(default=None, min_length=1)  # where it may connect from; None: everywhere
    region: str | None = None  # ISO 3166 alpha-2: where its national numbers belong; None: international ones only
    validity: Duration = 48 * _HOUR_S  # of messages that state none
    senders: Senders | None = None  # None: any
    parts_timeout: Duration = 60.0  # how long the first part of a long message waits for the others
    parts_missing: PartsMissing = "refuse"  # when they do not come: refuse all, send what came, or each part singly
    max_parts: int = Field(default=10, ge=1, le=255)
    reports_kept: Duration = 7 * _DAY_S  # how long a report waits for an account that is away

    @field_validator("region")
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        if value is not None and value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("a region is an ISO 3166 code of two capital letters, such as UA or DE")
        return value

    @model_validator(mode="after")
    def _has_side(self) -> Account:
        if self.smpp is None and self.smtp is None and self.http is None:
            raise ValueError("an account needs at least one of smpp, smtp and http")
        if self.burst is not None and self.rate is None:
            raise ValueError("a burst needs a rate")
        if self.over_rate == "pace" and self.rate is None:
            raise ValueError("over_rate: pace needs a rate")
        return self


class Limits(Settings):
    """Where we stop taking more; what is over `memory` waits on disk, what is over `queue` is refused as "full"."""

    memory: int = Field(default=20_000, ge=1)  # messages held in memory
    queue: int = Field(default=5_000_000, ge=1)  # messages waiting on disk


class Lockout(Settings):
    """Who gives wrong passwords or API keys, and is not listened to for a while."""

    failures: int = Field(default=10, ge=1)  # of one account from one address
    address_failures: int = Field(default=50, ge=1)  # of all accounts from one address
    duration: Duration = Field(default=300.0, alias="for")  # doubles each time, up to an hour or this, if longer

    @property
    def limits(self) -> tuple[int, int, float]:
        """All of them, the duration in seconds."""
        return self.failures, self.address_failures, self.duration


class Log(Settings):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning"] = "info"
    text: bool = False  # texts and numbers as they are, not masked
    format: Literal["auto", "json", "console"] = "auto"  # auto: console on a terminal, else json


def settings_of_provider(value: object, info: ValidationInfo) -> object:
    """The `Settings` of the provider that `value["type"]` names. Raises ValidationError.

    What is not a mapping passes through, for the field itself to refuse. The context of `info` may hold
    `provider_paths`.
    """
    if not isinstance(value, Mapping):
        return value
    paths = (info.context or {}).get("provider_paths", providers.PATHS)
    kind, types = value.get("type"), providers.known(paths)
    if kind is None:
        errors = [InitErrorDetails(type="missing", loc=("type",), input=None)]
    elif kind not in types:
        errors = [_wrong_type(kind, f'no provider type is called "{kind}"{hint(kind, types)}')]
    else:
        try:
            return providers.load(str(kind), paths).Settings.model_validate(value)
        except ConfigError as error:
            errors = [_wrong_type(kind, problem) for problem in error.problems]
    raise ValidationError.from_exception_data("provider", errors, hide_input=True)


def _wrong_type(kind: object, text: str) -> InitErrorDetails:
    # Braces are placeholders in the text of a custom error.
    wrong = PydanticCustomError("provider_type", "{text}", {"text": text})
    return InitErrorDetails(type=wrong, loc=("type",), input=kind)


class ByType:
    """Marks a provider's settings: which class they are of is in their `type`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(settings_of_provider, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """`if` its type is this one, `then` it is that; clearer in an editor than one of many.

        A user's own types are in no schema that is shipped, so other types are not refused here.
        """
        types = providers.known()
        branches = [
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": handler(providers.load(kind).Settings.__pydantic_core_schema__),
            }
            for kind in types
        ]
        known = {"anyOf": [{"enum": types}, {"type": "string"}]}
        return {"type": "object", "required": ["type"], "properties": {"type": known}, "allOf": branches}


class Config(Settings):
    """One whole configuration. What its parts say about each other is checked by `bridge.config.loader.load`."""

    store: str  # sqlite:PATH
    public_url: str | None = None  # what providers call back, without the /callbacks/… that follows
    listeners: Listeners = Listeners()
    accounts: dict[Name, Account] = Field(default_factory=dict)
    provider_paths: list[Path] = Field(default_factory=lambda: list(providers.PATHS))  # your own declarations: *.yaml
    providers: dict[Name, Annotated[ProviderSettings, ByType()]] = Field(default_factory=dict)
    routes: list[Route] = Field(default_factory=list)  # the first that matches
    inbound: list[InboundRule] = Field(default_factory=list)  # the first that matches
    mail: Mail | None = None  # None: no reports and inbound messages by mail
    control: Control = Control()
    limits: Limits = Limits()
    lockout: Lockout = Lockout()
    retention: Duration = 30 * _DAY_S  # how long a finished message is kept
    log: Log = Log()

    @field_validator("store")
    @classmethod
    def _store(cls, value: str) -> str:
        path = value.removeprefix(_SQLITE)
        if path == value or not path or path.startswith((":", "//")):
            raise ValueError("a store is sqlite:PATH, such as sqlite:/var/lib/smsbridge/bridge.db")
        return value

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("a public_url is http://host or https://host, with a path or without")
        return value.rstrip("/")

    def callback_url(self, name: str) -> str | None:
        """Where the provider `name` is to call us, its token included; None without a `public_url`."""
        if self.public_url is None:
            return None
        url, token = f"{self.public_url.rstrip('/')}/callbacks/{name}", self.providers[name].callback_token
        return url if token is None else f"{url}/{quote(token.get_secret_value(), safe='')}"

    @property
    def store_path(self) -> Path:
        """The file of the store; a relative one counts from the working directory."""
        return Path(self.store.removeprefix(_SQLITE))

    @property
    def control_path(self) -> Path:
        """The control socket: where it is configured, else beside the store."""
        if self.control.socket is not None:
            return Path(self.control.socket)
        store = self.store_path
        return store.with_name(store.name + ".sock")


def json_schema() -> str:
    """The JSON Schema (2020-12) of a configuration, for editors; `config/bridge.schema.json` holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
