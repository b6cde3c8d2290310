"""Checks of passwords and API keys, shared by every listener: plain ones at once, argon2 hashes off the event loop.

Whoever guesses gets nothing out of it but "no": not which names exist, neither by the answer nor by its time; and not
the processor either, because few guesses wait at once, one is checked at a time, and too many of them close the door.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import TYPE_CHECKING

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bridge.errors import BridgeError
from bridge.listeners.addresses import household
from bridge.listeners.lockout import Lockout
from bridge.values import same_secret

if TYPE_CHECKING:
    from pydantic import SecretStr

log = structlog.get_logger("bridge.listeners")

_REMEMBERED_S = 60.0
_REMEMBERED = 10_000
_WAITING = 256  # hashes to be checked, some ten seconds of work
_WAITING_OF_ONE = 32  # of one address
_HASHER = PasswordHasher()


def hash_password(plain: str) -> str:
    """An argon2id hash of `plain` for the configuration, as `$argon2id$...` (RFC 9106, the library's own costs)."""
    return _HASHER.hash(plain)


def is_hashed(secret: SecretStr) -> bool:
    """True when the configured secret is an argon2 hash, and so costs tens of milliseconds to check."""
    return secret.get_secret_value().startswith("$argon2")


def stand_in(known: Iterable[SecretStr | None]) -> SecretStr | None:
    """A hashed one of the secrets that are known, to be checked where there is none; None when none is hashed."""
    return next((secret for secret in known if secret is not None and is_hashed(secret)), None)


class Busy(BridgeError):
    """Too many hashes wait to be checked: come again later; it says nothing about the password."""


class Login(Enum):
    """What came of a name and its password."""

    RIGHT = auto()
    WRONG = auto()
    LOCKED = auto()  # too many wrong ones before: not even looked at
    BUSY = auto()  # could not be checked now


class Passwords:
    """Verifies what clients give; a right password is remembered for a minute, so that a busy client hashes once.

    A wrong one is never remembered here: guessing must stay as slow as argon2 makes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, lockout: Lockout | None = None) -> None:
        """`clock`: seconds, monotonic."""
        self.lockout = lockout or Lockout()
        self._clock = clock
        self._key = secrets.token_bytes(32)  # what is remembered can be guessed by nobody who does not have it
        self._right: OrderedDict[bytes, float] = OrderedDict()  # digest of (given, hash) -> until when it holds
        self._checks: dict[bytes, asyncio.Future[bool]] = {}  # the same question asked twice at once is one check
        self._waiting: Counter[str] = Counter()  # checks by address
        # One thread: a flood of wrong passwords takes one core at most, and never the default executor.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

    async def login(
        self, name: str, given: str, secret: SecretStr | None, *, address: str | None, stand_in: SecretStr | None = None
    ) -> Login:
        """Whether `given` is the password that belongs to `name`, asked from an address (None: not known).

        `secret` is None where the name is not known. Then, and where a plain one is wrong, `stand_in` is checked
        instead, so that it takes no less time.
        """
        wait_s = self.lockout.wait_s(address, name, self._clock())
        if wait_s > 0:
            return Login.LOCKED
        try:
            right = secret is not None and await self.verify(given, secret, address=address)
            if not right and stand_in is not None and (secret is None or not is_hashed(secret)):
                await self.verify(given, stand_in, address=address)
        except Busy:
            return Login.BUSY
        if not right:
            self.failed(name, address)
            return Login.WRONG
        self.lockout.succeeded(address, name)
        return Login.RIGHT

    def failed(self, name: str, address: str | None, shown: str | None = None) -> None:
        """Counts a wrong password, and tells when that closes the door; `shown` instead of a name that is secret."""
        closed_s = self.lockout.failed(address, name, self._clock())
        if closed_s:
            log.warning("locked_out", peer=address, name=(name if shown is None else shown)[:16], for_s=closed_s)

    def wait_s(self, name: str, address: str | None) -> float:
        """For how long an address must not try a name: seconds; 0 when it may now."""
        return self.lockout.wait_s(address, name, self._clock())

    async def verify(self, given: str, secret: SecretStr, *, address: str | None = None) -> bool:
        """True when `given` is the password that `secret` holds, plain or hashed. Raises Busy."""
        expected = secret.get_secret_value()
        if not is_hashed(secret):
            return same_secret(given, expected)
        key = self._digest(given, expected)
        if self._right.get(key, 0.0) > self._clock():
            return True
        check = self._checks.get(key)
        if check is None:
            check = self._begin(key, given, expected, household(address))
        # Shielded: a client that hangs up must not cancel the check that another one waits for.
        return await asyncio.shield(check)

    def close(self) -> None:
        """Ends the thread; checks that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: bytes, given: str, expected: str, home: str) -> asyncio.Future[bool]:
        if len(self._checks) >= _WAITING or self._waiting[home] >= _WAITING_OF_ONE:
            raise Busy("too many passwords are being checked")
        loop = asyncio.get_running_loop()
        check = asyncio.ensure_future(loop.run_in_executor(self._executor, _matches, given, expected))
        self._checks[key] = check
        self._waiting[home] += 1
        check.add_done_callback(lambda done: self._settle(key, home, done))
        return check

    def _settle(self, key: bytes, home: str, check: asyncio.Future[bool]) -> None:
        del self._checks[key]
        self._waiting[home] -= 1
        if not self._waiting[home]:
            del self._waiting[home]
        if not check.cancelled() and check.exception() is None and check.result():
            self._right[key] = self._clock() + _REMEMBERED_S
            self._right.move_to_end(key)
            if len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)

    def _digest(self, given: str, expected: str) -> bytes:
        words = f"{expected}\0{given}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(words, digest_size=32, key=self._key).digest()


def _matches(given: str, expected: str) -> bool:
    try:
        return _HASHER.verify(expected, given.encode("utf-8", "surrogateescape"))
    except (VerificationError, InvalidHashError):
        return False
