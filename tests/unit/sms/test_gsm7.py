"""Septets and text: the default alphabet, its extension, the national tables, and packing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sms import gsm7
from bridge.sms.gsm7 import TextError
from bridge.sms.tables import ESCAPE, HOLE, LOCKING, SINGLE

ESC = "\x1b"
LANGUAGES = [(locking, single) for locking in LOCKING for single in SINGLE]


def repertoire(locking: int, single: int) -> str:
    return "".join(sorted({*LOCKING[locking], *SINGLE[single]} - {HOLE, ESC}))


FILL = st.integers(0, 6)
DEFAULT_TEXT = st.text(alphabet=repertoire(0, 0))


@pytest.mark.parametrize("locking", LOCKING)
def test_every_septet_of_every_locking_table(locking: int) -> None:
    for septet, character in enumerate(LOCKING[locking]):
        if septet != ESCAPE:
            expected = " " if character == HOLE else character
            assert gsm7.decode(bytes((septet,)), locking) == expected
        if character not in (HOLE, ESC):
            assert len(gsm7.encode(character, locking)) == 1
            assert gsm7.decode(gsm7.encode(character, locking), locking) == character


@pytest.mark.parametrize("single", SINGLE)
def test_every_septet_of_every_single_shift_table(single: int) -> None:
    for septet, character in enumerate(SINGLE[single]):
        if septet == ESCAPE:
            continue
        expected = LOCKING[0][septet] if character == HOLE else character
        assert gsm7.decode(bytes((ESCAPE, septet)), 0, single) == expected
        if character != HOLE:
            assert gsm7.decode(gsm7.encode(character, 0, single), 0, single) == character


@pytest.mark.parametrize(("locking", "single"), LANGUAGES)
def test_the_whole_repertoire_of_each_pair_of_tables_survives(locking: int, single: int) -> None:
    text = repertoire(locking, single)
    assert gsm7.decode(gsm7.encode(text, locking, single), locking, single) == text


@given(DEFAULT_TEXT)
def test_text_survives(text: str) -> None:
    octets = gsm7.encode(text)
    assert max(octets, default=0) <= 0x7F
    assert gsm7.decode(octets) == text
    assert gsm7.fits(text)


@given(st.binary().map(lambda octets: bytes(octet & 0x7F for octet in octets)))
def test_any_septets_are_some_text(octets: bytes) -> None:
    text = gsm7.decode(octets)
    assert len(octets) / 2 <= len(text) <= len(octets)
    assert ESC not in text


@given(st.text())
def test_whatever_fits_can_be_encoded_and_nothing_else(text: str) -> None:
    if gsm7.fits(text):
        assert gsm7.decode(gsm7.encode(text)) == text
    else:
        with pytest.raises(TextError):
            gsm7.encode(text)


@given(DEFAULT_TEXT, st.characters().filter(lambda c: c not in repertoire(0, 0)), DEFAULT_TEXT)
def test_one_foreign_character_is_named_wherever_it_stands(before: str, foreign: str, after: str) -> None:
    text = before + foreign + after
    assert not gsm7.fits(text)
    with pytest.raises(TextError, match=f"U\\+{ord(foreign):04X} "):
        gsm7.encode(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("", ""),
        ("@", "00"),
        ("$_", "0211"),
        ("Hello", "48656c6c6f"),
        ("Ç", "09"),
        ("ñandú", None),
        ("über", "7e626572"),
        ("5 €", "35201b65"),
        ("{[~]}", "1b281b3c1b3d1b3e1b29"),
        ("a\\b|c^d\f", "611b2f621b40631b14641b0a"),
        ("ΔΩ", "1015"),
    ],
)
def test_encoding(text: str, octets: str | None) -> None:
    if octets is None:
        assert not gsm7.fits(text)
    else:
        assert gsm7.encode(text) == bytes.fromhex(octets)
        assert gsm7.decode(bytes.fromhex(octets)) == text


def test_small_c_cedilla_is_not_made_a_capital_one() -> None:
    assert gsm7.decode(b"\x09") == "Ç"
    with pytest.raises(TextError, match=r"U\+00E7 is not in"):
        gsm7.encode("fiança")


def test_a_nul_is_an_at_sign_also_at_the_end() -> None:
    assert gsm7.decode(b"\x00me\x00\x00") == "@me@@"


@pytest.mark.parametrize(
    ("octets", "text", "why"),
    [
        (b"a\x1bAb", "aAb", "ESC and a septet without a meaning is that septet's character"),
        (b"\x1b\x0d", "\r", "CR2 has no character of its own"),
        (b"\x1b\x1b", " ", "ESC ESC is reserved for another extension table"),
        (b"\x1b\x1be", " e", "ESC ESC is taken as a pair: the euro's septet stands alone"),
        (b"\x1b\x1b\x1be", " €", "a pair, then the euro"),
        (b"a\x1b", "a ", "a lone ESC at the end"),
        (b"\x1b\x0a", "\f", "the pattern takes a line feed too"),
    ],
)
def test_odd_escapes(octets: bytes, text: str, why: str) -> None:
    assert gsm7.decode(octets) == text, why


@pytest.mark.parametrize(("octets", "position"), [(b"ab\xe9", 2), (b"\x80", 0), (b"\x1be\xff", 2), (b"a\x1b\xe5", 2)])
def test_an_octet_above_127_is_named(octets: bytes, position: int) -> None:
    with pytest.raises(TextError, match=f"0x{octets[position]:02X} at {position} "):
        gsm7.decode(octets)


@pytest.mark.parametrize("character", [ESC, HOLE, "`", "\t", "\x00", "\x7f", "ÿ", "\ufffe", "😀", "\ud800"])
def test_characters_of_no_septet_are_refused(character: str) -> None:
    assert not gsm7.fits(character)
    with pytest.raises(TextError):
        gsm7.encode(character)


def test_a_national_single_shift_replaces_the_extension_and_keeps_the_alphabet() -> None:
    assert gsm7.encode("Açai €", 0, 2) == b"A\x1b\x09ai \x1be"
    assert gsm7.decode(b"A\x1b\x09ai", 0, 2) == "Açai"
    assert gsm7.decode(b"A\x1b\x09ai") == "AÇai"


def test_a_national_locking_shift_takes_one_septet() -> None:
    assert gsm7.encode("Işık €", 1) == b"I\x1d\x07k \x04"


def test_an_escape_without_meaning_shows_the_character_of_the_locking_table() -> None:
    assert gsm7.decode(b"\x1b\x1d", 1, 1) == "ş"


def test_spanish_has_no_locking_table_and_an_unknown_language_means_the_default() -> None:
    assert gsm7.decode(b"\x09", 2) == gsm7.decode(b"\x09", 99) == "Ç"
    assert gsm7.decode(b"\x1be", 0, 99) == "€"


# --- packing


@pytest.mark.parametrize(
    ("septets", "packed"),
    [
        ("hellohello", "e8329bfd4697d9ec37"),  # the example every SMS tutorial has
        ("", ""),
        ("a", "61"),
        ("aaaaaaaa", "e170381c0e87c3"),
    ],
)
def test_packing(septets: str, packed: str) -> None:
    assert gsm7.pack(septets.encode()) == bytes.fromhex(packed)
    assert gsm7.unpack(bytes.fromhex(packed), len(septets)) == septets.encode()


@given(st.lists(st.integers(0, 127)).map(bytes), st.integers(0, 6))
def test_packing_survives(septets: bytes, fill: int) -> None:
    packed = gsm7.pack(septets, fill)
    assert len(packed) == -(-(fill + 7 * len(septets)) // 8)
    assert gsm7.unpack(packed, len(septets), fill) == septets


def test_fill_bits_bring_the_text_to_a_septet_boundary() -> None:
    assert [gsm7.fill_bits(length) for length in (0, 1, 4, 6, 7, 12)] == [0, 6, 3, 1, 0, 2]
    assert gsm7.pack(b"\x7f", gsm7.fill_bits(6)) == b"\xfe"


def test_160_septets_fill_140_octets_and_153_fill_what_a_header_leaves() -> None:
    assert len(gsm7.pack(bytes(160))) == 140
    assert 6 + len(gsm7.pack(bytes(153), gsm7.fill_bits(6))) == 140


def test_packing_refuses_what_is_not_a_septet_and_unpacking_what_is_not_there() -> None:
    with pytest.raises(TextError, match="0x80 is not a septet"):
        gsm7.pack(b"a\x80")
    with pytest.raises(TextError, match="1 octets do not hold 2 septets"):
        gsm7.unpack(b"a", 2)
    with pytest.raises(TextError):
        gsm7.unpack(b"a", 1, 2)


# --- packed, and nobody says how many


@pytest.mark.parametrize(
    ("septets", "packed"),
    [
        ("", ""),
        ("a", "61"),
        ("aaaaaaa", "e170381c0e871b"),  # seven spare bits: a CR
        ("aaaaaaaa", "e170381c0e87c3"),
    ],
)
def test_packing_without_a_count(septets: str, packed: str) -> None:
    assert gsm7.pack_text(septets.encode()) == bytes.fromhex(packed)
    assert gsm7.unpack_text(bytes.fromhex(packed)) == septets.encode()


def test_spare_bits_that_a_client_left_zero_are_no_at_sign() -> None:
    packed = gsm7.pack(b"aaaaaaa")
    assert gsm7.unpack_text(packed) == b"aaaaaaa"
    assert gsm7.unpack_text(packed, more=True) == b"aaaaaaa\0"
    assert gsm7.unpack_text(gsm7.pack_text(b"aaaaaaa"), more=True) == b"aaaaaaa"
    assert gsm7.unpack_text(gsm7.pack(b"aaaaaa\0")) == b"aaaaaa\0"  # no spare bits to be taken for one


@given(st.lists(st.integers(0, 127)).map(bytes).filter(lambda septets: septets[-1:] not in (b"\0", b"\r")), FILL)
def test_packing_without_a_count_survives(septets: bytes, fill: int) -> None:
    assert gsm7.unpack_text(gsm7.pack_text(septets, fill), fill) == septets


@given(st.binary(), FILL)
def test_any_octets_are_some_septets(octets: bytes, fill: int) -> None:
    every = gsm7.unpack(octets, max(8 * len(octets) - fill, 0) // 7, fill) if octets else b""
    for more in (False, True):
        some = gsm7.unpack_text(octets, fill, more=more)
        assert some in (every, every[:-1])
        assert every[len(some) :] in (b"", b"\r", b"" if more else b"\0")
