"""Callbacks of providers, by a real HTTP client."""

from __future__ import annotations

import pytest
from listeners.http.world import Client, World

from bridge.errors import StoreUnavailable
from bridge.providers._contract import BadCallback, Callback, Heard


@pytest.mark.parametrize(
    ("path", "name", "token", "rest"),
    [
        ("/callbacks/bsg", "bsg", None, ""),
        ("/callbacks/bsg/", "bsg", None, ""),
        ("/callbacks/bsg/T", "bsg", "T", ""),
        ("/callbacks/bsg/T/", "bsg", "T", ""),
        ("/callbacks/bsg/reports/sms/T", "bsg", "T", "reports/sms"),
        ("/callbacks/bsg/a%2Fb%20c", "bsg", "a/b c", ""),
    ],
)
async def test_paths(client: Client, world: World, path: str, name: str, token: str | None, rest: str) -> None:
    answer = await client.ask("POST", path, data=b"{}")
    assert (answer.status, answer.body) == (200, b"ok")
    ((heard_name, heard_token, callback),) = world.heard
    assert (heard_name, heard_token, callback.path) == (name, token, rest)


@pytest.mark.parametrize("path", ["/callbacks", "/callbacks/"])
async def test_a_callback_names_its_provider(client: Client, world: World, path: str) -> None:
    assert (await client.ask("POST", path)).status == 404
    assert world.heard == []


async def test_what_the_provider_sent(client: Client, world: World) -> None:
    await client.ask(
        "POST",
        "/callbacks/bsg/T?id=1&id=2&text=a+b%20%D1%82",
        data=b"\x00\xff",
        headers={"X-Signature": "Abc", "Content-Type": "x/y"},
    )
    _, _, callback = world.heard[0]
    assert callback.method == "POST"
    assert callback.query == {"id": "1", "text": "a b т"}
    assert callback.body == b"\x00\xff"
    assert callback.headers["x-signature"] == "Abc"
    assert callback.headers["content-type"] == "x/y"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
async def test_methods_are_the_providers_business(client: Client, world: World, method: str) -> None:
    assert (await client.ask(method, "/callbacks/bsg?id=1")).status == 200
    assert world.heard[0][2].method == method


async def test_other_methods(client: Client, world: World) -> None:
    answer = await client.ask("DELETE", "/callbacks/bsg")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST, PUT")
    assert world.heard == []


async def test_the_answer_is_the_providers(client: Client, world: World) -> None:
    world.hear = lambda *_: Heard(status=202, body=b"<Response/>", content_type="text/xml")
    answer = await client.ask("POST", "/callbacks/twilio")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (202, b"<Response/>", "text/xml")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (BadCallback("no report in it"), 400, "No report in it."),
        (BadCallback("the signature is wrong", status=401), 401, "The signature is wrong."),
        (BadCallback("only POST", status=405), 405, "Only POST."),
        (LookupError("nowhere"), 404, "There is no such provider."),
    ],
)
async def test_errors(client: Client, world: World, error: Exception, status: int, message: str) -> None:
    def hear(name: str, token: str | None, callback: Callback) -> Heard:
        raise error

    world.hear = hear
    answer = await client.ask("POST", "/callbacks/bsg")
    assert answer.status == answer.json["status"] == status
    assert answer.json["message"] == message


async def test_a_disk_that_fails_is_503(client: Client, world: World) -> None:
    def hear(name: str, token: str | None, callback: Callback) -> Heard:
        raise StoreUnavailable("full")

    world.hear = hear
    answer = await client.ask("POST", "/callbacks/bsg")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("error", [KeyError("report"), IndexError("0"), ConnectionResetError("of a database")])
async def test_a_fault_of_ours_is_neither_an_unknown_provider_nor_a_lost_client(
    client: Client, world: World, error: Exception
) -> None:
    def hear(name: str, token: str | None, callback: Callback) -> Heard:
        raise error

    world.hear = hear
    assert (await client.ask("POST", "/callbacks/bsg")).status == 500
