from __future__ import annotations

import time

import pytest

from bridge.listeners.smtp.trim import shortened, trimmed

ALL = ("signature", "quote", "disclaimer")


@pytest.mark.parametrize(
    "rest",
    [
        "-- \nAda\nAcme Ltd",
        "--\nAda",
        "Sent from my iPhone",
        "Get Outlook for Android",
        "Von meinem iPhone gesendet",
        "On Mon, 23 Nov 2026 at 10:00, Ada <ada@acme.example> wrote:\n> old",
        "On Mon, 23 Nov 2026 at 10:00, Ada Lovelace of Acme\n<ada@acme.example> wrote:\n\n> old",
        "Am 23.11.2026 um 10:00 schrieb Ada:\n> alt",
        "пн, 23 нояб. 2026 г. в 10:00, Ада <ada@acme.example> пишет:\n> старое",
        "-----Original Message-----\nFrom: x",
        "From: Ada <ada@acme.example>\nSent: Monday\nTo: Bob\nSubject: x\n\nold",
        "> quoted",
        "This e-mail and any attachments are confidential and intended for you.",
        "DISCLAIMER\nNothing here is true.",
        "Diese E-Mail enthält vertrauliche Informationen.",
    ],
)
def test_what_nobody_wants(rest: str) -> None:
    assert trimmed(f"Disk full\nhost db1\n\n{rest}", ALL, None) == "Disk full\nhost db1"
    assert trimmed(f"Disk full\n{rest}", (), None) == f"Disk full\n{rest}".strip()


@pytest.mark.parametrize(
    "text",
    [
        "From: London to Paris\n10:40",
        "On call: Ada",
        "-- 5 degrees",
        "a > b",
        "This message is not read",
        "He wrote: yes",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert trimmed(text, ALL, None) == text


def test_answer_below_the_quote() -> None:
    assert trimmed("> can you come?\nYes", ALL, None) == "Yes"


def test_end_mark() -> None:
    assert trimmed("Disk full\n##END## footer", (), "##END##") == "Disk full"


def test_time_grows_with_the_length() -> None:
    begun = time.perf_counter()
    trimmed("\n".join(["On " + "a " * 300, "This message " + "and " * 200] * 2000), ALL, None)
    assert time.perf_counter() - begun < 5


def test_shortened() -> None:
    assert shortened("The disk of host db1 is full", 20) == "The disk of host..."
    assert shortened("x" * 30, 10) == "xxxxxxx..."
