"""API keys: plain and hashed ones, right and wrong ones, and how often argon2 is asked."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from bridge.errors import Refusal
from bridge.listeners.http import keys as module
from bridge.listeners.http.keys import Keys
from bridge.listeners.http.ports import Account
from bridge.listeners.http.settings import HttpAccount
from bridge.listeners.passwords import Passwords
from bridge.message import Reason

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PLAIN = Account(name="plain", settings=HttpAccount(api_key=SecretStr("plain-key")))
FIRST = Account(name="first", settings=HttpAccount(api_key=SecretStr(CHEAP.hash("first-key"))))
SECOND = Account(name="second", settings=HttpAccount(api_key=SecretStr(CHEAP.hash("second-key"))))


class CountedPasswords(Passwords):
    """The real thing, with a count of what it was asked and a gate before the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def verify(self, given: str, secret: SecretStr) -> bool:
        self.asked.append(given)
        await self.gate.wait()
        return await super().verify(given, secret)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def passwords():
    made = CountedPasswords()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(passwords: CountedPasswords, clock: Clock) -> Keys:
    return Keys([PLAIN, FIRST, SECOND], passwords, clock)


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("plain-key", PLAIN),
        ("first-key", FIRST),
        ("second-key", SECOND),
        ("", None),
        ("plain-key ", None),
        ("third-key", None),
        ("\udcff", None),
        pytest.param(FIRST.settings.api_key.get_secret_value(), None, id="the hash itself"),
    ],
)
async def test_account_of(keys: Keys, key: str, account: Account | None) -> None:
    for _ in range(2):
        assert await keys.account_of(key) is account


async def test_a_plain_key_is_compared_with_its_own_account_only(keys: Keys, passwords: CountedPasswords) -> None:
    await keys.account_of("plain-key")
    assert passwords.asked == ["plain-key"]


async def test_without_hashed_keys_a_wrong_one_costs_nothing(passwords: CountedPasswords) -> None:
    assert await Keys([PLAIN], passwords).account_of("wrong") is None
    assert passwords.asked == []


@pytest.mark.parametrize("key", ["second-key", "wrong"])
async def test_a_search_is_remembered_for_a_minute(
    keys: Keys, passwords: CountedPasswords, clock: Clock, key: str
) -> None:
    for _ in range(3):
        await keys.account_of(key)
    assert passwords.asked == [key] * 2
    clock.now += 61
    await keys.account_of(key)
    assert passwords.asked == [key] * 4


async def test_memory_is_bounded(keys: Keys, passwords: CountedPasswords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 1)
    for key in ("a", "b", "a"):
        await keys.account_of(key)
    assert passwords.asked == ["a", "a", "b", "b", "a", "a"]


async def test_a_flood_of_unknown_keys_is_told_to_come_later(keys: Keys, passwords: CountedPasswords) -> None:
    passwords.gate.clear()
    flood = [asyncio.ensure_future(keys.account_of(f"wrong-{number}")) for number in range(module._SEARCHES)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as caught:
        await keys.account_of("one more")
    assert caught.value.reason is Reason.THROTTLED
    assert caught.value.retry_after_s == 1.0
    passwords.gate.set()
    assert await asyncio.gather(*flood) == [None] * len(flood)
    assert await keys.account_of("plain-key") is PLAIN
    assert await keys.account_of("first-key") is FIRST
