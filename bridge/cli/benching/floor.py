"""The floor: as little as a relay from SMPP to an HTTP API and back can do with the libraries that the daemon uses.

Run as a program by the bench, in a process of its own; it imports nothing of the bridge but `bridge.smpp`. Each
submit_sm is answered at once and becomes one request of one aiohttp client; each callback on one aiohttp server becomes
one deliver_sm. There is no store, no routing, no retry, no timeout and no check: what is acknowledged here is lost when
the process ends. No bridge that keeps its promises can be as cheap, so it is what a bridge is measured against.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections import deque
from typing import Any, cast

import aiohttp
import msgspec
import uvloop
from aiohttp import web
from yarl import URL

from bridge.smpp.codec import Framer, encode
from bridge.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    SubmitSm,
    SubmitSmResp,
)
from bridge.smpp.receipts import receipt_text, receipt_tlvs

_DELIVERED = 2
_RECEIPT = 4


class _Report(msgspec.Struct):
    reference: str
    status: str


class _Taken(msgspec.Struct):
    error: int
    id: str


class _Answer(msgspec.Struct):
    result: _Taken


_encode_json = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_report = msgspec.json.Decoder(_Report).decode


class _Relayed:
    __slots__ = ("accepted_at", "client", "number", "pdu")

    def __init__(self, client: _Client, pdu: SubmitSm, number: int, accepted_at: float) -> None:
        self.client = client
        self.pdu = pdu
        self.number = number
        self.accepted_at = accepted_at


class Relay:
    """What there is of state: messages to send, and those that a report is awaited for."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._url = URL(f"{base_url}/sms/create")
        # As the daemon's own transport, without what it adds: timeouts, and the rule about what was sent.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"X-API-KEY": api_key, "Content-Type": "application/json", "User-Agent": "smsbridge-floor"},
        )
        self._waiting: deque[_Relayed] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._relayed: dict[str, _Relayed] = {}
        self._number = 0

    def take(self, client: _Client, pdu: SubmitSm, now: float) -> str:
        """The id of a message that is sent as soon as a sender is free."""
        self._number += 1
        self._waiting.append(_Relayed(client, pdu, self._number, now))
        if self._idle:
            self._idle.popleft().set_result(None)
        return str(self._number)

    async def send_forever(self) -> None:
        """One sender: one request at a time."""
        loop = asyncio.get_running_loop()
        session, url, waiting = self._session, self._url, self._waiting
        while True:
            while not waiting:
                sleeper = loop.create_future()
                self._idle.append(sleeper)
                await sleeper
            relayed = waiting.popleft()
            pdu = relayed.pdu
            reference = f"{relayed.number:x}"
            self._relayed[reference] = relayed
            body = {
                "destination": "phone",
                "msisdn": pdu.destination_addr,
                "originator": pdu.source_addr,
                "body": pdu.short_message.decode("ascii"),
                "reference": reference,
                "validity": 48,
                "tariff": "0",
            }
            response = await session.post(url, data=_encode_json(body), allow_redirects=False)
            answer = _decode_answer(await response.read())
            if answer.result.error:
                raise RuntimeError(f"the simulated provider refused a message with error {answer.result.error}")

    async def report(self, request: web.BaseRequest) -> web.StreamResponse:
        """One callback, one deliver_sm."""
        report = _decode_report(await request.read())
        relayed = self._relayed.pop(report.reference)
        relayed.client.deliver(relayed)
        return web.Response(body=b"ok")

    async def close(self) -> None:
        """Closes the connections to the provider."""
        await self._session.close()


class _Client(asyncio.Protocol):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._sequence = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        now = time.time()
        answers = []
        self._framer.feed(data)
        for pdu in self._framer:
            if isinstance(pdu, SubmitSm):
                message_id = self._relay.take(self, pdu, now)
                answers.append(encode(SubmitSmResp(sequence=pdu.sequence, message_id=message_id)))
            elif isinstance(pdu, BindTransceiver):
                answers.append(encode(BindTransceiverResp(sequence=pdu.sequence, system_id="floor")))
            elif isinstance(pdu, EnquireLink):
                answers.append(encode(EnquireLinkResp(sequence=pdu.sequence)))
        if answers:
            self._transport.write(b"".join(answers))

    def deliver(self, relayed: _Relayed) -> None:
        assert self._transport is not None
        pdu = relayed.pdu
        message_id = str(relayed.number)
        text = receipt_text(
            message_id,
            _DELIVERED,
            submitted_at=relayed.accepted_at,
            done_at=time.time(),
            text=pdu.short_message[:20].decode("ascii"),
        )
        self._sequence += 1
        receipt = DeliverSm(
            sequence=self._sequence,
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr,
            dest_addr_ton=pdu.source_addr_ton,
            dest_addr_npi=pdu.source_addr_npi,
            destination_addr=pdu.source_addr,
            esm_class=_RECEIPT,
            short_message=text.encode("ascii"),
            tlvs=receipt_tlvs(message_id, _DELIVERED),
        )
        self._transport.write(encode(receipt))


class _Callbacks(web.Server):
    def __call__(self) -> web.RequestHandler:
        unlogged: Any = None
        return web.RequestHandler(self, loop=asyncio.get_running_loop(), access_log=unlogged, auto_decompress=False)


async def serve(smpp_port: int, http_port: int, base_url: str, api_key: str, concurrency: int) -> None:
    """Relays until SIGTERM; prints `ready` when both addresses are open. A sender that fails ends the program."""
    loop = asyncio.get_running_loop()
    relay = Relay(base_url, api_key)
    runner = web.ServerRunner(_Callbacks(relay.report))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port, backlog=1024).start()
    server = await loop.create_server(lambda: _Client(relay), "127.0.0.1", smpp_port)
    stop = loop.create_task(asyncio.Event().wait())
    loop.add_signal_handler(signal.SIGTERM, stop.cancel)
    senders = [loop.create_task(relay.send_forever()) for _ in range(concurrency)]
    print("ready", flush=True)
    done, _ = await asyncio.wait([stop, *senders], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)
    await relay.close()
    await runner.cleanup()
    for task in done - {stop}:
        task.result()


def main() -> None:
    """The program: `floor.py SMPP_PORT HTTP_PORT BASE_URL API_KEY CONCURRENCY`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("smpp_port", type=int)
    parser.add_argument("http_port", type=int)
    parser.add_argument("base_url")
    parser.add_argument("api_key")
    parser.add_argument("concurrency", type=int)
    arguments = parser.parse_args()
    uvloop.run(serve(**vars(arguments)))


if __name__ == "__main__":
    main()
