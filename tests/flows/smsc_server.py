"""SMS Center as strict as its documents: send, status, inbox, balance, deferred tasks, and the handler it calls.

It knows what it was sent as (id, phone), sends the same id again when it is asked to, refuses the same request twice in
a minute and a second list of statuses in a minute (error 9), and believes nothing it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

_WHO = {"apikey", "login", "psw", "fmt", "charset"}
_KINDS = {"flash", "hlr", "ping", "mms", "mail", "soc", "viber", "whatsapp", "tg", "call"}
_SEND = _WHO | _KINDS | {
    *("phones", "mes", "list", "id", "sender", "valid", "time", "tz", "translit", "bin", "op", "err", "cost", "test"),
    *("voice", "subj", "nl", "maxsms"),
}  # fmt: skip
_WORDS = {
    1: "parameters error",
    2: "authorise error",
    3: "insufficient funds",
    6: "message is denied",
    7: "invalid number",
    9: "duplicate request, wait a minute",
}
Fields = dict[str, str]


@dataclass
class Sms:
    """A message that was taken."""

    number: int
    phone: str
    text: str
    fields: Fields
    status: int = 0
    err: int = 0

    def shown(self) -> dict[str, object]:
        at = int(time.time())
        return {
            "status": self.status,
            "last_date": time.strftime("%d.%m.%Y %H:%M:%S", time.gmtime(at)),
            "last_timestamp": at,
            "flag": 0,
            "err": self.err,
            "id": self.number,
            "phone": self.phone,
        }


@dataclass
class SmscServer:
    """The server; `taken` is what it accepted, in order."""

    api_key: str = "the-key"
    callback_url: str | None = None
    secret: str = "the-secret"
    outcome: Callable[[Sms], tuple[int, int]] = lambda sms: (1, 0)  # status and err
    wrong: Callable[[str], bool] = lambda phone: False  # numbers that do not exist
    silent: Callable[[int], bool] = lambda number: False  # the n-th send is taken, and not answered
    minute_s: float = 60.0  # how long one of theirs lasts
    taken: list[Sms] = field(default_factory=list)
    answers: list[dict[str, object]] = field(default_factory=list)  # the inbox
    tasks: list[dict[str, object]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)  # by page
    sends: int = 0
    port: int = 0
    _seen: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> SmscServer:
        application = web.Application()
        for page in ("send", "status", "get", "balance", "downloads"):
            application.router.add_post(f"/sys/{page}.php", self._handler(page))
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
        return f"http://127.0.0.1:{self.port}/sys"

    # --- pages ------------------------------------------------------------------------------------------------------

    def _handler(self, page: str) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked[page] += 1
            body = (await request.read()).decode("ascii")
            pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
            fields = dict(pairs)
            if len(fields) != len(pairs) or request.content_type != "application/x-www-form-urlencoded":
                return self._error(1)
            if fields.get("apikey") != self.api_key or {"login", "psw"} & fields.keys():
                return self._error(2)
            if (fields.get("fmt"), fields.get("charset")) != ("3", "utf-8"):
                return self._error(1)  # the test could not read what comes back
            if page != "status" and self._too_often(page, body, {"send": 1, "balance": 10}.get(page, 3)):
                return self._error(9)
            made: web.StreamResponse = await getattr(self, f"_{page}")(request, fields)
            return made

        return answer

    def _error(self, code: int) -> web.Response:
        self.refused[code] += 1
        return web.json_response({"error": _WORDS.get(code, "error"), "error_code": code})

    def _too_often(self, page: str, body: str, limit: int) -> bool:
        now = time.monotonic()
        times = [at for at in self._seen.get((page, body), []) if now - at < self.minute_s]
        self._seen[page, body] = [*times, now]
        return len(times) >= limit

    async def _send(self, request: web.Request, fields: Fields) -> web.StreamResponse:
        number, self.sends = self.sends, self.sends + 1
        code = self._wrong(fields)
        if code:
            return self._error(code)
        pairs = _pairs(fields)
        if fields.get("cost") == "1":
            return web.json_response({"cost": f"{len(pairs) * 0.05:.2f}", "cnt": len(pairs)})
        phones = []
        for phone, text in pairs:
            if self.wrong(phone) or not re.fullmatch(r"\+?[1-9][0-9]{9,14}|[^@\s]+@[^@\s]+", phone):
                phones.append({"phone": phone.removeprefix("+"), "status": "22", "error": "249"})
                continue
            sms = Sms(int(fields["id"]), phone.removeprefix("+"), text, fields)
            sms.status, sms.err = self.outcome(sms)
            self.taken.append(sms)
            phones.append({"phone": sms.phone, "mccmnc": "25501", "cost": "0.05"})
            if self.callback_url is not None:
                self._later(self._report(sms))
        if self.silent(number):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        answer: dict[str, object] = {"id": int(fields["id"]), "cnt": len(self.taken)}
        return web.json_response(answer | ({"phones": phones} if fields.get("op") == "1" else {}))

    def _wrong(self, fields: Fields) -> int:
        """The error of a send as a whole."""
        if not fields.keys() <= _SEND or ("phones" in fields) == ("list" in fields) or len(_KINDS & fields.keys()) > 1:
            return 1
        if not re.fullmatch(r"[1-9][0-9]{0,9}", fields.get("id", "")) or int(fields["id"]) > 2147483647:
            return 1
        if not re.fullmatch(r"(0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]|24:00|[1-9]|1[0-9]|2[0-4]", fields.get("valid", "")):
            return 1
        if "phones" in fields and "mes" not in fields and not {"hlr", "ping"} & fields.keys():
            return 1
        if len(fields.get("mes", "")) > 1000 or any(len(text) > 1000 for _, text in _pairs(fields)):
            return 1
        if not re.fullmatch(r"[A-Za-z0-9 ._-]{1,11}|[0-9]{1,15}|[^@\s]+@[^@\s]+", fields.get("sender", "SMSC")):
            return 6
        return 0

    async def _status(self, request: web.Request, fields: Fields) -> web.StreamResponse:
        ids, phones = fields.get("id", "").split(","), fields.get("phone", "").split(",")
        if len(ids) != len(phones) or not all(each.isdigit() for each in ids if each):
            return self._error(1)
        if len(ids) > 1 and self._too_often("status", "list", 1):
            return self._error(9)
        known = {(str(sms.number), sms.phone): sms for sms in self.taken}
        found = []
        for number, phone in zip(ids, phones, strict=True):
            if number:
                sms = known.get((number, phone))
                found.append(sms.shown() if sms else {"status": -3, "err": 0, "id": int(number), "phone": phone})
        return web.json_response(found if len(ids) > 1 else found[0])

    async def _get(self, request: web.Request, fields: Fields) -> web.StreamResponse:
        if fields.get("get_answers") != "1" or not 1 <= int(fields.get("hour", "24")) <= 168:
            return self._error(1)
        return web.json_response(self.answers[: int(fields.get("cnt", "100"))])

    async def _balance(self, request: web.Request, fields: Fields) -> web.StreamResponse:
        return web.json_response({"balance": "83.60", **({"currency": "EUR"} if fields.get("cur") == "1" else {})})

    async def _downloads(self, request: web.Request, fields: Fields) -> web.StreamResponse:
        if fields.get("get_list") == "1":
            return web.json_response(self.tasks)
        if fields.get("get_file") != "1":
            return self._error(1)
        file = self.files.get(fields.get("id", ""))
        return self._error(3) if file is None else web.Response(body=file, content_type="text/csv")

    # --- the handler ------------------------------------------------------------------------------------------------

    def _later(self, call: Any) -> None:
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _report(self, sms: Sms) -> None:
        for status in dict.fromkeys((0, sms.status)):
            said = {"id": str(sms.number), "phone": sms.phone, "status": str(status), "ts": str(int(time.time()))}
            said |= {"err": str(sms.err if status else 0)}
            await self.call(said | {"md5": self._hash(said, "id", "phone", "status")})

    async def inbound(self, phone: str, text: str, to: str, number: str) -> int:
        """Brings an inbound message; the status that it was answered with."""
        said = {"id": number, "phone": phone, "mes": text, "to": to, "sent": str(int(time.time()))}
        return await self.call(said | {"sha1": self._hash(said, "phone", "mes", "to", name="sha1")})

    def _hash(self, said: Fields, *names: str, name: str = "md5") -> str:
        words = ":".join([*(said[each] for each in names), self.secret]).encode()
        return hashlib.new(name, words, usedforsecurity=False).hexdigest()

    async def call(self, said: Fields) -> int:
        """One call of the handler."""
        assert self._session is not None
        assert self.callback_url is not None
        async with self._session.post(self.callback_url, data=said) as response:
            return response.status


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    """Number and text of each message."""
    if "list" in fields:
        lines = [line.partition(":") for line in fields["list"].split("\n")]
        return [(phone, text) for phones, _, text in lines for phone in phones.split(",")]
    return [(phone, fields.get("mes", "")) for phone in fields["phones"].split(",")]
