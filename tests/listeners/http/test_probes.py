"""Metrics and health."""

from __future__ import annotations

import aiohttp
import pytest
from listeners.http.world import Client, World


async def test_metrics(client: Client) -> None:
    answer = await client.ask("GET", "/metrics")
    assert (answer.status, answer.body) == (200, b"smsbridge_messages_total 1\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_livez(client: Client, world: World) -> None:
    world.health = (False, {"store": "read-only"})
    answer = await client.ask("GET", "/livez")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_readyz(client: Client, world: World) -> None:
    answer = await client.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ok", "store": "ok"})
    world.health = (False, {"store": "read-only"})
    answer = await client.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (503, {"status": "unavailable", "store": "read-only"})


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_head_and_other_methods(client: Client, path: str) -> None:
    assert (await client.ask("HEAD", path)).status == 200
    answer = await client.ask("POST", path)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_switched_off(serve, path: str) -> None:
    server = await serve(metrics=False)
    async with aiohttp.ClientSession() as session:
        assert (await Client(session, server).ask("GET", path)).status == 404
