"""The tables against what 3GPP TS 23.038 says of them in words, and against each other."""

from __future__ import annotations

import pytest

from bridge.sms.tables import ESCAPE, HOLE, LOCKING, SINGLE

INDIC_BLOCKS = {4: 0x980, 5: 0xA80, 6: 0x900, 7: 0xC80, 8: 0xD00, 9: 0xB00, 10: 0xA00, 11: 0xB80, 12: 0xC00}
EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|"}


def characters(table: str) -> dict[int, str]:
    return {septet: character for septet, character in enumerate(table) if character != HOLE}


def test_every_language_has_a_single_shift_and_all_but_spanish_a_locking_shift() -> None:
    assert list(SINGLE) == list(range(14))
    assert list(LOCKING) == [0, 1, *range(3, 14)]


@pytest.mark.parametrize("table", [*LOCKING.values(), *SINGLE.values()])
def test_a_table_has_128_places(table: str) -> None:
    assert len(table) == 128


@pytest.mark.parametrize("table", LOCKING.values())
def test_escape_line_feed_carriage_return_and_space_stand_where_every_alphabet_has_them(table: str) -> None:
    assert (table[ESCAPE], table[0x0A], table[0x0D], table[0x20]) == ("\x1b", "\n", "\r", " ")
    assert table.count("\x1b") == 1


@pytest.mark.parametrize("table", LOCKING.values())
def test_digits_and_the_small_letters_stand_where_ascii_has_them(table: str) -> None:
    assert table[0x30:0x3A] == "0123456789"
    assert table[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("nli", SINGLE)
def test_no_single_shift_gives_escape_or_carriage_return_a_meaning(nli: int) -> None:
    assert SINGLE[nli][ESCAPE] == HOLE
    assert SINGLE[nli][0x0D] == HOLE


@pytest.mark.parametrize("nli", SINGLE)
def test_every_single_shift_holds_the_default_extension(nli: int) -> None:
    assert EXTENSION.items() <= characters(SINGLE[nli]).items()


@pytest.mark.parametrize("nli", sorted(set(SINGLE) - {12}))
def test_every_single_shift_but_the_telugu_one_has_the_euro_sign(nli: int) -> None:
    assert SINGLE[nli][0x65] == "€"


def test_the_default_alphabet_letter_by_letter() -> None:
    assert LOCKING[0][:0x20] == "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    assert LOCKING[0][0x20:0x40] == " !\"#¤%&'()*+,-./0123456789:;<=>?"
    assert LOCKING[0][0x40:0x60] == "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    assert LOCKING[0][0x60:0x80] == "¿abcdefghijklmnopqrstuvwxyzäöñüà"
    assert characters(SINGLE[0]) == EXTENSION | {0x65: "€"}


def test_capital_c_cedilla_not_the_small_one_is_in_the_default_alphabet() -> None:
    assert LOCKING[0][0x09] == "\u00c7"
    assert "\u00e7" not in LOCKING[0] + SINGLE[0]


def test_what_turkish_changes() -> None:
    changed = {septet: c for septet, c in characters(LOCKING[1]).items() if LOCKING[0][septet] != c}
    assert changed == {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç"}
    added = {septet: c for septet, c in characters(SINGLE[1]).items() if SINGLE[0][septet] != c}
    assert added == {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"}


def test_what_spanish_adds() -> None:
    added = {septet: c for septet, c in characters(SINGLE[2]).items() if SINGLE[0][septet] != c}
    expected = {0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"}
    assert added == expected


def test_what_portuguese_adds() -> None:
    added = {septet: c for septet, c in characters(SINGLE[3]).items() if SINGLE[0][septet] != c}
    septets = bytes.fromhex("05090b0c0e0f121315161718191f41494f555b5c61696f757b7c7f")
    assert added == dict(zip(septets, "êçÔôÁáΦΓΩΠΨΣΘÊÀÍÓÚÃÕÂíóúãõâ", strict=True))


def test_the_scripts_of_india_run_parallel_as_their_unicode_blocks_do() -> None:
    """Up to 0x5F a septet is the same letter in every script; Kannada's 0x24 is so in the published table."""
    for septet in range(0x60):
        offsets = {
            ord(LOCKING[nli][septet]) - block
            for nli, block in INDIC_BLOCKS.items()
            if LOCKING[nli][septet] != HOLE and ord(LOCKING[nli][septet]) >= 0x900 and (nli, septet) != (7, 0x24)
        }
        assert len(offsets) <= 1, f"0x{septet:02X}"


@pytest.mark.parametrize("nli", [*INDIC_BLOCKS, 13])
def test_the_scripts_of_india_and_urdu_keep_the_comma_and_have_latin_capitals_behind_escape(nli: int) -> None:
    assert LOCKING[nli][0x2C] == ","
    assert SINGLE[nli][0x41:0x5B] == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
