"""Whether a message fits a provider: what an API cannot carry is refused or left out before `build`.

Left out is only what changes how a message looks, or what its text stands in for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bridge.message import Message, Reason

if TYPE_CHECKING:
    from bridge.providers._contract import Capabilities


def fit(message: Message, capabilities: Capabilities) -> Message | Reason:
    """The message as this provider can carry it, or why it cannot.

    Refused: binary, a text with a header (it is for an application behind a port), too long a text, too long a sender,
    content without a text. Left out: content beside a text, flash, and an alphanumeric sender where only numbers are
    taken (the provider's default sender stands in).
    """
    if (message.binary is not None or message.udh is not None) and not capabilities.binary:
        return Reason.UNSUPPORTED
    if message.content is not None and message.content.kind not in capabilities.content:
        if not message.text:
            return Reason.UNSUPPORTED
        message = replace(message, content=None)
    if capabilities.text_max is not None and len(message.text or "") > capabilities.text_max:
        return Reason.TEXT_TOO_LONG
    if message.flash and not capabilities.flash:
        message = replace(message, flash=False)
    if message.source is not None:
        longest = capabilities.source_max
        if not (message.source.isascii() and message.source.isdigit()):
            if not capabilities.alphanumeric_source:
                return replace(message, source=None)
            longest = capabilities.alphanumeric_max or longest
        if len(message.source) > longest:
            return Reason.INVALID_SOURCE
    return message
