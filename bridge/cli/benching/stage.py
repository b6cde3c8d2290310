"""Everything that takes part in one scenario, on its own store: opened, used, closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from bridge.cli.benching import subject as subjects
from bridge.cli.benching.callbacks import Callbacks
from bridge.cli.benching.client import Load
from bridge.cli.benching.provider import SimulatedProvider
from bridge.cli.benching.subject import Ports, Subject
from bridge.cli.benching.tally import Tally

# (what is done now, how many messages have come through, of how many)
Progress = Callable[[str, int, int], None]

_LOOK_EVERY_S = 0.05
_MIB = 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose."""

    messages: int
    backlog: int
    binds: int
    window: int
    concurrency: int
    rate: float | None  # messages a second; None: as many as the subject takes
    report_delay_s: float  # of the scenario `batch`
    directory: str


class Usage(msgspec.Struct, frozen=True):
    """What a part of the load took."""

    cpu_s: float  # of the subject
    load_cpu_s: float  # of the client and the simulated provider
    elapsed_s: float
    memory_mb: float  # of the subject, at its peak since it started


class Stage:
    """A client, a subject and a simulated provider; as a context manager."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        messages: int,
        progress: Progress,
        *,
        batch: int,
        receiving: bool = True,
    ) -> None:
        """`batch`: messages a request of the daemon may hold; 0: the floor instead of the daemon.

        `receiving`: whether the client binds so that it gets receipts; it may do so later (`receive`).
        """
        ports = Ports.free()
        self._settings = settings
        self._folder = folder
        self._ports = ports
        self._batch = batch
        self._progress = progress
        self._receiving = receiving
        self._subject: Subject | None = None
        self.tally = Tally(messages)
        self.load = Load(self.tally, window=settings.window, rate=settings.rate)
        self.callbacks = Callbacks(ports.callback_url)
        self.provider = SimulatedProvider(self.tally, self.callbacks)

    async def __aenter__(self) -> Stage:
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def subject(self) -> Subject:
        """What is measured; there is one while the stage is open."""
        assert self._subject is not None
        return self._subject

    async def use(self, part: range, what: str, *, on_the_way: int, until: Literal["accepted", "reported"],
                  stalled_s: float) -> Usage:  # fmt: skip
        """Submits the messages of `part` and waits until they all were `until`; gives what that took.

        Whatever has not come after `stalled_s` without any change is given up. Raises BenchError, LoadError.
        """
        begun = self.begin()
        self.load.submit(part, on_the_way=on_the_way)
        await self.follow(what, until, getattr(self.tally, until), len(part), stalled_s)
        return await self.end(begun)

    async def follow(
        self, what: str, until: Literal["accepted", "reported"], before: int, count: int, stalled_s: float
    ) -> None:
        """Waits until `count` more messages than `before` were `until`, or refused, or nothing moves any more."""
        tally = self.tally
        refused = tally.refused
        changes, changed_at = tally.changes, time.monotonic()
        while (done := getattr(tally, until) - before + tally.refused - refused) < count:
            self.subject.check()
            if self.load.error is not None:
                await self.subject.check_soon()
                raise self.load.error
            now = time.monotonic()
            if tally.changes != changes:
                changes, changed_at = tally.changes, now
            elif now - changed_at > stalled_s:
                break
            self._progress(what, done, count)
            await asyncio.sleep(_LOOK_EVERY_S)
        self._progress(what, count, count)

    async def receive(self, rate: float | None) -> None:
        """The client binds anew, so that it gets receipts; `rate`: messages a second that it submits from then on."""
        self.load.stop()
        self.load = Load(self.tally, window=self._settings.window, rate=rate)
        await self._bind(True)

    def begin(self) -> Usage:
        """Where the meters stand."""
        return self._meters(self.subject.cpu_s(), time.process_time(), time.monotonic())

    async def end(self, begun: Usage) -> Usage:
        """What was used since `begun`; CPU until the subject rests, the elapsed time until now."""
        load_cpu_s, at = time.process_time(), time.monotonic()
        now = self._meters(await self.subject.rest(), load_cpu_s, at)
        return Usage(
            cpu_s=now.cpu_s - begun.cpu_s,
            load_cpu_s=now.load_cpu_s - begun.load_cpu_s,
            elapsed_s=now.elapsed_s - begun.elapsed_s,
            memory_mb=now.memory_mb,
        )

    def _meters(self, cpu_s: float, load_cpu_s: float, at: float) -> Usage:
        return Usage(cpu_s, load_cpu_s, at, self.subject.peak_memory_bytes() / _MIB)

    async def _open(self) -> None:
        settings, folder, ports = self._settings, self._folder, self._ports
        base_url = await self.provider.start()
        if self._batch:
            self._subject = subjects.daemon(
                folder,
                ports,
                base_url,
                settings.concurrency,
                batch=self._batch,
                window=settings.window,
                binds=settings.binds,
            )
        else:
            self._subject = subjects.floor(folder, ports, base_url, settings.concurrency)
        await self._subject.start()
        await self._bind(self._receiving)

    async def _bind(self, receiving: bool) -> None:
        await self.load.bind(
            subjects.HOST,
            self._ports.smpp,
            subjects.SYSTEM_ID,
            subjects.PASSWORD,
            self._settings.binds,
            receiving=receiving,
        )

    async def _close(self) -> None:
        self.load.stop()
        if self._subject is not None:
            await self._subject.stop()
        self.callbacks.stop()
        await self.provider.stop()
