"""Whether a message fits a provider: what an API cannot carry is refused or left out before `build`.

Left out is only what changes how a message looks, never what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bridge.message import Message, Reason

if TYPE_CHECKING:
    from bridge.providers._contract import Capabilities


def fit(message: Message, capabilities: Capabilities) -> Message | Reason:
    """The message as this provider can carry it, or why it cannot.

    Refused: binary, a text with a header (it is for an application behind a port), too long a text, too long a sender.
    Left out: flash, and an alphanumeric sender where only numbers are taken (the provider's default sender stands in).
    """
    if (message.binary is not None or message.udh is not None) and not capabilities.binary:
        return Reason.UNSUPPORTED
    if capabilities.text_max is not None and len(message.text or "") > capabilities.text_max:
        return Reason.TEXT_TOO_LONG
    if message.flash and not capabilities.flash:
        message = replace(message, flash=False)
    if message.source is not None:
        if not (capabilities.alphanumeric_source or (message.source.isascii() and message.source.isdigit())):
            return replace(message, source=None)
        if len(message.source) > capabilities.source_max:
            return Reason.INVALID_SOURCE
    return message
