from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpp.readers import READERS, Read

from bridge.smpp.enums import MessageState, Tag
from bridge.smpp.receipts import (
    WORDS,
    ErrorForm,
    Receipt,
    error_text,
    parse_receipt,
    receipt_text,
    receipt_tlvs,
)
from bridge.smpp.wire import EncodeError

SUBMITTED = datetime(2026, 11, 22, 16, 3, 49, tzinfo=UTC).timestamp()
DONE = datetime(2026, 11, 22, 16, 5, 1, tzinfo=UTC).timestamp()


def test_the_text_of_appendix_b() -> None:
    text = receipt_text("1234567890", 2, submitted_at=SUBMITTED, done_at=DONE, text="hello world, this is long")
    assert text == (
        "id:1234567890 sub:001 dlvrd:001 submit date:2611221603 done date:2611221605"
        " stat:DELIVRD err:000 text:hello world, this is"
    )


@pytest.mark.parametrize("read", READERS["standard"])
@pytest.mark.parametrize("state", [state for state in MessageState if state is not MessageState.SKIPPED])
def test_the_strictest_readers_take_every_state(state: MessageState, read: Callable[[str], Read]) -> None:
    """SKIPPED is of 5.0, and we never report it."""
    text = receipt_text("42", state, submitted_at=SUBMITTED, done_at=DONE, error="007", text="hi")
    found = read(text)
    assert (found.message_id, found.stat, found.err) == ("42", WORDS[state], "007")
    assert found.done == datetime(2026, 11, 22, 16, 5)  # noqa: DTZ001
    assert found.text in (None, "hi")


def test_dlvrd_counts_what_was_delivered() -> None:
    def counts(state: int, parts: int = 1) -> str:
        text = receipt_text("1", state, submitted_at=SUBMITTED, done_at=DONE, parts=parts)
        return text.split("submit")[0]

    assert counts(2) == "id:1 sub:001 dlvrd:001 "
    assert counts(5) == "id:1 sub:001 dlvrd:000 "
    assert counts(2, 3) == "id:1 sub:003 dlvrd:003 "
    assert counts(3, 3) == "id:1 sub:003 dlvrd:000 "


@pytest.mark.parametrize(
    ("form", "without", "instead"),
    [
        ({"seconds": True}, "submit date:2611221603 done date:2611221605",
         "submit date:261122160349 done date:261122160501"),
        ({"counts": False}, " sub:001 dlvrd:001", ""),
        ({"error": None}, " err:000", ""),
        ({"error": "E1234"}, "err:000", "err:E12"),
        ({"characters": None}, " text:hello", ""),
        ({"characters": 0}, "text:hello", "text:"),
        ({"characters": 2, "label": "Text"}, "text:hello", "Text:he"),
    ],
)  # fmt: skip
def test_other_forms(form: dict[str, Any], without: str, instead: str) -> None:
    canonical = receipt_text("1", 2, submitted_at=SUBMITTED, done_at=DONE, text="hello")
    assert without in canonical
    expected = canonical.replace(without, instead)
    assert receipt_text("1", 2, submitted_at=SUBMITTED, done_at=DONE, text="hello", **form) == expected


@pytest.mark.parametrize(
    ("code", "written"),
    [
        (0, ["000", "00", "0", "000", "00", None]),
        (7, ["007", "07", "7", "007", "07", None]),
        (34, ["034", "34", "34", "022", "22", None]),
        (207, ["207", "99", "207", "0CF", "CF", None]),
        (255, ["255", "99", "255", "0FF", "FF", None]),
        (65535, ["999", "99", "999", "FFF", "FF", None]),
    ],
)
def test_error_codes(code: int, written: list[str | None]) -> None:
    assert [error_text(code, form) for form in get_args(ErrorForm)] == written


@given(st.integers(0, 0xFFFF), st.sampled_from(get_args(ErrorForm)))
def test_an_error_code_is_never_longer_than_readers_take(code: int, form: ErrorForm) -> None:
    written = error_text(code, form)
    assert written is None or (1 <= len(written) <= 3 and written.isalnum())


def test_every_state_has_its_word() -> None:
    assert WORDS == {
        MessageState.SCHEDULED: "ENROUTE",
        MessageState.ENROUTE: "ENROUTE",
        MessageState.DELIVERED: "DELIVRD",
        MessageState.EXPIRED: "EXPIRED",
        MessageState.DELETED: "DELETED",
        MessageState.UNDELIVERABLE: "UNDELIV",
        MessageState.ACCEPTED: "ACCEPTD",
        MessageState.UNKNOWN: "UNKNOWN",
        MessageState.REJECTED: "REJECTD",
        MessageState.SKIPPED: "SKIPPED",
    }


