"""Files that a provider makes ready for download, such as lists of what was sent: what they are, how to get them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, get_args

import msgspec

from bridge.errors import BridgeError
from bridge.providers._contract import Request, Response

ExportState = Literal["pending", "running", "done", "cancelled", "failed", "unknown"]
EXPORT_STATES: tuple[ExportState, ...] = get_args(ExportState)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One of them; `created` and `started` are as the provider writes them."""

    export_id: str
    name: str = ""
    state: ExportState = "unknown"
    created: str = ""
    started: str = ""
    file: str = ""


class NotExported(BridgeError):
    """The provider does not show or give what was asked for; the text says why."""


class Exports(ABC):
    """What a provider with exports has: each request, and what its answer means."""

    @abstractmethod
    def listing(self) -> Request:
        """The request for all exports."""

    @abstractmethod
    def listing_of(self, response: Response) -> list[Export]:
        """The exports, as the provider orders them. Raises NotExported."""

    @abstractmethod
    def file(self, export_id: str) -> Request:
        """The request for the file of an export."""

    @abstractmethod
    def file_of(self, response: Response) -> bytes:
        """The file. Raises NotExported."""
