"""What can go wrong, and what to do next.

::

    BridgeError
    ├── ConfigError        the configuration is wrong: carries every problem; exit 2, the running one stays
    ├── Refusal            an account's request cannot be taken: carries the Reason; tell the client, lose nothing
    ├── StoreUnavailable   the disk does not take the message now: answer "temporary", accept nothing
    └── TransportError     an outbound exchange failed: `sent` says whether the other side may have seen it

Errors of a protocol live with the protocol (`bridge.smpp`, `bridge.sms`), because those rooms stand alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class BridgeError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(BridgeError):
    """The configuration cannot be used; `problems` holds each one as a line a person can act on."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Refusal(BridgeError):
    """A request of an account that cannot be taken.

    `reason` is a `bridge.message.Reason` (typed as `str` here: it is a StrEnum, and this is the lowest room);
    `text` may be shown to the client.
    """

    def __init__(self, reason: str, text: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.field = field
        self.retry_after_s = retry_after_s


class StoreUnavailable(BridgeError):
    """The store could not commit; nothing of the request was kept, and it may be repeated later."""


class TransportError(BridgeError):
    """An outbound exchange had no usable answer.

    `sent` is False when the request certainly never left (refused connection, DNS, TLS handshake): safe to repeat.
    """

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent
