"""User data headers from well-meant and other octets; texts cut where nothing breaks."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sms.encoding import BINARY, PACKED, TextError, decode
from bridge.sms.gsm7 import fill_bits, unpack_text
from bridge.sms.join import join
from bridge.sms.segments import (
    CONCAT8,
    CONCAT16,
    LOCKING_SHIFT,
    PORTS16,
    SINGLE_SHIFT,
    Concat,
    Element,
    alphabet_of,
    build_udh,
    capacity,
    concat_of,
    count_parts,
    element_of,
    kept_udh,
    merge_udh,
    parse_udh,
    ports_of,
    split,
)
from bridge.sms.tables import ESCAPE, LOCKING, SINGLE

GSM_CHARACTERS = sorted({*LOCKING[0], *SINGLE[0]} - {"·", "\x1b"})
ELEMENTS = st.lists(st.builds(Element, st.integers(0, 255), st.binary(max_size=12)), max_size=8).filter(
    lambda elements: sum(2 + len(element.data) for element in elements) < 140
)

# --- headers


@pytest.mark.parametrize(
    ("octets", "elements", "length"),
    [
        ("050003010203", [(0x00, "010203")], 6),
        ("0500030102034869", [(0x00, "010203")], 6),
        ("06080401020304", [(0x08, "01020304")], 7),
        ("0b0504158200000003010201", [(0x05, "15820000"), (0x00, "010201")], 12),
        ("00", [], 1),
        ("0048", [], 1),
        ("03250101", [(0x25, "01")], 4),
        ("027000", [(0x70, "")], 3),
    ],
)
def test_headers(octets: str, elements: list[tuple[int, str]], length: int) -> None:
    header = parse_udh(bytes.fromhex(octets))
    assert header.elements == tuple(Element(identifier, bytes.fromhex(data)) for identifier, data in elements)
    assert header.length == length


@pytest.mark.parametrize(
    ("octets", "elements"),
    [
        ("0100", []),
        ("050003010200", [(0x00, "010200")]),
        ("05000401020300", []),
        ("0600030102030000", [(0x00, "010203")]),
        ("07000301020325010000", [(0x00, "010203")]),
        ("0500ff010203", []),
    ],
)
def test_an_element_that_runs_over_the_end_ends_the_header(octets: str, elements: list[tuple[int, str]]) -> None:
    header = parse_udh(bytes.fromhex(octets))
    assert header.elements == tuple(Element(identifier, bytes.fromhex(data)) for identifier, data in elements)
    assert header.length == 1 + bytes.fromhex(octets)[0]


@pytest.mark.parametrize("octets", ["", "01", "ff", "0500030102"])
def test_a_header_longer_than_the_user_data_is_refused(octets: str) -> None:
    with pytest.raises(TextError, match="user data header of"):
        parse_udh(bytes.fromhex(octets))


@given(ELEMENTS, st.binary())
def test_a_built_header_is_parsed_again_whatever_follows(elements: list[Element], text: bytes) -> None:
    octets = build_udh(elements)
    header = parse_udh(octets + text)
    assert header.elements == tuple(elements)
    assert header.length == len(octets)


@given(st.binary(max_size=300))
def test_any_octets_are_a_header_or_an_error_of_this_room(octets: bytes) -> None:
    try:
        header = parse_udh(octets)
    except TextError:
        assert not octets or len(octets) <= octets[0]
        return
    assert 1 <= header.length <= len(octets)
    assert sum(2 + len(element.data) for element in header.elements) < header.length
    concat_of(header.elements)
    decode(b"", alphabet_of(header.elements))


def test_a_header_that_leaves_no_room_is_refused() -> None:
    assert len(build_udh([Element(0x70, bytes(137))])) == 140
    with pytest.raises(TextError, match="header of 141 octets leaves no room"):
        build_udh([Element(0x70, bytes(138))])


# --- concatenation


@pytest.mark.parametrize(
    ("elements", "concat"),
    [
        ([], None),
        ([(CONCAT8, "ff0302")], Concat(255, 3, 2, "udh8")),
        ([(CONCAT16, "01000302")], Concat(256, 3, 2, "udh16")),
        ([(0x05, "15820000"), (CONCAT8, "010101")], Concat(1, 1, 1, "udh8")),
        ([(CONCAT8, "010201"), (CONCAT8, "020202")], Concat(2, 2, 2, "udh8")),
        ([(CONCAT8, "010201"), (CONCAT16, "00010202")], Concat(1, 2, 2, "udh16")),
        ([(CONCAT8, "010201"), (CONCAT8, "020203")], Concat(1, 2, 1, "udh8")),
        ([(CONCAT8, "010000")], None),
        ([(CONCAT8, "010001")], None),
        ([(CONCAT8, "010200")], None),
        ([(CONCAT8, "010203")], None),
        ([(CONCAT8, "0102")], None),
        ([(CONCAT8, "01020101")], None),
        ([(CONCAT16, "010201")], None),
    ],
)
def test_concatenation(elements: list[tuple[int, str]], concat: Concat | None) -> None:
    assert concat_of([Element(identifier, bytes.fromhex(data)) for identifier, data in elements]) == concat


@given(st.sampled_from([("udh8", 0xFF), ("udh16", 0xFFFF)]), st.data())
def test_a_concatenation_comes_back_out_of_its_element(scheme: tuple[str, int], data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 255))
    concat = Concat(data.draw(st.integers(0, scheme[1])), total, data.draw(st.integers(1, total)), scheme[0])
    header = parse_udh(build_udh([element_of(concat)]))
    assert concat_of(header.elements) == concat
    assert header.length == {"udh8": 6, "udh16": 7}[concat.scheme]


# --- national tables


@pytest.mark.parametrize(
    ("elements", "alphabet"),
    [
        ([], "gsm7"),
        ([(SINGLE_SHIFT, "01")], "gsm7-0-1"),
        ([(LOCKING_SHIFT, "03")], "gsm7-3-0"),
        ([(LOCKING_SHIFT, "0d"), (CONCAT8, "010201"), (SINGLE_SHIFT, "0d")], "gsm7-13-13"),
        ([(LOCKING_SHIFT, "02")], "gsm7"),
        ([(SINGLE_SHIFT, "63")], "gsm7"),
        ([(SINGLE_SHIFT, "01"), (SINGLE_SHIFT, "63")], "gsm7-0-1"),
        ([(SINGLE_SHIFT, ""), (LOCKING_SHIFT, "0101")], "gsm7"),
    ],
)
def test_national_shifts(elements: list[tuple[int, str]], alphabet: str) -> None:
    assert alphabet_of([Element(identifier, bytes.fromhex(data)) for identifier, data in elements]) == alphabet


# --- sizes


@pytest.mark.parametrize(
    ("header", "gsm7", "octets", "ucs2"),
    [
        (0, 160, 140, 70),
        (6, 153, 134, 67),
        (7, 152, 133, 66),
        (12, 146, 128, 64),
        (13, 145, 127, 63),
        (4, 155, 136, 68),
        (9, 149, 131, 65),
        (10, 148, 130, 65),
    ],
)
def test_what_fits_beside_a_header(header: int, gsm7: int, octets: int, ucs2: int) -> None:
    assert capacity("gsm7", header) == capacity("gsm7-1-1", header) == gsm7
    assert capacity("latin1", header) == capacity(BINARY, header) == octets
    assert capacity("ucs2", header) == 2 * ucs2


@pytest.mark.parametrize("alphabet", ["euc-kr", "iso-2022-jp"])
def test_texts_of_unequal_characters_are_not_cut(alphabet: str) -> None:
    with pytest.raises(TextError, match=f"text in {alphabet} is not cut"):
        split("a", alphabet)


@given(st.text(alphabet="aé€😀", max_size=400))
def test_no_sequence_of_utf8_is_cut(text: str) -> None:
    cuts = split(text, "utf8")
    assert "".join(cut.octets.decode() for cut in cuts) == text
    assert all(len(cut.octets) <= (140 if len(cuts) == 1 else 134) for cut in cuts)


@given(st.text(alphabet="ab€[ñ", max_size=700), st.sampled_from([6, 7]))
def test_packed_septets_begin_after_the_header(text: str, header_octets: int) -> None:
    cuts = split(text, PACKED, header_octets)
    fill = fill_bits(header_octets) if len(cuts) > 1 else 0
    assert {cut.alphabet for cut in cuts} == {PACKED}
    assert all(len(cut.octets) <= 140 - (header_octets if len(cuts) > 1 else 0) for cut in cuts)
    assert "".join(decode(unpack_text(cut.octets, fill), "gsm7") for cut in cuts) == text


# --- what is left of headers


@pytest.mark.parametrize(
    ("elements", "alphabet", "kept"),
    [
        ([(CONCAT8, "010201")], "gsm7", None),
        ([(CONCAT8, "010201"), (PORTS16, "15820000")], "gsm7", [(PORTS16, "15820000")]),
        ([(CONCAT16, "00010201"), (SINGLE_SHIFT, "01"), (0x0A, "000410")], "ucs2", None),
        ([(CONCAT16, "00010201"), (0x0A, "000410"), (0x70, "")], BINARY, [(0x0A, "000410"), (0x70, "")]),
        ([(0x04, "0102"), (0x09, ""), (0x20, "05"), (0x7F, "")], "gsm7", [(4, "0102"), (9, ""), (32, "05"), (127, "")]),
        ([(0x04, "01"), (PORTS16, "0102")], "gsm7", None),  # too short for ports
        ([], BINARY, None),
    ],
)
def test_what_is_kept_of_a_header(
    elements: list[tuple[int, str]], alphabet: str, kept: list[tuple[int, str]] | None
) -> None:
    built = None if kept is None else build_udh(Element(identifier, bytes.fromhex(data)) for identifier, data in kept)
    assert kept_udh([Element(identifier, bytes.fromhex(data)) for identifier, data in elements], alphabet) == built


def test_ports() -> None:
    assert ports_of(2948, 9200) == Element(PORTS16, b"\x0b\x84\x23\xf0")


def test_headers_become_one() -> None:
    one, other = Element(PORTS16, bytes(4)), Element(0x70, b"\x01")
    assert merge_udh([None, build_udh([one]), build_udh([other, one]), None]) == build_udh([one, other])
    assert merge_udh([None, None]) is None


@given(st.lists(st.none() | ELEMENTS.map(build_udh), max_size=4))
def test_one_header_has_room_whatever_it_is_made_of(headers: list[bytes | None]) -> None:
    merged = merge_udh(headers)
    there = {element for header in headers if header for element in parse_udh(header).elements}
    elements = parse_udh(merged).elements if merged else ()
    assert set(elements) <= there
    assert len(set(elements)) == len(elements)
    assert len(merged or b"") <= 140
    if sum(2 + len(element.data) for element in there) < 140:
        assert set(elements) == there


@pytest.mark.parametrize(
    ("text", "alphabet", "parts"),
    [
        ("", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("€" * 153, "gsm7", 3),  # 306 septets, but a pair would be cut at 153
        ("ж" * 70, "ucs2", 1),
        ("ж" * 71, "ucs2", 2),
        ("ж" * 134, "ucs2", 2),
        ("ж" * 135, "ucs2", 3),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("😀" * 67, "ucs2", 3),  # 134 units, but a pair would be cut at 67
        ("a" * 159 + "ж", "ucs2", 3),
        ("a" * 153 * 300, "gsm7", 300),
    ],
)
def test_counting_parts(text: str, alphabet: str, parts: int) -> None:
    assert count_parts(text) == (alphabet, parts)


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(TextError, match=r"U\+D83D is not in ucs2"):
        count_parts("a\ud83d")


def test_255_segments_are_the_most() -> None:
    assert len(split("a" * 153 * 255)) == 255
    with pytest.raises(TextError, match="256 segments are more than 255"):
        split("a" * (153 * 255 + 1))


# --- cutting


def repeated(characters: str) -> st.SearchStrategy[str]:
    """Texts that are mostly longer than one segment."""
    return st.builds(str.__mul__, st.text(alphabet=characters, min_size=1, max_size=40), st.integers(1, 25))


LONG_GSM = repeated("".join(GSM_CHARACTERS))
LONG_UNICODE = repeated("aж😀👍\u0301\u200d\ufe0f\U0001f3fd\u0915\u093f")


@given(st.one_of(LONG_GSM, LONG_UNICODE), st.sampled_from([6, 7, 12, 13]))
def test_the_segments_of_a_text_are_the_text_again_and_each_fits(text: str, header: int) -> None:
    cuts = split(text, header_octets=header)
    assert join(cuts) == text
    assert [cut.number for cut in cuts] == list(range(1, len(cuts) + 1))
    assert {cut.total for cut in cuts} == {len(cuts)}
    room = capacity(cuts[0].alphabet, header if len(cuts) > 1 else 0)
    assert all(len(cut.octets) <= room for cut in cuts)
    assert all(cut.octets for cut in cuts)


@given(LONG_GSM)
def test_no_escape_pair_is_cut(text: str) -> None:
    cuts = split(text, "gsm7")
    assert not any(cut.octets.endswith(bytes((ESCAPE,))) for cut in cuts)
    assert "".join(decode(cut.octets, "gsm7") for cut in cuts) == text
    # A segment is at most one septet short.
    assert all(len(cut.octets) >= 152 for cut in cuts[:-1])


@given(LONG_UNICODE)
def test_no_surrogate_pair_and_no_combining_sequence_is_cut(text: str) -> None:
    cuts = split(text, "ucs2")
    texts = [decode(cut.octets, "ucs2") for cut in cuts]
    assert "".join(texts) == text
    for before, after in pairwise(texts):
        if unicodedata.category(after[0]).startswith("M") or before[-1] == "\u200d":
            # Then the segment held nothing but this sequence.
            assert all(
                unicodedata.category(character).startswith("M")
                or character in "\u200d\U0001f3fd"
                or previous == "\u200d"
                for previous, character in pairwise(before)
            )


@pytest.mark.parametrize(
    ("tail", "first"),
    [
        ("\u0301", 66),  # the letter goes along with its accent
        ("\u200d👩", 66),  # what is joined stays joined
        ("\ufe0f", 66),
        ("\U0001f3fd", 66),
        ("b", 67),
    ],
)
def test_where_a_sequence_at_the_end_of_a_segment_is_cut(tail: str, first: int) -> None:
    cuts = split("ж" * 66 + "х" + tail + "ж" * 10)
    assert len(cuts[0].octets) == 2 * first


def test_a_joined_family_is_not_torn_apart() -> None:
    family = "👩\u200d👩\u200d👧"
    first, second = split("ж" * 62 + family + "ж" * 3)
    assert decode(first.octets, "ucs2") == "ж" * 62
    assert decode(second.octets, "ucs2") == family + "ж" * 3


def test_a_sequence_longer_than_a_segment_is_cut_after_all() -> None:
    cuts = split("a" + "\u0301" * 200)
    assert [len(cut.octets) // 2 for cut in cuts] == [67, 67, 67]


def test_an_alphabet_of_octets_is_cut_at_134() -> None:
    assert [len(cut.octets) for cut in split("é" * 141, "latin1")] == [134, 7]
