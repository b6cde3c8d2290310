"""Bodies: too large, too slow, encoded, chunked, expected; on raw sockets where a client would be too polite."""

from __future__ import annotations

import asyncio
import io
import json
import zlib

import pytest
from listeners.http.world import Client, World, talk

HEAD = b"POST /callbacks/bsg HTTP/1.1\r\nHost: x\r\n"


def status_of(octets: bytes) -> int:
    return int(octets.split(b" ", 2)[1])


def json_of(octets: bytes) -> dict[str, object]:
    content: dict[str, object] = json.loads(octets.partition(b"\r\n\r\n")[2])
    return content


async def test_a_body_as_large_as_allowed(serve, world: World) -> None:
    server = await serve(max_body=1000)
    octets = await talk(server, HEAD + b"Connection: close\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
    assert status_of(octets) == 200
    assert world.heard[0][2].body == b"x" * 1000


async def test_a_body_declared_too_large_is_not_read(serve, world: World) -> None:
    server = await serve(max_body=1000)
    octets = await talk(server, HEAD + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001)
    assert json_of(octets) == {"status": 413, "code": "content_too_large", "message": "A body has at most 1000 bytes."}
    assert b"Connection: close" in octets
    assert world.heard == []


async def test_a_chunked_body_too_large(serve, world: World) -> None:
    server = await serve(max_body=1000)
    chunks = b"".join(b"258\r\n" + b"x" * 600 + b"\r\n" for _ in range(2)) + b"0\r\n\r\n"
    octets = await talk(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert status_of(octets) == 413
    assert world.heard == []


async def test_a_huge_body_is_answered_before_it_is_sent(client: Client, world: World) -> None:
    answer = await client.ask("POST", "/callbacks/bsg", data=io.BytesIO(b"x" * (2 * 1024 * 1024)))
    assert answer.status == 413
    assert world.heard == []


async def test_a_chunked_body(serve, world: World) -> None:
    server = await serve()
    octets = await talk(
        server, HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    assert status_of(octets) == 200
    assert world.heard[0][2].body == b"abcde"


async def test_a_body_too_slow(serve, world: World) -> None:
    server = await serve(body_timeout_s=0.2)
    octets = await talk(server, HEAD + b"Content-Length: 10\r\n\r\nabc")
    assert json_of(octets) == {
        "status": 408,
        "code": "request_timeout",
        "message": "The body did not come within 0.2 seconds.",
    }
    assert b"Connection: close" in octets
    assert world.heard == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP"])
async def test_an_encoded_body(client: Client, world: World, coding: str) -> None:
    packed = zlib.compress(b"x" * 100_000)
    answer = await client.ask("POST", "/callbacks/bsg", data=packed, headers={"Content-Encoding": coding})
    assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert world.heard == []


async def test_identity_is_no_encoding(client: Client, world: World) -> None:
    answer = await client.ask("POST", "/callbacks/bsg", data=b"abc", headers={"Content-Encoding": "Identity"})
    assert answer.status == 200


async def test_expect_100_continue(serve, world: World) -> None:
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HEAD + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert status_of(await reader.read()) == 200
    assert world.heard[0][2].body == b"abc"
    writer.close()
    await writer.wait_closed()


async def test_nobody_is_told_to_continue_in_vain(serve, world: World) -> None:
    server = await serve(max_body=1000)
    octets = await talk(server, HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001)
    assert octets.startswith(b"HTTP/1.1 413 ")


async def test_another_expectation(client: Client, world: World) -> None:
    answer = await client.ask("POST", "/callbacks/bsg", data=b"abc", headers={"Expect": "a-miracle"})
    assert (answer.status, answer.json["code"]) == (417, "expectation_failed")


async def test_a_body_that_contradicts_its_header(serve, world: World) -> None:
    server = await serve()
    octets = await talk(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")
    assert status_of(octets) == 400
    assert json_of(octets)["code"] == "bad_request"
    assert world.heard == []


async def test_a_client_that_goes_away_touches_nobody(serve, world: World, caplog: pytest.LogCaptureFixture) -> None:
    server = await serve()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HEAD + b"Content-Length: 10\r\n\r\nabc")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert status_of(await talk(server, HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")) == 200
    await server.stop()
    assert len(world.heard) == 1
    assert caplog.records == []
