"""What a configuration may hold: defaults, limits, names, and the classes of providers' settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge import providers
from bridge.config.schema import Account, Config, json_schema
from bridge.values import Address

REPOSITORY = Path(__file__).parents[3]
SMPP = {"system_id": "acme", "password": "secret"}


def wrong(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Where a configuration is refused, and with which words."""
    with pytest.raises(ValidationError) as refused:
        Config.model_validate({"store": "sqlite:x", **data})
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in refused.value.errors()]


def test_everything_but_the_store_has_a_default() -> None:
    config = Config(store="sqlite:/var/lib/smsbridge/bridge.db")
    assert config.store_path == Path("/var/lib/smsbridge/bridge.db")
    assert not any((config.listeners.smpp, config.listeners.smtp, config.listeners.http))
    assert not any((config.accounts, config.providers, config.routes, config.inbound))
    assert config.mail is None
    assert config.retention == 30 * 86400
    assert (config.limits.memory, config.limits.queue) == (20_000, 5_000_000)
    assert (config.log.level, config.log.text, config.log.format) == ("info", False, "auto")


def test_account_has_the_defaults_that_are_written_down() -> None:
    account = Account.model_validate({"smpp": SMPP})
    assert (account.validity, account.parts_timeout, account.reports_kept) == (48 * 3600, 60, 7 * 86400)
    assert (account.rate, account.burst, account.region, account.max_parts) == (None, None, None, 10)


@pytest.mark.parametrize("store", ["postgres://x", "sqlite:", "sqlite::memory:", "sqlite:///x", "/var/lib/x.db", ""])
def test_store_is_an_sqlite_file(store: str) -> None:
    [(place, text)] = wrong({"store": store})
    assert place == "store"
    assert "sqlite:PATH" in text


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://sms.example.com", "https://sms.example.com"),
        ("https://sms.example.com/", "https://sms.example.com"),
        ("http://example.com:81/sms/", "http://example.com:81/sms"),
    ],
)
def test_public_url_has_no_slash_at_its_end(url: str, kept: str) -> None:
    assert Config(store="sqlite:x", public_url=url).public_url == kept


@pytest.mark.parametrize("url", ["sms.example.com", "ftp://x", "https://", "https://x?a=1", "https://x#a", "http://[x"])
def test_public_url_is_a_web_address(url: str) -> None:
    [(place, _)] = wrong({"public_url": url})
    assert place == "public_url"


@pytest.mark.parametrize(
    ("account", "place", "words"),
    [
        ({}, "accounts.acme", "at least one of smpp, smtp and http"),
        ({"smpp": SMPP, "burst": 5}, "accounts.acme", "a burst needs a rate"),
        ({"smpp": SMPP, "rate": "5/s", "burst": 0}, "accounts.acme.burst", "greater than or equal to 1"),
        ({"smpp": SMPP, "over_rate": "pace"}, "accounts.acme", "over_rate: pace needs a rate"),
        ({"smpp": SMPP, "over_rate": "wait"}, "accounts.acme.over_rate", "'reject' or 'pace'"),
        ({"smpp": SMPP, "quota": {}}, "accounts.acme.quota", "needs a day or a month"),
        ({"smpp": SMPP, "quota": {"day": 1, "timezone": "x"}}, "accounts.acme.quota.timezone", "such as UTC"),
        ({"smpp": SMPP, "networks": []}, "accounts.acme.networks", "at least 1 item"),
        ({"smpp": SMPP, "networks": ["10.0.0.1/8"]}, "accounts.acme.networks.0", "10.0.0.0/8, not 10.0.0.1/8"),
        ({"smpp": {"system_id": "acme"}}, "accounts.acme.smpp", "a password, a certificate, or both"),
        ({"smpp": SMPP, "region": "ua"}, "accounts.acme.region", "ISO 3166"),
        ({"smpp": SMPP, "region": "XX"}, "accounts.acme.region", "ISO 3166"),
        ({"smpp": SMPP, "max_parts": 256}, "accounts.acme.max_parts", "less than or equal to 255"),
        ({"smpp": SMPP, "validity": "-1h"}, "accounts.acme.validity", "a duration is"),
        ({"smpp": {**SMPP, "password": ""}}, "accounts.acme.smpp.password", "at least 1"),
    ],
)
def test_account_that_cannot_work_is_refused(account: dict[str, Any], place: str, words: str) -> None:
    [(found, text)] = wrong({"accounts": {"acme": account}})
    assert found == place
    assert words in text


