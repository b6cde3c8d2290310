"""Which client certificate an account is bound to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.listeners.certificates import Certificate, presents

DER = b"what a certificate is"
PRINT = hashlib.sha256(DER).hexdigest()
FOUND = {
    "subject": ((("countryName", "DE"),), (("organizationName", "Acme, Ltd"),), (("commonName", "gw.acme.example"),)),
    "subjectAltName": (("DNS", "gw.acme.example"), ("URI", "spiffe://acme/Gw"), ("IP Address", "192.0.2.7")),
}


class Tls:
    """A TLS connection whose client has presented something."""

    def __init__(self, found: Mapping[str, Any] | None, der: bytes | None) -> None:
        self._found, self._der = found, der

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._der if binary_form else self._found


COLONS = ":".join(PRINT[at : at + 2] for at in range(0, 64, 2)).upper()


@pytest.mark.parametrize(
    "wanted",
    [
        {"subject": "CN=gw.acme.example"},
        {"subject": "cn = gw.acme.example , C=DE"},
        {"subject": r"O=Acme\, Ltd,CN=gw.acme.example"},
        {"san": "gw.acme.example"},
        {"san": "GW.Acme.example"},
        {"san": "spiffe://acme/Gw"},
        {"san": "192.0.2.7"},
        {"fingerprint": PRINT},
        {"fingerprint": COLONS},
        {"subject": "C=DE", "san": "192.0.2.7", "fingerprint": PRINT},
    ],
)
def test_the_right_one(wanted: dict[str, str]) -> None:
    assert presents(Certificate(**wanted), Tls(FOUND, DER))


@pytest.mark.parametrize(
    "wanted",
    [
        {"subject": "CN=gw.acme.exampl"},
        {"subject": "CN=GW.acme.example"},
        {"subject": "CN=gw.acme.example,O=Other"},
        {"subject": "O=gw.acme.example"},
        {"san": "acme.example"},
        {"san": "spiffe://acme/gw"},
        {"san": "192.0.2.8"},
        {"fingerprint": "0" * 64},
        {"subject": "C=DE", "san": "192.0.2.7", "fingerprint": "0" * 64},
        {"subject": "C=UA", "san": "192.0.2.7", "fingerprint": PRINT},
    ],
)
def test_another_one(wanted: dict[str, str]) -> None:
    assert not presents(Certificate(**wanted), Tls(FOUND, DER))


@pytest.mark.parametrize(("found", "der"), [(None, None), ({}, DER), (FOUND, None), ({"subject": ()}, b"other")])
def test_none_or_none_that_was_verified(found: dict[str, Any] | None, der: bytes | None) -> None:
    assert not presents(Certificate(fingerprint=PRINT), Tls(found, der))


def test_no_tls_at_all() -> None:
    assert not presents(Certificate(fingerprint=PRINT), None)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"subject": ""},
        {"subject": "acme"},
        {"subject": "CN="},
        {"subject": "XY=acme"},
        {"subject": "CN=a,,C=DE"},
        {"fingerprint": PRINT[:-2]},
        {"fingerprint": "sha256:" + PRINT},
        {"issuer": "CN=x"},
    ],
)
def test_settings_that_mean_nothing(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Certificate(**wrong)
