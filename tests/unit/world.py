"""What stands around the loops under test: a real store, a real provider API on a free port, and a clock to set."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from bridge.message import (
    Accepted,
    Inbound,
    Message,
    Outcome,
    Plan,
    Reason,
    Refused,
    Report,
    ReportOn,
    Retry,
    Unsure,
)
from bridge.message import State as MessageState
from bridge.providers import BadCallback
from bridge.providers._contract import (
    Attempt,
    Callback,
    Capabilities,
    Heard,
    Provider,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    shared_outcome,
)
from bridge.reports.correlate import decide
from bridge.store import Entry, Record, Recorded, Settlement, Stage
from bridge.store.sqlite import SqliteStore

REFERENCES = References("0123456789ab")
WAIT_S = 10.0  # for what must happen; a failing test is the only one that waits so long


class Clock:
    """The time of day, which runs, and can be set."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_s


class Store(SqliteStore):
    """The real store, and an event for each settlement that is on disk."""

    def __init__(self, path: Path, now: float) -> None:
        super().__init__(path, now, decide)
        self.settled: list[Settlement] = []
        self._changed = asyncio.Event()

    def settle(self, settlements: Sequence[Settlement]) -> asyncio.Future[Recorded]:
        done = super().settle(settlements)

        def note(future: asyncio.Future[Recorded]) -> None:
            if future.exception() is None:
                self.settled += settlements
                self._changed.set()

        done.add_done_callback(note)
        return done

    async def until_settled(self, count: int) -> list[Settlement]:
        """The settlements, once there are so many."""
        await self._until(lambda: len(self.settled) >= count)
        return self.settled

    async def until_done(self, *message_ids: int) -> None:
        """Waits until these messages are with a provider or final."""
        await self._until(
            lambda: {done.message_id for done in self.settled if done.stage >= Stage.SENT}.issuperset(message_ids)
        )

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def record_of(self, message_id: int) -> Record:
        record = await self.find(message_id)
        assert record is not None
        return record


