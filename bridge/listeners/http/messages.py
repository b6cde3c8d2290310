"""The REST API: `POST /v1/messages`, `GET /v1/messages/{id}`, `GET /v1/messages?client_ref=`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web

from bridge.errors import Refusal
from bridge.listeners.addresses import may_come
from bridge.listeners.http.incoming import Incoming
from bridge.listeners.http.keys import Keys
from bridge.listeners.http.ports import Account, Intake, Records
from bridge.listeners.http.replies import HttpError, json_reply
from bridge.listeners.http.routes import Routes
from bridge.listeners.http.translate import json_from_message, json_from_record, message_from_json
from bridge.message import Reason

_log = structlog.get_logger()
_decode = msgspec.json.Decoder().decode
_MAX_ID = 2**63 - 1  # what a store can hold


class Messages:
    """The endpoints of version 1; each begins with the API key."""

    def __init__(self, keys: Keys, intake: Intake, records: Records, clock: Callable[[], float] = time.time) -> None:
        """`clock`: Unix seconds."""
        self.keys = keys
        self._intake = intake
        self._records = records
        self._clock = clock

    def add_to(self, routes: Routes) -> None:
        """Adds its paths."""
        routes.add("POST", "/v1/messages", self.submit)
        routes.add("GET", "/v1/messages", self.search)
        routes.add("GET", "/v1/messages/", self.show)

    async def submit(self, incoming: Incoming) -> web.Response:
        """Takes one message: 202 once it is on disk (promise 1)."""
        account = await self._account(incoming)
        body = await _json(incoming)
        message = message_from_json(body, account, message_id=self._intake.next_id(), now=self._clock())
        (refusal,), kept = self._intake.accept([message])
        if refusal is not None:
            raise refusal
        if kept is not None:
            # Shielded: the future belongs to everyone in the same commit.
            await asyncio.shield(kept)
        location = {"Location": f"/v1/messages/{message.message_id}"}
        return json_reply(202, json_from_message(message), location)

    async def show(self, incoming: Incoming) -> web.Response:
        """One message; somebody else's is not there."""
        account = await self._account(incoming)
        word = incoming.rest
        message_id = int(word) if word.isascii() and word.isdigit() and len(word) <= 19 else 0
        record = await self._records.find(message_id) if 0 < message_id <= _MAX_ID else None
        if record is None or record.message.account != account.name:
            raise HttpError(404, "There is no such message.")
        return json_reply(200, json_from_record(record))

    async def search(self, incoming: Incoming) -> web.Response:
        """The messages with a `client_ref`, newest first."""
        account = await self._account(incoming)
        client_ref = incoming.query.get("client_ref")
        if not client_ref:
            raise Refusal(Reason.INVALID_REQUEST, "Ask for /v1/messages?client_ref=...", field="client_ref")
        records = await self._records.find_ref(account.name, client_ref)
        return json_reply(200, {"messages": [json_from_record(record) for record in records]})

    async def _account(self, incoming: Incoming) -> Account:
        scheme, _, key = incoming.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise HttpError(
                401,
                "Send your API key: Authorization: Bearer KEY.",
                headers={"WWW-Authenticate": 'Bearer realm="smsbridge"'},
            )
        account = await self.keys.account_of(key.strip(), incoming.remote)
        if account is None:
            _log.warning("http_unauthorized", remote=incoming.remote)
            raise HttpError(
                401,
                "This API key is not known.",
                headers={"WWW-Authenticate": 'Bearer realm="smsbridge", error="invalid_token"'},
            )
        if not may_come(incoming.remote, account.networks):
            _log.warning("http_forbidden", account=account.name, remote=incoming.remote)
            raise HttpError(403, "This account may not call from there.")
        return account


async def _json(incoming: Incoming) -> object:
    """The body as JSON. Raises HttpError 400 or 415, and those of `Incoming.read`."""
    content_type = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HttpError(415, "Send the body as Content-Type: application/json.")
    body = await incoming.read()
    try:
        return _decode(body)
    except UnicodeDecodeError:
        raise HttpError(400, "The body is not UTF-8.") from None
    except RecursionError:
        raise HttpError(400, "The body is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise HttpError(400, f"The body is not JSON: {error}.") from None
