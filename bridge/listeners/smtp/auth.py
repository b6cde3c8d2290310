"""What a client says in AUTH (RFC 4954): the mechanisms PLAIN (RFC 4616) and LOGIN, to a login and a password."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

from bridge.listeners.smtp.commands import Rejected

# Sends a prompt, which is base64 already, and gives the line that answers it.
Ask = Callable[[str], Awaitable[bytes]]


async def credentials(arg: str, ask: Ask) -> tuple[str, str]:
    """The login and the password, asked for as far as `arg` does not hold them. Raises Rejected."""
    mechanism, _, initial = arg.partition(" ")
    if mechanism.upper() == "PLAIN":
        return _plain(await _response(initial, "", ask))
    if mechanism.upper() == "LOGIN":
        return await _response(initial, "Username:", ask), await _response("", "Password:", ask)
    raise Rejected("504 5.5.4 The mechanisms are PLAIN and LOGIN")


async def _response(initial: str, prompt: str, ask: Ask) -> str:
    if initial:
        line = b"" if initial == "=" else initial.encode("utf-8", "surrogateescape")
    else:
        line = await ask(base64.b64encode(prompt.encode()).decode())
    if line == b"*":
        raise Rejected("501 5.7.0 Authentication cancelled")
    try:
        return base64.b64decode(line, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error:
        raise Rejected("501 5.5.2 That is not base64") from None


def _plain(response: str) -> tuple[str, str]:
    parts = response.split("\0")
    if len(parts) != 3:
        raise Rejected("501 5.5.2 PLAIN is NUL login NUL password (RFC 4616)")
    authorize_as, login, password = parts
    if authorize_as not in ("", login):
        raise Rejected("535 5.7.8 An account acts for itself only")
    return login, password
