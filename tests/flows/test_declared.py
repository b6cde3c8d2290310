"""A provider that is nothing but a YAML file, in a whole bridge: with a token, a send, and a signed report back."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from unit.bridges import Start, final, starting, submit

from bridge.config.schema import Config
from bridge.message import State

DECLARATION = """\
about: "Acme: SMS, with a token."
documents: https://acme.example
settings: {base_url: url, id: text, secret: secret, signing_key: secret}
auth: {oauth2: {url: "{settings.base_url}/token", id: "{settings.id}", secret: "{settings.secret}"}}
send:
  url: "{settings.base_url}/sms"
  json: {to: "{to|plus}", text: "{text}", ref: "{reference}", notify: "{callback_url}"}
answer: {ref: uid}
report: {id: uid, reference: ref, status: state}
states: {DONE: delivered, LOST: undeliverable}
verify: [{hmac: {key: "{settings.signing_key}", given: "{header.x-signature}", over: "{url} {body}"}}]
"""


class Acme:
    """The API that is declared: strict about its token, and it signs what it calls back."""

    def __init__(self) -> None:
        self.logins = 0
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def token(self, request: web.Request) -> web.Response:
        self.logins += 1
        assert request.headers["Authorization"] == "Basic bWU6czNjcmV0"
        return web.json_response({"access_token": f"t{self.logins}", "expires_in": 3600})

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer t2":  # the first token is refused
            return web.Response(status=401)
        self.sent.put_nowait(await request.json())
        return web.json_response({"uid": "u1"})

    @staticmethod
    async def report(url: str, body: dict[str, Any], key: str, shown: str) -> int:
        octets = json.dumps(body).encode()
        signature = hmac.new(key.encode(), shown.encode() + b" " + octets, hashlib.sha256).hexdigest()
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=octets, headers={"X-Signature": signature}) as answer,
        ):
            return answer.status


@pytest.fixture
async def acme() -> AsyncIterator[tuple[Acme, str]]:
    provider = Acme()
    app = web.Application()
    app.router.add_post("/token", provider.token)
    app.router.add_post("/sms", provider.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield provider, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with starting() as make:
        yield make


async def test_a_declared_provider_sends_and_is_heard(start: Start, tmp_path: Path, acme: tuple[Acme, str]) -> None:
    provider, base_url = acme
    (tmp_path / "acme.yaml").write_text(DECLARATION)
    keys: dict[str, Any] = {"base_url": base_url, "id": "me", "secret": "s3cret", "signing_key": "s1gn"}
    values = {
        "store": f"sqlite:{tmp_path / 'bridge.db'}",
        "listeners": {"http": [{"listen": "127.0.0.1:0"}]},
        "accounts": {"acme": {"http": {"api_key": "acme-key"}}},
        "public_url": "https://sms.example.com",
        "provider_paths": [str(tmp_path)],
        "providers": {"p": {"type": "acme", "callback_token": "t0ken", **keys}},
        "routes": [{"send": ["p"]}],
    }
    app = await start(Config.model_validate(values, context={"provider_paths": [tmp_path]}))

    status, body = await submit(app, "+380501234567")
    assert status == 202
    message_id = int(body["id"])
    sent = await asyncio.wait_for(provider.sent.get(), 10)
    public = "https://sms.example.com/callbacks/p/t0ken"
    assert (sent["to"], sent["text"], sent["notify"]) == ("+380501234567", "hello", public)
    assert provider.logins == 2

    url = f"http://127.0.0.1:{app.http[0].port}/callbacks/p/t0ken"
    report = {"uid": "u1", "ref": sent["ref"], "state": "DONE"}
    assert await provider.report(url, report, "another key", public) == 401
    assert await provider.report(url, report, "s1gn", url) == 401
    assert await provider.report(url, report, "s1gn", public) == 200
    record = await final(app, message_id)
    assert (record.state, record.provider_ref) == (State.DELIVERED, "u1")