def test_the_text_keeps_to_what_every_alphabet_agrees_on() -> None:
    text = receipt_text("1", 2, submitted_at=SUBMITTED, done_at=DONE, text="a@b\nçay {1} €5")
    assert text.endswith("text:a?b ?ay ?1? ?5")


@given(st.text(max_size=40))
def test_any_text_gives_ascii_of_at_most_twenty_characters(message: str) -> None:
    text = receipt_text("1", 2, submitted_at=SUBMITTED, done_at=DONE, text=message)
    assert text.isascii()
    assert text.isprintable()
    assert len(text.partition("text:")[2]) == min(len(message), 20)


@pytest.mark.parametrize("state", [-1, 10, 255])
def test_an_unknown_state_is_refused(state: int) -> None:
    with pytest.raises(ValueError, match="not a message_state"):
        receipt_text("1", state, submitted_at=SUBMITTED, done_at=DONE)


@given(
    message_id=st.from_regex(r"[0-9A-Za-z-]{1,64}", fullmatch=True),
    state=st.sampled_from([state for state in MessageState if state is not MessageState.SCHEDULED]),
    error=st.from_regex(r"[0-9A-Z]{3}", fullmatch=True),
    text=st.text(st.characters(min_codepoint=0x61, max_codepoint=0x7A), max_size=20),
)
def test_what_is_written_is_read(message_id: str, state: MessageState, error: str, text: str) -> None:
    written = receipt_text(message_id, state, submitted_at=SUBMITTED, done_at=DONE, error=error, text=text)
    assert parse_receipt(written) == Receipt(
        message_id=message_id,
        stat=WORDS[state],
        state=state,
        submitted=1,
        delivered=1 if state is MessageState.DELIVERED else 0,
        submit_date="2611221603",
        done_date="2611221605",
        error=error,
        text=text,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "id:1 sub:001 dlvrd:001 submit date:261122160349 done date:261122160501 stat:DELIVRD err:000 Text:id:9 x",
            Receipt(
                message_id="1",
                stat="DELIVRD",
                state=MessageState.DELIVERED,
                submitted=1,
                delivered=1,
                submit_date="261122160349",
                done_date="261122160501",
                error="000",
                text="id:9 x",
            ),
        ),
        ("ID:7f stat:delivrd", Receipt(message_id="7f", stat="DELIVRD", state=MessageState.DELIVERED)),
        ("id: 7 err: text:", Receipt(message_id="7", text="")),
        ("stat:FAILED id:7", Receipt(message_id="7", stat="FAILED", state=None)),
        ("id:7\nsub:abc dlvrd:\nsubmit_date:1", Receipt(message_id="7", submit_date="1")),
        ("id:7 sub:" + "9" * 5000, Receipt(message_id="7")),
    ],
)
def test_loose_forms_are_read(text: str, expected: Receipt) -> None:
    assert parse_receipt(text) == expected


@pytest.mark.parametrize("text", ["", "hello", "id:", "stat:DELIVRD", "valid:7"])
def test_what_is_not_a_receipt(text: str) -> None:
    assert parse_receipt(text) is None


@given(st.text() | st.lists(st.sampled_from(["id:", "stat:", "text:", "sub:", " ", "submit date:", "7"])).map("".join))
def test_any_text_is_a_receipt_or_none(text: str) -> None:
    receipt = parse_receipt(text)
    assert receipt is None or receipt.message_id


def test_the_tlvs_say_the_same() -> None:
    assert receipt_tlvs("1234567890", MessageState.DELIVERED) == (
        (Tag.RECEIPTED_MESSAGE_ID, b"1234567890\0"),
        (Tag.MESSAGE_STATE, b"\2"),
    )
    assert receipt_tlvs("1", MessageState.UNDELIVERABLE, 0x1234)[2] == (Tag.NETWORK_ERROR_CODE, b"\3\x12\x34")


def test_tlvs_refuse_what_they_cannot_say() -> None:
    with pytest.raises(EncodeError):
        receipt_tlvs("1\0", 2)
    with pytest.raises(ValueError, match="not a message_state"):
        receipt_tlvs("1", 10)
    with pytest.raises(ValueError, match=r"0\.\.65535"):
        receipt_tlvs("1", 5, 0x10000)
