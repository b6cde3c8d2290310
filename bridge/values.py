"""Values of settings: durations, rates, secrets, listen addresses; and the base every Settings class shares.

Pure. A value is written as an administrator would (`30s`, `100/s`, `127.0.0.1:2775`) and held as plain numbers.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
)

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*")
_SIZE = re.compile(r"(\d+)\s*([KMG]i?B|B)?")
_MAPPED = IPv6Network("::ffff:0:0/96")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values never change, secrets do not show in `repr`."""

    # Numbers are taken where text is due: YAML makes one of `password: 12345`.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)


def duration_s(value: Any) -> float:
    """Seconds of a duration such as `30s`, `1h30m`, `7d`; a bare number is seconds. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("a duration is a number with a unit, such as 30s, 5m, 2h or 7d")
    if isinstance(value, int | float):
        number = float(value)
    else:
        text, number, at = str(value), 0.0, 0
        while at < len(text):
            match = _DURATION.match(text, at)
            if match is None:
                raise ValueError("a duration is a number with a unit, such as 30s, 5m, 2h or 7d")
            number += float(match[1]) * _UNITS_S[match[2]]
            at = match.end()
    if not 0 < number <= 366 * 86400:  # so that NaN, which YAML can write, is none either
        raise ValueError("a duration is more than 0 and at most 366d")
    return number


def rate_per_s(value: Any) -> float:
    """Events a second of a rate such as `100/s`, `600/m`. Raises ValueError."""
    match = _RATE.fullmatch(str(value).strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError("a rate is a number and a unit, such as 100/s, 600/m or 1000/h")
    return float(match[1]) / _UNITS_S[match[2]]


def size_bytes(value: Any) -> int:
    """Bytes of a size such as `64KiB`, `20MB`; a bare number is bytes. Raises ValueError."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("a size is a number and a unit, such as 512KiB or 20MiB")
    unit = match[2] or "B"
    base = 1024 if "i" in unit else 1000
    return int(match[1]) * int(base ** "BKMG".index(unit[0]))


class Address(str):
    """A host and port to listen on: `127.0.0.1:2775`, `[::1]:2775`, or `:2775` for every interface."""

    __slots__ = ()

    @property
    def host(self) -> str:
        """The host, `""` for every interface."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The TCP port, 0 for any free one."""
        return int(self.rpartition(":")[2])


def listen_address(value: Any) -> Address:
    """Checks `host:port`. Raises ValueError."""
    text = str(value)
    _, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("an address is host:port, such as 127.0.0.1:2775 or [::]:2775")
    return Address(text)


def _written(pattern: str, example: str, kind: str = "number") -> WithJsonSchema:
    """How a value is written, for the JSON Schema: a bare number, or text of that form."""
    return WithJsonSchema({"anyOf": [{"type": kind}, {"type": "string", "pattern": pattern}], "examples": [example]})


def network(value: Any) -> IPv4Network | IPv6Network:
    """An address or network such as `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. Raises ValueError.

    IPv4 inside IPv6 (`::ffff:10.0.0.0/104`, RFC 4291 §2.5.5.2) is taken as the IPv4 that it means.
    """
    try:
        found = ip_network(str(value).strip(), strict=True)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("the address has bits outside its network: 10.0.0.0/8, not 10.0.0.1/8") from None
        raise ValueError("a network is an address or a block of them, such as 192.0.2.7 or 10.0.0.0/8") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        return IPv4Network((int(found.network_address) & 0xFFFF_FFFF, found.prefixlen - 96))
    return found


def base_url(value: str) -> str:
    """Checks the `http(s)://host/path` that paths are appended to; it ends without a slash. Raises ValueError."""
    parts = urlsplit(value)
    extras = "@" in parts.netloc or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or extras:
        raise ValueError("a base URL is http:// or https://, a host and perhaps a path, such as https://host/rest")
    return value.rstrip("/")


Duration = Annotated[float, BeforeValidator(duration_s), _written(rf"^({_DURATION.pattern})+$", "30s")]
Rate = Annotated[
    float,
    BeforeValidator(rate_per_s),
    WithJsonSchema({"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["100/s"]}),
]
Size = Annotated[int, BeforeValidator(size_bytes), _written(f"^{_SIZE.pattern}$", "10MiB", "integer")]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]}),
]
BaseUrl = Annotated[str, AfterValidator(base_url)]
Listen = Annotated[
    Address,
    PlainValidator(listen_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": r"^.*:\d{1,5}$", "examples": ["127.0.0.1:2775"]}),
]
Secret = Annotated[SecretStr, Field(min_length=1)]


def same_secret(given: str | bytes, expected: str | bytes) -> bool:
    """True when both are equal, in a time that tells nothing about where they differ."""
    left = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else given
    right = expected.encode("utf-8", "surrogateescape") if isinstance(expected, str) else expected
    return hmac.compare_digest(left, right)


class Tls(Settings):
    """Server-side TLS of a listener (1.2 or newer); with `client_ca`, clients must present a certificate."""

    certificate: str
    key: str
    client_ca: str | None = None


ListenerKind = Literal["smpp", "smtp", "http"]
