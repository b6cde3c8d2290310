"""BSG's REST API, first generation, as strict as its documents: a server that believes nothing it is sent.

Every field is checked, a repeated reference is refused with error 23, more than 50 numbers with 12, and so on. A
request may be met by a `Trouble` instead of a plain answer, and a `Reporting` says how its messages are reported. Viber
and HLR are called back where their requests say, SMS where the account does.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import aiohttp
from aiohttp import web

KEY = "live_key"
_ERRORS = {
    0: "No errors",
    1: "API key invalid",
    3: "Parameters missing",
    6: "Bad tariff number",
    7: "Parameters invalid",
    8: "Insufficient funds",
    12: "Package too large",
    20: "SMS not found",
    21: "Bad phone number",
    22: "External id missing",
    23: "External id already exists",
    25: "Bad originator",
    26: "Text is empty or too long",
    27: "Bad external id",
    28: "Bad validity",
    31: "Phone already in this list",
    33: "Direction not allowed",
    40: "Message not found",
    41: "Invalid MSISDN",
    43: "External ID already exists",
    44: "Invalid request payload",
    45: "Invalid or unregistered sender",
    46: "Invalid message text",
    47: "Invalid External ID",
    48: "Invalid validity time",
    49: "Invalid combination of Viber options",
    51: "Duplicate phone",
    60: "HLR not found",
    61: "Invalid MSISDN",
    62: "External ID absent",
    63: "External ID already exists",
    64: "Invalid request payload",
    65: "Invalid External ID",
    66: "MSISDN already present in request",
}
# What each channel calls the same errors.
_BAD_PHONE = {"viber": 41, "hlr": 61}
_NO_REFERENCE = {"viber": 47, "hlr": 62}  # Viber: it could not be called back
_BAD_REFERENCE = {"viber": 47, "hlr": 65}
_KNOWN = {"viber": 43, "hlr": 63}
_TWICE = {"viber": 51, "hlr": 66}
_NOT_FOUND = {"sms": 20, "viber": 40, "hlr": 60}
_SHARED = {"destination", "validity", "tariff", "send_time"}
_FIELDS = {
    "phone": _SHARED - {"send_time"} | {"originator", "body", "msisdn", "reference"},
    "phones": _SHARED | {"originator", "body", "phones"},
    "individual": _SHARED | {"phones"},
}
_ITEM_FIELDS = {
    "phones": {"msisdn", "reference"},
    "individual": {"msisdn", "reference", "body", "originator"},
}


class Trouble(Enum):
    """What becomes of a request instead of a plain answer."""

    BUSY = "503, and nothing is taken"
    LIMITED = "429 with Retry-After, and nothing is taken"
    SILENT = "nothing is taken, and no answer comes"
    TAKEN_SILENT = "the messages are taken, and no answer comes"
    UNREAD = "the connection is closed before the request is read"
    TAKEN_CLOSED = "the messages are taken, and the connection is closed"
    GARBAGE = "nothing is taken, and the answer is not JSON"
    TAKEN_GARBAGE = "the messages are taken, and the answer is not JSON"
    HALF_TAKEN_CLOSED = "every other message is taken, and the connection is closed"
    UNAUTHORISED = "401, and nothing is taken"
    FORBIDDEN = "403, and nothing is taken"
    NO_CREDIT = "error 8, and nothing is taken"


class Reporting(Enum):
    """How a message is reported."""

    PLAIN = "sent, then delivered, after the answer"
    EARLY = "delivered, before the answer to the request"
    EARLY_BY_ID = "the same, without the reference"
    THRICE = "delivered, three times at once"
    DISORDERED = "delivered, and then sent"
    NEVER = "no callback: it must be asked for"


_REFUSALS = {Trouble.BUSY: 503, Trouble.UNAUTHORISED: 401, Trouble.FORBIDDEN: 403}
_BEFORE = (Reporting.EARLY, Reporting.EARLY_BY_ID)


@dataclass
class Sms:
    """A message that was taken."""

    sms_id: str
    reference: str
    msisdn: str
    body: str
    originator: str | None
    taken_at: datetime
    status: str = "accepted"
    channel: str = "sms"
    callback_url: str | None = None  # of its own
    alt_route: dict[str, Any] | None = None  # the SMS in place of a Viber message, as it was asked for
    alt_status: str | None = None  # of that SMS, once it was sent
    options: dict[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, object]:
        """The object that a status answer and a callback are."""
        at = f"{self.taken_at:%Y-%m-%d %H:%M:%S}"
        if self.channel == "hlr":
            return {
                "error": 0,
                "errorDescription": _ERRORS[0],
                "id": self.sms_id,
                "msisdn": self.msisdn,
                "reference": self.reference,
                "network": "25501",
                "status": self.status,
                "details": {"ported": "1", "roaming": "0"},
                "createdDatetime": self.taken_at.isoformat(timespec="seconds"),
                "statusDatetime": self.taken_at.isoformat(timespec="seconds"),
            }
        return {
            "error": 0,
            "errorDescription": _ERRORS[0],
            "id": self.sms_id,
            "msisdn": self.msisdn,
            "reference": self.reference,
            "time_in": at,
            "time_sent": at,
            "time_dr": at,
            "status": self.status,
            "price": "0.0500000",
            "currency": "EUR",
        }


async def at_once(number: int) -> None:
    """Nothing is waited for."""


@dataclass
class BsgServer:
    """The server; `taken` is what it accepted, by reference."""

    trouble: Callable[[int], Trouble | None] = lambda number: None  # of the n-th request to send, from 0
    before: Callable[[int], Awaitable[None]] = at_once  # what the n-th request to send waits for once it is read
    reporting: Callable[[Sms], Reporting] = lambda sms: Reporting.PLAIN
    outcome: Callable[[Sms], str] = lambda sms: "delivered"
    alt_outcome: Callable[[Sms], str] = lambda sms: "delivered"  # of the SMS where Viber fails
    viber_senders: frozenset[str] = frozenset({"BSG"})
    directions: Callable[[str], bool] = lambda msisdn: True  # where the account may send to
    callback_url: str | None = None
    taken: dict[str, Sms] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)  # errors told, by code
    met: Counter[Trouble] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)  # by reference
    requests: int = 0
    key: str = KEY
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def __aenter__(self) -> BsgServer:
        application = web.Application()
        for method in ("POST", "PUT"):
            application.router.add_route(method, "/rest/sms/create", self._create)
            application.router.add_route(method, "/rest/sms/price", self._price)
            application.router.add_route(method, "/rest/viber/create", self._create_viber)
            application.router.add_route(method, "/rest/hlr/create", self._create_hlr)
        application.router.add_get("/rest/{channel:sms|viber|hlr}/reference/{reference}", self._status)
        application.router.add_get(r"/rest/{channel:sms|viber|hlr}/{id:\d+}", self._status)
        application.router.add_get("/rest/common/balance", self._balance)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        assert self._session is not None
        assert self._runner is not None
        await self._session.close()
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rest"

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.StreamResponse:
        number, self.requests = self.requests, self.requests + 1
        trouble = self.trouble(number)
        if trouble is not None:
            self.met[trouble] += 1
        if trouble is Trouble.UNREAD:
            return _hang_up(request)
        octets = await request.read()
        await self.before(number)
        if trouble in _REFUSALS:
            return web.Response(status=_REFUSALS[trouble], text="no")
        if trouble is Trouble.NO_CREDIT:
            return web.json_response({"error": 8, "errorDescription": _ERRORS[8]})
        if trouble is Trouble.LIMITED:
            return web.Response(status=429, headers={"Retry-After": "1"}, text="Too Many Requests")
        if trouble is Trouble.SILENT:
            await self._stopped.wait()
            return _hang_up(request)
        if trouble is Trouble.GARBAGE:
            return web.Response(status=502, text="<html><h1>Bad Gateway</h1></html>", content_type="text/html")
        answer = self._answer(request, octets, each=2 if trouble is Trouble.HALF_TAKEN_CLOSED else 1)
        await self._report_early(answer)
        if trouble is Trouble.TAKEN_SILENT:
            await self._stopped.wait()
        if trouble in (Trouble.TAKEN_SILENT, Trouble.TAKEN_CLOSED, Trouble.HALF_TAKEN_CLOSED):
            return _hang_up(request)
        if trouble is Trouble.TAKEN_GARBAGE:
            return web.Response(text='{"result":[{"err', content_type="application/json")
        return web.json_response(answer)

    def _answer(self, request: web.Request, octets: bytes, each: int) -> dict[str, Any]:
        code, body = self._check(request, octets)
        if code:
            self.refused[code] += 1
            return {"error": code, "errorDescription": _ERRORS[code]}
        if body["destination"] == "phone":
            return {"result": self._take(body, body, set())}
        seen: set[str] = set()
        result = [self._take(item, body | item, seen) for item in body["phones"][::each]]
        return {"task_id": str(self.requests), "result": result, "total_price": "0.05", "currency": "EUR"}

    def _check(self, request: web.Request, octets: bytes) -> tuple[int, dict[str, Any]]:
        """The error of a request as a whole, and its body."""
        if request.headers.get("X-API-KEY") != self.key:
            return 1, {}
        if request.content_type != "application/json":
            return 7, {}
        try:
            body = json.loads(octets)
        except ValueError:
            return 7, {}
        fields = _FIELDS.get(body.get("destination", "")) if isinstance(body, dict) else None
        if fields is None or not body.keys() <= fields:
            return 7, {}
        if type(body.get("validity")) is not int or not 1 <= body["validity"] <= 72:
            return 28, {}
        if not re.fullmatch(r"[0-9]", str(body.get("tariff", ""))):
            return 6, {}
        if body["destination"] == "phone":
            return 0, body
        phones, allowed = body.get("phones"), _ITEM_FIELDS[body["destination"]]
        if not isinstance(phones, list) or not phones:
            return 3, {}
        if len(phones) > 50:
            return 12, {}
        if not all(isinstance(item, dict) and item.keys() <= allowed for item in phones):
            return 7, {}
        return 0, body

    def _take(self, item: dict[str, Any], sent: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        """The answer for one number; `sent`: its fields and those it shares with the others."""
        reference = item.get("reference")
        code = self._error(item, sent, seen)
        answer: dict[str, Any] = {"error": code, "errorDescription": _ERRORS[code], "reference": reference}
        if code:
            self.refused[code] += 1
            return answer
        sms = Sms(
            sms_id=str(7_000_000 + len(self.taken)),
            reference=str(reference),
            msisdn=sent["msisdn"],
            body=sent["body"],
            originator=sent.get("originator"),
            taken_at=datetime.now(UTC),
        )
        self.taken[sms.reference] = sms
        seen.add(sms.msisdn)
        self._schedule(sms)
        return answer | {"id": sms.sms_id, "price": "0.0500000", "currency": "EUR"}

    def _error(self, item: dict[str, Any], sent: dict[str, Any], seen: set[str]) -> int:
        msisdn, reference, text = sent.get("msisdn"), item.get("reference"), sent.get("body")
        originator = sent.get("originator")
        if not isinstance(msisdn, str) or not re.fullmatch(r"[1-9][0-9]{6,14}", msisdn):
            return 21
        if reference is None:
            return 22
        if not isinstance(reference, str) or not re.fullmatch(r"[A-Za-z0-9]{1,32}", reference):
            return 27
        if reference in self.taken:
            return 23
        if not self.directions(msisdn):
            return 33
        if msisdn in seen:
            return 31
        if originator is not None and (not isinstance(originator, str) or not 1 <= len(originator) <= 14):
            return 25
        return 0 if isinstance(text, str) and 1 <= len(text) <= 1530 else 26

    async def _price(self, request: web.Request) -> web.Response:
        code, body = self._check(request, await request.read())
        if code:
            return web.json_response({"error": code, "errorDescription": _ERRORS[code]})
        priced = {"error": 0, "errorDescription": _ERRORS[0], "price": 0.05, "currency": "EUR"}
        if body["destination"] == "phone":
            return web.json_response({"result": priced})
        result = [priced] * len(body["phones"])
        return web.json_response({"result": result, "total_price": 0.05 * len(result), "currency": "EUR"})

    async def _balance(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-KEY") != self.key:
            return web.json_response({"error": 1, "errorDescription": _ERRORS[1]})
        return web.json_response({"error": 0, "amount": "14.50", "currency": "EUR", "limit": 0})

    # --- Viber and HLR ----------------------------------------------------------------------------------------------

    async def _create_viber(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = await _json_of(request)
        wrong = self._wrong_viber(request, body)
        if wrong:
            return self._refuse(wrong)
        seen: set[str] = set()
        result = [
            self._take_other("viber", phone, message, seen) for message in body["messages"] for phone in message["to"]
        ]
        return web.json_response({"result": result, "currency": "EUR", "total_price": 0.23})

    def _wrong_viber(self, request: web.Request, body: Any) -> int:
        """The error of a request as a whole."""
        if request.headers.get("X-API-KEY") != self.key:
            return 1
        if not isinstance(body, dict) or not body.keys() <= {"tariff", "validity", "messages"}:
            return 44
        if not re.fullmatch(r"[0-9]", str(body.get("tariff", "0"))):
            return 6
        if not re.fullmatch(r"[0-9]{2,5}", str(body.get("validity"))) or not 15 <= int(body["validity"]) <= 86400:
            return 48
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return 44
        for message in messages:
            if not isinstance(message, dict) or not isinstance(message.get("to"), list) or not message["to"]:
                return 44
            if not message.keys() <= {"to", "text", "alpha_name", "is_promotional", "callback_url", "options"}:
                return 44
            if not all(isinstance(phone, dict) and phone.keys() <= {"msisdn", "reference"} for phone in message["to"]):
                return 44
        return 12 if sum(len(message["to"]) for message in messages) > 50 else 0

    async def _create_hlr(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = await _json_of(request)
        if request.headers.get("X-API-KEY") != self.key:
            return self._refuse(1)
        if not isinstance(body, list) or not body or not all(isinstance(item, dict) for item in body):
            return self._refuse(64)
        if not all(item.keys() <= {"msisdn", "reference", "tariff", "callback_url"} for item in body):
            return self._refuse(64)
        if len(body) > 50:
            return self._refuse(12)
        seen: set[str] = set()
        result = [self._take_other("hlr", item, item, seen) for item in body]
        return web.json_response({"result": result, "error": "0", "totalprice": "0.004", "currency": "EUR"})

    def _refuse(self, code: int) -> web.Response:
        self.refused[code] += 1
        return web.json_response({"error": code, "errorDescription": _ERRORS[code]})

    def _take_other(self, channel: str, phone: dict[str, Any], says: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        """The answer for one number; `says`: what is said to it, and where its reports go."""
        code = self._wrong_phone(channel, phone, seen)
        if not code:
            code = self._wrong_words(says) if channel == "viber" else self._wrong_tariff(says)
        answer = {"error": code, "errorDescription": _ERRORS[code], "reference": phone.get("reference")}
        if code:
            self.refused[code] += 1
            return answer
        options = says.get("options", {}).get("viber", {})
        sms = Sms(
            sms_id=str(7_000_000 + len(self.taken)),
            reference=phone["reference"],
            msisdn=phone["msisdn"],
            body=says.get("text", ""),
            originator=says.get("alpha_name"),
            taken_at=datetime.now(UTC),
            channel=channel,
            callback_url=says.get("callback_url"),
            alt_route=options.get("alt_route"),
            options={name: value for name, value in options.items() if name != "alt_route"},
        )
        self.taken[sms.reference] = sms
        seen.add(sms.msisdn)
        self._schedule(sms)
        if sms.alt_route is not None and sms.status in ("undeliverable", "expired", "rejected"):
            sms.alt_status = self.alt_outcome(sms)
        return answer | {"id": sms.sms_id, "price": 0.23, "currency": "EUR"}

    def _wrong_phone(self, channel: str, phone: dict[str, Any], seen: set[str]) -> int:
        msisdn, reference = phone.get("msisdn"), phone.get("reference")
        if not isinstance(msisdn, str) or not re.fullmatch(r"[1-9][0-9]{6,14}", msisdn):
            return _BAD_PHONE[channel]
        if reference is None:
            return _NO_REFERENCE[channel]
        if not isinstance(reference, str) or not re.fullmatch(r"[A-Za-z0-9]{1,32}", reference):
            return _BAD_REFERENCE[channel]
        if reference in self.taken:
            return _KNOWN[channel]
        return _TWICE[channel] if msisdn in seen else 0

    def _wrong_words(self, says: dict[str, Any]) -> int:
        if says.get("alpha_name") not in self.viber_senders:
            return 45
        if not isinstance(says.get("text"), str) or not 1 <= len(says["text"]) <= 1000:
            return 46
        if type(says.get("is_promotional")) is not bool:
            return 44
        options = says.get("options", {"viber": {"img": ""}})
        if not isinstance(options, dict) or options.keys() != {"viber"} or not options["viber"]:
            return 49
        viber = options["viber"]
        if not viber.keys() <= {"img", "caption", "action", "alt_route"} or ("caption" in viber) != ("action" in viber):
            return 49
        alt = viber.get("alt_route", {"originator": "x", "text": "x"})
        return 0 if alt.keys() == {"originator", "text"} and all(alt.values()) else 49

    def _wrong_tariff(self, says: dict[str, Any]) -> int:
        return 0 if re.fullmatch(r"[0-9]", str(says.get("tariff", "0"))) else 6

    # --- reporting --------------------------------------------------------------------------------------------------

    def _schedule(self, sms: Sms) -> None:
        how = self.reporting(sms)
        final = self.outcome(sms)
        words = {
            Reporting.PLAIN: ("sent", final),
            Reporting.THRICE: (final,) * 3,
            Reporting.DISORDERED: (final, "sent"),
        }
        sms.status = final
        if self._url_of(sms) is not None and how in words:
            call = asyncio.create_task(self._call(sms, words[how], at_once=how is Reporting.THRICE))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _url_of(self, sms: Sms) -> str | None:
        return self.callback_url if sms.channel == "sms" else sms.callback_url

    async def _report_early(self, answer: dict[str, Any]) -> None:
        result = answer.get("result", [])
        for item in result if isinstance(result, list) else [result]:
            sms = self.taken.get(str(item.get("reference")))
            if sms is not None and item["error"] == 0 and self.reporting(sms) in _BEFORE:
                await self._call_once(sms, sms.status)

    async def _call(self, sms: Sms, words: tuple[str, ...], *, at_once: bool = False) -> None:
        if at_once:
            await asyncio.gather(*(self._call_once(sms, word) for word in words))
            return
        for word in words:
            await self._call_once(sms, word)

    async def _call_once(self, sms: Sms, word: str) -> None:
        """One callback, repeated until it is answered 200: whoever is called may be down."""
        assert self._session is not None
        said = sms.shown() | {"status": word}
        if self.reporting(sms) is Reporting.EARLY_BY_ID:
            del said["reference"]
        while (url := self._url_of(sms)) is not None:
            try:
                async with self._session.post(url, json=said) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)

    async def _status(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-KEY") != self.key:
            return web.json_response({"error": 1, "errorDescription": _ERRORS[1]})
        channel, reference = request.match_info["channel"], request.match_info.get("reference")
        if reference is None:
            sms = next((sms for sms in self.taken.values() if sms.sms_id == request.match_info["id"]), None)
        else:
            sms = self.taken.get(reference)
        self.polls[sms.reference if sms is not None else str(reference)] += 1
        if sms is None or sms.channel != channel:
            code = _NOT_FOUND[channel]
            return web.json_response({"error": code, "errorDescription": _ERRORS[code]})
        shown = sms.shown()
        if sms.alt_status is not None:
            leg = {"channel": "sms", "id": f"1{sms.sms_id}", "status": sms.alt_status, "price": "0.023"}
            shown["alt_route"] = [leg]
        return web.json_response(shown)


async def _json_of(request: web.Request) -> Any:
    """The body, None when it is not JSON, or does not say that it is."""
    if request.content_type != "application/json":
        return None
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:  # else whoever asked was the first
        request.transport.abort()
    return web.Response()
