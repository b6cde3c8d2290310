"""Whether a mail comes from whom it says: SPF (RFC 7208), DKIM (RFC 6376) and their alignment (DMARC, RFC 7489 §3.1).

Fails closed: what is not certain is refused, and what DNS does not tell now is to come again. Whatever policy a domain
publishes for others, here its mail must be aligned; only how strictly is the domain's to say.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import getaddresses
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

import dkim
import dns.exception
import dns.nameserver
import dns.resolver
import msgspec
import spf
from publicsuffixlist import PublicSuffixList

from bridge.errors import BridgeError
from bridge.listeners.smtp.commands import Rejected
from bridge.listeners.smtp.settings import Dns

_WAITING = 200  # mails that are looked at or wait for it
_THREADS = 16  # they wait for DNS nearly all of their time
_SIGNATURES = 5  # that are looked at; each costs a question
# What a second one of would be read by some, and the signed one by others.
_ONCE = ("from", "subject", "date", "to", "mime-version", "content-type", "content-transfer-encoding")
_FORGED = "550 5.7.26 Neither SPF nor DKIM speaks for the domain of the author (RFC 7489)"
_HALF = "550 5.7.26 SPF and DKIM must both speak for the domain of the author (RFC 7489)"


class Unanswered(BridgeError):
    """DNS gave no answer; a later one may."""


class Names:
    """Questions to DNS, which block; all together take no longer than `timeout_s`."""

    def __init__(self, settings: Dns) -> None:
        """Raises OSError when the system's name servers are asked for and there are none."""
        try:
            self._resolver = dns.resolver.Resolver(configure=settings.servers is None)
        except dns.resolver.NoResolverConfiguration as error:
            raise OSError(str(error)) from None
        if settings.servers is not None:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(server.host, server.port) for server in settings.servers
            ]
        self._resolver.cache = dns.resolver.LRUCache(10_000)
        self.timeout_s = settings.timeout

    def ask(self, name: str, kind: str, until: float) -> list[Any]:
        """The records of a name; empty when it has none. `until`: monotonic seconds. Raises Unanswered."""
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise Unanswered("DNS took too long")
        try:
            return list(self._resolver.resolve(name, kind, lifetime=left_s, search=False))
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
            return []
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as error:
            raise Unanswered(type(error).__name__) from None
        except (dns.exception.DNSException, UnicodeError):
            return []  # a name that cannot be asked for has no records

    def text(self, name: str, until: float) -> list[bytes]:
        """The TXT records of a name, each in one piece. Raises Unanswered."""
        return [b"".join(record.strings) for record in self.ask(name, "TXT", until)]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, and what its client said and is."""

    octets: bytes
    peer: str
    helo: str
    mail_from: str


class Origins:
    """Looks at mails that came without AUTH, off the event loop."""

    def __init__(self, settings: Dns) -> None:
        """Raises OSError when there are no name servers."""
        self._names = Names(settings)
        self._waiting = 0
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="origins")

    async def check(self, sent: Sent, senders: Sequence[str], needs: Literal["either", "both"]) -> None:
        """Raises Rejected unless the mail is its author's, and he is among `senders` (patterns of addresses)."""
        if self._waiting >= _WAITING:
            raise Rejected("451 4.3.2 Too many mails wait to be looked at; try again later")
        self._waiting += 1
        try:
            look = functools.partial(_check, sent, tuple(senders), needs, self._names)
            await asyncio.get_running_loop().run_in_executor(self._executor, look)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Ends the threads; what has not begun is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _check(sent: Sent, senders: Sequence[str], needs: str, names: Names) -> None:
    author = author_of(sent.octets).lower()
    if not any(fnmatchcase(author, pattern.lower()) for pattern in senders):
        raise Rejected("550 5.7.1 The author of the mail (From) may not send")
    domain = author.rpartition("@")[2]
    unanswered = False
    passed = []
    try:
        strict = _strictness(domain, names)
        for speaks in (_spf, _dkim):
            try:
                passed.append(speaks(sent, domain, strict, names))
            except Unanswered:
                passed.append(False)
                unanswered = True
    except Unanswered:
        raise Rejected("451 4.4.3 DNS does not answer; try again later") from None
    if not (all(passed) if needs == "both" else any(passed)):
        if unanswered:
            raise Rejected("451 4.4.3 DNS does not answer; try again later")
        raise Rejected(_HALF if needs == "both" and any(passed) else _FORGED)


