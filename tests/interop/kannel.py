"""Kannel: a bearerbox that binds to a bridge, a smsbox that takes texts over HTTP, and a server that it calls back."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from flows.bridges import until
from flows.sinks import News

_CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = bar
status-password = bar
smsbox-port = {box}
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-level = 1

group = smsc
smsc = smpp
smsc-id = bridge
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = acme
smsc-password = secret
system-type = VMA
interface-version = 34
enquire-link-interval = 2
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-level = 1

group = sendsms-user
username = u
password = p
max-messages = 5
concatenation = true

group = sms-service
keyword = default
get-url = "http://127.0.0.1:{callbacks}/inbound?from=%p&to=%P&coding=%c&text=%b"
catch-all = true
concatenation = true
max-messages = 0
"""


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Kannel:
    """Both boxes, and what they call back with."""

    def __init__(self, bearerbox: str, smsbox: str, folder: Path, smpp: int) -> None:
        self._programs = (bearerbox, smsbox)
        self._folder = folder
        self._admin, self._sendsms, box = _free_ports(3)
        self._ports = {"admin": self._admin, "sendsms": self._sendsms, "box": box, "smpp": smpp}
        self._running: list[asyncio.subprocess.Process] = []
        self._stack = AsyncExitStack()
        self.reports: list[tuple[str, int]] = []  # what it was sent as, and the type of the report
        self.inbound: list[dict[str, str]] = []
        self.news = News()

    async def __aenter__(self) -> Kannel:
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        application = web.Application()
        application.router.add_get("/report", self._report)
        application.router.add_get("/inbound", self._receive)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._callbacks = runner.addresses[0][1]
        path = self._folder / "kannel.conf"
        path.write_text(_CONFIGURATION.format(**self._ports, callbacks=self._callbacks))
        try:
            for program, ready in zip(self._programs, (self.online, self._takes_texts), strict=True):
                log = (self._folder / f"{Path(program).name}.log").open("wb")
                self._stack.callback(log.close)
                started = await asyncio.create_subprocess_exec(program, str(path), stdout=log, stderr=log)
                self._running.append(started)
                await until(ready)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in reversed(self._running):
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
        await self._stack.aclose()

    async def online(self) -> bool:
        """Whether its bearerbox says that it is bound."""
        return "(online " in await self.status()

    async def status(self) -> str:
        """What its bearerbox says of itself."""
        try:
            answer = await self._session.get(f"http://127.0.0.1:{self._admin}/status.txt?password=bar")
            return await answer.text()
        except aiohttp.ClientError:
            return ""

    async def send(self, name: str, to: str, text: str, **fields: str) -> None:
        """Sends a text; every report about it is kept in `reports` under `name`."""
        report = f"http://127.0.0.1:{self._callbacks}/report?type=%d&name={name}"
        query: dict[str, Any] = {"username": "u", "password": "p", "from": "ACME", "to": to, "text": text}
        query |= {"dlr-mask": "31", "dlr-url": report, "charset": "UTF-8", **fields}
        answer = await self._session.get(f"http://127.0.0.1:{self._sendsms}/cgi-bin/sendsms", params=query)
        assert (answer.status, await answer.text()) == (202, "0: Accepted for delivery")

    async def _takes_texts(self) -> bool:
        try:
            answer = await self._session.get(f"http://127.0.0.1:{self._sendsms}/cgi-bin/sendsms")
        except aiohttp.ClientError:
            return False
        return answer.status > 0

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append((request.query["name"], int(request.query["type"])))
        self.news.tell()
        return web.Response()

    async def _receive(self, request: web.Request) -> web.Response:
        fields = dict(parse_qsl(request.rel_url.raw_query_string, encoding="latin-1"))
        alphabet = "utf-16-be" if fields.pop("coding") == "2" else "utf-8"
        self.inbound.append({**fields, "text": fields["text"].encode("latin-1").decode(alphabet)})
        self.news.tell()
        return web.Response()
