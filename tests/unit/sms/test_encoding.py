"""Alphabets by name, and the whole table of data codings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sms.encoding import (
    BINARY,
    PACKED,
    Coding,
    TextError,
    best_alphabet,
    coding_of,
    data_coding_of,
    decode,
    delivered_alphabet,
    encode,
    national_alphabet,
)

DEFAULTS = ["gsm7", PACKED, "latin1", "ascii", "utf8", "cp1252"]
SAMPLES = [
    ("gsm7", "@ 5 €", "00203520" + "1b65"),
    ("gsm7-1-0", "ışık", "071d076b"),
    ("gsm7-0-2", "ç", "1b09"),
    (PACKED, "hellohello", "e8329bfd4697d9ec37"),
    (PACKED, "é", "05"),
    ("latin1", "née", "6ee965"),
    ("ascii", "a_$@", "615f2440"),
    ("utf8", "є😀", "d194f09f9880"),
    ("cp1252", "5 €", "352080"),
    ("ucs2", "Привет", "041f04400438043204350442"),
    ("ucs2", "😀", "d83dde00"),
    ("iso-8859-5", "Привет", "bfe0d8d2d5e2"),
    ("iso-8859-8", "שלום", "f9ece5ed"),
    ("iso-2022-jp", "日本", "1b2442467c4b5c1b2842"),
    ("jisx0208", "日本", "467c4b5c"),
    ("euc-kr", "한국 1", "c7d1b1b92031"),
]


@pytest.mark.parametrize(("alphabet", "text", "octets"), SAMPLES)
def test_each_alphabet_both_ways(alphabet: str, text: str, octets: str) -> None:
    assert encode(text, alphabet) == bytes.fromhex(octets)
    assert decode(bytes.fromhex(octets), alphabet) == text


@pytest.mark.parametrize("alphabet", sorted({alphabet for alphabet, _, _ in SAMPLES}))
def test_nothing_is_an_empty_text_in_each_alphabet(alphabet: str) -> None:
    assert (encode("", alphabet), decode(b"", alphabet)) == (b"", "")


@given(st.text(), st.sampled_from(["utf8", "ucs2"]))
def test_the_alphabets_of_all_unicode_carry_every_text(text: str, alphabet: str) -> None:
    # A text that begins with a byte order mark loses it in UCS-2, see below.
    text = text.lstrip("\ufeff\ufffe")
    assert decode(encode(text, alphabet), alphabet) == text


@given(st.binary(), st.sampled_from([alphabet for alphabet, _, _ in SAMPLES]))
def test_any_octets_are_text_or_an_error_of_this_room(octets: bytes, alphabet: str) -> None:
    try:
        text = decode(octets, alphabet)
    except TextError:
        return
    assert not any("\ud800" <= character <= "\udfff" for character in text)


@given(
    st.text(alphabet=st.characters(exclude_categories=())), st.sampled_from([alphabet for alphabet, _, _ in SAMPLES])
)
def test_any_text_is_encoded_or_refused_with_an_error_of_this_room(text: str, alphabet: str) -> None:
    try:
        octets = encode(text, alphabet)
    except TextError:
        return
    assert isinstance(octets, bytes)


@pytest.mark.parametrize(
    ("alphabet", "octets", "message"),
    [
        ("gsm7", b"caf\xe9", "octet 0xE9 at 3"),
        ("ascii", b"caf\xe9", "octet 0xE9 at 3 is not text in ascii"),
        ("utf8", b"caf\xe9", "octet 0xE9 at 3 is not text in utf8"),
        ("cp1252", b"\x81", "octet 0x81 at 0"),
        ("ucs2", b"\x00a\x00", "3 octets are not UCS-2"),
        ("jisx0208", b"\x46", "is not text in jisx0208"),
        ("klingon", b"a", "klingon is not the name of an alphabet"),
        ("gsm7-x-1", b"a", "gsm7-x-1 is not the name of an alphabet"),
        ("binary", b"a", "binary is not the name of an alphabet"),
    ],
)
def test_wrong_octets_are_named(alphabet: str, octets: bytes, message: str) -> None:
    with pytest.raises(TextError, match=message):
        decode(octets, alphabet)


@pytest.mark.parametrize(
    ("alphabet", "text", "message"),
    [
        ("gsm7", "їжак", r"U\+0457 is not in"),
        ("latin1", "5 €", r"U\+20AC is not in latin1"),
        ("ucs2", "a\ud800", r"U\+D800 is not in ucs2"),
        ("jisx0208", "日a", "not in jisx0208"),
        ("jisx0208", "ｱ", "not in jisx0208"),
        ("klingon", "a", "klingon is not the name of an alphabet"),
    ],
)
def test_wrong_text_is_named(alphabet: str, text: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        encode(text, alphabet)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("d83d", "\ufffd"),
        ("0061d83d", "a\ufffd"),
        ("de000061", "\ufffda"),
        ("d83d0061", "\ufffda"),
        ("feff0061", "a"),
        ("fffe6100", "a"),
        ("feff", ""),
    ],
)
def test_lone_surrogates_are_replaced_and_byte_order_marks_obeyed(octets: str, text: str) -> None:
    assert decode(bytes.fromhex(octets), "ucs2") == text


def test_jisx0208_is_read_in_seven_bits_and_in_eight() -> None:
    assert decode("日本".encode("euc-jp"), "jisx0208") == "日本"


@pytest.mark.parametrize(
    ("text", "alphabet"),
    [("", "gsm7"), ("Ñandú", "ucs2"), ("5 €", "gsm7"), ("ç", "ucs2"), ("Ç", "gsm7"), ("😀", "ucs2")],
)
def test_the_best_alphabet(text: str, alphabet: str) -> None:
    assert best_alphabet(text) == alphabet


def test_the_name_of_national_tables() -> None:
    assert national_alphabet(0, 0) == "gsm7"
    assert decode(b"\x09", national_alphabet(3, 0)) == "ç"


# --- data codings

SMPP_TABLE = {
    0x01: "ascii",
    0x02: BINARY,
    0x03: "latin1",
    0x04: BINARY,
    0x05: "jisx0208",
    0x06: "iso-8859-5",
    0x07: "iso-8859-8",
    0x08: "ucs2",
    0x09: BINARY,
    0x0A: "iso-2022-jp",
    0x0D: BINARY,
    0x0E: "euc-kr",
}


@pytest.mark.parametrize("default", DEFAULTS)
def test_coding_zero_is_the_accounts_default(default: str) -> None:
    assert coding_of(0, default) == Coding(default, False, None)


@pytest.mark.parametrize(("data_coding", "alphabet"), SMPP_TABLE.items())
def test_below_sixteen_holds_the_table_of_smpp(data_coding: int, alphabet: str) -> None:
    assert coding_of(data_coding, "latin1") == Coding(alphabet, False, None)


@pytest.mark.parametrize("data_coding", [0x0B, 0x0C, 0x0F])
def test_reserved_values_of_smpp_are_refused(data_coding: int) -> None:
    with pytest.raises(TextError, match=f"data_coding 0x{data_coding:02X} is reserved"):
        coding_of(data_coding, "gsm7")


@pytest.mark.parametrize(
    ("data_coding", "coding"),
    [
        (0x10, Coding("gsm7", True, 0)),
        (0x11, Coding("gsm7", False, 1)),
        (0x12, Coding("gsm7", False, 2)),
        (0x13, Coding("gsm7", False, 3)),
        (0x14, Coding(BINARY, True, 0)),
        (0x15, Coding(BINARY, False, 1)),
        (0x18, Coding("ucs2", True, 0)),
        (0x19, Coding("ucs2", False, 1)),
        (0x1C, Coding("gsm7", True, 0)),
        (0x40, Coding("gsm7", False, None)),
        (0x43, Coding("gsm7", False, None)),
        (0x44, Coding(BINARY, False, None)),
        (0x48, Coding("ucs2", False, None)),
        (0x50, Coding("gsm7", True, 0)),
        (0x59, Coding("ucs2", False, 1)),
        (0x80, Coding("gsm7", False, None)),
        (0xBF, Coding("gsm7", False, None)),
        (0xC0, Coding("gsm7", False, None)),
        (0xC8, Coding("gsm7", False, None)),
        (0xCF, Coding("gsm7", False, None)),
        (0xD9, Coding("gsm7", False, None)),
        (0xE0, Coding("ucs2", False, None)),
        (0xEF, Coding("ucs2", False, None)),
        (0xF0, Coding("gsm7", True, 0)),
        (0xF1, Coding("gsm7", False, 1)),
        (0xF2, Coding("gsm7", False, 2)),
        (0xF3, Coding("gsm7", False, 3)),
        (0xF4, Coding(BINARY, True, 0)),
        (0xF5, Coding(BINARY, False, 1)),
        (0xF7, Coding(BINARY, False, 3)),
        (0xF8, Coding("gsm7", False, None)),
        (0xFC, Coding("gsm7", False, None)),
    ],
)
def test_from_sixteen_up_holds_the_table_of_gsm(data_coding: int, coding: Coding) -> None:
    assert coding_of(data_coding, "latin1") == coding


@pytest.mark.parametrize(
    ("data_coding", "coding"),
    [
        (0x00, Coding(PACKED)),
        (0x10, Coding(PACKED, True, 0)),
        (0xC8, Coding(PACKED)),
        (0xF1, Coding(PACKED, False, 1)),
        (0xF5, Coding(BINARY, False, 1)),
        (0x08, Coding("ucs2")),
        (0x01, Coding("ascii")),
    ],
)
def test_who_packs_gsm_7_bit_packs_it_everywhere(data_coding: int, coding: Coding) -> None:
    assert coding_of(data_coding, PACKED) == coding


@pytest.mark.parametrize("data_coding", [0x20, 0x31, 0x38, 0x60, 0x7F])
def test_compressed_text_is_refused(data_coding: int) -> None:
    with pytest.raises(TextError, match="compressed"):
        coding_of(data_coding, "gsm7")


@pytest.mark.parametrize("data_coding", range(256))
def test_every_coding_is_an_alphabet_that_can_be_decoded_or_is_refused(data_coding: int) -> None:
    try:
        coding = coding_of(data_coding, "gsm7")
    except TextError:
        return
    assert coding.flash == (coding.message_class == 0)
    if coding.alphabet != BINARY:
        assert decode(b"", coding.alphabet) == ""


@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("alphabet", ["gsm7", "ucs2", BINARY])
def test_a_data_coding_says_what_it_was_made_of(alphabet: str, flash: bool) -> None:
    coding = coding_of(data_coding_of(alphabet, flash), "gsm7")
    assert (coding.alphabet, coding.flash) == (alphabet, flash)


@pytest.mark.parametrize("alphabet", sorted(set(SMPP_TABLE.values()) - {BINARY}))
def test_every_alphabet_of_smpp_has_its_data_coding(alphabet: str) -> None:
    assert SMPP_TABLE[data_coding_of(alphabet)] == alphabet


def test_national_tables_are_named_in_the_header_and_not_in_the_data_coding() -> None:
    assert (data_coding_of("gsm7-1-1"), data_coding_of("gsm7-1-1", flash=True)) == (0x00, 0x10)


@pytest.mark.parametrize(("alphabet", "flash"), [("utf8", False), ("cp1252", False), ("latin1", True)])
def test_what_no_data_coding_says(alphabet: str, flash: bool) -> None:
    with pytest.raises(TextError, match=f"no data_coding says {alphabet}"):
        data_coding_of(alphabet, flash)


# --- towards a client that reads data_coding 0 in its own alphabet


@pytest.mark.parametrize(
    ("text", "default", "alphabet", "data_coding"),
    [
        ("5 €", "gsm7", "gsm7", 0),
        ("жук", "gsm7", "ucs2", 8),
        ("5 €", PACKED, PACKED, 0),
        ("жук", PACKED, "ucs2", 8),
        ("hello", "latin1", "gsm7", 0),
        ("née @", "latin1", "latin1", 0),
        ("5 €", "latin1", "ucs2", 8),
        ("5 €", "cp1252", "cp1252", 0),
        ("a_b", "ascii", "ascii", 0),
        ("née", "ascii", "ucs2", 8),
        ("жук", "utf8", "utf8", 0),
    ],
)
def test_what_carries_a_text_to_a_client(text: str, default: str, alphabet: str, data_coding: int) -> None:
    assert delivered_alphabet(text, default) == alphabet
    assert data_coding_of(alphabet, default=default) == data_coding


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(DEFAULTS))
def test_a_client_reads_what_was_meant(text: str, default: str) -> None:
    text = text.lstrip("\ufeff\ufffe").rstrip("@\r")
    alphabet = delivered_alphabet(text, default)
    read = coding_of(data_coding_of(alphabet, default=default), default).alphabet
    assert decode(encode(text, alphabet), read) == text
