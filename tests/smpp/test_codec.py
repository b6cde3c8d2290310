from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from smpp.samples import SUBMIT, VECTORS, Vector, pdus_of

from bridge.smpp.codec import MAX_PDU, Framer, decode, encode
from bridge.smpp.enums import RESPONSE_BIT, CommandId, Status, Tag
from bridge.smpp.fields import DistributionList, SmeAddress, UnsuccessSme
from bridge.smpp.pdus import (
    PDUS,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    EnquireLink,
    Pdu,
    ReplaceSm,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
)
from bridge.smpp.wire import DecodeError, EncodeError, FramingError, PduError, pack_header, unpack_header

# Malformed to the letter, and accepted: one NUL after short_message, and whatever follows an error in a response.
STRAY_NUL = {"submit_sm", "replace_sm"}
TOO_LONG = {
    "service_type": Status.RINVSERTYP,
    "final_date": Status.RINVCMDLEN,
    "destination_addr": Status.RINVDSTADR,
}


def shown(pdu: Pdu) -> dict[str, Any]:
    """A PDU in the words of the vectors."""
    names = [name for name in pdu.__struct_fields__ if name not in ("sequence", "status", "tlvs")]
    found: dict[str, Any] = {name: getattr(pdu, name) for name in names}
    if "short_message" in found:
        found["sm_length"] = len(found["short_message"])
        found["short_message_hex"] = found.pop("short_message").hex()
    if "dest_address" in found:
        found["number_of_dests"] = len(found["dest_address"])
        found["dest_address"] = [
            {"dest_flag": 2, "dl_name": each.dl_name}
            if isinstance(each, DistributionList)
            else {
                "dest_flag": 1,
                "dest_addr_ton": each.dest_addr_ton,
                "dest_addr_npi": each.dest_addr_npi,
                "destination_addr": each.destination_addr,
            }
            for each in found["dest_address"]
        ]
    if "unsuccess_sme" in found:
        found["no_unsuccess"] = len(found["unsuccess_sme"])
        found["unsuccess_sme"] = [
            {
                "dest_addr_ton": each.dest_addr_ton,
                "dest_addr_npi": each.dest_addr_npi,
                "destination_addr": each.destination_addr,
                "error_status_code": f"0x{each.error_status_code:08x}",
            }
            for each in found["unsuccess_sme"]
        ]
    return found


def too_long(vector: Vector) -> Status | None:
    """The status for a string above its maximum, when the vector has one that is not a password."""
    for note in vector.notes:
        field, _, rest = note.partition(" longer than its maximum")
        if rest and field != "password":
            return TOO_LONG[field]
    return None


def outcome(octets: bytes) -> Pdu | Status:
    try:
        return decode(octets)
    except DecodeError as error:
        return error.status


WELL_FORMED = [v for v in VECTORS if v.kind == "well-formed" and too_long(v) is None]
MALFORMED = [v for v in VECTORS if v.kind == "malformed"]


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 304
    assert len(WELL_FORMED) == 262
    assert len(MALFORMED) == 32


@pytest.mark.parametrize("vector", WELL_FORMED, ids=lambda v: v.source)
def test_a_well_formed_vector_decodes_as_others_read_it(vector: Vector) -> None:
    pdu = decode(vector.octets)
    expected = dict(vector.decoded)
    assert len(vector.octets) == expected.pop("command_length")
    assert f"0x{pdu.command:08x}" == expected.pop("command_id")
    assert f"0x{pdu.status:08x}" == expected.pop("command_status")
    assert pdu.sequence == expected.pop("sequence_number")
    read = [(int(each["tag"], 16), bytes.fromhex(each["value_hex"])) for each in expected.pop("tlvs", [])]
    assert list(pdu.tlvs) == read
    if vector.has("body absent"):
        assert expected == {}
        assert pdu == type(pdu)(sequence=pdu.sequence, status=pdu.status)
    else:
        assert shown(pdu) == expected


@pytest.mark.parametrize("vector", WELL_FORMED, ids=lambda v: v.source)
def test_a_well_formed_vector_is_written_as_it_came(vector: Vector) -> None:
    pdu = decode(vector.octets)
    written = encode(pdu)
    if vector.has("body absent") and pdu.status == 0:
        assert decode(written) == pdu  # the canonical form has an empty message_id
        assert written[16:] == b"\0"
    elif vector.has("error response that carries a body"):
        assert written == pack_header(16, pdu.command, pdu.status, pdu.sequence)
    else:
        assert written == vector.octets


