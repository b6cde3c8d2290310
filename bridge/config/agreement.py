"""What the parts of a configuration say about each other: names that must exist, values that must be unique.

Works on the plain values of a file, also where other parts of it are wrong, so that all problems come at once. What has
the wrong shape is passed over here: `schema` tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.document import items_at, keys_at, value_at
from bridge.problems import KeyPath, Problem, hint, written
from bridge.values import Address, listen_address

if TYPE_CHECKING:
    from collections.abc import Iterator

# What tells one account from another, by listener.
_CREDENTIALS = {"smpp": "system_id", "smtp": "login", "http": "api_key"}
_EVERY = {"": "any", "0.0.0.0": "IPv4", "::": "IPv6"}  # noqa: S104 - compared with, not bound to


def disagreements(data: Any) -> Iterator[Problem]:
    """Each place where one part of `data` contradicts another."""
    yield from _unknown_names(data)
    yield from _shared_credentials(data)
    yield from _shared_addresses(data)


def _unknown_names(data: Any) -> Iterator[Problem]:
    accounts, providers = keys_at(data, "accounts"), keys_at(data, "providers")
    for section in ("routes", "inbound"):
        for path, rule in items_at(data, section):
            account = value_at(rule, "account")
            if isinstance(account, str) and account not in accounts:
                yield Problem((*path, "account"), f'no account is called "{account}"{hint(account, accounts)}')
            for at, provider in items_at(rule, "send"):
                if isinstance(provider, str) and provider not in providers:
                    yield Problem((*path, *at), f'no provider is called "{provider}"{hint(provider, providers)}')


def _shared_credentials(data: Any) -> Iterator[Problem]:
    owners: dict[tuple[str, str], KeyPath] = {}
    for name in keys_at(data, "accounts"):
        for side, key in _CREDENTIALS.items():
            value = value_at(data, "accounts", name, side, key)
            if not isinstance(value, str | int):
                continue
            path: KeyPath = ("accounts", name, side, key)
            owner = owners.setdefault((side, str(value)), path)
            if owner is not path:
                yield Problem(path, f"the same as {written(owner)}, so nobody could tell the two accounts apart")


def _shared_addresses(data: Any) -> Iterator[Problem]:
    taken: list[tuple[Address, KeyPath]] = []
    for kind in keys_at(data, "listeners"):
        for at, listener in items_at(data, "listeners", kind):
            path: KeyPath = (*at, "listen")
            try:
                address = listen_address(value_at(listener, "listen"))
            except ValueError:
                continue
            for other, place in taken:
                if address.port and address.port == other.port and _overlap(address.host, other.host):
                    yield Problem(path, f"the address is taken by {written(place)}")
            taken.append((address, path))


def _overlap(one: str, other: str) -> bool:
    """True when both hosts cannot be bound on one port."""
    families = {_EVERY.get(host) or ("IPv6" if ":" in host else "IPv4") for host in (one, other)}
    return one == other or "any" in families or (len(families) == 1 and bool({one, other} & _EVERY.keys()))
