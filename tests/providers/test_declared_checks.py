"""Checks of callbacks: examples of vendors and standards, and what must not pass."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from bridge.providers import BadCallback, Callback
from bridge.providers._declared import checks, schema
from bridge.providers._declared.template import Template


def passes(declared: dict[str, Any], settings: dict[str, Any], callback: Callback, url: str | None = None) -> bool:
    """True when the callback passes the one check."""
    kinds = {
        name: schema.Setting(kind="networks" if isinstance(each, list) else "secret") for name, each in settings.items()
    }
    names = checks.NAMES | {f"settings.{name}": (lambda scope, name=name: scope.settings[name]) for name in settings}
    test = checks.compiled(schema.Check.model_validate(declared), lambda text, _: Template(text, names), kinds)
    try:
        checks.verify([test], checks.Scope(callback, settings, url))
    except BadCallback:
        return False
    return True


TWILIO = {"hmac": {"key": "{settings.k}", "given": "{header.x-twilio-signature}", "over": "{full_url}{fields|pairs}",
                   "algorithm": "sha1", "encoding": "base64"}}  # fmt: skip


@pytest.mark.parametrize(("digits", "good"), [("1234", True), ("1235", False)])
def test_hmac_of_address_and_fields(digits: str, good: bool) -> None:
    """The example of Twilio's documents."""
    body = f"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits={digits}&From=%2B14158675309&To=%2B18005551212"
    callback = Callback(
        method="POST",
        query={"foo": "1", "bar": "2"},
        headers={"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        body=body.encode(),
    )
    assert passes(TWILIO, {"k": "12345"}, callback, "https://mycompany.com/myapp.php") is good


STANDARD = {"hmac": {"key": "{settings.k}", "key_encoding": "base64", "encoding": "base64",
                     "given": "{header.webhook-signature}", "at": "{header.webhook-timestamp}",
                     "over": "{header.webhook-id}.{header.webhook-timestamp}.{body}"}}  # fmt: skip


@pytest.mark.parametrize(
    ("signature", "now", "good"),
    [
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 1614265330.0, True),
        ("v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 1614265330.0, True),
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ2OE=", 1614265330.0, False),
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 1614266330.0, False),
        ("", 1614265330.0, False),
    ],
)
def test_hmac_of_several_signatures_not_long_ago(signature: str, now: float, good: bool) -> None:
    """The example of Standard Webhooks 1.0."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": signature,
    }
    callback = Callback(method="POST", headers=headers, body=b'{"test": 2432232314}', received_at=now)
    assert passes(STANDARD, {"k": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, callback) is good


ED25519 = {"ed25519": {"key": "{settings.k}", "key_encoding": "hex", "encoding": "hex", "given": "{header.s}",
                       "over": "{body}"}}  # fmt: skip


@pytest.mark.parametrize(("body", "good"), [(b"\xaf\x82", True), (b"\xaf\x83", False)])
def test_ed25519(body: bytes, good: bool) -> None:
    """RFC 8032 §7.1, test 3."""
    key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    signature = (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert passes(ED25519, {"k": key}, Callback(method="POST", headers={"s": signature}, body=body)) is good
    assert not passes(ED25519, {"k": "00"}, Callback(method="POST", headers={"s": signature}, body=body))


KEY = "a-secret-of-at-least-32-characters"
JWT = {"jwt": {"key": "{settings.k}", "given": "{header.authorization}", "prefix": "Bearer ",
               "claims": {"payload_hash": "{body|sha256}"}}}  # fmt: skip
HASH = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of abc, FIPS 180-4


@pytest.mark.parametrize(
    ("claims", "algorithm", "key", "good"),
    [
        ({"payload_hash": HASH}, "HS256", KEY, True),
        ({"payload_hash": HASH, "exp": 1060, "nbf": 940}, "HS256", KEY, True),
        ({"payload_hash": HASH, "exp": 900}, "HS256", KEY, False),
        ({"payload_hash": HASH, "nbf": 1100}, "HS256", KEY, False),
        ({"payload_hash": HASH, "exp": "soon"}, "HS256", KEY, False),
        ({"payload_hash": "0"}, "HS256", KEY, False),
        ({}, "HS256", KEY, False),
        ({"payload_hash": HASH}, "HS256", KEY + "!", False),
        ({"payload_hash": HASH}, "HS512", KEY + KEY, False),
        ({"payload_hash": HASH}, "none", None, False),
    ],
)
def test_jwt(claims: dict[str, Any], algorithm: str, key: str | None, good: bool) -> None:
    token = jwt.encode(claims, key or "", algorithm=algorithm)
    callback = Callback(method="POST", headers={"authorization": f"Bearer {token}"}, body=b"abc", received_at=1000.0)
    assert passes(JWT, {"k": KEY}, callback) is good


def basic(callback: str) -> Callback:
    return Callback(method="GET", headers={"authorization": callback})


BASIC = {"basic": ["u", "{settings.k}"]}
SECRETS = {"secret": {"given": "{query.token}", "expected": "{settings.k}"}}
HASHES = {"hash": {"given": "{field.md5}", "over": "{field.id}:{settings.k}", "algorithm": "md5"}}


@pytest.mark.parametrize(
    ("declared", "settings", "callback", "good"),
    [
        (SECRETS, {"k": "s"}, Callback(method="GET", query={"token": "s"}), True),
        (SECRETS, {"k": "s"}, Callback(method="GET", query={"token": "t"}), False),
        (SECRETS, {"k": "s"}, Callback(method="GET"), False),
        (HASHES, {"k": "s"}, Callback(method="POST", body=b"id=1&md5=ae8ae3a1e8b6c4ffc1ee0f6b0c7a94d1"), False),
        (HASHES, {"k": "s"}, Callback(method="POST", body=b"id=1&md5=b814e8a178517eeb9b0da8eeb20a0df2"), True),
        (BASIC, {"k": "p:q"}, basic("Basic dTpwOnE="), True),
        (BASIC, {"k": "p"}, basic("Basic dTpwOnE="), False),
        (BASIC, {"k": "p"}, basic("Bearer x"), False),
        ({"networks": ["192.0.2.0/24"]}, {}, Callback(method="GET", remote="192.0.2.7"), True),
        ({"networks": ["192.0.2.0/24"]}, {}, Callback(method="GET", remote="::ffff:192.0.2.7"), True),
        ({"networks": ["192.0.2.0/24"]}, {}, Callback(method="GET", remote="192.0.3.7"), False),
        ({"networks": ["192.0.2.0/24"]}, {}, Callback(method="GET"), False),
    ],
)  # fmt: skip
def test_what_the_provider_knows(
    declared: dict[str, Any], settings: dict[str, Any], callback: Callback, good: bool
) -> None:
    assert passes(declared, settings, callback) is good


@pytest.mark.parametrize("declared", [TWILIO, STANDARD, ED25519, JWT, SECRETS, HASHES, BASIC])
def test_check_without_its_setting_does_not_count(declared: dict[str, Any]) -> None:
    assert passes(declared, {"k": None}, Callback(method="POST"))
    assert not passes(declared, {"k": "x"}, Callback(method="POST"))


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({}, "each item is one check"),
        ({"hash": {"given": "{body}", "over": "{body}"}}, "proves nothing"),
        ({"jwt": {"given": "{body}", "key": "k", "algorithms": ["none"]}}, "no algorithm that can be taken: none"),
        ({"networks": "settings.k"}, "kind networks"),
        ({"networks": ["192.0.2.1/24"]}, "host bits set"),
    ],
)
def test_check_that_cannot_be(declared: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        passes(declared, {"k": "s"}, Callback(method="GET"))


def test_refusal_is_401_and_holds_no_secret() -> None:
    with pytest.raises(BadCallback, match="not signed as agreed") as caught:
        checks.verify([lambda _: False], checks.Scope(Callback(method="POST"), {"k": "s3cret"}, None))
    assert caught.value.status == 401
