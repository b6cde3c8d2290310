"""Whose API key it is: found without trying every account, and without telling by its time how close a guess came."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from bridge.errors import Refusal
from bridge.listeners.http.ports import Account
from bridge.listeners.passwords import Busy, Passwords, is_hashed
from bridge.message import Reason

_REMEMBERED_S = 60.0
_REMEMBERED = 10_000
_FLOOD = "Too many unknown API keys are being checked."
_SEARCHES = 32  # unknown keys that wait for argon2 at once


class Keys:
    """The API keys of all accounts.

    Plain ones are found by their SHA-256; hashed ones can only be tried in turn, so what came of that is remembered
    for a minute, for right keys and for wrong ones.
    """

    def __init__(
        self, accounts: Iterable[Account], passwords: Passwords, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds, monotonic."""
        self._passwords = passwords
        self._clock = clock
        self._plain: dict[bytes, Account] = {}
        self._hashed: list[Account] = []
        self._tried: OrderedDict[bytes, tuple[float, Account | None]] = OrderedDict()
        self._searches = 0
        for account in accounts:
            if is_hashed(account.settings.api_key):
                self._hashed.append(account)
            else:
                self._plain[_digest(account.settings.api_key.get_secret_value())] = account

    async def account_of(self, key: str, address: str | None = None) -> Account | None:
        """The account of `key` as it is used from an address, or None.

        Raises Refusal THROTTLED while too many unknown keys are being tried, or were from that address.
        """
        digest = _digest(key)
        name = digest[:8].hex()  # one who repeats the same wrong key does not guess
        wait_s = self._passwords.wait_s(name, address)
        if wait_s > 0:
            raise Refusal(Reason.THROTTLED, "Too many unknown API keys came from there.", retry_after_s=wait_s)
        try:
            account = await self._account_of(key, digest)
        except Busy:
            raise Refusal(Reason.THROTTLED, _FLOOD, retry_after_s=1.0) from None
        if account is None:
            self._passwords.failed(name, address, shown="an API key")
        return account

    async def _account_of(self, key: str, digest: bytes) -> Account | None:
        account = self._plain.get(digest)
        if account is not None and await self._passwords.verify(key, account.settings.api_key):
            return account
        if not self._hashed:
            return None
        until, account = self._tried.get(digest, (0.0, None))
        if until > self._clock():
            return account
        if self._searches >= _SEARCHES:
            raise Refusal(Reason.THROTTLED, _FLOOD, retry_after_s=1.0)
        self._searches += 1
        try:
            account = await self._search(key)
        finally:
            self._searches -= 1
        self._tried[digest] = (self._clock() + _REMEMBERED_S, account)
        self._tried.move_to_end(digest)
        if len(self._tried) > _REMEMBERED:
            self._tried.popitem(last=False)
        return account

    async def _search(self, key: str) -> Account | None:
        for account in self._hashed:
            if await self._passwords.verify(key, account.settings.api_key):
                return account
        return None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
