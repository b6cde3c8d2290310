"""A control socket in a folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from listeners.control.world import Wheel

from bridge.listeners.control.server import ControlServer


@pytest.fixture
def wheel() -> Wheel:
    return Wheel()


@pytest.fixture
async def path(tmp_path: Path, wheel: Wheel) -> AsyncIterator[Path]:
    """The socket of a server that runs."""
    server = ControlServer(tmp_path / "control.sock", None, wheel)
    await server.start()
    yield tmp_path / "control.sock"
    await server.stop()
