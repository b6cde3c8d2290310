"""What idle binds cost in memory, and how many submits a second one bind brings to disk.

Run by hand: `python tests/bench/bench_binds.py [binds] [messages]`. It asserts nothing: figures belong to a machine.
The daemon is a process of its own with its store in a temporary folder (`TMPDIR` says where: it should be on a disk).
What it takes waits for a provider that is never there, so that only the way in is measured.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

WINDOW = 100
CONFIG = """
store: sqlite:{folder}/bridge.db
listeners:
  smpp:
    - {{listen: "127.0.0.1:0", max_connections: 5000}}
    - {{listen: "127.0.0.1:0", max_connections: 5000, tls: {{certificate: {folder}/cert.pem, key: {folder}/key.pem}}}}
accounts:
  acme:
    smpp: {{system_id: acme, password: secret, max_binds: 20000, window: {window}}}
providers:
  nobody: {{type: bsg, base_url: "http://127.0.0.1:9", api_key: x}}
routes:
  - send: [nobody]
log: {{level: warning}}
"""


def pdu(command: int, body: bytes, sequence: int) -> bytes:
    """A PDU."""
    return struct.pack(">IIII", 16 + len(body), command, 0, sequence) + body


BIND = pdu(9, b"acme\0secret\0\0\x34\0\0\0", 1)
SUBMIT = (
    b"\0\x05\x00ACME\0\x01\x01447700900001\0\0\0\0\0\0\x01\0\0\0\x3c"
    b"Your verification code is 482913. It expires in ten minutes."
)


class Client(asyncio.Protocol):
    """A bind that answers enquire_link, and counts the answers to its submits."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.bound, self.done = loop.create_future(), loop.create_future()
        self._rest = b""
        self._left = self._unsent = 0
        self._sequence = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Binds."""
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport
        self._transport.write(BIND)

    def data_received(self, data: bytes) -> None:
        """Counts, and keeps the window full."""
        data = self._rest + data
        at = answered = 0
        while len(data) - at >= 16:
            length, command, status, sequence = struct.unpack_from(">IIII", data, at)
            if len(data) - at < length:
                break
            at += length
            if command == 0x80000009:
                self.bound.set_result(status)
            elif command == 0x80000004:
                assert status == 0, hex(status)
                answered += 1
            elif command == 0x15:
                self._transport.write(pdu(0x80000015, b"", sequence))
        self._rest = data[at:]
        if answered:
            self._left -= answered
            self.submit(min(answered, self._unsent))
            if not self._left:
                self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It ended before it was due."""
        for future in (self.bound, self.done):
            if not future.done():
                future.cancel()

    async def send(self, count: int) -> None:
        """Submits so many, and waits for all answers."""
        self._left = self._unsent = count
        self.submit(min(WINDOW, count))
        await self.done

    def submit(self, count: int) -> None:
        """Sends so many."""
        first, self._sequence = self._sequence + 1, self._sequence + count
        self._unsent -= count
        self._transport.write(b"".join(pdu(4, SUBMIT, number) for number in range(first, first + count)))

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


def megabytes(pid: int) -> float:
    """What a process holds in memory and shares with nobody."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) / 1024


async def idle(port: int, pid: int, number: int, tls: ssl.SSLContext | None) -> None:
    """Binds so many, and tells what they cost."""
    loop = asyncio.get_running_loop()
    before = megabytes(pid)
    clients, begun = [], time.perf_counter()
    for _ in range(number):
        _, client = await loop.create_connection(
            Client, "127.0.0.1", port, ssl=tls, server_hostname=None if tls is None else "localhost"
        )
        clients.append(client)
        assert await client.bound == 0
    bound_s = time.perf_counter() - begun
    await asyncio.sleep(2)
    cost = megabytes(pid) - before
    kind = "TLS" if tls else "plain"
    print(f"{number} idle binds, {kind}: {cost:.1f} MB above {before:.1f} MB, {cost / number * 1024:.1f} KB each; "
          f"{number / bound_s:.0f} binds a second")  # fmt: skip
    for client in clients:
        client.close()
    await asyncio.sleep(2)


async def submits(port: int, count: int) -> None:
    """Submits over one bind, and tells how fast they were acknowledged, which is when they are on disk."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    assert await client.bound == 0
    begun = time.perf_counter()
    await client.send(count)
    print(f"one bind, window {WINDOW}: {count / (time.perf_counter() - begun):.0f} submits a second, durable")
    client.close()


async def measure(number: int, count: int) -> None:
    """Everything, with a daemon of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        files = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=DNS:localhost"]
        command = ["openssl", "req", "-x509", *options.split(), *files]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: ASYNC221
        config = folder / "bridge.yaml"
        config.write_text(CONFIG.format(folder=folder, window=WINDOW))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from bridge.cli import main; main()",
            "run",
            "-c",
            str(config),
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            plain, tls = ports_of(process.pid)
            trusting = ssl.create_default_context(cafile=str(folder / "cert.pem"))
            await idle(plain, process.pid, number, None)
            await idle(tls, process.pid, number, trusting)
            await submits(plain, count)
            await submits(plain, count)
        finally:
            process.terminate()
            await process.wait()


def ports_of(pid: int) -> list[int]:
    """The TCP ports that a process listens on, in the order of its configuration."""
    sockets = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if "socket" in str(link.readlink())}
    found = []
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
            found.append((int(words[9]), int(words[1].rpartition(":")[2], 16)))
    return [port for _, port in sorted(found)]


if __name__ == "__main__":
    uvloop.run(measure(*(int(word) for word in (sys.argv[1:] + ["1000", "40000"][len(sys.argv) - 1 :])[:2])))
