"""What one connection has said, counted: rates, responses by status, the last error.

Everything that is written passes here whole PDU by whole PDU, whoever made it, so nothing can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

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


class _Meaning(NamedTuple):
    """What command_id and command_status of a PDU are to the counts."""

    response: bool
    taken: bool
    handed: bool
    status: int
    names: tuple[str, str]  # of command and status


class Traffic:
    """The counts of one connection; all of it costs a microsecond or two for what is written at once."""

    __slots__ = ("_clock", "_monotonic", "connected_at", "fault", "handed", "taken")

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        """`clock`: Unix seconds; `monotonic`: any that never goes back."""
        self._clock = clock
        self._monotonic = monotonic
        self.connected_at = clock()
        now = monotonic()
        self.taken = Meter(now)  # messages of the client, when they are answered
        self.handed = Meter(now)  # reports and inbound messages to the client
        self.fault: Fault | None = None

    def wrote(self, data: bytes, account: str) -> None:
        """Whole PDUs go to the client."""
        if unpack_length(data)[0] == len(data):
            self._note(data[4:12], 1, account)
            return
        found: dict[bytes, int] = {}
        position, end = 0, len(data)
        while position < end:
            key = data[position + 4 : position + 12]  # command_id and command_status
            found[key] = found.get(key, 0) + 1
            position += unpack_length(data, position)[0]
        for key, count in found.items():
            self._note(key, count, account)

    def heard(self, command: int, status: int, account: str) -> None:
        """The client has answered a request of ours."""
        metrics.smpp_responses.add(account, "in", command_name(command), status_name(status))
        if status:
            self._blame(command_name(command), status, incoming=True)

    def _note(self, key: bytes, count: int, account: str) -> None:
        meaning = _MEANINGS.get(key)
        if meaning is None:
            meaning = _MEANINGS[key] = _meaning_of(key)  # only what we say ourselves comes here, so it stays small
        if meaning.taken:
            self.taken.add(count, self._monotonic())
        elif meaning.handed:
            self.handed.add(count, self._monotonic())
        if meaning.response:
            command, status = meaning.names
            metrics.smpp_responses.add(account, "out", command, status, count=count)
            if meaning.status:
                self._blame(command, meaning.status, incoming=False)

    def _blame(self, command: str, status: int, *, incoming: bool) -> None:
        self.fault = Fault(command, status_name(status), code=status, incoming=incoming, at=self._clock())


def command_name(command: int) -> str:
    """The specification's name of a command_id, or `unknown`: a client must not be able to make up names."""
    return _COMMANDS.get(command, _UNKNOWN)


def status_name(status: int) -> str:
    """The specification's name of a command_status, or `unknown`."""
    return _STATUSES.get(status, _UNKNOWN)


def _meaning_of(key: bytes) -> _Meaning:
    command, status = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
    return _Meaning(
        response=bool(command & RESPONSE_BIT),
        taken=command in _TO_US,
        handed=command in _FROM_US,
        status=status,
        names=(command_name(command), status_name(status)),
    )


_MEANINGS: Final[dict[bytes, _Meaning]] = {}
_COMMANDS: Final = {int(command): command.name.lower() for command in CommandId}
_STATUSES: Final = {int(status): f"ESME_{status.name}" for status in Status}