@pytest.mark.parametrize("vector", [v for v in VECTORS if too_long(v)], ids=lambda v: v.source)
def test_a_string_above_its_maximum_is_answered_with_the_status_of_its_field(vector: Vector) -> None:
    assert outcome(vector.octets) is too_long(vector)


@pytest.mark.parametrize("vector", MALFORMED, ids=lambda v: v.source)
def test_a_malformed_vector_has_the_status_of_its_defect(vector: Vector) -> None:
    found = outcome(vector.octets)
    _, command_id, status, _ = unpack_header(vector.octets)
    if command_id & RESPONSE_BIT and status:
        assert isinstance(found, Pdu)
        assert found.status == status
    elif CommandId(command_id).name.lower() in STRAY_NUL and vector.octets.endswith(b"hello\0"):
        assert isinstance(found, SubmitSm | ReplaceSm)
        assert found.short_message == b"hello"
    else:
        assert found == (too_long(vector) or vector.suggested_status)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.kind == "unknown-command"], ids=lambda v: v.source)
def test_an_unknown_command_keeps_its_header(vector: Vector) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(vector.octets)
    assert caught.value.status is Status.RINVCMDID
    assert caught.value.header == unpack_header(vector.octets)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.source)
def test_a_vector_fed_octet_by_octet_is_the_same_and_comes_with_its_last(vector: Vector) -> None:
    framer = Framer()
    for octet in vector.octets[:-1]:
        framer.feed(bytes((octet,)))
        assert list(framer) == []
    framer.feed(vector.octets[-1:])
    (item,) = framer
    expected = outcome(vector.octets)
    assert (item.status if isinstance(item, DecodeError) else item) == expected
    assert framer.buffered == 0


def test_all_vectors_in_one_stream_keep_their_order() -> None:
    framer = Framer()
    framer.feed(b"".join(vector.octets for vector in VECTORS))
    found = [item.status if isinstance(item, PduError) else item for item in framer]
    assert found == [outcome(vector.octets) for vector in VECTORS]


def test_one_that_is_put_back_comes_again_whatever_is_fed_meanwhile() -> None:
    framer = Framer()
    one, two, three = (encode(EnquireLink(number)) for number in (1, 2, 3))
    framer.feed(one + two)
    for item in framer:
        if item.sequence == 2:
            framer.put_back()
            break
    assert framer.unread == two
    framer.feed(three)
    assert [item.sequence for item in framer] == [2, 3]
    assert framer.buffered == 0


