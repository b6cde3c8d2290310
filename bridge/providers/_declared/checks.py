"""Whether a callback is the provider's: the checks of a declaration.

Each of them counts where its settings have values, and then a callback has to pass it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec.structs import replace

from bridge.providers._contract import BadCallback, Callback
from bridge.providers._declared import schema
from bridge.providers._declared.paths import form_pairs
from bridge.providers._declared.template import Names, Template
from bridge.values import same_secret

Make = Callable[[str, str], Template]  # a template at a key of the check; what is wrong with it is noted there
Test = Callable[["Scope"], bool | None]  # None: this check has no settings here

_LEEWAY_S = 60.0
_SEVERAL = re.compile(r"[,\s]+")


class Scope:
    """What templates of checks look at: a callback, and the settings of the provider."""

    __slots__ = ("_fields", "callback", "settings", "url")

    def __init__(self, callback: Callback, settings: Mapping[str, Any], callback_url: str | None) -> None:
        self.callback = callback
        self.settings = settings
        self.url = callback_url or ""
        self._fields: dict[str, str] | None = None

    @property
    def full_url(self) -> str:
        """The address that was called, with its query."""
        query = urlencode(list(self.callback.query.items()))
        return f"{self.url}?{query}" if query else self.url

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the body, and, when there are none, those of the query."""
        if self._fields is None:
            self._fields = dict(form_pairs(self.callback.body)) or dict(self.callback.query)
        return self._fields

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields by their lower-case names."""
        return self.callback.headers


# What each is, is a line of the reference.
NAMES: Names = {
    "body": lambda scope: scope.callback.body,  # the body as it came
    "method": lambda scope: scope.callback.method,  # GET, POST or PUT
    "url": lambda scope: scope.url,  # the address that the provider calls, without a query
    "full_url": lambda scope: scope.full_url,  # the same with the query that came
    "fields": lambda scope: scope.fields,  # the fields of a form or a query; see the filters pairs, without, clean
    "header.*": lambda scope: scope.headers,  # a header field by its name in small letters: header.x-signature
    "query.*": lambda scope: scope.callback.query,  # a field of the query
    "field.*": lambda scope: scope.fields,  # a field of a form or a query
}


def compiled(check: schema.Check, make: Make, settings: Mapping[str, schema.Setting]) -> Test:
    """A check, ready to be made. Raises ValueError."""
    given = [name for name in type(check).model_fields if getattr(check, name) is not None]
    if len(given) != 1:
        raise ValueError("each item is one check: secret, basic, hmac, hash, ed25519, jwt or networks")
    (name,) = given
    return _COMPILE[name](getattr(check, name), make, settings)


def _secret(check: schema.Secret, make: Make, _: Any) -> Test:
    given, expected = make(check.given, "given"), make(check.expected, "expected")

    def test(scope: Scope) -> bool | None:
        wanted = expected.octets(scope)
        return None if not wanted else same_secret(given.octets(scope) or b"", wanted)

    return test


def _basic(check: list[str], make: Make, _: Any) -> Test:
    user, password = make(check[0], "0"), make(check[1], "1")

    def test(scope: Scope) -> bool | None:
        name, secret = user.octets(scope), password.octets(scope)
        if name is None or secret is None:
            return None
        kind, _, credentials = scope.headers.get("authorization", "").partition(" ")
        came = _decoded(credentials.strip(), "base64") if kind.lower() == "basic" else None
        return same_secret(came or b"", name + b":" + secret)

    return test


def _signature(
    check: schema.Signature, make: Make, keys: list[Template], fits: Callable[[Scope, bytes, bytes], bool]
) -> Test:
    """`fits` tells whether a signature belongs to what was signed."""
    given, at = make(check.given, "given"), make(check.at, "at") if check.at else None
    signed = [make(each, "over") for each in check.over]

    def test(scope: Scope) -> bool | None:
        if any(not key.octets(scope) for key in keys):
            return None
        if at is not None and not _recent(at.text(scope), scope.callback.received_at, check.within):
            return False
        came = given.text(scope) or ""
        for word in _SEVERAL.split(came.strip()):
            signature = _decoded(word.removeprefix(check.prefix), check.encoding)
            for each in signed:
                said = each.octets(scope)
                if signature and said is not None and fits(scope, signature, said):
                    return True
        return False

    return test


def _recent(text: str | None, now: float | None, within_s: float) -> bool:
    try:
        return now is None or abs(now - float(text or "")) <= within_s
    except ValueError:
        return False


def _hmac(check: schema.Hmac, make: Make, _: Any) -> Test:
    key = make(check.key, "key")

    def fits(scope: Scope, signature: bytes, said: bytes) -> bool:
        return hmac.compare_digest(_digest(check, key, scope, said), signature)

    return _signature(check, make, [key], fits)


def _digest(check: schema.Hmac, key: Template, scope: Scope, said: bytes) -> bytes:
    octets = key.octets(scope) or b""
    secret = octets if check.key_encoding == "text" else _decoded(octets.decode("latin-1"), check.key_encoding)
    return hmac.digest(secret or b"", said, check.algorithm)


def signing(check: schema.Hmac, make: Make) -> Callable[[Scope], Callback] | None:
    """What signs a callback as the provider would, for cases that say `signed`; None where it stands in no header."""
    header = re.fullmatch(r"\{header\.([a-z0-9-]+)\}", check.given)
    if header is None:
        return None
    key, over, name = make(check.key, "key"), make(check.over[0], "over"), header[1]

    def sign(scope: Scope) -> Callback:
        digest = _digest(check, key, scope, over.octets(scope) or b"")
        text = digest.hex() if check.encoding == "hex" else base64.b64encode(digest).decode()
        return replace(scope.callback, headers={**scope.callback.headers, name: check.prefix + text})

    return sign


def _hash(check: schema.Hash, make: Make, settings: Mapping[str, schema.Setting]) -> Test:
    named = [name for each in check.over for name in settings if f"settings.{name}" in each]
    keys = [make(f"{{settings.{name}}}", "over") for name in named if settings[name].kind == "secret"]
    if not keys:
        raise ValueError("a digest proves nothing unless what it is over holds a setting of kind secret")

    def fits(_: Scope, signature: bytes, said: bytes) -> bool:
        return hmac.compare_digest(hashlib.new(check.algorithm, said).digest(), signature)

    return _signature(check, make, keys, fits)


def _ed25519(check: schema.Ed25519, make: Make, _: Any) -> Test:
    key = make(check.key, "key")

    def fits(scope: Scope, signature: bytes, said: bytes) -> bool:
        public = _decoded((key.text(scope) or "").strip(), check.key_encoding)
        try:
            Ed25519PublicKey.from_public_bytes(public or b"").verify(signature, said)
        except (InvalidSignature, ValueError):
            return False
        return True

    return _signature(check, make, [key], fits)


def _jwt(check: schema.Jwt, make: Make, _: Any) -> Test:
    if unknown := set(check.algorithms) - set(jwt.algorithms.get_default_algorithms()) | {"none"} & set(
        check.algorithms
    ):
        raise ValueError(f"no algorithm that can be taken: {', '.join(sorted(unknown))}")
    given, key = make(check.given, "given"), make(check.key, "key")
    claims = {name: make(text, "claims") for name, text in check.claims.items()}
    # PyJWT would ask the clock; the callback knows when it came.
    options: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}

    def test(scope: Scope) -> bool | None:
        secret = key.text(scope)
        if not secret:
            return None
        token = (given.text(scope) or "").strip().removeprefix(check.prefix).strip()
        try:
            said = jwt.decode(token, secret, algorithms=check.algorithms, options=options)
        except (jwt.PyJWTError, ValueError, TypeError):
            return False
        if not _in_time(said, scope.callback.received_at):
            return False
        return all(same_secret(str(said.get(name, "")), claim.text(scope) or "\0") for name, claim in claims.items())

    return test


def _in_time(claims: Mapping[str, Any], now: float | None) -> bool:
    """`exp` and `nbf` (RFC 7519 §4.1) by the time when the callback came."""
    if now is None:
        return True
    until, since = claims.get("exp", now), claims.get("nbf", now)
    numbers = isinstance(until, int | float) and isinstance(since, int | float)
    return numbers and since - _LEEWAY_S <= now <= until + _LEEWAY_S


def _networks(check: list[str] | str, make: Make, settings: Mapping[str, schema.Setting]) -> Test:
    if isinstance(check, list):
        fixed = [ipaddress.ip_network(each) for each in check]
        return lambda scope: _within(scope.callback.remote, fixed)
    name = check.removeprefix("settings.")
    if name not in settings or settings[name].kind != "networks" or not check.startswith("settings."):
        raise ValueError("a list of networks, such as [192.0.2.0/24], or settings.NAME of a setting of kind networks")

    def test(scope: Scope) -> bool | None:
        allowed = scope.settings.get(name)
        return _within(scope.callback.remote, allowed) if allowed else None

    return test


def _within(remote: str | None, networks: list[Any]) -> bool:
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


def _decoded(text: str, encoding: str) -> bytes | None:
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & {"-", "_"} else None)
    except (ValueError, binascii.Error):
        return None


_COMPILE: dict[str, Callable[..., Test]] = {
    "secret": _secret,
    "basic": _basic,
    "hmac": _hmac,
    "hash": _hash,
    "ed25519": _ed25519,
    "jwt": _jwt,
    "networks": _networks,
}


def verify(tests: list[Test], scope: Scope) -> None:
    """Raises BadCallback (401) when one of the checks that have settings is not passed."""
    if any(test(scope) is False for test in tests):
        raise BadCallback("the callback is not signed as agreed", status=401)
