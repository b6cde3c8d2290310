"""Asking a running daemon over its control socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import typer

T = TypeVar("T")
_TIMEOUT_S = 30.0  # of one answer


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """The daemon behind a control socket.

    What goes wrong is told to the person who asks: exit 1, when no daemon can be reached, or it refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, path: str, kind: type[T]) -> T:
        """What is at a path."""
        return self._ask("GET", path, kind)

    def post(self, path: str, kind: type[T]) -> T:
        """What comes of a verb."""
        return self._ask("POST", path, kind)

    def lines(self, path: str, query: dict[str, Any], kind: Any) -> Generator[Any, None, None]:
        """What is told at a path, as it happens, until the daemon ends it or is gone; each of `kind`."""
        connection = _Connection(self._path, None)
        try:
            response = self._open(connection, "GET", f"{path}?{urlencode(query)}")
            decoder = msgspec.json.Decoder(kind)
            while line := response.readline():
                yield self._decoded(decoder, line)
        except (OSError, http.client.HTTPException):
            return  # it has ended in the middle of a line: what came before is whole
        finally:
            connection.close()

    def _ask(self, method: str, path: str, kind: type[T]) -> T:
        connection = _Connection(self._path, _TIMEOUT_S)
        try:
            body = self._open(connection, method, path).read()
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(f"{self._path}: no whole answer: {error or type(error).__name__}") from None
        finally:
            connection.close()
        answer: T = self._decoded(msgspec.json.Decoder(kind), body)
        return answer

    def _open(self, connection: _Connection, method: str, target: str) -> http.client.HTTPResponse:
        """The answer to a request, when it is not an error."""
        try:
            connection.connect()
        except OSError as error:
            raise self._failed(self._why(error)) from None
        connection.request(method, target)
        response = connection.getresponse()
        if response.status != 200:
            raise self._failed(_message(response.read()) or f"{self._path}: HTTP {response.status}")
        return response

    def _why(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            return f"{self._path}: no daemon listens here; does one run with this configuration?"
        if isinstance(error, ConnectionRefusedError):
            return f"{self._path}: the daemon that made this socket has ended"
        if isinstance(error, PermissionError):
            return f"{self._path}: not allowed; be root, or in the group that control.group names"
        return f"{self._path}: cannot be used: {error.strerror or error}"

    def _decoded(self, decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
        try:
            return decoder.decode(data)
        except msgspec.DecodeError as error:
            raise self._failed(f"{self._path}: the daemon is of another version: {error}") from None

    def _failed(self, text: str) -> typer.Exit:
        typer.echo(text, err=True)
        return typer.Exit(1)


def in_path(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _message(body: bytes) -> str | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    message = found.get("message") if isinstance(found, dict) else None
    return message if isinstance(message, str) else None
