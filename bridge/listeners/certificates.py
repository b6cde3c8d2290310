"""Which client certificate an account is bound to, and whether it is the one that a client has presented.

Pure. Only certificates that TLS has verified come here, against the `client_ca` of the listener.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from pydantic import field_validator, model_validator

from bridge.values import Settings

# Names of RFC 4514 §3, and what OpenSSL and so Python calls them.
_ATTRIBUTES = {
    "CN": "commonName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "C": "countryName",
    "L": "localityName",
    "ST": "stateOrProvinceName",
    "STREET": "streetAddress",
    "DC": "domainComponent",
    "UID": "userId",
    "EMAILADDRESS": "emailAddress",
    "SERIALNUMBER": "serialNumber",
}
_PIECE = re.compile(r"\s*([A-Za-z]+)\s*=\s*((?:[^,\\]|\\.)*)(?:,|$)")


class Certificate(Settings):
    """The certificate of an account; whatever is given of it must fit."""

    subject: str | None = None  # CN=acme,O=Acme Ltd: each piece must be in the certificate's subject
    san: str | None = None  # one of its subject alternative names: DNS name, URI, mail or IP address
    fingerprint: str | None = None  # SHA-256 of it, 64 hex digits with or without colons

    @field_validator("subject")
    @classmethod
    def _subject(cls, value: str | None) -> str | None:
        if value is not None:
            _pieces(value)
        return value

    @field_validator("fingerprint")
    @classmethod
    def _fingerprint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        digits = value.replace(":", "").lower()
        if not re.fullmatch("[0-9a-f]{64}", digits):
            raise ValueError("a fingerprint is a SHA-256 of 64 hex digits: openssl x509 -fingerprint -sha256")
        return digits

    @model_validator(mode="after")
    def _says_something(self) -> Certificate:
        if self.subject is None and self.san is None and self.fingerprint is None:
            raise ValueError("a certificate needs a subject, a san or a fingerprint")
        return self


class Presented(Protocol):
    """The server's side of a TLS connection; an `ssl.SSLObject` is one."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The certificate of the other side as words, where it was verified, or as it is (DER)."""


def presents(wanted: Certificate, tls: Presented | None) -> bool:
    """True when the client's certificate is the one that is wanted. None: there is no TLS."""
    if tls is None:
        return False
    found, der = tls.getpeercert(), tls.getpeercert(True)
    if not found or not der:
        return False
    if wanted.fingerprint is not None and hashlib.sha256(der).hexdigest() != wanted.fingerprint:
        return False
    if wanted.san is not None and not any(_same_name(wanted.san, kind, name) for kind, name in _alternatives(found)):
        return False
    if wanted.subject is None:
        return True
    subject = {pair for pieces in found.get("subject", ()) for pair in pieces}
    return all(piece in subject for piece in _pieces(wanted.subject))


def _alternatives(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, name in found.get("subjectAltName", ()):
        yield str(kind), str(name)


def _same_name(wanted: str, kind: str, name: str) -> bool:
    return wanted.lower() == name.lower() if kind == "DNS" else wanted == name


def _pieces(subject: str) -> list[tuple[str, str]]:
    """The attributes of a subject as RFC 4514 writes it. Raises ValueError."""
    found, at = [], 0
    while at < len(subject):
        match = _PIECE.match(subject, at)
        name = match and _ATTRIBUTES.get(match[1].upper())
        if match is None or name is None or not match[2].strip():
            raise ValueError(f"a subject is such as CN=acme,O=Acme Ltd, of {', '.join(_ATTRIBUTES)}")
        found.append((name, re.sub(r"\\(.)", r"\1", match[2].strip())))
        at = match.end()
    if not found:
        raise ValueError("a subject is not empty")
    return found
