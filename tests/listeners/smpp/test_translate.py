"""PDUs to messages: every field, every reason, every alphabet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listeners.smpp.submissions import HOUR, NOW, SETTINGS, refused, taken, with_alphabet

from bridge.errors import Refusal
from bridge.listeners.smpp.profiles import Receipts
from bridge.listeners.smpp.statuses import ERROR, STATUS, status_of
from bridge.message import Message, Reason, ReportOn, Segment
from bridge.smpp.codec import decode
from bridge.smpp.enums import Status, Tag
from bridge.smpp.pdus import SubmitSm
from bridge.smpp.wire import PduError
from bridge.sms import gsm7
from bridge.sms.encoding import PACKED, coding_of, encode
from bridge.sms.join import join
from bridge.sms.segments import Element, build_udh, split
from bridge.sms.tables import LOCKING, SINGLE
from bridge.store.rows import message_from_bytes, pack


def _decodes(vector: dict[str, Any]) -> bool:
    try:
        return isinstance(decode(bytes.fromhex(vector["hex"])), SubmitSm)
    except PduError:
        return False


VECTORS = json.loads((Path(__file__).parents[2] / "smpp" / "vectors" / "smpp_pdus.json").read_text())
SUBMITS = [vector for vector in VECTORS if vector["command"] == "submit_sm" and _decodes(vector)]

# --- the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_status(reason: Reason) -> None:
    status = status_of(Refusal(reason, "text"))
    assert status is STATUS[reason]
    assert status is not Status.ROK
    assert status < 0x100  # what a peer of any version may be told


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_error(reason: Reason) -> None:
    assert re.fullmatch(r"[0-9]{3}", ERROR[reason])
    assert ERROR[reason] != "000"


def test_errors_tell_reasons_apart() -> None:
    assert len(set(ERROR.values())) == len(Reason)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.THROTTLED, Status.RTHROTTLED),
        (Reason.QUEUE_FULL, Status.RMSGQFUL),
        (Reason.UNAVAILABLE, Status.RSYSERR),
    ],
)
def test_what_can_come_later_is_told_as_temporary(reason: Reason, status: Status) -> None:
    """Clients repeat after these three, and after no other that we send."""
    assert STATUS[reason] is status
    assert [other for other in Reason if STATUS[other] is status] == [reason]


# --- submit_sm -> Message ----------------------------------------------------------------------------------------


def test_message() -> None:
    assert taken(registered_delivery=1) == Message(
        message_id=7,
        account="acme-account",
        listener="smpp",
        destination="380501234567",
        source="ACME",
        accepted_at=NOW,
        expires_at=NOW + 48 * HOUR,
        text="hello",
        report_on=ReportOn.FINAL,
        native={"source": (5, 0, "ACME"), "destination": (1, 1, "380501234567")},
    )


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0x00, b"\x00 \x02 \x11 \x1be", "@ $ _ €"),
        (0x01, b"IA5", "IA5"),
        (0x03, b"caf\xe9", "café"),
        (0x08, "Привіт 🙂".encode("utf-16-be"), "Привіт 🙂"),
        (0x06, "Привет".encode("iso-8859-5"), "Привет"),
        (0xF1, b"\x00", "@"),  # class 1, GSM 7-bit
        (0x00, b"", ""),  # an empty message is legal
        (0x00, b"one NUL\x00", "one NUL@"),  # a NUL of GSM 7-bit is text
    ],
)
def test_alphabets(data_coding: int, octets: bytes, text: str) -> None:
    message = taken(data_coding=data_coding, short_message=octets)
    assert (message.text, message.binary, message.flash) == (text, None, False)


@pytest.mark.parametrize(
    ("alphabet", "octets", "text"),
    [("gsm7", b"\x00", "@"), ("latin1", b"\xe9@", "é@"), ("utf8", "її".encode(), "її"), ("cp1252", b"\x80", "€")],
)
def test_data_coding_0_is_what_the_account_says(alphabet: str, octets: bytes, text: str) -> None:
    assert taken(settings=with_alphabet(alphabet), short_message=octets).text == text


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"), [(0x10, b"\x00", "@"), (0xF0, b"\x00", "@"), (0x18, b"\x00@", "@")]
)
def test_flash(data_coding: int, octets: bytes, text: str) -> None:
    message = taken(data_coding=data_coding, short_message=octets)
    assert (message.text, message.flash) == (text, True)


@pytest.mark.parametrize("data_coding", [0x02, 0x04, 0xF5, 0x14])
def test_binary(data_coding: int) -> None:
    message = taken(data_coding=data_coding, short_message=b"\x00\xff")
    assert (message.text, message.binary, message.udh) == (None, b"\x00\xff", None)


def test_binary_with_a_header() -> None:
    header = b"\x06\x05\x04\x0b\x84\x23\xf0"  # ports
    message = taken(data_coding=0x04, esm_class=0x43, short_message=header + b"\x01\x02")
    assert (message.binary, message.udh) == (b"\x01\x02", header)


def test_a_national_table() -> None:
    message = taken(esm_class=0x40, short_message=b"\x03\x24\x01\x01" + b"\x1bg\x1bs")  # Turkish, single shift
    assert message.text == "ğş"


@pytest.mark.parametrize("data_coding", [0x00, 0x10, 0xF1])
@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("e8329bfd4697d9ec37", "hellohello"),
        ("e170381c0e8701", "a" * 7),  # seven spare bits, left zero: no `@`
        ("e170381c0e871b", "a" * 7),  # or filled with a CR
        ("9b32", "€"),
        ("", ""),
    ],
)
def test_packed(data_coding: int, octets: str, text: str) -> None:
    message = taken(settings=with_alphabet(PACKED), data_coding=data_coding, short_message=bytes.fromhex(octets))
    assert message.text == text


def test_packed_after_a_header() -> None:
    header = b"\x06\x05\x04\x0b\x84\x23\xf0"  # seven octets: no fill bits
    shift = b"\x03\x24\x01\x01"  # four octets: three fill bits
    for udh, septets, text in ((header, b"hello", "hello"), (shift, b"\x1bg\x1bs", "ğş")):
        octets = udh + gsm7.pack(septets, gsm7.fill_bits(len(udh)))
        assert taken(settings=with_alphabet(PACKED), esm_class=0x40, short_message=octets).text == text


@given(st.text(alphabet="ab€[@ñ", min_size=161, max_size=600))
def test_packed_parts(text: str) -> None:
    """A full part may end with `@`; only the last one may have spare bits."""
    text = text.rstrip("@") + "."
    parts = []
    cuts = split(text, PACKED)
    for cut in cuts:
        header = bytes((5, 0, 3, 9, cut.total, cut.number)) if cut.total > 1 else b""
        message = taken(
            settings=with_alphabet(PACKED), esm_class=0x40 if header else 0, short_message=header + cut.octets
        )
        parts.append(message.segment or Segment(
            reference=9, total=1, number=1, scheme="udh8", octets=gsm7.encode(message.text or ""), alphabet="gsm7"
        ))  # fmt: skip
    assert {part.alphabet for part in parts} == {"gsm7"}
    assert join(parts) == text


@pytest.mark.parametrize("locking", [0, 1, 3, 6, 13])
@pytest.mark.parametrize("single", [0, 1, 2, 13])
@pytest.mark.parametrize("alphabet", ["gsm7", PACKED])
def test_national_tables(locking: int, single: int, alphabet: str) -> None:
    shifts = [Element(identifier, bytes((nli,))) for identifier, nli in ((0x25, locking), (0x24, single)) if nli]
    udh = build_udh(shifts)
    text = "".join(sorted({*LOCKING[locking], *SINGLE[single]} - {"·", "\x1b", "@"})) + "."
    septets = gsm7.encode(text, locking, single)
    octets = udh + (septets if alphabet == "gsm7" else gsm7.pack_text(septets, gsm7.fill_bits(len(udh))))
    message = taken(settings=with_alphabet(alphabet), esm_class=0x40, short_message=octets)
    assert (message.text, message.udh) == (text, None)


@pytest.mark.parametrize("data_coding", [0x20, 0x2F, 0x31, 0x7F])
def test_compressed_text_is_refused(data_coding: int) -> None:
    refusal = refused(data_coding=data_coding)
    assert (status_of(refusal), refusal.reason) == (Status.RINVDCS, Reason.INVALID_TEXT)
    assert "compressed" in refusal.text


def test_flash_by_tlv() -> None:
    assert taken(tlvs=((Tag.DEST_ADDR_SUBUNIT, b"\1"),)).flash
    assert not taken(tlvs=((Tag.DEST_ADDR_SUBUNIT, b"\2"),)).flash


PORTS = b"\x06\x05\x04\x0b\x84\x23\xf0"


@pytest.mark.parametrize(
    ("fields", "udh"),
    [
        ({"esm_class": 0x40, "short_message": PORTS + b"hello"}, PORTS),
        ({"tlvs": ((Tag.DESTINATION_PORT, b"\x0b\x84"), (Tag.SOURCE_PORT, b"\x23\xf0"))}, PORTS),
        ({"tlvs": ((Tag.DESTINATION_PORT, b"\x0b\x84"),)}, PORTS[:5] + b"\0\0"),
        ({"tlvs": ((Tag.SOURCE_PORT, b"\x23\xf0"),)}, None),
        ({"esm_class": 0x40, "short_message": b"\x05\x0a\x03\x00\x04\x10hello"}, None),  # how it looks
        ({"esm_class": 0x40, "short_message": b"\x05\x00\x03\x01\x01\x01hello"}, None),  # one of one
    ],
)
def test_ports_of_a_text(fields: dict[str, Any], udh: bytes | None) -> None:
    message = taken(**fields)
    assert (message.text, message.udh) == ("hello", udh)


def test_what_else_the_header_of_a_part_says() -> None:
    header = b"\x0b" + PORTS[1:] + b"\x00\x03\x01\x02\x01"
    for data_coding in (0, 4):
        message = taken(data_coding=data_coding, esm_class=0x40, short_message=header + b"a")
        assert message.segment is not None
        assert (message.segment.udh, message.udh) == (PORTS, None)
    sar = ((Tag.SAR_MSG_REF_NUM, b"\0\1"), (Tag.SAR_TOTAL_SEGMENTS, b"\2"), (Tag.SAR_SEGMENT_SEQNUM, b"\1"))
    ports = ((Tag.DESTINATION_PORT, b"\x0b\x84"), (Tag.SOURCE_PORT, b"\x23\xf0"))
    segment = taken(tlvs=(*sar, *ports)).segment
    assert segment is not None
    assert segment.udh == PORTS


@pytest.mark.parametrize("vector", SUBMITS, ids=lambda vector: str(vector["source"])[:60])
def test_vectors(vector: dict[str, Any]) -> None:
    """What others recorded is read as text, or told to be binary; addresses are ours, since theirs are often none."""
    pdu = decode(bytes.fromhex(vector["hex"]))
    assert isinstance(pdu, SubmitSm)
    octets = pdu.short_message
    kept = {
        "tlvs": pdu.tlvs,
        "short_message": octets,
        "data_coding": pdu.data_coding,
        "esm_class": pdu.esm_class & 0xC3,
    }
    if octets and pdu.tlv(Tag.MESSAGE_PAYLOAD) is not None:
        assert status_of(refused(**kept)) is Status.RINVMSGLEN
        return
    if pdu.esm_class & 0x40 and octets and octets[0] >= len(octets):
        assert status_of(refused(**kept)) is Status.RINVMSGLEN
        return
    message = taken(**kept)
    octets = octets or pdu.tlv(Tag.MESSAGE_PAYLOAD) or b""
    alphabet = coding_of(pdu.data_coding, "gsm7").alphabet
    text = b"" if message.text is None else encode(message.text, alphabet)
    assert (message.udh or b"") + (message.binary or b"") + text == octets


def test_message_payload() -> None:
    assert taken(short_message=b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 300),)).text == "x" * 300
    both = refused(tlvs=((Tag.MESSAGE_PAYLOAD, b"x"),))
    assert status_of(both) is Status.RINVMSGLEN


@pytest.mark.parametrize(
    ("header", "scheme", "reference"),
    [(b"\x05\x00\x03\xcc\x03\x02", "udh8", 0xCC), (b"\x06\x08\x04\xcc\x01\x03\x02", "udh16", 0xCC01)],
)
def test_a_part_by_udh(header: bytes, scheme: str, reference: int) -> None:
    message = taken(esm_class=0x40, short_message=header + b"\x1b", registered_delivery=1)
    assert message.segment == Segment(
        reference=reference, total=3, number=2, scheme=scheme, octets=b"\x1b", alphabet="gsm7"
    )
    assert (message.text, message.binary, message.report_on) == (None, None, ReportOn.FINAL)


def test_a_binary_part() -> None:
    message = taken(data_coding=4, esm_class=0x40, short_message=b"\x05\x00\x03\x01\x02\x01" + b"\xff")
    assert message.segment is not None
    assert (message.segment.alphabet, message.segment.octets) == ("binary", b"\xff")
    assert (message.text, message.binary, message.udh) == (None, None, None)
    assert message.segment.udh is None


def test_a_part_by_sar() -> None:
    tlvs = (
        (Tag.SAR_MSG_REF_NUM, b"\xcc\x01"),
        (Tag.SAR_TOTAL_SEGMENTS, b"\x03"),
        (Tag.SAR_SEGMENT_SEQNUM, b"\x02"),
    )
    message = taken(data_coding=8, short_message=b"\xd8\x3d", tlvs=tlvs)  # half of a surrogate pair
    assert message.segment == Segment(
        reference=0xCC01, total=3, number=2, scheme="sar", octets=b"\xd8\x3d", alphabet="ucs2"
    )
    assert taken(tlvs=tlvs[:2]).segment is None  # one is missing: none counts
    assert taken(tlvs=((tlvs[0]), (Tag.SAR_TOTAL_SEGMENTS, b"\1"), (Tag.SAR_SEGMENT_SEQNUM, b"\1"))).text == "hello"


@pytest.mark.parametrize(("total", "number"), [(3, 4), (3, 0), (0, 0), (0, 1)])
def test_an_impossible_part(total: int, number: int) -> None:
    tlvs = (
        (Tag.SAR_MSG_REF_NUM, b"\0\1"),
        (Tag.SAR_TOTAL_SEGMENTS, bytes((total,))),
        (Tag.SAR_SEGMENT_SEQNUM, bytes((number,))),
    )
    assert status_of(refused(tlvs=tlvs)) is Status.RINVOPTPARAMVAL
    # The standard says of the element in a header that it is ignored then.
    header = bytes((5, 0, 3, 1, total, number))
    assert taken(esm_class=0x40, short_message=header + b"hello").text == "hello"


@pytest.mark.parametrize(
    ("times", "deliver_in_s", "expires_in_s"),
    [
        ({}, None, 48 * HOUR),
        ({"validity_period": "000000020000000R"}, None, 2 * HOUR),
        ({"validity_period": "000000000000000R"}, None, 48 * HOUR),  # none is meant
        ({"validity_period": "261122213712000+"}, None, 3 * HOUR),
        ({"validity_period": "261122223712004+"}, None, 3 * HOUR),  # four quarters ahead of UTC
        ({"schedule_delivery_time": "000000010000000R"}, HOUR, 49 * HOUR),
        ({"schedule_delivery_time": "261122183612000+"}, -60.0, 48 * HOUR),  # a minute ago: now
        (
            {"schedule_delivery_time": "000000010000000R", "validity_period": "000000020000000R"},
            HOUR,
            2 * HOUR,
        ),
    ],
)
def test_times(times: dict[str, str], deliver_in_s: float | None, expires_in_s: float) -> None:
    message = taken(**times)
    assert message.expires_at == pytest.approx(NOW + expires_in_s)
    assert message.deliver_at == (None if deliver_in_s is None else pytest.approx(NOW + deliver_in_s))


@pytest.mark.parametrize(
    ("ton", "address", "region", "destination"),
    [
        (1, "380501234567", None, "380501234567"),
        (1, "+380501234567", None, "380501234567"),
        (1, "00380501234567", None, "380501234567"),
        (1, " 380501234567", None, "380501234567"),
        (1, "  +380501234567", None, "380501234567"),
        (1, "  00380501234567", None, "380501234567"),
        (0, "  380501234567", None, "380501234567"),
        (1, "011380501234567", "US", "380501234567"),
        (0, "011380501234567", "US", "380501234567"),
        (2, "380501234567", "UA", "380501234567"),  # Kannel says so of every number
        (2, "380501234567", None, "380501234567"),
        (1, "380501234567", "UA", "380501234567"),
        (1, "49301234567", "UA", "49301234567"),
        (1, "0501234567", "UA", "380501234567"),  # not international, whatever it says
        (0, "380501234567", None, "380501234567"),
        (0, "0501234567", "UA", "380501234567"),
        (2, "501234567", "UA", "380501234567"),
    ],
)
def test_destinations(ton: int, address: str, region: str | None, destination: str) -> None:
    message = taken(dest_addr_ton=ton, destination_addr=address, region=region)
    assert message.destination == destination
    assert message.native["destination"] == (ton, 1, address)


@pytest.mark.parametrize(
    ("ton", "address", "source"),
    [
        (5, "ACME", "ACME"),
        (0, "", None),
        (0, "  ", None),
        (1, "+380441234567", "380441234567"),
        (1, "380441234567", "380441234567"),
        (3, "12", "12"),  # a short code of two digits
        (0, "12345678901234567890", "12345678901234567890"),
    ],
)
def test_sources(ton: int, address: str, source: str | None) -> None:
    assert taken(source_addr_ton=ton, source_addr=address).source == source


@pytest.mark.parametrize(
    ("ton", "address", "source"),
    [
        (2, "0441234567", "380441234567"),
        (2, "441234567", "380441234567"),
        (0, "0441234567", "380441234567"),
        (0, "441234567", "441234567"),  # might be anything
        (1, "441234567890", "441234567890"),
        (2, "1234", "1234"),
        (5, "0441234567", "0441234567"),
        (2, "ACME", "ACME"),
    ],
)
def test_sources_of_a_region(ton: int, address: str, source: str) -> None:
    message = taken(region="UA", source_addr_ton=ton, source_addr=address)
    assert message.source == source
    assert message.native["source"] == (ton, 0, address)


@pytest.mark.parametrize(
    ("registered_delivery", "wanted"),
    [(0, ReportOn.NEVER), (1, ReportOn.FINAL), (2, ReportOn.FAILURE), (3, ReportOn.SUCCESS), (0x11, ReportOn.FINAL)],
)
def test_registered_delivery(registered_delivery: int, wanted: ReportOn) -> None:
    assert taken(registered_delivery=registered_delivery).report_on is wanted


@pytest.mark.parametrize("registered_delivery", range(256))
def test_bits_of_registered_delivery(registered_delivery: int) -> None:
    """Other bits, which clients fill with anything, are passed over."""
    assert taken(registered_delivery=registered_delivery).intermediate == bool(registered_delivery & 0x10)


@pytest.mark.parametrize("esm_class", [mode | kind | 0x80 for mode in range(4) for kind in (0x00, 0x08, 0x10)])
def test_modes_and_types_that_clients_always_send(esm_class: int) -> None:
    assert taken(esm_class=esm_class).text == "hello"


@pytest.mark.parametrize("kind", [kind for kind in range(0, 0x40, 4) if kind not in (0x00, 0x08, 0x10)])
def test_types_that_no_client_submits(kind: int) -> None:
    refusal = refused(esm_class=kind)
    assert (status_of(refusal), refusal.reason) == (Status.RINVESMCLASS, Reason.UNSUPPORTED)


def test_what_is_kept() -> None:
    tlvs = (
        (Tag.USER_MESSAGE_REFERENCE, b"\x12\x34"),
        (Tag.LANGUAGE_INDICATOR, b"\1"),
        (Tag.CALLBACK_NUM, b"\1\1\0123"),
        (Tag.CALLBACK_NUM, b"\1\1\0456"),
        (Tag.PRIVACY_INDICATOR, b"\2"),
        (Tag.MORE_MESSAGES_TO_SEND, b"\1"),
        (0x1400, b"vendor"),
        (Tag.MESSAGE_PAYLOAD, b"a"),
    )
    message = taken(
        service_type="WAP", protocol_id=0x7F, data_coding=0xF1, esm_class=0x83, short_message=b"", tlvs=tlvs
    )
    assert message.native == {
        "source": (5, 0, "ACME"),
        "destination": (1, 1, "380501234567"),
        "service_type": "WAP",
        "protocol_id": 0x7F,
        "data_coding": 0xF1,
        "esm_class": 0x83,
        "user_message_reference": b"\x12\x34",
        "tlvs": list(tlvs[1:-1]),
    }
    assert taken(esm_class=0x40, short_message=PORTS + b"a").native["esm_class"] == 0x40
    assert message_from_bytes(pack(message)).native["tlvs"] == [[int(tag), value] for tag, value in tlvs[1:-1]]


def test_what_is_kept_is_bounded() -> None:
    tlvs = ((0x1400, bytes(1000)), (0x1401, bytes(21)), (0x1402, bytes(20)), (0x1403, b""))
    assert taken(tlvs=tlvs).native["tlvs"] == [tlvs[0]]
    assert taken(tlvs=tlvs[:1] + tlvs[3:]).native["tlvs"] == [tlvs[0], tlvs[3]]
    # A payload takes none of the room.
    assert taken(short_message=b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"a" * 2000), tlvs[1])).native["tlvs"] == [tlvs[1]]


@pytest.mark.parametrize("priority", range(4))
def test_priority(priority: int) -> None:
    assert taken(priority_flag=priority).priority == priority


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"destination_addr": ""}, Status.RINVDSTADR, Reason.INVALID_DESTINATION),
        ({"destination_addr": "ACME"}, Status.RINVDSTADR, Reason.INVALID_DESTINATION),
        ({"destination_addr": "123"}, Status.RINVDSTADR, Reason.INVALID_DESTINATION),
        ({"dest_addr_ton": 0, "destination_addr": "0501234567"}, Status.RINVDSTADR, Reason.INVALID_DESTINATION),
        ({"source_addr": "ACME IS TOO LONG"}, Status.RINVSRCADR, Reason.INVALID_SOURCE),
        ({"source_addr": "AC\nME"}, Status.RINVSRCADR, Reason.INVALID_SOURCE),
        ({"priority_flag": 4}, Status.RINVPRTFLG, Reason.INVALID_REQUEST),
        ({"replace_if_present_flag": 1}, Status.RINVSUBREP, Reason.UNSUPPORTED),
        ({"replace_if_present_flag": 2}, Status.RINVREPFLAG, Reason.INVALID_REQUEST),
        ({"sm_default_msg_id": 1}, Status.RINVDFTMSGID, Reason.UNSUPPORTED),
        ({"schedule_delivery_time": "261322213712000+"}, Status.RINVSCHED, Reason.INVALID_SCHEDULE),
        ({"validity_period": "tomorrow 12:00.0"}, Status.RINVEXPIRY, Reason.INVALID_VALIDITY),
        ({"data_coding": 0x0B}, Status.RINVDCS, Reason.INVALID_TEXT),
        ({"data_coding": 0x08, "short_message": b"odd"}, Status.RINVMSGLEN, Reason.INVALID_TEXT),
        ({"data_coding": 0x01, "short_message": b"\xff"}, Status.RINVMSGLEN, Reason.INVALID_TEXT),
        ({"esm_class": 0x40, "short_message": b"\x09\x00\x03"}, Status.RINVMSGLEN, Reason.INVALID_TEXT),
    ],
)
def test_refusals(fields: dict[str, Any], status: Status, reason: Reason) -> None:
    refusal = refused(**fields)
    assert (status_of(refusal), refusal.reason) == (status, reason)
    assert refusal.text


_octet = st.integers(0, 255)
_string = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "source_addr_ton": _octet,
            "source_addr": _string,
            "dest_addr_ton": _octet,
            "destination_addr": _string | st.from_regex(r"\A[+0-9 ]{1,20}\Z"),
            "esm_class": _octet,
            "priority_flag": _octet,
            "schedule_delivery_time": st.from_regex(r"\A[0-9]{15}[-+R]\Z") | _string,
            "validity_period": st.from_regex(r"\A[0-9]{15}[-+R]\Z") | _string,
            "registered_delivery": _octet,
            "data_coding": _octet,
            "short_message": st.binary(max_size=254),
            "tlvs": st.lists(
                st.tuples(st.just(Tag.MESSAGE_PAYLOAD), st.binary(max_size=40))
                | st.tuples(st.just(Tag.SAR_MSG_REF_NUM), st.binary(min_size=2, max_size=2))
                | st.tuples(
                    st.sampled_from([Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM]), st.binary(min_size=1, max_size=1)
                ),
                max_size=4,
            ).map(tuple),
        },
    ),
    alphabet=st.sampled_from(["gsm7", PACKED, "latin1", "ascii", "utf8", "cp1252"]),
    region=st.sampled_from([None, "UA", "US"]),
)
def test_any_submit_sm_is_a_message_or_a_refusal(fields: dict[str, Any], alphabet: str, region: str | None) -> None:
    try:
        message = taken(region=region, settings=with_alphabet(alphabet), **fields)
    except Refusal as refusal:
        assert status_of(refusal) is not Status.ROK  # noqa: PT017 - either is right
        return
    contents = [message.text, message.binary, message.segment]
    assert sum(content is not None for content in contents) == 1


# --- what the account's profile says of receipts -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("receipts", "registered", "asks"),
    [({}, 0x10, True), ({}, 0x11, True), ({}, 1, False), ({"intermediate": False}, 0x11, False), ("v33", 0x11, False)],
)
def test_intermediate_notifications(receipts: object, registered: int, asks: bool) -> None:
    settings = SETTINGS.model_copy(update={"receipts": Receipts.model_validate(receipts)})
    assert taken(settings=settings, registered_delivery=registered).intermediate is asks


def test_one_receipt_is_for_all_parts() -> None:
    settings = SETTINGS.model_copy(update={"receipts": Receipts(per="message")})
    udh = b"\x05\x00\x03\x07\x02\x01"
    part = taken(settings=settings, esm_class=0x40, short_message=udh + b"hello")
    assert part.segment is not None
    assert part.one_report
    assert not taken(settings=settings).one_report
    assert not taken(esm_class=0x40, short_message=udh + b"hello").one_report
