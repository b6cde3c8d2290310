"""Passwords: plain and hashed, remembered when right, never when wrong, and never on the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from bridge.listeners import passwords as module
from bridge.listeners.lockout import Lockout
from bridge.listeners.passwords import Login, Passwords, hash_password, is_hashed, stand_in

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASH = SecretStr(CHEAP.hash("correct horse"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Checks:
    """Counts what really goes to argon2, and on which thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self._matches = module._matches
        monkeypatch.setattr(module, "_matches", self)

    def __call__(self, given: str, expected: str) -> bool:
        self.threads.append(threading.current_thread().name)
        return self._matches(given, expected)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def passwords(clock: Clock):
    made = Passwords(clock)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("given", "right"),
    [("secret", True), ("Secret", False), ("", False), ("secret ", False), ("sécret", False), ("\udcff", False)],
)
async def test_plain(passwords: Passwords, checks: Checks, given: str, right: bool) -> None:
    assert await passwords.verify(given, SecretStr("secret")) is right
    assert checks.threads == []


@pytest.mark.parametrize(
    ("given", "right"), [("correct horse", True), ("correct hors", False), ("", False), ("\udcff\x00", False)]
)
async def test_hashed(passwords: Passwords, given: str, right: bool) -> None:
    assert await passwords.verify(given, HASH) is right


async def test_a_hash_is_not_its_own_password(passwords: Passwords) -> None:
    assert not await passwords.verify(HASH.get_secret_value(), HASH)


@pytest.mark.parametrize("broken", ["$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$AAAA$", "$argon2x$v=1$x"])
async def test_a_broken_hash_matches_nothing(passwords: Passwords, broken: str) -> None:
    assert not await passwords.verify("anything", SecretStr(broken))
    assert not await passwords.verify(broken, SecretStr(broken))


async def test_hashing_is_off_the_event_loop(passwords: Passwords, checks: Checks) -> None:
    await passwords.verify("correct horse", HASH)
    assert checks.threads == ["passwords_0"]


async def test_a_right_one_is_remembered_for_a_minute(passwords: Passwords, checks: Checks, clock: Clock) -> None:
    assert await passwords.verify("correct horse", HASH)
    clock.now += 59.0
    assert await passwords.verify("correct horse", HASH)
    assert len(checks.threads) == 1
    clock.now += 2.0
    assert await passwords.verify("correct horse", HASH)
    assert len(checks.threads) == 2


async def test_a_wrong_one_is_not_remembered(passwords: Passwords, checks: Checks) -> None:
    for _ in range(2):
        assert not await passwords.verify("wrong", HASH)
    assert len(checks.threads) == 2


async def test_what_is_remembered_belongs_to_one_hash(passwords: Passwords) -> None:
    assert await passwords.verify("correct horse", HASH)
    assert not await passwords.verify("correct horse", SecretStr(CHEAP.hash("another")))


async def test_one_question_at_a_time_is_one_check(passwords: Passwords, checks: Checks) -> None:
    answers = await asyncio.gather(*(passwords.verify("correct horse", HASH) for _ in range(5)))
    assert answers == [True] * 5
    assert len(checks.threads) == 1


async def test_who_hangs_up_does_not_cancel_the_others(passwords: Passwords) -> None:
    first = asyncio.ensure_future(passwords.verify("correct horse", HASH))
    second = asyncio.ensure_future(passwords.verify("correct horse", HASH))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_memory_is_bounded(passwords: Passwords, checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    hashes = [SecretStr(CHEAP.hash("x")) for _ in range(3)]
    for secret in hashes:
        assert await passwords.verify("x", secret)
    assert await passwords.verify("x", hashes[2])
    assert len(checks.threads) == 3
    assert await passwords.verify("x", hashes[0])  # the oldest was forgotten
    assert len(checks.threads) == 4


async def test_hash_password(passwords: Passwords) -> None:
    first, second = hash_password("pässword"), hash_password("pässword")
    assert first.startswith("$argon2id$")
    assert first != second
    assert is_hashed(SecretStr(first))
    assert not is_hashed(SecretStr("pässword"))
    assert await passwords.verify("pässword", SecretStr(first))


# --- logins ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "secret", "login"),
    [
        ("secret", SecretStr("secret"), Login.RIGHT),
        ("correct horse", HASH, Login.RIGHT),
        ("wrong", SecretStr("secret"), Login.WRONG),
        ("wrong", HASH, Login.WRONG),
        ("secret", None, Login.WRONG),
    ],
)
async def test_logins(passwords: Passwords, given: str, secret: SecretStr | None, login: Login) -> None:
    assert await passwords.login("acme", given, secret, address="192.0.2.7") is login


