"""The notifier against a real datagram socket, as systemd opens one."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.telemetry.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end, and its address as `NOTIFY_SOCKET` writes it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@smsbridge-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.settimeout(5)
        link.bind("\0" + name[1:] if name.startswith("@") else name)
        yield link, name


def test_notification_arrives_as_one_datagram(manager: tuple[socket.socket, str]) -> None:
    link, address = manager
    notifier = Notifier.from_env({"NOTIFY_SOCKET": address})
    assert notifier.listens
    assert notifier.send(READY=1, STATUS="serving 3 listeners")
    assert link.recv(4096) == b"READY=1\nSTATUS=serving 3 listeners\n"


def test_value_cannot_add_an_assignment(manager: tuple[socket.socket, str]) -> None:
    link, address = manager
    assert Notifier.from_env({"NOTIFY_SOCKET": address}).send(STATUS="bad\nMAINPID=1\r")
    assert link.recv(4096) == b"STATUS=bad MAINPID=1 \n"


def test_reload_says_when_it_began(manager: tuple[socket.socket, str]) -> None:
    link, address = manager
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert Notifier.from_env({"NOTIFY_SOCKET": address}).reloading()
    first, second = link.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    name, _, usec = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_full_queue_does_not_block(manager: tuple[socket.socket, str]) -> None:
    _, address = manager
    notifier = Notifier.from_env({"NOTIFY_SOCKET": address})
    sent = [notifier.send(WATCHDOG=1) for _ in range(2000)]
    assert sent[0]
    assert not sent[-1]


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    assert not Notifier.from_env({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(READY=1)


@pytest.mark.parametrize("env", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_outside_systemd_nothing_is_sent(env: dict[str, str]) -> None:
    notifier = Notifier.from_env({**env, "WATCHDOG_USEC": "30000000"})
    assert not notifier.listens
    assert not notifier.send(READY=1)
    assert notifier.watchdog_interval_s is None


@pytest.mark.parametrize(
    ("env", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_half_of_the_timeout(env: dict[str, str], interval_s: float | None) -> None:
    assert Notifier.from_env({"NOTIFY_SOCKET": "/run/notify", **env}).watchdog_interval_s == interval_s