@asynccontextmanager
async def store_at(path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Store]:
    store = Store(path / "bridge.db", clock())
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While somebody else's transaction holds the database, the store cannot write."""
    connection = sqlite3.connect(path / "bridge.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def until(condition: Callable[[], object], every_s: float = 0.002) -> None:
    """For what has no event of its own."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(every_s)


def message_of(message_id: int, destination: str | None = None, **keys: Any) -> Message:
    now = keys.pop("now", time.time())
    values: dict[str, Any] = {
        "message_id": message_id,
        "account": "acme",
        "listener": "smpp",
        "destination": destination or f"38050{message_id:07d}",
        "source": "Shop",
        "text": "hello",
        "accepted_at": now,
        "expires_at": now + 3600,
        "report_on": ReportOn.FINAL,
    }
    return Message(**values | keys)


def queued_entry(message: Message, *plan: str, next_at: float | None = None) -> Entry:
    """A message that waits on disk."""
    due_at = message.accepted_at if next_at is None else next_at
    return Entry(message=message, plan=Plan(plan), stage=Stage.QUEUED, next_at=due_at)


# --- a provider, and its API ------------------------------------------------------------------------------------------

OUTCOMES: dict[str, Outcome] = {
    "accepted": Accepted(native="accepted"),
    "delivered": Accepted(state=MessageState.DELIVERED, native="delivered"),
    "refused": Refused(reason=Reason.CONTENT_REFUSED, native="refused"),
    "busy": Retry(reason=Reason.PROVIDER_UNREACHABLE, native="busy"),
    "later": Retry(reason=Reason.PROVIDER_REFUSED, native="later"),
    "no_credit": Retry(reason=Reason.NO_CREDIT, pause=True, native="no_credit"),
    "unsure": Unsure(native="unsure"),
}


class PlainSettings(ProviderSettings):
    type: Literal["plain"] = "plain"
    url: str


class Plain(Provider):
    """An API of words: a list of items goes there, a list of words comes back."""

    capabilities = Capabilities(
        batch_size=100, binary=True, poll_reports=True, poll_size=100, push_reports=True, inbound=True
    )

    def build(self, attempts: Sequence[Attempt]) -> Request:
        items = [{"to": a.message.destination, "reference": a.reference, "text": a.message.text} for a in attempts]
        return Request(method="POST", url=f"{self.settings.url}/send", body=json.dumps(items).encode())

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        shared = shared_outcome(response)
        if shared is not None:
            return [shared] * len(attempts)
        return [
            msgspec.structs.replace(OUTCOMES[word], provider_ref=f"ref-{attempt.reference}")
            if word in ("accepted", "delivered")
            else OUTCOMES[word]
            for word, attempt in zip(json.loads(response.body), attempts, strict=True)
        ]

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        body = json.dumps([reference.reference for reference in wanted]).encode()
        return [Request(method="POST", url=f"{self.settings.url}/poll", body=body)]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        return Heard(items=[report_from(item, self.references) for item in json.loads(response.body)])

    def reports(self, callback: Callback) -> Heard:
        try:
            items = json.loads(callback.body)
        except ValueError:
            raise BadCallback("not JSON") from None
        return Heard(
            items=[
                Inbound(**item["inbound"]) if "inbound" in item else report_from(item, self.references)
                for item in items
            ]
        )


def report_from(item: dict[str, str], references: References) -> Report:
    return Report(
        state=MessageState[item["state"].upper()],
        message_id=references.message_id(item.get("reference")),
        provider_ref=item.get("provider_ref"),
        reason=Reason(item["reason"]) if "reason" in item else None,
        native=item["state"],
    )


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


Answer = Callable[[list[dict[str, str]]], "Awaitable[Reply | None]"]


class Api:
    """The provider's side: it keeps what came, and answers as `answer` says (None: it hangs up without a word)."""

    def __init__(self) -> None:
        self.url = ""
        self.batches: list[list[str]] = []  # destinations, in the order they came
        self.times: list[float] = []  # when each item came; loop time
        self.sends: Counter[str] = Counter()  # by destination
        self.polled: list[list[str]] = []
        self.at_once = 0  # requests under way
        self.most_at_once = 0
        self.answer: Answer = accept_all
        self.answer_poll: Answer = report_nothing
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def order(self) -> list[str]:
        return [destination for batch in self.batches for destination in batch]

    async def until(self, count: int) -> None:
        """Waits for so many messages."""
        await self.until_true(lambda: sum(self.sends.values()) >= count)

    async def until_true(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition on what came."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if b"/poll " in head.split(b"\r\n")[0]:
                self.polled.append(body)
                self._changed.set()
                reply = await self.answer_poll([{"reference": reference} for reference in body])
            else:
                self.batches.append([item["to"] for item in body])
                self.times += [asyncio.get_running_loop().time()] * len(body)
                self.sends.update(self.batches[-1])
                self._changed.set()
                reply = await self.answer(body)
        finally:
            self.at_once -= 1
        if reply is None:
            return False
        content = json.dumps(reply.body).encode()
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(f"HTTP/1.1 {reply.status} x\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()
        return True

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def accept_all(items: list[dict[str, str]]) -> Reply:
    return Reply(body=["accepted"] * len(items))


async def report_nothing(items: list[dict[str, str]]) -> Reply:
    return Reply(body=[])


def says(*words: str, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """The same word for every item, one word for each request, the last for all that follow."""
    left = list(words)

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        word = left.pop(0) if len(left) > 1 else left[0]
        if word == "silence":
            return None
        if word.isdigit():
            return Reply(status=int(word), headers=headers or {})
        return Reply(status=status, headers=headers or {}, body=[word] * len(items))

    return answer


@asynccontextmanager
async def api_served() -> AsyncIterator[Api]:
    api = Api()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        await api.stop()
        await server.wait_closed()


def plain(api: Api, name: str = "plain", *, can: dict[str, Any] | None = None, **settings: Any) -> Plain:
    """A provider whose API is `api`; `can`: capabilities that differ."""
    provider = Plain(name, PlainSettings(url=api.url, **settings), REFERENCES)
    if can:
        provider.capabilities = msgspec.structs.replace(Plain.capabilities, **can)  # type: ignore[misc]
    return provider
