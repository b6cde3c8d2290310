"""Settings of the control socket."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.values import Settings

SOCKET_PATH_MAX = 107  # octets; sockaddr_un, unix(7)


def _socket_path(value: str) -> str:
    if len(os.fsencode(value)) > SOCKET_PATH_MAX:
        raise ValueError(f"the path of a socket has at most {SOCKET_PATH_MAX} bytes")
    if value.endswith("/") or "\0" in value:
        raise ValueError("a socket is the path of a file, such as /run/smsbridge/control.sock")
    return value


class Control(Settings):
    """The socket over which `smsbridge` commands see and steer the running daemon."""

    # None: beside the store
    socket: Annotated[str, AfterValidator(_socket_path), Field(min_length=1)] | None = None
    group: Annotated[str, Field(min_length=1)] | None = None  # who may use it besides the daemon's account and root
