"""TLS of a listener: 1.2 or newer, and client certificates where a CA for them is configured."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from bridge.values import Tls


def server_context(tls: Tls, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """The server's side of `tls`; `protocols` are offered by ALPN (RFC 7301). Raises OSError (ssl.SSLError is one)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    renew(context, tls)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def renew(context: ssl.SSLContext, tls: Tls) -> None:
    """Reads the files again, for the handshakes to come; a CA that is no longer among them stays until a restart.

    Raises OSError (ssl.SSLError is one) when they cannot be used; then the old ones stay.
    """
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
