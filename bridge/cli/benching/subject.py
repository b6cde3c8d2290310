"""What is measured: the daemon or the floor, each in a process of its own, and what the kernel says it used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

HOST = "127.0.0.1"
API_KEY = "bench-key"
SYSTEM_ID = "bench"
PASSWORD = "bench"  # noqa: S105 - of a daemon that lives for a minute on the loopback interface
_TOKEN = "bench-token"  # noqa: S105 - likewise
_READY_S = 60.0
_STOP_S = 60.0
_END_S = 2.0
_REST_EVERY_S = 0.1
_REST_AT_MOST_S = 5.0
_LOG_LINES = 20
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# By its path, not as a module: so the process holds what a relay needs and nothing of the bench.
_FLOOR = Path(__file__).with_name("floor.py")
_DAEMON = "from bridge.cli import main; main()"


class BenchError(Exception):
    """The bench cannot go on; the text says why, with the end of the log of the process that is at fault."""


class Subject:
    """A process with an SMPP and an HTTP address on the loopback interface."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        """`arguments` go to this Python; it is to print `ready`. What it says on stderr goes to `log`."""
        self._arguments = arguments
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and waits until it is ready. Raises BenchError."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", *self._arguments, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _READY_S)
        except TimeoutError:
            line = b""
        if line.strip() != b"ready":
            await self.kill()
            raise BenchError(self._told("did not become ready"))

    async def stop(self) -> None:
        """Asks it to end, and kills it when that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Ends it at once."""
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    def check(self) -> None:
        """Raises BenchError when the process has ended."""
        if self._process is None or self._process.returncode is not None:
            raise BenchError(self._told("ended while it was measured"))

    async def check_soon(self) -> None:
        """Raises BenchError when the process ends now, as one does whose connections were just closed."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_S)
        self.check()

    # --- what it used -----------------------------------------------------------------------------------------------

    def cpu_s(self) -> float:
        """User and system seconds of all its threads so far, to 10 ms."""
        # After the name, which may hold anything: state is field 3, utime and stime are 14 and 15 (proc(5)).
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    def memory_bytes(self) -> int:
        """What it holds now (VmRSS)."""
        return self._status("VmRSS")

    def peak_memory_bytes(self) -> int:
        """The most it ever held (VmHWM)."""
        return self._status("VmHWM")

    async def rest(self) -> float:
        """Waits until it uses no more CPU, so that what it put off is counted; gives `cpu_s` then."""
        used = self.cpu_s()
        for _ in range(int(_REST_AT_MOST_S / _REST_EVERY_S)):
            await asyncio.sleep(_REST_EVERY_S)
            before, used = used, self.cpu_s()
            if used == before:
                break
        return used

    def _status(self, field: str) -> int:
        for line in self._proc("status").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise BenchError(f"the kernel does not tell {field} of a process")

    def _proc(self, name: str) -> str:
        self.check()
        assert self._process is not None
        try:
            return Path(f"/proc/{self._process.pid}/{name}").read_text()
        except OSError:
            if Path("/proc/self").exists():  # it has ended, and nobody has told us yet
                raise BenchError(self._told("ended while it was measured")) from None
            raise BenchError("the bench reads what a process used from /proc, which is not there") from None

    def _told(self, what: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([f"{self._log.stem} {what}", *lines])


class Ports(NamedTuple):
    """Where a subject is to listen."""

    smpp: int
    http: int

    @classmethod
    def free(cls) -> Ports:
        """Two that nobody uses now."""
        with socket.socket() as one, socket.socket() as other:
            one.bind((HOST, 0))
            other.bind((HOST, 0))
            return cls(one.getsockname()[1], other.getsockname()[1])

    @property
    def callback_url(self) -> str:
        """What the provider calls back; the floor takes any path."""
        return f"http://{HOST}:{self.http}/callbacks/bsg/{_TOKEN}"


def floor(folder: Path, ports: Ports, base_url: str, concurrency: int) -> Subject:
    """The bare relay, with `concurrency` requests at once."""
    arguments = [str(_FLOOR), str(ports.smpp), str(ports.http), base_url, API_KEY, str(concurrency)]
    return Subject(arguments, folder / "floor.log")


def daemon(
    folder: Path, ports: Ports, base_url: str, concurrency: int, *, batch: int, window: int, binds: int
) -> Subject:
    """`smsbridge run` with a store in `folder`, one account and one provider, and no limits on the way."""
    account = {"system_id": SYSTEM_ID, "password": PASSWORD, "max_binds": binds, "window": window}
    provider = {
        "type": "bsg",
        "base_url": base_url,
        "api_key": API_KEY,
        "callback_token": _TOKEN,
        "concurrency": concurrency,
        "batch": batch,
        "poll": "1h",  # the reports come by callback; asking for them is not measured
    }
    config = {
        "store": f"sqlite:{folder / 'bridge.db'}",
        "public_url": f"http://{HOST}:{ports.http}",
        "listeners": {
            "smpp": [{"listen": f"{HOST}:{ports.smpp}"}],
            "http": [{"listen": f"{HOST}:{ports.http}"}],
        },
        "accounts": {"bench": {"smpp": account}},
        "providers": {"bsg": provider},
        "routes": [{"send": ["bsg"]}],
    }
    path = folder / "bridge.yaml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return Subject(["-c", _DAEMON, "run", "--config", str(path)], folder / "daemon.log")
