"""Telling systemd how we are: ready, reloading, stopping, alive; sd_notify(3) and sd_watchdog_enabled(3).

Outside systemd nothing is sent. A notification that cannot be delivered is dropped: it never stops the daemon.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Sends notifications to the service manager, each as one datagram."""

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        """`address`: a path, or `@name` in the abstract namespace; None: nobody listens.

        `watchdog_interval_s`: seconds between two `WATCHDOG=1`, None when nobody waits for them.
        """
        self.watchdog_interval_s = watchdog_interval_s if address else None
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Notifier:
        """The notifier that systemd asked for in `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`."""
        address = env.get("NOTIFY_SOCKET", "")
        return cls(address if address.startswith(("/", "@")) else None, _watchdog_interval_s(env))

    @property
    def listens(self) -> bool:
        """True when somebody is there to be told."""
        return self._address is not None

    def send(self, **fields: str | int) -> bool:
        """Sends assignments of sd_notify(3), such as `send(READY=1, STATUS="serving")`; True when delivered."""
        if self._address is None:
            return False
        lines = (f"{name}={str(value).translate(_ONE_LINE)}\n" for name, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            # A full queue of the service manager must not hold the event loop.
            link.setblocking(False)
            try:
                link.sendto("".join(lines).encode(), self._address)
            except OSError:
                return False
        return True

    def reloading(self) -> bool:
        """Sends that a reload begins, with the time that systemd wants beside it; `send(READY=1)` ends it."""
        return self.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


_ONE_LINE = str.maketrans("\r\n", "  ")


def _watchdog_interval_s(env: Mapping[str, str]) -> float | None:
    """Half of the time that systemd waits, as sd_watchdog_enabled(3) advises; None when it waits for nobody here."""
    usec = env.get("WATCHDOG_USEC", "")
    if not (usec.isascii() and usec.isdigit()) or int(usec) == 0:
        return None
    if env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / 2_000_000
