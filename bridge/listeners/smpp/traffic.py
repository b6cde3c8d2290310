"""What one connection has said, counted: rates, responses by status, the last error.

Everything that is written passes here whole PDU by whole PDU, whoever made it, so nothing can be forgotten.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bridge.smpp.enums import RESPONSE_BIT, CommandId, Status
from bridge.smpp.wire import unpack_length
from bridge.telemetry import metrics
from bridge.telemetry.meter import Meter

_FROM_US: Final = frozenset({CommandId.DELIVER_SM, CommandId.DATA_SM})
_TO_US: Final = frozenset({CommandId.SUBMIT_SM_RESP, CommandId.SUBMIT_MULTI_RESP, CommandId.DATA_SM_RESP})
_UNKNOWN: Final = "unknown"


class Fault(msgspec.Struct, frozen=True):
    """A response with an error."""

    command: str
    status: str
    code: int  # of the status
    incoming: bool  # the client's, to us
    at: float  # Unix time


class Traffic:
    """The counts of one connection."""

    __slots__ = ("connected_at", "fault", "handed", "taken")

    def __init__(self, connected_at: float, now: float) -> None:
        """`connected_at`: Unix time; `now`: of a clock that never goes back."""
        self.connected_at = connected_at
        self.taken = Meter(now)  # messages of the client, when they are answered
        self.handed = Meter(now)  # reports and inbound messages to the client
        self.fault: Fault | None = None

    def wrote(self, data: bytes, account: str, now: float, at: float) -> None:
        """`data`, whole PDUs, go to the client; `at`: Unix time."""
        found: dict[bytes, int] = {}
        position, end = 0, len(data)
        while position < end:
            key = data[position + 4 : position + 12]  # command_id and command_status
            found[key] = found.get(key, 0) + 1
            position += unpack_length(data, position)[0]
        for key, count in found.items():
            command, status = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
            if command in _FROM_US:
                self.handed.add(count, now)
            elif command & RESPONSE_BIT:
                if command in _TO_US:
                    self.taken.add(count, now)
                self._count(account, command, status, count, at, incoming=False)

    def heard(self, command: int, status: int, account: str, at: float) -> None:
        """The client has answered a request of ours; `at`: Unix time."""
        self._count(account, command, status, 1, at, incoming=True)

    def _count(self, account: str, command: int, status: int, count: int, at: float, *, incoming: bool) -> None:
        names = command_name(command), status_name(status)
        metrics.smpp_responses.add(account, "in" if incoming else "out", *names, count=count)
        if status:
            self.fault = Fault(*names, code=status, incoming=incoming, at=at)


def command_name(command: int) -> str:
    """The specification's name of a command_id, or `unknown`: a client must not be able to make up names."""
    return _COMMANDS.get(command, _UNKNOWN)


def status_name(status: int) -> str:
    """The specification's name of a command_status, or `unknown`."""
    return _STATUSES.get(status, _UNKNOWN)


_COMMANDS: Final = {int(command): command.name.lower() for command in CommandId}
_STATUSES: Final = {int(status): f"ESME_{status.name}" for status in Status}
