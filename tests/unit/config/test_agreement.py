"""What the parts of a configuration say about each other, also where other parts are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.config.agreement import disagreements
from bridge.problems import written

ACCOUNT = {"smpp": {"system_id": "acme", "password": "x"}}


def told(data: Any) -> list[str]:
    return [f"{written(problem.path)}: {problem.text}" for problem in disagreements(data)]


def test_agreeing_parts_are_no_problem() -> None:
    data = {
        "listeners": {"smpp": [{"listen": ":1"}, {"listen": ":0"}], "http": [{"listen": ":0"}, {"listen": "[::1]:2"}]},
        "accounts": {"acme": ACCOUNT, "other": {"smpp": {"system_id": "other"}, "smtp": {"login": "acme"}}},
        "providers": {"bsg": {}},
        "routes": [{"account": "acme", "send": ["bsg"]}, {"send": ["bsg"]}],
        "inbound": [{"account": "other"}],
    }
    assert told(data) == []


def test_unknown_names_are_told_with_the_nearest() -> None:
    data = {
        "accounts": {"acme": ACCOUNT},
        "providers": {"bsg": {}, "virtual": {}},
        "routes": [{"account": "acne", "send": ["bsg", "bgs"]}],
        "inbound": [{"account": "zzz"}],
    }
    assert told(data) == [
        'routes[0].account: no account is called "acne"; did you mean "acme"?',
        'routes[0].send[1]: no provider is called "bgs"; did you mean "bsg"?',
        'inbound[0].account: no account is called "zzz"; known: acme',
    ]


@pytest.mark.parametrize(("side", "key"), [("smpp", "system_id"), ("smtp", "login"), ("http", "api_key")])
def test_credentials_of_two_accounts_differ(side: str, key: str) -> None:
    data = {"accounts": {name: {side: {key: "topsecret"}} for name in ("one", "two", "three")}}
    text = f"the same as accounts.one.{side}.{key}, so nobody could tell the two accounts apart"
    assert told(data) == [f"accounts.two.{side}.{key}: {text}", f"accounts.three.{side}.{key}: {text}"]


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ("127.0.0.1:5", "127.0.0.1:5", True),
        ("127.0.0.1:5", "127.0.0.2:5", False),
        ("127.0.0.1:5", "127.0.0.1:6", False),
        ("0.0.0.0:5", "127.0.0.1:5", True),
        ("[::]:5", "[::1]:5", True),
        ("[::]:5", "127.0.0.1:5", False),
        ("[::]:5", "0.0.0.0:5", False),
        (":5", "[::1]:5", True),
        ("127.0.0.1:5", ":5", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_addresses_do_not_overlap(one: str, two: str, overlap: bool) -> None:
    data = {"listeners": {"smpp": [{"listen": one}], "http": [{"listen": two}]}}
    assert told(data) == (
        ["listeners.http[0].listen: the address is taken by listeners.smpp[0].listen"] if overlap else []
    )


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        {"routes": 5, "inbound": {"account": "x"}, "accounts": [], "listeners": []},
        {"routes": [5, {"send": "x"}, {"send": [5], "account": []}], "accounts": {"a": None, "b": {"smpp": []}}},
        {"listeners": {"smpp": {"listen": ":1"}, "http": [5, {"listen": 5}, {"listen": "x"}]}},
    ],
)
def test_wrong_shape_is_for_the_schema_to_tell(data: Any) -> None:
    assert told(data) == []