@pytest.mark.parametrize("kind", PDUS.values(), ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_pdu_comes_back_as_it_went(kind: type[Pdu], data: st.DataObject) -> None:
    pdu = data.draw(pdus_of(kind))
    octets = encode(pdu)
    assert unpack_header(octets)[:2] == (len(octets), kind.command)
    again = decode(octets)
    assert type(again) is kind
    assert again == pdu


@pytest.mark.parametrize("kind", PDUS.values(), ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_pdu_cut_anywhere_is_an_error_or_a_shorter_pdu(kind: type[Pdu], data: st.DataObject) -> None:
    octets = encode(data.draw(pdus_of(kind)))
    size = data.draw(st.integers(16, len(octets)))
    cut = pack_header(size, *unpack_header(octets)[1:]) + octets[16:size]
    found = outcome(cut)
    if isinstance(found, Pdu):
        body = encode(found)[16:]
        fields = len(encode(structs.replace(found, tlvs=())))
        stray = cut[fields : fields + 1] == b"\0"  # the first half of a tag, taken for the NUL behind short_message
        assert (
            body == cut[16:]
            or (size == 16 and found == kind(found.sequence, found.status))
            or (stray and body == cut[16:fields] + cut[fields + 1 :])
        )
    else:
        assert found in (Status.RINVCMDLEN, Status.RINVMSGLEN, Status.RINVOPTPARSTREAM, Status.RINVPARLEN)


@given(st.sampled_from(VECTORS), st.data())
@settings(max_examples=500)
def test_a_mutated_vector_is_a_pdu_or_a_documented_error(vector: Vector, data: st.DataObject) -> None:
    octets = bytearray(vector.octets)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    framer = Framer()
    framer.feed(bytes(octets))
    for item in framer:
        if isinstance(item, FramingError):
            assert framer.broken
        elif isinstance(item, DecodeError):
            assert isinstance(item.status, Status)
            assert item.text
        else:
            assert isinstance(item, Pdu)
            assert isinstance(decode(encode(item)), type(item))


@given(st.sampled_from(sorted(CommandId)), st.binary(max_size=200))
@settings(max_examples=500)
def test_any_body_is_a_pdu_or_a_documented_error(command: CommandId, body: bytes) -> None:
    found = outcome(pack_header(16 + len(body), command, 0, 1) + body)
    assert isinstance(found, Pdu | Status)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_stream_ends_or_breaks_in_good_order(chunks: list[bytes]) -> None:
    framer = Framer(max_pdu=100)
    broken = False
    for chunk in chunks:
        framer.feed(chunk)
        items = list(framer)
        assert not (broken and items)
        assert all(not isinstance(item, FramingError) for item in items[:-1])
        broken = broken or any(isinstance(item, FramingError) for item in items)
        assert framer.broken == broken
        assert framer.buffered < 100


def test_submit_multi_takes_255_destinations() -> None:
    pdu = SubmitMulti(dest_address=(SmeAddress(1, 1, "905321234567"),) * 255)
    assert decode(encode(pdu)) == pdu


def test_decode_wants_exactly_one_pdu() -> None:
    octets = encode(SUBMIT)
    for wrong in (octets[:-1], octets + b"\0", b"", octets[:15]):
        with pytest.raises(FramingError):
            decode(wrong)


@pytest.mark.parametrize("length", [0, 1, 15, MAX_PDU + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_known_by_its_first_four_octets(length: int) -> None:
    framer = Framer()
    framer.feed(length.to_bytes(4, "big"))
    (error,) = framer
    assert isinstance(error, FramingError)
    assert error.status is Status.RINVCMDLEN
    assert error.header.sequence == 0
    framer.feed(encode(SUBMIT))
    assert list(framer) == []
    assert framer.buffered == 0


def test_an_impossible_length_keeps_the_sequence_of_a_whole_header() -> None:
    framer = Framer()
    framer.feed(encode(SUBMIT) + pack_header(MAX_PDU + 1, 4, 0, 77))
    first, error = framer
    assert first == SUBMIT
    assert isinstance(error, FramingError)
    assert error.header.sequence == 77


def test_the_largest_pdu_is_taken() -> None:
    payload = DataSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 0xFFFF),))
    framer = Framer(max_pdu=len(encode(payload)))
    framer.feed(encode(payload))
    assert list(framer) == [payload]


def test_iterating_can_stop_and_go_on() -> None:
    framer = Framer()
    framer.feed(encode(SUBMIT, 1) + encode(SUBMIT, 2) + encode(SUBMIT, 3)[:20])
    assert next(iter(framer)) == decode(encode(SUBMIT, 1))
    framer.feed(encode(SUBMIT, 3)[20:])
    assert [item.sequence for item in framer if isinstance(item, Pdu)] == [2, 3]


def test_encode_can_give_another_sequence() -> None:
    assert decode(encode(SUBMIT, 0xFFFFFFFF)).sequence == 0xFFFFFFFF
    assert SUBMIT.sequence == 5


def test_an_error_response_is_its_header_alone() -> None:
    octets = encode(SubmitSmResp(sequence=9, status=Status.RTHROTTLED, message_id="5", tlvs=((0x0428, b"\x63"),)))
    assert octets == bytes.fromhex("00000010 80000004 00000058 00000009")


def test_the_sample_of_the_specification() -> None:
    octets = bytes.fromhex(
        "0000002f 00000002 00000000 00000001 534d50503354455354 00 7365637265743038 00 5355424d495431 00 00010100"
    )
    assert decode(octets) == BindTransmitter(
        1, 0, (), "SMPP3TEST", "secret08", "SUBMIT1", interface_version=0x00, addr_ton=1, addr_npi=1
    )


@pytest.mark.parametrize(
    "pdu",
    [
        SubmitSm(source_addr="x" * 21),
        SubmitSm(source_addr="a\0b"),
        SubmitSm(source_addr="€"),
        SubmitSm(esm_class=256),
        SubmitSm(esm_class=-1),
        SubmitSm(short_message=b"x" * 256),
        SubmitSm(sequence=-1),
        SubmitSm(sequence=1 << 32),
        SubmitSm(tlvs=((0x10000, b""),)),
        SubmitMulti(dest_address=()),
        SubmitMulti(dest_address=(DistributionList("x"),) * 256),
        SubmitMulti(dest_address=(DistributionList("x" * 21),)),
        SubmitMulti(dest_address=(SmeAddress(256, 0, "1"),)),
        SubmitMultiResp(unsuccess_sme=(UnsuccessSme(0, 0, "1\0", 0),)),
        SubmitMultiResp(unsuccess_sme=(UnsuccessSme(0, 0, "1", 1 << 32),)),
        SubmitSmResp(message_id="x" * 65),
    ],
    ids=range(16),
)
def test_what_does_not_fit_is_not_written(pdu: Pdu) -> None:
    with pytest.raises(EncodeError):
        encode(pdu)


def reframed(octets: bytes) -> bytes:
    return pack_header(len(octets), *unpack_header(octets)[1:]) + octets[16:]


@pytest.mark.parametrize(
    ("octets", "status", "field"),
    [
        (encode(SUBMIT).replace(b"ACME", b"A" * 21), Status.RINVSRCADR, "source_addr"),
        (encode(SUBMIT).replace(b"905321234567", b"9" * 21), Status.RINVDSTADR, "destination_addr"),
        (encode(SUBMIT)[:20], Status.RINVCMDLEN, "source_addr"),
        (encode(SUBMIT)[:17], Status.RINVCMDLEN, "source_addr_ton"),
        (encode(SUBMIT)[:-1], Status.RINVMSGLEN, "short_message"),
        (encode(SUBMIT)[:-6], Status.RINVCMDLEN, "short_message"),
        (encode(SUBMIT) + b"\1", Status.RINVOPTPARSTREAM, "tlvs"),
        (encode(SUBMIT) + b"\0\0", Status.RINVOPTPARSTREAM, "tlvs"),
        (encode(SUBMIT) + b"\x02\x0c\0\1\1", Status.RINVPARLEN, "0x020c"),
        (encode(BindTransceiver(system_id="x" * 15)).replace(b"x" * 15, b"x" * 16), Status.RINVSYSID, "system_id"),
        (encode(BindTransceiver(password="x" * 63)).replace(b"x" * 63, b"x" * 64), Status.RINVPASWD, "password"),
        (encode(BindTransceiver(system_type="x" * 9)).replace(b"x" * 9, b"x" * 13), Status.RINVSYSTYP, "system_type"),
        (encode(SubmitSm(service_type="y" * 5)).replace(b"y" * 5, b"y" * 6), Status.RINVSERTYP, "service_type"),
        (
            encode(SubmitSm(validity_period="z" * 16)).replace(b"z" * 16, b"z" * 17),
            Status.RINVEXPIRY,
            "validity_period",
        ),
        (
            encode(SubmitSm(schedule_delivery_time="z" * 16)).replace(b"z" * 16, b"z" * 17),
            Status.RINVSCHED,
            "schedule_delivery_time",
        ),
        (
            encode(SubmitMulti(dest_address=(DistributionList("d" * 20),))).replace(b"d" * 20, b"d" * 21),
            Status.RINVDLNAME,
            "dl_name",
        ),
        (
            encode(SubmitMulti(dest_address=(DistributionList("ddd"),))).replace(b"\1\2ddd", b"\1\3ddd"),
            Status.RINVDESTFLAG,
            "dest_flag",
        ),
        (
            encode(SubmitMulti(dest_address=(DistributionList("ddd"),))).replace(b"\1\2ddd\0", b"\0"),
            Status.RINVNUMDESTS,
            "number_of_dests",
        ),
        (
            encode(SubmitMultiResp(unsuccess_sme=(UnsuccessSme(1, 1, "555", 0x58),)))[:-1],
            Status.RINVCMDLEN,
            "unsuccess_sme",
        ),
    ],
)
def test_each_defect_has_its_status_and_names_its_field(octets: bytes, status: Status, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(reframed(octets))
    assert (caught.value.status, caught.value.field) == (status, field)
    assert caught.value.header.sequence == unpack_header(octets)[3]


def test_no_text_of_an_error_holds_a_value() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(reframed(encode(BindTransceiver(password="x" * 63)).replace(b"x" * 63, b"hunter2-" * 8)))
    assert "hunter2" not in str(caught.value)


def test_a_status_in_a_request_is_kept_and_harmless() -> None:
    assert decode(pack_header(16, CommandId.ENQUIRE_LINK, 99, 1)) == EnquireLink(sequence=1, status=99)


def test_what_was_not_iterated_can_be_looked_at() -> None:
    first, second = encode(EnquireLink(1)), encode(EnquireLink(2))
    framer = Framer()
    framer.feed(first + second + b"\0\0")
    assert next(iter(framer)) == EnquireLink(1)
    assert framer.unread == second + b"\0\0"
    assert list(framer) == [EnquireLink(2)]
    assert framer.unread == b"\0\0"
