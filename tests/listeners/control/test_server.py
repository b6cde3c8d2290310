"""The control socket in the file system: who may use it, what is in its way, what stays behind."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import stat
from pathlib import Path

import pytest
from listeners.control.world import Wheel, ask, client

from bridge.listeners.control.server import ControlServer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_it_is_for_its_own_account_alone(path: Path) -> None:
    assert mode(path) == 0o600
    assert (await ask(path, "GET", "/v1/sessions"))[0] == 200


async def test_a_group_may_use_it_too(tmp_path: Path, wheel: Wheel) -> None:
    mine = grp.getgrgid(os.getegid()).gr_name
    server = ControlServer(tmp_path / "control.sock", mine, wheel)
    await server.start()
    assert mode(tmp_path / "control.sock") == 0o660
    assert (tmp_path / "control.sock").stat().st_gid == os.getegid()
    await server.stop()


async def test_nothing_stays_behind(tmp_path: Path, wheel: Wheel) -> None:
    server = ControlServer(tmp_path / "control.sock", None, wheel)
    await server.start()
    await server.stop()
    await server.stop()
    assert os.listdir(tmp_path) == []


async def test_a_socket_that_was_killed_makes_way(tmp_path: Path, wheel: Wheel) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    server = ControlServer(tmp_path / "control.sock", None, wheel)
    await server.start()
    assert (await ask(tmp_path / "control.sock", "GET", "/v1/sessions"))[0] == 200
    await server.stop()


async def test_a_socket_that_lives_does_not(path: Path, wheel: Wheel) -> None:
    second = ControlServer(path, None, wheel)
    with pytest.raises(OSError, match="in use by another daemon") as told:
        await second.start()
    assert str(path) in str(told.value)
    await second.stop()
    assert (await ask(path, "GET", "/v1/sessions"))[0] == 200


async def test_another_ones_socket_is_left_alone(tmp_path: Path, wheel: Wheel) -> None:
    path = tmp_path / "control.sock"
    first, second = ControlServer(path, None, wheel), ControlServer(path, None, wheel)
    await first.start()
    path.unlink()
    await second.start()
    await first.stop()
    assert (await ask(path, "GET", "/v1/sessions"))[0] == 200
    await second.stop()


@pytest.mark.parametrize(
    ("name", "group", "told"),
    [
        ("file", None, "a file that is no socket"),
        ("absent/control.sock", None, "cannot be made"),
        ("x" * 108, None, "at most 107 bytes"),
        ("control.sock", "no-such-group", 'no group "no-such-group"'),
    ],
)
async def test_what_is_wrong_is_told(tmp_path: Path, wheel: Wheel, name: str, group: str | None, told: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OSError, match=told):
        await ControlServer(tmp_path / name, group, wheel).start()
    assert (tmp_path / "file").read_text() == "precious"
    assert os.listdir(tmp_path) == ["file"]


async def test_a_stop_ends_what_goes_on(tmp_path: Path, wheel: Wheel) -> None:
    server = ControlServer(tmp_path / "control.sock", None, wheel)
    await server.start()
    async with client(tmp_path / "control.sock") as session, session.get("/v1/capture?account=acme") as answer:
        wheel.lines.queue.put_nowait([{"number": 1}])
        await answer.content.readline()
        async with asyncio.timeout(10):
            await server.stop()
            assert await answer.content.read() == b""  # whole, not cut off