def author_of(octets: bytes) -> str:
    """The one address in the one From header. Raises Rejected when there is another number of either."""
    try:
        headers, _ = dkim.rfc822_parse(octets)
    except dkim.DKIMException:
        raise Rejected("550 5.6.0 The headers of the mail are malformed") from None
    found = [name.strip().lower() for name, _ in headers]
    for name in _ONCE:
        if found.count(name.encode()) > 1:
            raise Rejected(f"550 5.6.0 The mail has more than one {name} header")
    value = next((value for name, value in headers if name.strip().lower() == b"from"), b"")
    addresses = getaddresses([" ".join(value.decode("utf-8", "replace").split())])
    if len(addresses) != 1 or addresses[0][1].count("@") != 1 or not addresses[0][1].isprintable():
        raise Rejected("550 5.7.1 The mail has no one author (From)")
    return addresses[0][1].rstrip(".")


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def aligned(one: str, other: str, *, strict: bool) -> bool:
    """True when two domains are the same, or, unless strict, belong to the same organisation (RFC 7489 §3.1, §3.2)."""
    one, other = one.lower().rstrip("."), other.lower().rstrip(".")
    if one == other or strict:
        return one == other
    organisation = _suffixes().privatesuffix(one)
    return organisation is not None and organisation == _suffixes().privatesuffix(other)


class _Strict(msgspec.Struct, frozen=True):
    spf: bool = False
    dkim: bool = False


def _strictness(domain: str, names: Names) -> _Strict:
    until = time.monotonic() + names.timeout_s
    for place in dict.fromkeys((domain, _suffixes().privatesuffix(domain) or domain)):
        records = [each for each in names.text(f"_dmarc.{place}", until) if each.startswith(b"v=DMARC1")]
        if len(records) == 1:  # more are as good as none: §6.6.3
            pairs = (piece.partition("=") for piece in records[0].decode("ascii", "replace").split(";"))
            tags = {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
            return _Strict(spf=tags.get("aspf") == "s", dkim=tags.get("adkim") == "s")
    return _Strict()


class _Query(spf.query):  # type: ignore[misc]
    """The library's evaluation, asking our name servers."""

    def __init__(self, sent: Sent, names: Names) -> None:
        self._names = names
        self._until = time.monotonic() + names.timeout_s
        super().__init__(i=sent.peer, s=sent.mail_from, h=sent.helo, strict=True, querytime=names.timeout_s)

    def dns(self, name: str, kind: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        name = str(name).rstrip(".").lower()
        if not all(0 < len(label) < 64 for label in name.split(".")):
            return []
        found = self.cache.get((name, kind))
        if found is None:
            found = self.cache[name, kind] = [_value(each, kind) for each in self._names.ask(name, kind, self._until)]
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        return list(found)


def _value(record: Any, kind: str) -> Any:
    if kind in ("A", "AAAA"):
        return record.address
    if kind == "MX":
        return record.preference, record.exchange.to_text(True)
    if kind == "PTR":
        return record.target.to_text(True)
    return record.strings


def _spf(sent: Sent, domain: str, strict: _Strict, names: Names) -> bool:
    said = sent.mail_from.rpartition("@")[2]
    if not aligned(said, domain, strict=strict.spf):
        return False
    verdict = _Query(sent, names).check()[0]
    if verdict == "temperror":
        raise Unanswered("SPF")
    return bool(verdict == "pass")


def _dkim(sent: Sent, domain: str, strict: _Strict, names: Names) -> bool:
    until = time.monotonic() + names.timeout_s

    def key_of(name: bytes, timeout: float = 0) -> bytes | None:
        return next(iter(names.text(name.decode("ascii", "replace").rstrip("."), until)), None)

    mail = dkim.DKIM(sent.octets)
    unanswered = False
    count = sum(name.strip().lower() == b"dkim-signature" for name, _ in mail.headers)
    for number in range(min(count, _SIGNATURES)):
        try:
            valid = mail.verify(idx=number, dnsfunc=key_of)
        except Unanswered:
            unanswered = True
            continue
        except Exception:  # noqa: BLE001, S112 - the library raises whatever a strange signature makes of it
            continue
        fields = mail.signature_fields
        # rsa-sha1 proves nothing any more (RFC 8301); with l= anybody may add to the mail (RFC 6376 §8.2).
        sound = fields.get(b"a") in (b"rsa-sha256", b"ed25519-sha256") and b"l" not in fields
        if valid and sound and aligned(fields[b"d"].decode("ascii", "replace"), domain, strict=strict.dkim):
            return True
    if unanswered:
        raise Unanswered("DKIM")
    return False
