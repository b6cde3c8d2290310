from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from smpp.samples import c_string, tlvs

from bridge.smpp.enums import Status, Tag
from bridge.smpp.wire import (
    DecodeError,
    EncodeError,
    Header,
    Tlvs,
    bad_string,
    c_octets,
    check_submission_tlvs,
    header_only,
    read_tlvs,
    read_tlvs_after_message,
    text_of,
    write_tlvs,
)


@given(tlvs)
def test_tlvs_come_back_as_they_went(given_tlvs: Tlvs) -> None:
    assert read_tlvs(b"before" + write_tlvs(given_tlvs), 6) == given_tlvs


@pytest.mark.parametrize("stray", [b"\1", b"\1\2", b"\1\2\3", b"\0"])
def test_stray_octets_are_a_corrupt_stream(stray: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        read_tlvs(b"\x14\x01\x00\x01A" + stray, 0)
    assert caught.value.status is Status.RINVOPTPARSTREAM


def test_a_tlv_past_the_end_is_a_corrupt_stream() -> None:
    with pytest.raises(DecodeError) as caught:
        read_tlvs(b"\x02\x04\x00\x03ab", 0)
    assert caught.value.status is Status.RINVOPTPARSTREAM
    assert "0x0204" in caught.value.text


def test_repeated_tags_stay_in_order() -> None:
    repeated = ((Tag.CALLBACK_NUM, b"1234"), (Tag.CALLBACK_NUM, b"5678"))
    assert read_tlvs(write_tlvs(repeated), 0) == repeated


@given(tlvs)
def test_one_nul_before_the_tlvs_is_passed_over(given_tlvs: Tlvs) -> None:
    with suppress(DecodeError):
        read_tlvs(b"\0" + write_tlvs(given_tlvs), 0)
        reject()  # it can be read with the NUL, too, and that goes first
    assert read_tlvs_after_message(b"\0" + write_tlvs(given_tlvs), 0) == given_tlvs


@pytest.mark.parametrize("tail", [b"\0\0", b"\1", b"\0\1", b"\0\x02\x04\x00\x09x"])
def test_anything_but_one_nul_stays_an_error(tail: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        read_tlvs_after_message(tail, 0)
    assert caught.value.status is Status.RINVOPTPARSTREAM


@pytest.mark.parametrize(("tag", "value"), [(-1, b""), (0x10000, b""), (1, b"x" * 0x10000)])
def test_a_tlv_that_does_not_fit_is_refused(tag: int, value: bytes) -> None:
    with pytest.raises(EncodeError):
        write_tlvs(((tag, value),))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (Tag.SAR_MSG_REF_NUM, b"\1"),
        (Tag.SAR_TOTAL_SEGMENTS, b""),
        (Tag.MS_VALIDITY, b"\0\0"),
        (Tag.SOURCE_PORT, b"123"),
    ],
)
def test_a_fixed_length_is_checked(tag: int, value: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        check_submission_tlvs(((tag, value),))
    assert caught.value.status is Status.RINVPARLEN


def test_lengths_that_a_version_allows_and_tags_of_no_submission_pass() -> None:
    check_submission_tlvs(
        (
            (Tag.MS_VALIDITY, b"\0"),
            (Tag.MS_VALIDITY, b"\0\0\0\1"),
            (Tag.ALERT_ON_MESSAGE_DELIVERY, b""),
            (Tag.DPF_RESULT, b"\0\0\0"),
            (0x1403, b"anything"),
            (Tag.MESSAGE_PAYLOAD, b""),
        )
    )


@given(c_string(65))
def test_a_c_octet_tlv_reads_with_and_without_its_nul(text: str) -> None:
    assert text_of(c_octets(text)) == text
    assert text_of(c_octets(text)[:-1]) == text


@pytest.mark.parametrize("text", ["a\0b", "€"])
def test_a_c_octet_tlv_refuses_what_it_cannot_hold(text: str) -> None:
    with pytest.raises(EncodeError):
        c_octets(text)


def test_a_string_cut_by_the_end_is_not_one_too_long() -> None:
    assert bad_string("source_addr", Status.RINVSRCADR, 6, b"abcde", 0).status is Status.RINVCMDLEN
    assert bad_string("source_addr", Status.RINVSRCADR, 6, b"abcdef", 0).status is Status.RINVSRCADR


@pytest.mark.parametrize("read", [read_tlvs, read_tlvs_after_message])
@given(data=st.binary(max_size=80))
def test_any_octets_are_tlvs_or_a_corrupt_stream(read: Callable[[bytes, int], Tlvs], data: bytes) -> None:
    found: Tlvs | Status
    try:
        found = read(data, 0)
    except DecodeError as error:
        found = error.status
    assert found is Status.RINVOPTPARSTREAM or (isinstance(found, tuple) and write_tlvs(found) in (data, data[1:]))


def test_a_header_alone() -> None:
    assert header_only(0x80000004, 0x58, 0xFFFFFFFF) == bytes.fromhex("00000010 80000004 00000058 ffffffff")
    assert Header(16, 0x80000004, 0, 1).is_response
    assert not Header(16, 4, 0, 1).is_response
