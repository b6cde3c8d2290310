"""Receipts as the programs in the field read them, written after their sources and manuals; none of our code is used.

Each takes the text of a receipt and gives what it made of it as a `Read`, or raises ValueError as the program would
refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class Read(NamedTuple):
    """What a program knows then; None: it does not read that field."""

    message_id: str
    stat: str
    err: str | None
    done: datetime | None = None
    text: str | None = None


_DATES = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S", 14: "%Y%m%d%H%M%S"}


def kannel(text: str) -> Read:
    """bearerbox: one sscanf, which has to convert seven fields; `%d` is a number, blanks are single."""
    found = re.match(
        r"id:([^ ]{1,64}) sub:\s*([+-]?\d+) dlvrd:\s*([+-]?\d+) submit date:(\d{1,14}) done date:(\d{1,14})"
        r" stat:([^ ]{1,15}) err:([^ ]{1,3})",
        text,
    )
    if found is None:
        raise ValueError("sscanf found fewer than seven fields")
    return Read(found[1], found[6], found[7], _date(found[5]))


def cloudhopper(text: str) -> Read:
    """ch-smpp DeliveryReceipt.parseShortMessage: labels where they stand first, in any case; all, and none empty."""
    labels = ("id:", "sub:", "dlvrd:", "submit date:", "done date:", "stat:", "err:", "text:")
    places = sorted((text.lower().find(label), label) for label in labels if label in text.lower())
    values: dict[str, str] = {}
    for number, (at, label) in enumerate(places):
        end = places[number + 1][0] if number + 1 < len(places) else len(text)
        values[label] = text[at + len(label) : end].strip()
    if not all(values.get(label) for label in labels if label != "text:"):
        raise ValueError("a field is missing or empty")
    int(values["sub:"]), int(values["dlvrd:"])
    if len(values["err:"]) > 3:
        raise ValueError("err is longer than 3")
    words = ("DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "ENROUTE")
    if values["stat:"].upper() not in words:
        raise ValueError("stat is not a state")
    _date(values["submit date:"])
    return Read(values["id:"], values["stat:"], values["err:"], _date(values["done date:"]), values.get("text:", ""))


def jsmpp(text: str) -> Read:
    """jSMPP DeliveryReceipt: from each label to the next blank; Text: before text:; counts may be missing."""

    def value(name: str) -> str | None:
        at = text.find(name + ":")
        rest = text[at + len(name) + 1 :]
        end = rest.find(" ")
        return None if at < 0 else rest[:end] if end > 0 else rest

    for name in ("sub", "dlvrd"):
        if (count := value(name)) is not None:
            int(count)
    dates = [value("submit date"), value("done date")]
    if any(date is None or not date[:10].isdigit() or len(date) < 10 for date in dates):
        raise ValueError("no date")
    message_id, stat = value("id"), value("stat")
    assert message_id is not None
    assert stat is not None
    label = "Text:" if "Text:" in text else "text:"
    quoted = text.partition(label)[2] if label in text else None
    return Read(message_id, stat, value("err"), _date(dates[1] or ""), quoted)


def jasmin(text: str) -> Read:
    """Jasmin: one pattern for each field."""
    patterns = (r"id:([\dA-Za-z\-_]+)", r"stat:(\w{7})", r"err:(\w{1,3})", r"done date:(\d+)", r"[tT]ext:(.*)")
    found = [re.search(pattern, text) for pattern in patterns]
    if not (found[0] and found[1] and re.search(r"sub:(\d{3})", text) and re.search(r"dlvrd:(\d{3})", text)):
        raise ValueError("not a receipt")
    message_id, stat, err, done, quoted = (match[1] if match else None for match in found)
    return Read(message_id or "", stat or "", err, _date(done or ""), quoted)


def php_smpp(text: str) -> Read:
    """php-smpp: one pattern, from the beginning to the end."""
    found = re.match(
        r"^id:([^ ]+) sub:(\d{1,3}) dlvrd:(\d{3}) submit date:(\d{10,12}) done date:(\d{10,12})"
        r" stat:([A-Z ]{7}) err:(\d{2,3}) text:(.*)$",
        text,
        re.IGNORECASE | re.DOTALL,
    )
    if found is None:
        raise ValueError("could not parse delivery receipt")
    return Read(found[1], found[6], found[7], _date(found[5]), found[8])


def vumi(text: str) -> Read:
    """Vumi: three characters each of sub, dlvrd and err."""
    found = re.search(
        r"id:(\S{,65}) +sub:(...) +dlvrd:(...) +submit date:(\d*) +done date:(\d*) +stat:([A-Z]{7}) +err:(...)"
        r" +[Tt]ext:(.{,20}).*",
        text,
    )
    if found is None:
        raise ValueError("not a receipt")
    return Read(found[1], found[6], found[7], _date(found[5]), found[8])


def v33(text: str) -> Read:
    """A client of 3.3: a message of at most 160 octets, an id of at most 8 hexadecimal digits."""
    read = kannel(text)
    if len(text) > 160 or not re.fullmatch(r"[0-9A-Fa-f]{1,8}", read.message_id):
        raise ValueError("too long for 3.3")
    return read


def eight_by_eight(text: str) -> Read:
    """`err:E Text:`, the code without leading zeros."""
    found = re.fullmatch(
        r"id:(\S+) sub:\d{3} dlvrd:\d{3} submit date:\d{10} done date:(\d{10}) stat:([A-Z]{7})"
        r" err:(0|[1-9]\d?) Text:(.*)",
        text,
    )
    if found is None:
        raise ValueError("not a receipt of 8x8")
    return Read(found[1], found[3], found[4], _date(found[2]), found[5])


def smppcenter(text: str) -> Read:
    """Dates of twelve digits."""
    found = re.fullmatch(
        r"id:(\S+) sub:\d{3} dlvrd:\d{3} submit date:\d{12} done date:(\d{12}) stat:([A-Z]{7}) err:(\d{3}) text:(.*)",
        text,
    )
    if found is None:
        raise ValueError("not a receipt of SMPPCenter")
    return Read(found[1], found[3], found[4], _date(found[2]), found[5])


# Who reads a preset's receipts. The canonical form is for all who have no form of their own.
READERS: dict[str, tuple[Callable[[str], Read], ...]] = {
    "standard": (kannel, cloudhopper, jsmpp, jasmin, php_smpp, vumi),
    "kannel": (kannel,),
    "cloudhopper": (cloudhopper,),
    "jsmpp": (jsmpp,),
    "jasmin": (jasmin,),
    "php-smpp": (php_smpp,),
    "v33": (v33, kannel),
    "8x8": (eight_by_eight, kannel),
    "smppcenter": (smppcenter, kannel, cloudhopper, jsmpp, php_smpp),
}


def _date(digits: str) -> datetime:
    """Raises ValueError for what is no date."""
    return datetime.strptime(digits, _DATES[len(digits)])  # noqa: DTZ007 - it is the client's guess which zone
