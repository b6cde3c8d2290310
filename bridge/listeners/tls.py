"""TLS of a listener: 1.2 or newer, and client certificates where a CA for them is configured."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from bridge.values import Tls


def server_context(tls: Tls, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """The server's side of `tls`; `protocols` are offered by ALPN (RFC 7301). Raises OSError (ssl.SSLError is one)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
