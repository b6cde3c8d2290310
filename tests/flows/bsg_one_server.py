"""BSG's second generation, "One API", as strict as its documents: a token, one message a request, a list of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

_FIELDS = {
    *("channels", "phone", "rcs", "viber", "sms", "voice", "telegram", "callback_url", "tariff_code", "validity"),
    *("validity_seconds", "respect_curfew", "add_to_contact_book", "check_stop_list", "dry_run"),
}
_VIBER = {"sender", "text", "image_url", "button_caption", "link_url"}
_SMS = {"sender", "text", "unsubscribe_caption", "transliterate", "short_links"}
Item = dict[str, Any]


@dataclass
class BsgOneServer:
    """The server; `taken` is what it accepted, by reference."""

    key: str = "live_key"
    outcome: Callable[[Item], str] = lambda body: "delivered"
    alt_outcome: Callable[[Item], str] = lambda body: "delivered"  # of the SMS where Viber fails
    calls_back: bool = True
    silent: Callable[[int], bool] = lambda number: False  # the n-th is taken, and the connection closed
    taken: dict[str, Item] = field(default_factory=dict)
    sent: dict[str, list[Item]] = field(default_factory=dict)  # each leg, by reference
    refused: Counter[int] = field(default_factory=Counter)  # by HTTP status
    logins: int = 0
    token: str = ""
    requests: int = 0
    port: int = 0
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> BsgOneServer:
        application = web.Application()
        application.router.add_post("/api/auth/login", self._login)
        application.router.add_post("/api/messages/send", self._send)
        application.router.add_post("/api/campaigns/price", self._price)
        application.router.add_get("/api/messages", self._messages)
        application.router.add_get("/api/accounts/balance", self._balance)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _login(self, request: web.Request) -> web.Response:
        if await request.json() != {"api_key": self.key}:
            return self._refuse(401, "Unauthenticated.")
        self.logins += 1
        self.token = f"token-{self.logins}"
        return web.json_response({"bearer": self.token})

    def _refuse(self, status: int, message: str, **errors: str) -> web.Response:
        self.refused[status] += 1
        said: dict[str, Any] = {"message": message}
        if errors:
            said["errors"] = {name.replace("__", "."): [text] for name, text in errors.items()}
        return web.json_response(said, status=status)

    def _known(self, request: web.Request) -> bool:
        return bool(self.token) and request.headers.get("Authorization") == f"Bearer {self.token}"

    async def _send(self, request: web.Request) -> web.StreamResponse:
        number, self.requests = self.requests, self.requests + 1
        if not self._known(request):
            return self._refuse(401, "Unauthenticated.")
        body = await request.json()
        wrong = self._wrong(body)
        if wrong:
            return self._refuse(422, "The given data was invalid.", **wrong)
        data = await self._take(body)
        if self.silent(number):
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"data": data})

    def _wrong(self, body: Item) -> dict[str, str]:
        """Fields and what is wrong with them."""
        channels, phone = body.get("channels"), body.get("phone", {})
        if not body.keys() <= _FIELDS or channels not in (["sms"], ["viber"], ["viber", "sms"], ["sms", "viber"]):
            return {"channels": "unknown fields or channels"}
        if phone.keys() != {"number", "reference_id"} or not re.fullmatch("[0-9]{9,15}", phone["number"]):
            return {"phone__number": "must have 9 to 15 digits"}
        if not re.fullmatch("[A-Za-z0-9]{1,32}", phone["reference_id"]):
            return {"phone__reference_id": "up to 32 letters and digits"}
        if phone["reference_id"] in self.taken:
            return {"phone__reference_id": "The phone.reference_id has already been taken."}
        if ("validity" in body) == ("validity_seconds" in body):
            return {"validity": "either of them"}
        if not (1 <= body.get("validity", 1) <= 72 and 30 <= body.get("validity_seconds", 30) <= 86400):
            return {"validity": "too long or too short"}
        if "viber" in channels:
            viber = body.get("viber", {})
            if not viber.keys() <= _VIBER or not 1 <= len(viber.get("text", "")) <= 1000:
                return {"viber__text": "1 to 1000 characters"}
            if not 1 <= len(viber.get("sender", "")) <= 40:
                return {"viber__sender": "1 to 40 characters"}
            if "button_caption" in viber and "link_url" not in viber:
                return {"viber__link_url": "required with a button"}
        if "sms" in channels:
            sms = body.get("sms", {})
            if not sms.keys() <= _SMS or not 1 <= len(sms.get("text", "")) <= 765:
                return {"sms__text": "1 to 765 characters"}
            if not re.fullmatch("[A-Za-z0-9 ]{3,11}|[0-9]{3,15}", sms.get("sender", "")):
                return {"sms__sender": "not a sender of the account"}
        return {}

    async def _take(self, body: Item) -> Item:
        reference = body["phone"]["reference_id"]
        self.taken[reference] = body
        item = {
            "id": 3_000_000_000 + len(self.taken),
            "reference_id": reference,
            "source": "rest",
            "type": body["channels"][0],
            "phone": int(body["phone"]["number"]),
            "status": self.outcome(body),
            "amount": {"value": "0.05", "currency": "EUR"},
            "created_at": "2026-01-02 03:04:05",
            "sent_at": "2026-01-02 03:04:05",
            "delivered_at": "2026-01-02 03:04:06",
        }
        legs = self.sent[reference] = [item]
        if len(body["channels"]) == 2 and item["status"] not in ("delivered", "read"):
            item["alternative_channels"] = {"sms": {"parts": 1, "id": [item["id"] + 1]}}
            legs.append(item | {"id": item["id"] + 1, "type": "sms", "status": self.alt_outcome(body)})
        if self.calls_back and "callback_url" in body:
            said = {"error": 0, "id": item["id"], "msisdn": body["phone"]["number"], "reference": reference}
            async with (
                aiohttp.ClientSession() as session,
                session.post(body["callback_url"], json=said | {"status": item["status"]}) as response,
            ):
                assert response.status == 200
        return item | {"status": "accepted", "sent_at": None, "delivered_at": None}

    async def _messages(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return self._refuse(401, "Unauthenticated.")
        if not request.query.keys() <= {"page[offset]", "page[limit]", "filter[id]", "filter[reference_id]"}:
            return self._refuse(422, "The given data was invalid.")
        found = self.sent.get(request.query["filter[reference_id]"], [])
        return web.json_response({"data": found, "meta": {"page": {"total": len(found), "limit": 50, "offset": 0}}})

    async def _price(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return self._refuse(401, "Unauthenticated.")
        body = await request.json()
        if not {"sender", "text", "messages"} <= body.keys() <= {"sender", "text", "messages", "tariff_code", "groups"}:
            return self._refuse(422, "The given data was invalid.")
        assert all(type(item["phone"]) is int for item in body["messages"])
        return web.json_response({"price": 0.05 * len(body["messages"]), "currency": "EUR"})

    async def _balance(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return self._refuse(401, "Unauthenticated.")
        return web.json_response({"data": {"balance": 14.5, "currency": "EUR", "credit": 0}})
