"""Parts joined again: in order, healed where they were cut, and never silently wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import Segment
from bridge.sms.encoding import TextError, encode
from bridge.sms.join import GAP, join, join_gapped


@dataclass(frozen=True)
class Piece:
    number: int
    octets: bytes
    alphabet: str = "gsm7"


def torn(octets: bytes, size: int, alphabet: str) -> list[Piece]:
    return [Piece(number, octets[at : at + size], alphabet) for number, at in enumerate(range(0, len(octets), size), 1)]


@given(
    st.sampled_from(["gsm7", "ucs2", "utf8"]),
    st.text(alphabet="ab€[]", min_size=1),
    st.integers(1, 7),
    st.randoms(use_true_random=False),
)
def test_a_text_torn_anywhere_is_whole_again_in_any_order(alphabet: str, text: str, size: int, random: object) -> None:
    pieces = torn(encode(text, alphabet), size, alphabet)
    random.shuffle(pieces)  # type: ignore[attr-defined]
    assert join(pieces) == text


def test_an_escape_pair_cut_in_two_is_healed() -> None:
    assert join([Piece(1, b"5 \x1b"), Piece(2, b"e!")]) == "5 €!"


def test_a_surrogate_pair_cut_in_two_is_healed() -> None:
    assert join([Piece(2, b"\xde\x00", "ucs2"), Piece(1, b"\xd8\x3d", "ucs2")]) == "😀"


def test_a_part_in_another_alphabet_begins_a_new_text() -> None:
    pieces = [Piece(1, b"5\x1b"), Piece(2, encode("жук 😀", "ucs2")[:-2], "ucs2"), Piece(3, b"e")]
    assert join(pieces) == "5 жук \ufffde"


def test_what_is_cut_off_at_the_very_end_is_replaced() -> None:
    assert join([Piece(1, b"ab\x1b")]) == "ab "
    assert join([Piece(1, b"\x00a\xd8\x3d", "ucs2")]) == "a\ufffd"


def test_a_part_that_came_twice_counts_once() -> None:
    assert join([Piece(2, b"b"), Piece(1, b"a"), Piece(2, b"c")]) == "ac"


def test_national_tables_are_a_matter_of_each_part() -> None:
    assert join([Piece(1, b"\x1b\x09", "gsm7-0-2"), Piece(2, b"\x09")]) == "çÇ"


def test_binary_parts_are_joined_as_they_are() -> None:
    assert join([Piece(2, b"\xff\x1b", "binary"), Piece(1, b"\x00", "binary")]) == b"\x00\xff\x1b"


def test_text_and_binary_parts_do_not_mix() -> None:
    with pytest.raises(TextError, match="some parts are text and others binary"):
        join([Piece(1, b"a"), Piece(2, b"b", "binary")])


def test_octets_that_are_not_text_are_refused() -> None:
    with pytest.raises(TextError, match="0xE9 at 2"):
        join([Piece(1, b"a"), Piece(2, b"b\xe9")])


def test_nothing_is_an_empty_text() -> None:
    assert join([]) == ""


def test_segments_of_messages_can_be_joined() -> None:
    segments = [
        Segment(reference=7, total=2, number=number, scheme="udh8", octets=octets, alphabet="gsm7")
        for number, octets in ((2, b"e"), (1, b"\x1b"))
    ]
    assert join(segments) == "€"


# --- some never came


@pytest.mark.parametrize(
    ("pieces", "total", "text"),
    [
        ([Piece(1, b"a"), Piece(3, b"c")], 3, "a(...)c"),
        ([Piece(2, b"b")], 3, "(...)b(...)"),
        ([Piece(5, b"e"), Piece(1, b"a"), Piece(2, b"b")], 6, "ab(...)e(...)"),
        ([Piece(1, b"a"), Piece(2, b"b")], 2, "ab"),
        # Half a character beside a gap is dropped, inside a run it is healed.
        ([Piece(1, b"5 \x1b"), Piece(3, b"!")], 3, "5 (...)!"),
        ([Piece(1, b"5 \x1b\x1b"), Piece(3, b"!")], 3, "5  (...)!"),
        ([Piece(1, b"5 \x1b"), Piece(2, b"e")], 3, "5 €(...)"),
        ([Piece(1, b"5 \x1b")], 1, "5  "),  # nothing is missing: the end of the text
        ([Piece(1, b"\x00a\xd8\x3d", "ucs2"), Piece(3, b"\xde\x00\x00b", "ucs2")], 3, "a(...)b"),
        ([Piece(1, b"\x00a\x00", "ucs2"), Piece(3, b"b\x00c", "ucs2")], 3, "a(...)c"),
        ([Piece(2, b"", "ucs2")], 3, "(...)(...)"),
        ([Piece(1, b"a\xe2\x82", "utf8"), Piece(3, b"\xacb", "utf8")], 3, "a(...)b"),
        ([Piece(1, b"\x1b\x1b", "gsm7-1-1")], 2, " (...)"),
    ],
)
def test_gaps_are_marked(pieces: list[Piece], total: int, text: str) -> None:
    assert join_gapped(pieces, total) == text


def test_the_mark_of_a_gap_makes_no_text_longer() -> None:
    assert len(encode(GAP, "gsm7")) == len(GAP)


def test_octets_beside_a_gap_that_are_not_text_are_refused() -> None:
    with pytest.raises(TextError, match="0xE9 at 1"):
        join_gapped([Piece(1, b"b\xe9")], 2)


@given(
    st.sampled_from(["gsm7", "ucs2", "utf8"]),
    st.text(alphabet="ab€[😀", min_size=1),
    st.integers(1, 7),
    st.sets(st.integers(1, 40)),
)
def test_whatever_came_is_read_and_nothing_is_made_up(alphabet: str, text: str, size: int, lost: set[int]) -> None:
    text = text.replace("😀", "[") if alphabet == "gsm7" else text
    pieces = torn(encode(text, alphabet), size, alphabet)
    there = [piece for piece in pieces if piece.number not in lost]
    shown = join_gapped(there, len(pieces))
    if len(there) == len(pieces):
        assert shown == text
    elif alphabet == "utf8" or (alphabet == "ucs2" and size % 2 == 0):
        assert set(shown) <= {*text, *GAP}
