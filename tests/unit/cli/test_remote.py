"""Asking over the control socket, also where nobody answers as they should."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from bridge.cli.remote import Daemon, in_path


def get(path: Path) -> Any:
    return Daemon(path).get("/v1/x", dict[str, int])


async def answered(path: Path, answer: bytes, ask: Callable[[], Any]) -> Any:
    """What comes of asking a server that always says `answer`."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(say, str(path)):
        return await asyncio.to_thread(ask)


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_an_answer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    assert await answered(path, http(b'{"a": 1}'), lambda: get(path)) == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (http(b'{"status": 404, "message": "no such thing"}', "404 Not Found"), "no such thing"),
        (http(b"[1]", "500 Oh"), "HTTP 500"),
        (http(b"oops", "500 Oh"), "HTTP 500"),
        (http(b'{"a": "b"}'), "another version"),
        (http(b'{"a": 1}')[:-3], "no whole answer"),
        (b"", "no whole answer"),
    ],
)
async def test_other_answers(tmp_path: Path, answer: bytes, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.sock"
    with pytest.raises(typer.Exit) as end:
        await answered(path, answer, lambda: get(path))
    assert end.value.exit_code == 1
    assert told in capsys.readouterr().err


async def test_lines_end_where_the_daemon_does(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1]\n\r\n4\r\n[2]\n\r\n9\r\n[3"
    found = await answered(path, cut, lambda: list(Daemon(path).lines("/v1/x", {}, list[int])))
    assert found == [[1], [2]]


def test_nobody_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        get(tmp_path / "x.sock")
    assert "no daemon listens here" in capsys.readouterr().err


def test_nobody_is_there_any_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "x.sock"))
    left.close()
    with pytest.raises(typer.Exit):
        get(tmp_path / "x.sock")
    assert "has ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [(PermissionError(13, "Permission denied"), "not allowed"), (OSError(5, "Input/output"), "Input")],
)
def test_it_may_not_be_used(
    tmp_path: Path, error: OSError, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr("bridge.cli.remote._Connection.connect", fail)  # root may do everything
    with pytest.raises(typer.Exit):
        get(tmp_path / "x.sock")
    assert told in capsys.readouterr().err


def test_names_in_paths() -> None:
    assert in_path("a/b c") == "a%2Fb%20c"
