"""What follows DATA (RFC 5321 §4.1.1.4): the octets of one mail, in no more memory than it may have.

Only CRLF.CRLF ends a mail, and a bare CR or LF refuses it: a server behind us might see an end there (SMTP smuggling).
A mail that is not kept is read to its end all the same, because only then does the client read the reply (§4.2.5).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bridge.listeners.smtp.commands import Rejected

_PROGRESS_S = 1.0  # between two calls of `progress`: a timer for each line would cost more than the line


class Endless(Rejected):
    """A mail so far over its limit that its end is not waited for; close."""


async def read_data(reader: asyncio.StreamReader, limit: int, progress: Callable[[], None]) -> bytearray:
    """The mail, dots unstuffed; `limit` in octets. `progress` is called at once and while octets come.

    Raises Rejected for a mail that was read and is not kept, Endless at twice the limit, IncompleteReadError.
    """
    mail, size, fault = bytearray(), 0, None
    begins_line = True
    too_large = f"552 5.3.4 A mail has at most {limit} octets"
    progress()
    told_at = time.monotonic()
    while True:
        try:
            piece = await reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as overrun:
            piece = await reader.read(overrun.consumed)
        if begins_line and piece == b".\r\n":
            break
        if time.monotonic() - told_at > _PROGRESS_S:
            progress()
            told_at = time.monotonic()
        size += len(piece)
        if begins_line and piece.startswith(b"."):
            piece = piece[1:]
        begins_line = piece.endswith(b"\r\n")
        content = piece[:-2] if begins_line else piece
        if b"\r" in content or b"\n" in content:
            fault = "550 5.6.11 A bare CR or LF is not part of a mail (RFC 5321 §2.3.8)"
        elif size > limit:
            fault = fault or too_large
        if fault is None:
            mail += piece
        else:
            mail.clear()
        if size > 2 * limit:
            raise Endless(too_large)
    if fault is not None:
        raise Rejected(fault)
    return mail
