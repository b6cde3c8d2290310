from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.listeners.smtp.commands import Rejected
from bridge.listeners.smtp.data import Endless, read_data


def stuffed(mail: bytes) -> bytes:
    return (
        b"".join(b"." + line if line.startswith(b".") else line for line in mail.splitlines(keepends=True)) + b".\r\n"
    )


def read(octets: bytes, *, limit: int = 1000, buffer: int = 64, rest: bytes = b"") -> bytes:
    async def feed() -> bytes:
        reader = asyncio.StreamReader(limit=buffer)
        reader.feed_data(octets + rest)
        reader.feed_eof()
        mail = await read_data(reader, limit, lambda: None)
        assert await reader.read() == rest
        return bytes(mail)

    return asyncio.run(feed())


@given(st.lists(st.binary(max_size=150).map(lambda line: line.translate(None, b"\r\n") + b"\r\n"), max_size=5))
def test_what_was_stuffed_comes_out_again_whatever_the_buffer_holds(lines: list[bytes]) -> None:
    mail = b"".join(lines)
    assert read(stuffed(mail), rest=b"QUIT\r\n.\r\n") == mail


@pytest.mark.parametrize("bare", [b"\n", b"\r", b"\n.\n", b"\r.\r\n"])
def test_bare_ends_of_line_refuse_the_mail_after_its_end(bare: bytes) -> None:
    with pytest.raises(Rejected, match=r"^550 5\.6\.11 "):
        read(b"a" + bare + b"b\r\n.\r\n", rest=b"QUIT\r\n")


def test_limit_counts_every_octet() -> None:
    assert len(read(b"x" * 98 + b"\r\n.\r\n", limit=100)) == 100
    with pytest.raises(Rejected, match=r"^552 5\.3\.4 ") as caught:
        read(b"x" * 99 + b"\r\n.\r\n", limit=100)
    assert not isinstance(caught.value, Endless)


@pytest.mark.parametrize("piece", [b"x", b"\r\n", b"\n", b"x" * 70 + b"\r\n"])
def test_twice_the_limit_ends_the_reading(piece: bytes) -> None:
    with pytest.raises(Endless, match=r"^552 5\.3\.4 "):
        read(piece * (500 // len(piece)), limit=100)


def test_loss_in_the_middle() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(b"half\r\na mail")


async def test_progress_is_told_at_once() -> None:
    told: list[int] = []
    reader = asyncio.StreamReader()
    reading = asyncio.create_task(read_data(reader, 100, lambda: told.append(1)))
    await asyncio.sleep(0)
    assert told == [1]
    reader.feed_data(b".\r\n")
    assert await reading == b""