def test_region_is_taken() -> None:
    assert Account.model_validate({"smpp": SMPP, "region": "UA"}).region == "UA"


@pytest.mark.parametrize("name", ["Acme", "a b", "-a", "", "a/b", "a" * 64, "ä"])
def test_names_are_plain_words(name: str) -> None:
    assert [place for place, _ in wrong({"accounts": {name: {"smpp": SMPP}}})] == [f"accounts.{name}.[key]"]
    assert [place for place, _ in wrong({"providers": {name: {"type": "virtual"}}})] == [f"providers.{name}.[key]"]


def test_listen_address_is_split() -> None:
    config = Config.model_validate({"store": "sqlite:x", "listeners": {"smpp": [{"listen": "[::1]:2775"}]}})
    address = config.listeners.smpp[0].listen
    assert isinstance(address, Address)
    assert (address.host, address.port) == ("::1", 2775)


def test_number_is_taken_where_text_is_due() -> None:
    account = Account.model_validate({"smpp": {"system_id": 42, "password": 12345}})
    assert account.smpp is not None
    assert account.smpp.system_id == "42"
    assert account.smpp.password.get_secret_value() == "12345"


def test_provider_gets_the_settings_of_its_type() -> None:
    config = Config.model_validate({"store": "sqlite:x", "providers": {"test": {"type": "virtual", "rate": "5/s"}}})
    assert type(config.providers["test"]) is providers.load("virtual").Settings
    assert config.providers["test"].rate == 5


@pytest.mark.parametrize(
    ("settings", "place", "words"),
    [
        ({"type": "virtuall"}, "providers.p.type", 'did you mean "virtual"?'),
        ({"type": "{0}"}, "providers.p.type", 'no provider type is called "{0}"'),
        ({"type": ["virtual"]}, "providers.p.type", "no provider type"),
        ({"rate": "5/s", "other": 1}, "providers.p.type", "Field required"),
        ({"type": "virtual", "rat": 1}, "providers.p.rat", "not permitted"),
        ({"type": "virtual", "rate": 1}, "providers.p.rate", "a rate is"),
        (5, "providers.p", "dictionary"),
    ],
)
def test_provider_that_cannot_work_is_refused_at_its_place(settings: Any, place: str, words: str) -> None:
    [(found, text)] = wrong({"providers": {"p": settings}})
    assert found == place
    assert words in text


def test_secrets_show_nowhere() -> None:
    config = Config.model_validate(
        {
            "store": "sqlite:x",
            "accounts": {
                "acme": {
                    "smpp": {"system_id": "acme", "password": "topsecret1"},
                    "smtp": {"login": "acme", "password": "topsecret2", "from": ["*"]},
                    "http": {"api_key": "topsecret3", "callback": "http://x", "callback_secret": "dG9wc2VjcmV0"},
                }
            },
            "providers": {"p": {"type": "virtual", "callback_token": "topsecret4"}},
            "mail": {"smarthost": "smtp://login:topsecret5@host", "from": "a@b.example"},
        }
    )
    assert "topsecret" not in f"{config!r}{config}"
    assert "dG9wc2VjcmV0" not in f"{config!r}{config}"


def test_json_schema_is_fresh() -> None:
    assert (REPOSITORY / "config" / "bridge.schema.json").read_text() == json_schema(), (
        "run: smsbridge check --schema > config/bridge.schema.json"
    )


def test_json_schema_knows_every_provider_and_how_values_are_written() -> None:
    schema = json.loads(json_schema())
    [provider] = schema["properties"]["providers"]["patternProperties"].values()
    assert provider["properties"]["type"]["anyOf"][0]["enum"] == providers.known()
    assert [branch["if"]["properties"]["type"]["const"] for branch in provider["allOf"]] == providers.known()
    account = schema["$defs"]["Account"]
    assert account["additionalProperties"] is False
    assert {"type": "number"} in account["properties"]["validity"]["anyOf"]
    assert "from" in schema["$defs"]["SmtpAccount"]["required"]
    bsg = provider["allOf"][providers.known().index("bsg")]["then"]
    assert {"api_key", "base_url", "rate"} <= set(bsg["properties"])
    assert bsg["additionalProperties"] is False
