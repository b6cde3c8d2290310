"""Where clients connect from: addresses, the networks they may come from, and how many come from one.

An address that is not known is in no network (fail closed). IPv4 inside IPv6 (`::ffff:192.0.2.7`, RFC 4291 §2.5.5.2) is
the IPv4 that it means: sockets that serve both families show every client so.
"""

from __future__ import annotations

from asyncio import BaseTransport
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

_HOUSEHOLD_PREFIX = 64  # what one customer of IPv6 has at least (RFC 6177)


@lru_cache(maxsize=4096)
def address_of(text: str | None) -> Address | None:
    """The address that `text` shows; None when it shows none."""
    if not text:
        return None
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def peer_of(transport: BaseTransport) -> str:
    """The address of the other side of a connection; `""` when it has none."""
    place = transport.get_extra_info("peername")
    return str(place[0]) if place else ""


def may_come(text: str | None, networks: Networks | None) -> bool:
    """True when an address is in one of the networks; without any list everybody may come."""
    if networks is None:
        return True
    address = address_of(text)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def household(text: str | None) -> str:
    """What is counted as one: an IPv4 address, or the /64 of an IPv6 one; `unknown` are all those not known."""
    address = address_of(text)
    if address is None:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, _HOUSEHOLD_PREFIX), strict=False))


class Crowd:
    """How many connections there are, and how many of each household."""

    def __init__(self, most: int, most_of_one: int | None = None) -> None:
        """`most_of_one`: of one household; None: no limit of its own."""
        self._most = most
        self._most_of_one = most_of_one
        self._all = 0
        self._of: Counter[str] = Counter()

    def join(self, address: str | None) -> bool:
        """Counts one more; False when there are too many already."""
        if self._all >= self._most:
            return False
        if self._most_of_one is not None:
            one = household(address)
            if self._of[one] >= self._most_of_one:
                return False
            self._of[one] += 1
        self._all += 1
        return True

    def leave(self, address: str | None) -> None:
        """One that had joined has gone."""
        self._all -= 1
        if self._most_of_one is not None:
            one = household(address)
            self._of[one] -= 1
            if not self._of[one]:
                del self._of[one]
