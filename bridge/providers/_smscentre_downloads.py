"""SMS Center's deferred tasks (https://smscentre.com/api/http/miscellaneous/downloads): lists of what was sent, in CSV.

At most three identical requests a minute are taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bridge.providers._contract import Request, Response, decode
from bridge.providers._exports import Export, Exports, ExportState, NotExported
from bridge.providers._reading import int_of, objects_of, text_of

STATES: dict[str, ExportState] = {"0": "pending", "1": "running", "2": "done", "3": "cancelled", "4": "failed"}
ERRORS = {
    1: "a parameter is wrong",
    2: "the login is wrong, or this machine's address is not allowed",
    3: "there is no such task",
    4: "this machine's address is blocked for a time",
    9: "the same was asked more than three times in a minute",
}
_FIELDS = ("id", "name", "status", "created", "time", "file")
_PLAIN_ERROR = re.compile(r"ERROR = (\d{1,6})\b|0,-(\d{1,6})\s*")


class Downloads(Exports):
    """Its tasks and their files."""

    def __init__(self, request: Callable[[str, Mapping[str, str]], Request]) -> None:
        """`request` makes one of a page and its fields."""
        self._request = request

    def listing(self) -> Request:
        """`get_list`."""
        return self._request("downloads.php", {"get_list": "1"})

    def listing_of(self, response: Response) -> list[Export]:
        """In JSON, or a task a line: `id = 1, name = ...`, or bare values in that order."""
        _refuse(response)
        found: Any = decode(response.body, object)
        rows = [_row(line) for line in _text(response).splitlines()] if found is None else objects_of(found)
        exports = [_export(row) for row in rows]
        return [export for export in exports if export.export_id]

    def file(self, export_id: str) -> Request:
        """`get_file` by its id."""
        return self._request("downloads.php", {"get_file": "1", "id": export_id})

    def file_of(self, response: Response) -> bytes:
        """The CSV, byte for byte."""
        _refuse(response)
        return response.body


def _refuse(response: Response) -> None:
    """Raises NotExported for an error, in JSON or in words."""
    answer = decode(response.body, dict[str, Any]) or {}
    code = int_of(answer.get("error_code"))
    if code is None and (plain := _PLAIN_ERROR.match(_text(response)[:200])):
        code = int(plain[1] or plain[2])
    if code is not None:
        raise NotExported(f"error {code}: {ERRORS.get(code) or text_of(answer.get('error'))[:80]}".rstrip(": "))
    if not 200 <= response.status < 300:
        raise NotExported(f"HTTP {response.status}")


def _text(response: Response) -> str:
    return response.body.decode("utf-8", "replace")


def _row(line: str) -> dict[str, str]:
    cells = [cell.strip() for cell in line.split(",")]
    named = dict(cell.split(" = ", 1) for cell in cells if " = " in cell)
    return named or dict(zip(_FIELDS, cells, strict=False))


def _export(row: Mapping[str, Any]) -> Export:
    return Export(
        export_id=text_of(row.get("id")),
        name=text_of(row.get("name")),
        state=STATES.get(text_of(row.get("status")), "unknown"),
        created=text_of(row.get("created")),
        started=text_of(row.get("time")),
        file=text_of(row.get("file")),
    )
