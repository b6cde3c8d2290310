"""Checks of passwords and API keys, shared by every listener: plain ones at once, argon2 hashes off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bridge.values import same_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

_REMEMBERED_S = 60.0
_REMEMBERED = 10_000
_HASHER = PasswordHasher()


def hash_password(plain: str) -> str:
    """An argon2id hash of `plain` for the configuration, as `$argon2id$...` (RFC 9106, the library's own costs)."""
    return _HASHER.hash(plain)


def is_hashed(secret: SecretStr) -> bool:
    """True when the configured secret is an argon2 hash, and so costs tens of milliseconds to check."""
    return secret.get_secret_value().startswith("$argon2")


class Passwords:
    """Verifies what clients give; a right password is remembered for a minute, so that a busy client hashes once.

    A wrong one is never remembered here: guessing must stay as slow as argon2 makes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, monotonic."""
        self._clock = clock
        self._right: OrderedDict[bytes, float] = OrderedDict()  # digest of (given, hash) -> until when it holds
        self._checks: dict[bytes, asyncio.Future[bool]] = {}  # the same question asked twice at once is one check
        # One thread: a flood of wrong passwords takes one core at most, and never the default executor.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

    async def verify(self, given: str, secret: SecretStr) -> bool:
        """True when `given` is the password that `secret` holds, plain or hashed; no `given` makes it raise."""
        expected = secret.get_secret_value()
        if not is_hashed(secret):
            return same_secret(given, expected)
        key = _digest(given, expected)
        if self._right.get(key, 0.0) > self._clock():
            return True
        check = self._checks.get(key)
        if check is None:
            loop = asyncio.get_running_loop()
            check = asyncio.ensure_future(loop.run_in_executor(self._executor, _matches, given, expected))
            self._checks[key] = check
            check.add_done_callback(lambda done: self._settle(key, done))
        # Shielded: a client that hangs up must not cancel the check that another one waits for.
        return await asyncio.shield(check)

    def close(self) -> None:
        """Ends the thread; checks that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _settle(self, key: bytes, check: asyncio.Future[bool]) -> None:
        del self._checks[key]
        if not check.cancelled() and check.exception() is None and check.result():
            self._right[key] = self._clock() + _REMEMBERED_S
            self._right.move_to_end(key)
            if len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)


def _digest(given: str, expected: str) -> bytes:
    return hashlib.sha256(f"{expected}\0{given}".encode("utf-8", "surrogateescape")).digest()


def _matches(given: str, expected: str) -> bool:
    try:
        return _HASHER.verify(expected, given.encode("utf-8", "surrogateescape"))
    except (VerificationError, InvalidHashError):
        return False
