"""BICS as strict as its documents: send, status, balance, webhooks with their challenge, subscriptions, and its calls.

Every message is a new one, also one sent again. A call of a webhook that is not answered 200 or 202 is counted, and not
repeated here. A hazard of the documents' own example is made true: all numbers of a request get one id.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

_PRODUCTS = {"ENT", "BNK", "MKT", "GMS", "A2P", "DIR", "IBN", "SIPT", "ITFS", "GMN", "WAP", "RCS"}
_ROOT = {"webhook_id", "service", "time"}  # what a node may not say
_SAID = {"to", "message", "sender", "type", "flash", "custom", "port", "max_units", "entity_id", "template_id", "meta"}
_TYPES = {
    "viber": {"text", "image", "video", "file"},
    "whatsapp": {"text", "image", "video", "audio", "document", "location", "contacts"},
    "rcs": {"text", "image", "video"},
}
Json = dict[str, Any]


@dataclass
class Sent:
    """A message that was taken."""

    id: str
    mobile: str
    channel: str
    said: Json  # its fields, those of the root among them; or the body, of a channel
    custom: str
    webhook_id: str | None = None
    status: str = ""


@dataclass
class BicsServer:
    """The server; `taken` is what it accepted, in order."""

    token: str = "the-token"
    by_query: bool = False  # it is asked with `access_token` and `_method`, and by nothing but GET
    outcome: Callable[[Sent], str] = lambda sent: "delivered" if sent.channel != "sms" else "DELIVRD"
    wrong: Callable[[str], bool] = lambda number: False
    silent: Callable[[int], bool] = lambda number: False  # the n-th send is taken, and not answered
    gets_a_minute: int = 1000
    taken: list[Sent] = field(default_factory=list)
    webhooks: dict[str, Json] = field(default_factory=dict)
    subscriptions: list[Json] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)  # by path
    called: Counter[int] = field(default_factory=Counter)  # webhooks, by how they answered
    sends: int = 0
    port: int = 0
    _gets: list[float] = field(default_factory=list)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> BicsServer:
        application = web.Application()
        application.router.add_route("*", "/api/v2/{path:.*}", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        assert self._session is not None
        assert self._runner is not None
        await self._session.close()
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v2"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        pairs = parse_qsl(request.query_string, keep_blank_values=True)
        query = dict(pairs)
        self.asked[path] += 1
        if len(query) != len(pairs):
            return self._error(400, "a field twice")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.by_query:
            given = query.pop("access_token", "")
        if given != self.token:
            return self._error(401, "Unauthenticated.")
        if request.headers.get("Accept") != "application/json":
            return self._error(400, "Accept is missing")
        if request.method == "GET" and self._too_many():
            return self._error(429, "Too Many Requests")
        method = query.pop("_method", request.method)
        if self.by_query and request.method != "GET":
            return self._error(405, "only GET gets through")
        body: Json = {}
        if method in ("POST", "PUT"):
            try:
                body = _nested(query) if self.by_query else json.loads(await request.text())
            except ValueError:
                return self._error(400, "not JSON")
            if not self.by_query and request.content_type != "application/json":
                return self._error(400, "not JSON")
        answer = await self._answer(method, path, query, body, request)
        return answer if answer is not None else self._error(404, "The resources cannot be found")

    async def _answer(
        self, method: str, path: str, query: dict[str, str], body: Json, request: web.Request
    ) -> web.StreamResponse | None:
        channel = path.partition("/")[0]
        match method, path:
            case "GET", "auth/me":
                return _ok({"name": "acme"})
            case "GET", "finance/balance":
                return _ok(
                    [{"service": "ENT", "name": "SMS A2P Enterprise", "postpaid": 0, "credits": 69, "charges": 1}]
                )
            case "POST", "sms/send":
                return self._send_sms({key: body[key] for key in body.keys() & _ROOT}, [body], request)
            case "POST", "sms/send/json":
                return self._send_nodes(body, request)
            case "POST", "viber/message/send" | "whatsapp/message/send" | "rcs/message/send":
                return self._send_on(channel, body, request)
            case "GET", "sms/status" | "viber/message/status" | "whatsapp/message/status" | "rcs/message/status":
                return self._status(channel, query)
            case "GET", "developer/webhooks":
                return _page(list(self.webhooks.values()), query)
            case "POST", "developer/webhooks":
                return await self._new_webhook(body)
            case "GET", "developer/subscriptions":
                return _page(self.subscriptions, query)
            case "POST", "developer/subscriptions":
                if set(body) != {"event", "identity", "webhook_id"} or body["webhook_id"] not in self.webhooks:
                    return self._error(422, "webhook_id is not known")
                self.subscriptions.append({"id": len(self.subscriptions) + 1, **body})
                return _ok(self.subscriptions[-1])
            case "PUT", _ if path.startswith("developer/webhooks/"):
                webhook = self.webhooks.get(path.rpartition("/")[2])
                if webhook is not None:
                    webhook |= body
                    return _ok(webhook)
        return None

    def _error(self, status: int, message: str) -> web.Response:
        self.refused[status] += 1
        return web.json_response({"status": status, "message": message}, status=status)

    def _too_many(self) -> bool:
        now = time.monotonic()
        self._gets = [at for at in self._gets if now - at < 60] + [now]
        return len(self._gets) > self.gets_a_minute

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send_nodes(self, body: Json, request: web.Request) -> web.StreamResponse:
        root, nodes = body.get("root"), body.get("nodes")
        if not isinstance(root, dict) or not isinstance(nodes, list) or not nodes or set(body) != {"root", "nodes"}:
            return self._error(422, "root and nodes")
        if any(not isinstance(node, dict) or node.keys() & _ROOT for node in nodes):
            return self._error(422, "a node cannot say that")
        return self._send_sms({key: root[key] for key in root.keys() & _ROOT}, [root | node for node in nodes], request)

    def _send_sms(self, common: Json, messages: list[Json], request: web.Request) -> web.StreamResponse:
        group = str(uuid.uuid4())
        if common.get("service") not in _PRODUCTS:
            return self._error(422, "service")
        if "webhook_id" in common and common["webhook_id"] not in self.webhooks:
            return self._error(422, "webhook_id")
        for said in messages:
            wrong = said.keys() - _SAID - _ROOT
            missing = {"to", "message", "sender"} - {key for key in said if said[key]}
            if wrong or missing or not re.fullmatch(r"[A-Za-z0-9 ]{1,11}|[0-9]{1,15}", said["sender"]):
                return self._error(422, f"{wrong or missing or 'sender'}")
            if said.get("type") not in ("A", "U", "N") or str(said.get("flash", 0)) not in ("0", "1"):
                return self._error(422, "type or flash")
            if not re.fullmatch(r"[1-9][0-9]{7,14}", said["to"]):
                return self._error(422, "to")
        taken = [
            Sent(f"{group}:1", said["to"], "sms", said, str(said.get("custom", "")), common.get("webhook_id"))
            for said in messages
        ]
        data = [
            {
                "id": sent.id,
                "mobile": sent.mobile,
                "status": "INV-NUMBER" if self.wrong(sent.mobile) else "AWAITING-DLR",
                "units": 1,
                "length": len(sent.said["message"]),
                "charges": 1,
                "customid": sent.custom,
                "iso_code": None,
                "submitted_at": "2018-07-09 16:27:35",
            }
            for sent in taken
        ]
        return self._accept([each for each in taken if not self.wrong(each.mobile)], data, request)

    def _send_on(self, channel: str, body: Json, request: web.Request) -> web.StreamResponse:
        try:
            (about,), (to,), said = body["channels"], body["recipient"]["to"], body["message"]
            meta = about["meta"]
            assert set(body) == {"channels", "recipient", "message"}
            assert about["name"] == channel
            assert about["from"]
            assert said["type"] in _TYPES[channel]
            assert said["type"] != "text" or 0 < len(said["payload"]["text"]) <= (1000 if channel == "viber" else 4096)
            if channel == "viber":
                assert meta["category"] == ("promotional" if said["type"] in ("image", "video") else "transactional")
                assert 30 <= int(meta.get("ttl", 30)) <= 1_209_600
        except (KeyError, TypeError, ValueError, AssertionError):
            return self._error(422, "The given data was invalid.")
        sent = Sent(str(uuid.uuid4()), to, channel, body, meta.get("foreign_id", ""))
        data = {"id": sent.id, "channel": channel, "from": about["from"], "to": to, "status": "queued"}
        return self._accept([sent], [data | {"credits": 1, "foreign_id": sent.custom}], request)

    def _accept(self, taken: list[Sent], data: list[Json], request: web.Request) -> web.StreamResponse:
        number, self.sends = self.sends, self.sends + 1
        for sent in taken:
            sent.status = self.outcome(sent)
            self.taken.append(sent)
            self._later(self._report(sent))
        if self.silent(number):
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(
            {"status": 200, "message": f"{len(taken)} numbers accepted for delivery.", "data": data}
        )

    def _status(self, channel: str, query: dict[str, str]) -> web.StreamResponse:
        names = {"id": "id", "mobile": "mobile"} | ({"cid": "custom"} if channel == "sms" else {})
        if not query or not query.keys() <= names.keys():
            return self._error(400, "id, mobile or cid")
        found = [
            sent
            for sent in self.taken
            if sent.channel == channel and all(getattr(sent, names[key]) == value for key, value in query.items())
        ]
        number = "mobile" if channel == "sms" else "to"
        ours = "custom" if channel == "sms" else "foreign_id"
        return _ok([{"id": each.id, number: each.mobile, "status": each.status, ours: each.custom} for each in found])

    # --- webhooks ---------------------------------------------------------------------------------------------------

    async def _new_webhook(self, body: Json) -> web.StreamResponse:
        if not {"name", "uri"} <= body.keys() <= {"name", "uri", "status", "secret", "token"}:
            return self._error(422, "name and uri")
        assert self._session is not None
        token, challenge = str(body.get("token", "")), uuid.uuid4().hex
        asked = {"validation_key": token, "challenge": challenge}
        async with self._session.post(body["uri"], params={"token": token}, json=asked) as answer:
            met = answer.status == 200 and await answer.json() == {"challenge": challenge}
        if not met:
            return self._error(422, "the challenge was not met")
        webhook = {"id": str(uuid.uuid4()), **body}
        self.webhooks[webhook["id"]] = webhook
        return _ok({**webhook, "secret": "*****"})

    def _later(self, call: Any) -> None:
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _report(self, sent: Sent) -> None:
        at = int(time.time())
        for status in dict.fromkeys(("SENT" if sent.channel == "sms" else "sent", sent.status)):
            said: Json = {"id": sent.id, "status": status}
            if sent.channel == "sms":
                said |= {
                    "mobile": sent.mobile,
                    "credits": "1.0000",
                    "units": 1,
                    "deliv_at": str(at),
                    "cid": sent.custom,
                }
                said |= {"deliv_time": "2021-04-09 16:27:51", "custom": sent.custom}
            else:
                said |= {"channel": sent.channel, "to": sent.mobile, "foreign_id": sent.custom}
                said = {"event": f"{sent.channel}:message:status", "payload": said}
            await self.tell(f"{sent.channel}:message:status", said, sent.webhook_id)

    async def tell(self, event: str, said: Json, webhook_id: str | None = None) -> None:
        """Calls whom an event concerns, with the secret of each."""
        concerned = {each["webhook_id"] for each in self.subscriptions if each["event"] == event} | {webhook_id}
        for webhook in [self.webhooks[each] for each in concerned if each is not None]:
            await self.call(webhook["uri"], said, str(webhook.get("secret", "")))

    async def call(self, uri: str, said: Json, secret: str) -> int:
        """One call; the status that it was answered with."""
        assert self._session is not None
        async with self._session.post(uri, json=said, headers={"Authorization": f"Bearer {secret}"}) as answer:
            self.called[answer.status] += 1
            return answer.status


def _ok(data: object) -> web.Response:
    return web.json_response({"status": "OK", "code": 200, "message": "OK", "data": data})


def _page(items: list[Json], query: dict[str, str]) -> web.Response:
    """Two a page."""
    page = int(query.get("page", "1"))
    meta = {"current_page": page, "last_page": max(1, -(-len(items) // 2)), "per_page": 2, "total": len(items)}
    found = [{**item, **({"secret": "*****"} if "secret" in item else {})} for item in items[2 * page - 2 : 2 * page]]
    return web.json_response({"status": "OK", "code": 200, "data": found, "links": {}, "meta": meta})


def _nested(query: dict[str, str]) -> Json:
    """What PHP makes of the fields of a query."""
    root: Json = {}
    for name, value in query.items():
        steps = [step.rstrip("]") for step in name.split("[")]
        inner = root
        for step in steps[:-1]:
            inner = inner.setdefault(step, {})
        inner[steps[-1]] = value
    return _listed(root)


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    return list(inner.values()) if inner and all(key.isdigit() for key in inner) else inner
