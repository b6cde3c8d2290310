"""The paths of the control socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from listeners.control.world import Wheel, ask, client
from structlog.testing import capture_logs


async def test_what_can_be_seen(path: Path) -> None:
    assert await ask(path, "GET", "/v1/sessions") == (200, {"sessions": []})
    assert await ask(path, "GET", "/v1/providers") == (200, {"providers": [{"name": "virtual"}]})


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_verbs(path: Path, wheel: Wheel, verb: str) -> None:
    assert await ask(path, "POST", f"/v1/providers/virtual/{verb}") == (200, {"name": "virtual"})
    assert wheel.asked == [(verb, "virtual")]
    assert await ask(path, "POST", f"/v1/providers/a%2Fb/{verb}") == (
        404,
        {"status": 404, "code": "not_found", "message": 'no provider is called "a/b"'},
    )


async def test_every_error_is_json(path: Path, wheel: Wheel) -> None:
    wheel.full = True
    assert await ask(path, "GET", "/v1/providers") == (
        503,
        {"status": 503, "code": "unavailable", "message": "the disk is gone"},
    )
    assert (await ask(path, "GET", "/v2"))[1]["code"] == "not_found"
    assert (await ask(path, "GET", "/v1/providers/virtual/pause"))[1]["code"] == "method_not_allowed"


async def test_an_error_of_ours_is_told_and_logged(path: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "sessions", lambda: object())  # what JSON has no word for
    with capture_logs() as logs:
        assert (await ask(path, "GET", "/v1/sessions"))[1]["code"] == "internal_server_error"
    assert [line["event"] for line in logs] == ["control_failed"]


async def test_a_capture_is_told_line_by_line_until_it_ends(path: Path, wheel: Wheel) -> None:
    async with client(path) as session, session.get("/v1/capture?account=acme&mask=1") as answer:
        assert answer.content_type == "application/x-ndjson"
        wheel.lines.queue.put_nowait([{"number": 1}, {"number": 2}])
        assert [await answer.content.readline() for _ in range(2)] == [b'{"number":1}\n', b'{"number":2}\n']
        wheel.lines.queue.put_nowait(None)
        assert await answer.content.readline() == b""
    assert wheel.asked == [("capture", "acme", True)]
    assert wheel.lines.closed.is_set()


async def test_a_capture_ends_with_its_time(path: Path, wheel: Wheel) -> None:
    async with client(path) as session, session.get("/v1/capture?account=acme&seconds=0.05") as answer:
        assert await answer.read() == b""
    assert wheel.asked == [("capture", "acme", False)]
    assert wheel.lines.closed.is_set()


async def test_a_capture_ends_with_its_reader(path: Path, wheel: Wheel) -> None:
    async with client(path) as session:
        answer = await session.get("/v1/capture?account=acme")
        wheel.lines.queue.put_nowait([{"number": 1}])
        await answer.content.readline()
        answer.close()
        async with asyncio.timeout(10):
            await wheel.lines.closed.wait()


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("account=nobody", 404, 'no account is called "nobody"'),
        ("", 404, 'no account is called ""'),
        ("account=acme&seconds=soon", 400, "seconds: "),
        ("account=acme&seconds=0", 400, "seconds: "),
    ],
)
async def test_a_capture_that_cannot_be(path: Path, query: str, status: int, told: str) -> None:
    found, body = await ask(path, "GET", f"/v1/capture?{query}")
    assert found == status
    assert body["message"].startswith(told)
