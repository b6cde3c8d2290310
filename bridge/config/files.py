"""The files that a configuration names: whether they are there, can be read, and certificates fit their keys."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bridge.document import items_at, keys_at, value_at
from bridge.problems import KeyPath, Problem
from bridge.values import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator


def unusable_files(data: Any) -> Iterator[Problem]:
    """A problem for each file of a listener's `tls` that cannot serve, and for each directory of declarations that is
    not there; relative paths start at the working directory.

    `data` are the plain values of a file; what has the wrong shape is passed over here: `schema` tells it.
    """
    for place, folder in items_at(data, "provider_paths"):
        if isinstance(folder, str) and not Path(folder).is_dir():
            yield Problem(place, f"there is no directory {folder}")
    for kind in keys_at(data, "listeners"):
        for at, listener in items_at(data, "listeners", kind):
            try:
                tls = Tls.model_validate(value_at(listener, "tls"))
            except ValidationError:
                continue
            yield from _tls_problems((*at, "tls"), tls)


def _tls_problems(path: KeyPath, tls: Tls) -> Iterator[Problem]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    unread = False
    for key in ("certificate", "key", "client_ca"):
        name = getattr(tls, key)
        if name is None:
            continue
        try:
            with open(name, "rb"):
                pass
        except (OSError, ValueError) as error:
            unread = True
            yield Problem((*path, key), f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")
    if unread:
        return
    try:
        # The empty password keeps OpenSSL from asking the terminal for one.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        yield Problem((*path, "certificate"), f"the certificate and its key cannot be used: {reason}")
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            reason = (error.reason or "not PEM").replace("_", " ").lower()
            yield Problem((*path, "client_ca"), f"{tls.client_ca} cannot be used: {reason}")
