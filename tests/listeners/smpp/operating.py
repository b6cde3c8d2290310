"""A whole bridge whose provider answers when it may, and a client of it that asks about its messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from listeners.smpp.esme import Esme
from listeners.smpp.requests import QUERY_SM, queried, query_body
from unit.bridges import SMPP, Bsg, Start, config_of

from bridge.app import App
from bridge.message import State
from bridge.store import Record

NUMBER = "380501234567"
OTHER = "380671234567"
LISTS = {"staff": ["+380501111111", "380502222222"]}
INVALID_ID, QUERY_FAILED, CANCEL_FAILED, REPLACE_FAILED = 0x0C, 0x67, 0x11, 0x13
VIRTUAL = {"type": "virtual", "poll": "20ms"}
Operate = Callable[..., Awaitable[tuple[App, Esme]]]


@asynccontextmanager
async def operating(start: Start, bsg: Bsg, path: Path) -> AsyncIterator[Operate]:
    """A bridge whose provider holds back its answer, one request at a time, and a client bound to it."""
    clients: list[Esme] = []

    async def operate(*, version: int = 0x34, provider: dict[str, Any] | None = None, **smpp: Any) -> tuple[App, Esme]:
        account = {"smpp": SMPP | {"lists": LISTS, **smpp}}
        other = {"smpp": {"system_id": "other", "password": "secret"}}
        app = await start(
            config_of(
                path,
                accounts={"acme": account, "other": other},
                providers={"p": provider or bsg.settings},
                routes=[{"send": ["p"]}],
            )
        )
        clients.append(await Esme.bound(app.smpp[0].port, version=version))
        return app, clients[-1]

    yield operate
    for client in clients:
        await client.abort()


async def query(client: Esme, message_id: str) -> tuple[str, str, int, int]:
    return queried(await client.ask(QUERY_SM, query_body(message_id)))


async def submitted(client: Esme, to: str = NUMBER, text: bytes = b"hello", **fields: Any) -> str:
    answer = await client.submit(to, text, **fields)
    assert answer.status == 0
    return answer.message_id


async def busy(client: Esme, bsg: Bsg) -> str:
    """A message that is being sent, so that others wait behind it."""
    message_id = await submitted(client, "380509999999")
    await bsg.arrived.wait()
    return message_id


async def until_sent(app: App, *message_ids: str) -> None:
    """Waits until messages are no longer ours alone."""
    async with asyncio.timeout(10):
        for message_id in message_ids:
            while (await record_of(app, message_id)).state is State.ACCEPTED:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)


async def record_of(app: App, message_id: str) -> Record:
    record = await app.store.find(int(message_id))
    assert record is not None
    return record
