"""The REST API, by a real HTTP client."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from argon2 import PasswordHasher
from listeners.http.world import AUTH, KEY, NOW, Client, World
from pydantic import SecretStr

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.http.ports import Account
from bridge.listeners.http.settings import HttpAccount
from bridge.message import Reason, ReportOn

BODY = {"to": "+380501234567", "from": "Acme", "text": "Привіт 👋"}


async def test_submit(client: Client, world: World) -> None:
    answer = await client.submit(**BODY, client_ref="order-1")
    assert answer.status == 202
    assert answer.headers["Location"] == "/v1/messages/101"
    assert answer.json == {
        "id": "101",
        "state": "accepted",
        "client_ref": "order-1",
        "to": "380501234567",
        "from": "Acme",
        "accepted_at": "2026-11-22T18:37:12.123Z",
        "expires_at": "2026-11-24T18:37:12.123Z",
    }
    message = world.ledger.messages[101]
    assert (message.account, message.listener, message.text) == ("acme", "http", "Привіт 👋")
    assert (message.accepted_at, message.report_on) == (NOW, ReportOn.FINAL)


async def test_202_waits_for_the_disk(client: Client, world: World) -> None:
    world.ledger.held = asyncio.get_running_loop().create_future()
    asking = asyncio.ensure_future(client.submit(**BODY))
    await world.ledger.accepted.wait()
    done, _ = await asyncio.wait([asking], timeout=0.1)
    assert not done
    world.ledger.held.set_result(None)
    assert (await asking).status == 202


async def test_a_disk_that_fails_is_503(client: Client, world: World) -> None:
    world.ledger.error = StoreUnavailable("disk full: /var/lib/x")
    answer = await client.submit(**BODY)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json == {
        "status": 503,
        "code": "unavailable",
        "message": "Nothing can be stored at the moment; nothing was taken.",
    }


async def test_a_store_without_ids_is_503(client: Client, world: World) -> None:
    def next_id() -> int:
        raise StoreUnavailable("closed")

    world.ledger.next_id = next_id  # type: ignore[method-assign]
    assert (await client.submit(**BODY)).status == 503


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after"),
    [
        (Refusal(Reason.NO_ROUTE, "No route leads there.", field="to"), 422, None),
        (Refusal(Reason.NOT_PERMITTED, "Not for this account."), 403, None),
        (Refusal(Reason.THROTTLED, "More than 10 a second.", retry_after_s=2.3), 429, "3"),
        (Refusal(Reason.QUEUE_FULL, "The queue is full."), 429, "5"),
    ],
)
async def test_a_refusal_of_the_intake(
    client: Client, world: World, refusal: Refusal, status: int, retry_after: str | None
) -> None:
    world.ledger.refusal = refusal
    answer = await client.submit(**BODY)
    assert answer.status == answer.json["status"] == status
    assert answer.json["code"] == refusal.reason
    assert answer.json["message"] == refusal.text
    assert answer.json.get("field") == refusal.field
    assert answer.headers.get("Retry-After") == retry_after


async def test_a_wrong_field_is_422_and_takes_nothing(client: Client, world: World) -> None:
    answer = await client.submit(**{**BODY, "to": "nobody"})
    assert answer.json == {
        "status": 422,
        "code": "invalid_destination",
        "message": "A number is digits, with + or 00 before the country code.",
        "field": "to",
    }
    assert world.ledger.messages == {}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The body is not JSON: "),
        (b"{", "The body is not JSON: "),
        (b'{"to": "1",}', "The body is not JSON: "),
        (b"{'to': '1'}", "The body is not JSON: "),
        (b'{"to": NaN}', "The body is not JSON: "),
        (b'{"text": "\\ud800 lone"}', "The body is not JSON: "),
        (b'{"text": "\xff"}', "The body is not UTF-8."),
        ('{"text": "x"}'.encode("utf-16"), "The body is not"),
        (b"[" * 200_000, "The body is nested too deeply."),
    ],
)
async def test_not_json(client: Client, body: bytes, text: str) -> None:
    headers = {**AUTH, "Content-Type": "application/json"}
    answer = await client.ask("POST", "/v1/messages", data=body, headers=headers)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert answer.json["message"].startswith(text)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_json_only(client: Client, content_type: str) -> None:
    headers = {**AUTH, "Content-Type": content_type}
    answer = await client.ask("POST", "/v1/messages", data=b"{}", headers=headers)
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_content_type_in_other_words(client: Client, content_type: str) -> None:
    headers = {**AUTH, "Content-Type": content_type}
    answer = await client.ask("POST", "/v1/messages", data=b'{"to": "+380501234567", "text": "x"}', headers=headers)
    assert answer.status == 202


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="smsbridge"'),
        ("", 'Bearer realm="smsbridge"'),
        ("Bearer", 'Bearer realm="smsbridge"'),
        ("Bearer  ", 'Bearer realm="smsbridge"'),
        (f"Basic {KEY}", 'Bearer realm="smsbridge"'),
        (KEY, 'Bearer realm="smsbridge"'),
        ("Bearer wrong", 'Bearer realm="smsbridge", error="invalid_token"'),
        (f"Bearer {KEY} {KEY}", 'Bearer realm="smsbridge", error="invalid_token"'),
        (f"Bearer {KEY.upper()}", 'Bearer realm="smsbridge", error="invalid_token"'),
        ("Bearer ключ", 'Bearer realm="smsbridge", error="invalid_token"'),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/messages"), ("GET", "/v1/messages/1"), ("GET", "/v1/messages")]
)
async def test_wrong_key(
    client: Client, world: World, method: str, path: str, authorization: str | None, challenge: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await client.ask(method, path, headers=headers, json=BODY if method == "POST" else None)
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == challenge
    assert world.ledger.messages == {}


@pytest.mark.parametrize("authorization", [f"bearer {KEY}", f"BEARER {KEY}", f"Bearer   {KEY} "])
async def test_key_in_other_words(client: Client, authorization: str) -> None:
    assert (await client.submit({"Authorization": authorization}, **BODY)).status == 202


async def test_hashed_key(serve, world: World) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("hashed-key")
    server = await serve(accounts=(Account(name="hashed", settings=HttpAccount(api_key=SecretStr(hashed))),))
    async with aiohttp.ClientSession() as session:
        client = Client(session, server)
        assert (await client.submit({"Authorization": "Bearer hashed-key"}, **BODY)).status == 202
        assert (await client.submit({"Authorization": "Bearer other-key"}, **BODY)).status == 401
    assert world.ledger.messages[101].account == "hashed"


# --- asking --------------------------------------------------------------------------------------------------------


async def test_show(client: Client) -> None:
    submitted = await client.submit(**BODY, client_ref="order-1")
    answer = await client.ask("GET", submitted.headers["Location"], headers=AUTH)
    assert answer.status == 200
    assert answer.json == {
        **submitted.json,
        "state": "enroute",
        "reason": None,
        "provider": "bsg",
        "provider_ref": "p-1",
        "attempts": 1,
        "updated_at": "2026-11-22T18:37:13.123Z",
        "timeline": [
            {"at": "2026-11-22T18:37:12.123Z", "event": "accepted"},
            {"at": "2026-11-22T18:37:13.123Z", "event": "sent", "provider": "bsg"},
        ],
    }


async def test_head(client: Client) -> None:
    await client.submit(**BODY)
    answer = await client.ask("HEAD", "/v1/messages/101", headers=AUTH)
    assert (answer.status, answer.body) == (200, b"")


async def test_an_account_sees_its_own_messages_only(client: Client) -> None:
    await client.submit(**BODY, client_ref="order-1")
    other = {"Authorization": "Bearer other-key"}
    assert (await client.ask("GET", "/v1/messages/101", headers=other)).status == 404
    assert (await client.ask("GET", "/v1/messages?client_ref=order-1", headers=other)).json == {"messages": []}
    assert (await client.ask("GET", "/v1/messages/101", headers=AUTH)).status == 200


@pytest.mark.parametrize(
    "word", ["0", "102", "-1", "1e2", "101x", "101/", "٣", "9223372036854775808", "9" * 5000, "%2e%2e"]
)
async def test_no_such_message(client: Client, word: str) -> None:
    await client.submit(**BODY)
    answer = await client.ask("GET", f"/v1/messages/{word}", headers=AUTH)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_search(client: Client) -> None:
    for _ in range(2):
        await client.submit(**BODY, client_ref="a b&c")
    await client.submit(**BODY, client_ref="another")
    answer = await client.ask("GET", "/v1/messages", params={"client_ref": "a b&c"}, headers=AUTH)
    assert answer.status == 200
    assert [message["id"] for message in answer.json["messages"]] == ["102", "101"]


@pytest.mark.parametrize("query", ["", "?client_ref=", "?ref=1"])
async def test_search_needs_a_reference(client: Client, query: str) -> None:
    answer = await client.ask("GET", f"/v1/messages{query}", headers=AUTH)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "invalid_request", "client_ref")
