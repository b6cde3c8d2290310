from __future__ import annotations

import threading
from typing import Any

import pytest

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.smtp import submission
from bridge.listeners.smtp.submission import submit
from bridge.listeners.smtp.translate import Recipient, Submission
from bridge.message import Reason

UNFIT = Refusal(Reason.UNSUPPORTED, "no provider of the route can carry this message")
BUSY = Refusal(Reason.THROTTLED, "over the account's rate")
A, B, C = "447700900001", "447700900002", "447700900003"


@pytest.fixture
def mail(account: Any) -> Submission:
    recipients = [Recipient(number=number, address=f"{number}@sms.example") for number in (A, B, C)]
    return Submission(account=account(), mail_from="it@acme.example", recipients=recipients)


def now() -> float:
    return 1_800_000_000.0


async def test_all_are_taken(mail: Submission, ledger: Any) -> None:
    assert await submit(mail, b"\r\nhello", ledger, now) == [1, 2, 3]
    assert [(message.message_id, message.destination) for message in ledger.taken] == [(1, A), (2, B), (3, C)]
    assert ledger.taken[0].accepted_at == now()


async def test_all_are_unfit(mail: Submission, ledger: Any) -> None:
    ledger.unfit = dict.fromkeys((A, B, C), UNFIT)
    with pytest.raises(Refusal) as caught:
        await submit(mail, b"\r\nhello", ledger, now)
    assert caught.value is UNFIT
    assert (ledger.taken, ledger.rejected) == ([], [])


async def test_the_unfit_one_is_rejected_and_the_others_are_taken(mail: Submission, ledger: Any) -> None:
    ledger.unfit = {B: UNFIT}
    assert await submit(mail, b"\r\nhello", ledger, now) == [1, 2, 3]
    assert [message.destination for message in ledger.taken] == [A, C]
    assert [(message.destination, reason) for message, reason in ledger.rejected] == [(B, "unsupported")]


async def test_one_that_could_go_later_refuses_all_for_now(mail: Submission, ledger: Any) -> None:
    ledger.unfit = {A: UNFIT, B: BUSY}
    with pytest.raises(Refusal) as caught:
        await submit(mail, b"\r\nhello", ledger, now)
    assert caught.value is BUSY
    assert (ledger.taken, ledger.rejected) == ([], [])


async def test_none_is_welcome(mail: Submission, ledger: Any) -> None:
    ledger.unfit = {A: UNFIT}
    ledger.unwelcome = {B: UNFIT, C: BUSY}
    with pytest.raises(Refusal) as caught:
        await submit(mail, b"\r\nhello", ledger, now)
    assert caught.value is BUSY
    assert (ledger.taken, ledger.rejected) == ([], [])


async def test_what_is_unwelcome_after_the_first_was_taken_is_rejected(mail: Submission, ledger: Any) -> None:
    ledger.unwelcome = {B: BUSY, C: BUSY}
    assert await submit(mail, b"\r\nhello", ledger, now) == [1, 2, 3]
    assert [message.destination for message in ledger.taken] == [A]
    assert [(message.destination, reason) for message, reason in ledger.rejected] == [
        (B, "throttled"),
        (C, "throttled"),
    ]


async def test_store_that_keeps_nothing(mail: Submission, ledger: Any) -> None:
    ledger.full = True
    with pytest.raises(StoreUnavailable):
        await submit(mail, b"\r\nhello", ledger, now)


@pytest.mark.parametrize(("size", "aside"), [(10, False), (100_000, True)])
async def test_a_large_mail_is_read_beside_the_loop(
    mail: Submission, ledger: Any, monkeypatch: pytest.MonkeyPatch, size: int, aside: bool
) -> None:
    threads = []

    def read(octets: bytes) -> Any:
        threads.append(threading.current_thread())
        return read_mail(octets)

    read_mail = submission.read_mail
    monkeypatch.setattr(submission, "read_mail", read)
    await submit(mail, b"\r\nhello" + b"\r\n" * size, ledger, now)
    assert (threads != [threading.main_thread()]) is aside
