"""Messages on the channels of BICS beside SMS: what they can carry, and how it is put there.

Documents: https://eu.cpaas.bics.com/docs/v2/viber/send-message, and the same of whatsapp and rcs. Our reference goes
into each request once, so that a request has one message.
"""

from __future__ import annotations

import math
from typing import Any

from bridge.message import Message
from bridge.providers._contract import Attempt

# What a channel carries beside text, as it is called there.
KINDS: dict[str, dict[str, str]] = {
    "viber": {"photo": "image", "document": "file"},  # a video would need a thumbnail
    "whatsapp": {
        "photo": "image",
        "video": "video",
        "audio": "audio",
        "document": "document",
        "location": "location",
        "contact": "contacts",
    },
    "rcs": {"photo": "image", "video": "video"},
}
TEXT_MAX = {"viber": 1000, "whatsapp": 4096, "rcs": 4096}  # characters
_TTL_MIN_S, _TTL_MAX_S = 30, 1_209_600


def body_of(channel: str, sender: str | None, attempt: Attempt) -> dict[str, Any]:
    """The body of a request with one message."""
    said = _said(channel, attempt.message)
    meta: dict[str, Any] = {"foreign_id": attempt.reference}
    if channel == "viber":
        meta["category"] = "promotional" if said["type"] == "image" else "transactional"
        meta["ttl"] = _ttl_s(attempt.message)
    return {
        "channels": [{"name": channel, "from": sender, "meta": meta}],
        "recipient": {"to": [attempt.message.destination]},
        "message": said,
    }


def _said(channel: str, message: Message) -> dict[str, Any]:
    """The content, with the text as its caption; the text alone where that content has none."""
    content, text = message.content, message.text
    if content is None or (text and (channel == "viber" or content.kind == "contact")):
        return {"type": "text", "payload": {"text": text or ""}}
    fields: dict[str, Any] = {"url": content.url, "caption": content.caption or text, "filename": content.name}
    if content.kind == "location":
        at = {"longitude": content.longitude, "latitude": content.latitude}
        fields = at | {"name": content.name, "address": text}
    elif content.kind == "contact":
        name = {"first_name": content.name, "formatted_name": content.name}
        fields = {"phones": [{"phone": content.number, "type": "WORK"}], "name": name}
    elif channel == "viber":
        fields = {"url": content.url, "file_name": content.name if content.kind == "document" else None}
    payload = {key: value for key, value in fields.items() if value is not None} | content.native
    return {"type": KINDS[channel][content.kind], "payload": payload}


def _ttl_s(message: Message) -> int:
    """Seconds from when the message may leave until it expires, rounded up, within what Viber takes."""
    seconds = message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)
    return min(max(math.ceil(seconds), _TTL_MIN_S), _TTL_MAX_S)
