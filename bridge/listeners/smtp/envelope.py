"""Whom a recipient's address means: a number, or an alias or group of the account, with options behind a plus.

Pure. `+447700900001+flash+valid-30m@domain`: a number, and what is wanted of the message (RFC 5233 sub-addressing).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bridge.listeners.smtp.commands import RcptCommand, Rejected
from bridge.listeners.smtp.translate import Recipient
from bridge.routing.numbers import NumberError, normalise
from bridge.values import duration_s

_DEPTH = 5  # of groups within groups
_NUMBER = re.compile(r"[ -]*\+?[^+]*")


def recipients_of(
    command: RcptCommand, local: str, region: str | None, aliases: Mapping[str, Sequence[str]]
) -> list[Recipient]:
    """One for each number that `local` means, none twice. Raises Rejected.

    `region`: where national numbers belong. An alias is found in either case, and before a number.
    """
    by_name = {name.lower(): numbers for name, numbers in aliases.items()}
    if local.lower() in by_name:
        name, flash, validity_s = local, False, None
    else:
        match = _NUMBER.match(local)
        name = match[0] if match else ""
        flash, validity_s = _options(local[len(name) :])
    try:
        numbers = dict.fromkeys(_numbers(name, region, by_name, 0))
    except NumberError as error:
        raise Rejected(f"550 5.1.1 No such recipient: {error}") from None
    return [
        Recipient(
            number=number,
            address=command.address,
            flash=flash,
            validity_s=validity_s,
            notify=command.notify,
            orcpt=command.orcpt,
        )
        for number in numbers
    ]


def _numbers(name: str, region: str | None, aliases: Mapping[str, Sequence[str]], depth: int) -> Iterator[str]:
    members = aliases.get(name.strip().lower())
    if members is None:
        yield normalise(name, region)
        return
    if depth == _DEPTH:
        raise NumberError("the groups go in circles")
    for member in members:
        yield from _numbers(member, region, aliases, depth + 1)


def _options(text: str) -> tuple[bool, float | None]:
    flash, validity_s = False, None
    for option in filter(None, text.lower().split("+")):
        if option == "flash":
            flash = True
        elif option.startswith("valid-"):
            try:
                validity_s = duration_s(option.removeprefix("valid-"))
            except ValueError:
                raise Rejected("550 5.1.1 No such recipient: valid- needs a duration such as 30m") from None
        else:
            raise Rejected("550 5.1.1 No such recipient: the options of a number are flash and valid-30m")
    return flash, validity_s