async def test_failures_close_the_door_and_a_right_one_forgives(clock: Clock) -> None:
    passwords = Passwords(clock, Lockout(2, 100, 60.0))
    secret = SecretStr("secret")

    async def tried(given: str, address: str | None = "192.0.2.7") -> Login:
        return await passwords.login("acme", given, secret, address=address)

    assert [await tried(word) for word in ("wrong", "secret", "wrong", "wrong", "secret")] == [
        Login.WRONG,
        Login.RIGHT,
        Login.WRONG,
        Login.WRONG,
        Login.LOCKED,
    ]
    assert await tried("secret", "192.0.2.8") is Login.RIGHT
    assert passwords.wait_s("acme", "192.0.2.7") == 60.0
    clock.now += 60.0
    assert await tried("secret") is Login.RIGHT
    passwords.close()


@pytest.mark.parametrize("secret", [SecretStr("plain"), HASH, None])
async def test_every_refusal_costs_one_check(passwords: Passwords, checks: Checks, secret: SecretStr | None) -> None:
    other = SecretStr(CHEAP.hash("other"))
    assert await passwords.login("x", "wrong", secret, address=None, stand_in=other) is Login.WRONG
    assert len(checks.threads) == 1


async def test_the_password_of_a_stand_in_opens_nothing(passwords: Passwords) -> None:
    for secret in (None, SecretStr("plain")):
        assert await passwords.login("x", "correct horse", secret, address=None, stand_in=HASH) is Login.WRONG


def test_a_stand_in_is_a_hashed_one() -> None:
    assert stand_in([None, SecretStr("plain"), HASH]) is HASH
    assert stand_in([None, SecretStr("plain")]) is None


@pytest.mark.parametrize(("name", "addresses"), [("_WAITING_OF_ONE", ["192.0.2.7"] * 3), ("_WAITING", ["a", "b", "c"])])
async def test_few_guesses_wait_at_once(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch, name: str, addresses: list[str]
) -> None:
    held = threading.Event()
    monkeypatch.setattr(module, "_matches", lambda given, expected: held.wait(10))
    monkeypatch.setattr(module, name, 2)
    tasks = [
        asyncio.ensure_future(passwords.login("acme", f"guess {number}", HASH, address=address))
        for number, address in enumerate(addresses)
    ]
    again = asyncio.ensure_future(passwords.login("acme", "guess 0", HASH, address=addresses[0]))
    assert await tasks[2] is Login.BUSY
    assert passwords.wait_s("acme", addresses[2]) == 0.0  # that was no failure
    held.set()
    assert {await task for task in (*tasks[:2], again)} == {Login.RIGHT}  # the same guess twice is one
    assert not passwords._waiting


async def test_nothing_that_was_given_is_kept(passwords: Passwords) -> None:
    assert await passwords.verify("correct horse", HASH)
    kept = repr({**vars(passwords), "_executor": None, "_key": None})
    plain = hashlib.sha256(f"{HASH.get_secret_value()}\0correct horse".encode()).digest()
    assert "correct horse" not in kept
    assert plain not in passwords._right
    other = Passwords()
    assert other._digest("a", "b") != passwords._digest("a", "b")
    other.close()
