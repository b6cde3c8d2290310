"""A bridge, and a tap between it and the programs of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows.bridges import Bridge
from interop.tap import Tap

CONFIGURATION = """
listeners:
  smpp: [{listen: "127.0.0.1:0"}]
  http: [{listen: "127.0.0.1:0"}]
accounts:
  acme: {smpp: {system_id: acme, password: secret}}
providers:
  virtual: {type: virtual, poll: 50ms}
routes: [{send: [virtual]}]
inbound: [{account: acme}]
"""


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    made = Bridge(tmp_path, CONFIGURATION)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def tap(bridge: Bridge) -> AsyncIterator[Tap]:
    made = Tap(lambda: bridge.smpp)
    await made.start()
    yield made
    await made.stop()
