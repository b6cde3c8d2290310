"""From the octets of a mail to messages on disk; one answer for all its recipients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bridge.errors import Refusal
from bridge.listeners.smtp.ports import Intake
from bridge.listeners.smtp.text import read_mail
from bridge.listeners.smtp.translate import Submission, is_temporary, messages_from_mail, text_of
from bridge.message import Message

_AT_ONCE = 64 * 1024  # octets that are read on the event loop; more take longer than others should wait


async def submit(mail: Submission, octets: bytes, intake: Intake, now: Callable[[], float]) -> list[int]:
    """The ids of the mail's messages, on disk. Raises Refusal when none was taken, StoreUnavailable."""
    letter = read_mail(octets) if len(octets) <= _AT_ONCE else await asyncio.to_thread(read_mail, octets)
    return await take(
        messages_from_mail(mail, letter, text_of(letter, mail.account.settings), now(), intake.next_id), intake
    )


async def take(messages: Sequence[Message], intake: Intake) -> list[int]:
    """The ids of messages that came in one mail, on disk. Raises Refusal when none was taken, StoreUnavailable.

    SMTP has one answer for the whole mail. While nothing is taken, one message that could be sent later refuses all
    for now, and the client repeats the mail. After that, what is refused is kept as rejected and reported by mail.
    """
    checked = [intake.check(message) for message in messages]
    _raise_refusal(checked)
    able = [message for message, refusal in zip(messages, checked, strict=True) if refusal is None]
    verdicts, stored = intake.accept(able)
    if stored is None:  # another client took the room between the check and now
        _raise_refusal(verdicts)
    refused = [
        *((message, refusal) for message, refusal in zip(messages, checked, strict=True) if refusal is not None),
        *((message, refusal) for message, refusal in zip(able, verdicts, strict=True) if refusal is not None),
    ]
    writes = [] if stored is None else [stored]
    writes += [intake.accept_refused(message, refusal) for message, refusal in refused]
    # Shielded: a client that hangs up must not undo what other clients wait for in the same commit.
    await asyncio.shield(asyncio.gather(*writes))
    return [message.message_id for message in messages]


def _raise_refusal(verdicts: Sequence[Refusal | None]) -> None:
    refusals = [refusal for refusal in verdicts if refusal is not None]
    decisive = next(filter(is_temporary, refusals), None)
    if decisive is None and len(refusals) == len(verdicts):
        decisive = refusals[0]
    if decisive is not None:
        raise decisive
