"""Settings as an administrator writes them, and what is not taken for one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from bridge.values import (
    BaseUrl,
    Duration,
    Listen,
    Network,
    Rate,
    Secret,
    Settings,
    Size,
    base_url,
    duration_s,
    listen_address,
    rate_per_s,
    same_secret,
    size_bytes,
)

# --- durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        (" 2 d ", 172800.0),
        ("1w", 604800.0),
        ("1.5m", 90.0),
        (30, 30.0),
        (0.5, 0.5),
        ("366d", 366 * 86400.0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert duration_s(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "30", "s", "30 s x", "-5s", "0s", 0, -1, "367d", True, None, "1e3s", [], float("nan"), float("inf"), "nan"],
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        duration_s(written)


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    written = "".join(f"{number}{unit}" for number, unit in parts)
    assert duration_s(written) == pytest.approx(sum(duration_s(f"{number}{unit}") for number, unit in parts))


# --- rates


@pytest.mark.parametrize(
    ("written", "per_s"), [("100/s", 100.0), ("600/m", 10.0), ("1800/h", 0.5), (" 0.5 / s ", 0.5), ("1/h", 1 / 3600)]
)
def test_rates(written: str, per_s: float) -> None:
    assert rate_per_s(written) == pytest.approx(per_s)


@pytest.mark.parametrize("written", ["", "100", 100, "0/s", "-1/s", "1/d", "1/ms", "x/s", None])
def test_what_is_no_rate(written: object) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        rate_per_s(written)


# --- sizes


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        (1000, 1000),
        ("1000", 1000),
        ("5B", 5),
        ("64KiB", 65536),
        ("64KB", 64000),
        ("20 MB", 20_000_000),
        ("1GiB", 2**30),
    ],
)
def test_sizes(written: object, octets: int) -> None:
    assert size_bytes(written) == octets


@pytest.mark.parametrize("written", ["", "x", "1.5MiB", "-1", "10K", "10TB", "10 mb", None])
def test_what_is_no_size(written: object) -> None:
    with pytest.raises(ValueError, match="a size is"):
        size_bytes(written)


# --- addresses


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:2775", "127.0.0.1", 2775),
        ("[::1]:2775", "::1", 2775),
        (":0", "", 0),
        ("sms.example:65535", "sms.example", 65535),
    ],
)
def test_addresses(written: str, host: str, port: int) -> None:
    address = listen_address(written)
    assert (address, address.host, address.port) == (written, host, port)


@pytest.mark.parametrize("written", ["", "2775", "localhost", "localhost:", ":65536", ":-1", ":x", 2775])
def test_what_is_no_address(written: object) -> None:
    with pytest.raises(ValueError, match="an address is"):
        listen_address(written)


# --- URLs


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("https://api.example/rest", "https://api.example/rest"),
        ("https://api.example/rest/", "https://api.example/rest"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_urls(written: str, held: str) -> None:
    assert base_url(written) == held


@pytest.mark.parametrize(
    "written",
    [
        "",
        "api.example",
        "ftp://api.example",
        "https://",
        "https:///rest",
        "https://login:secret@api.example",
        "https://api.example/?a=1",
        "https://api.example/#a",
    ],
)
def test_what_is_no_base_url(written: str) -> None:
    with pytest.raises(ValueError, match="a base URL is"):
        base_url(written)


# --- secrets


@pytest.mark.parametrize(
    ("given", "expected", "same"),
    [
        ("secret", "secret", True),
        (b"secret", "secret", True),
        ("пароль", "пароль".encode(), True),
        ("secret", "Secret", False),
        ("secret", "secret ", False),
        ("", "secret", False),
        ("caf\udce9", b"caf\xe9", True),  # octets of a header that are not UTF-8
    ],
)
def test_same_secret(given: str | bytes, expected: str | bytes, same: bool) -> None:
    assert same_secret(given, expected) is same


# --- as settings


class Sample(Settings):
    name: str = "x"
    wait: Duration = 1.0
    rate: Rate = 1.0
    size: Size = 1
    url: BaseUrl = "https://api.example"
    listen: Listen = listen_address(":0")
    password: Secret = SecretStr("x")


def test_settings_hold_plain_numbers() -> None:
    made = Sample.model_validate({"wait": "2m", "rate": "60/m", "size": "1KiB", "listen": "127.0.0.1:25"})
    assert (made.wait, made.rate, made.size, made.listen.port) == (120.0, 1.0, 1024, 25)


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Sample.model_validate({"nmae": "y"})


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sample().name = "y"  # type: ignore[misc]


def test_a_number_is_taken_where_text_is_due() -> None:
    made = Sample.model_validate({"name": 12345, "password": 12345})
    assert made.name == "12345"
    assert made.password.get_secret_value() == "12345"


def test_a_secret_shows_nowhere() -> None:
    made = Sample.model_validate({"password": "hunter2"})
    assert "hunter2" not in f"{made!r} {made} {made.model_dump()} {made.model_dump_json()}"
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"password": ["hunter2"], "wait": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_an_empty_secret_is_an_error() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        Sample.model_validate({"password": ""})


@pytest.mark.parametrize(
    ("of", "examples"),
    [
        (Duration, {"30s": True, "1h30m": True, "30": False, "x": False}),
        (Rate, {"100/s": True, "600/m": True, "100": False}),
        (Size, {"64KiB": True, "10": True, "1.5MiB": False}),
        (Listen, {"127.0.0.1:2775": True, ":0": True, "2775": False}),
    ],
)
def test_the_json_schema_says_what_the_validator_takes(of: Any, examples: dict[str, bool]) -> None:
    schema = TypeAdapter(of).json_schema()
    (pattern,) = [part["pattern"] for part in schema.get("anyOf", [schema]) if "pattern" in part]
    for written, good in examples.items():
        assert bool(re.search(pattern, written)) is good
        if good:
            TypeAdapter(of).validate_python(written)
        else:
            with pytest.raises(ValidationError):
                TypeAdapter(of).validate_python(written)


# --- networks


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::/0", "::/0"),
    ],
)
def test_network(written: str, meant: str) -> None:
    assert str(TypeAdapter(Network).validate_python(written)) == meant


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "10.0.0.0/33", "example.com", "", "10.0.0.0-10.0.0.9", None, 7.5])
def test_no_network(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Network).validate_python(wrong)
