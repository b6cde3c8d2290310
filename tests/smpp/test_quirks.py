"""What real programs send that the specification does not: one test or more for each, in the order they were met.

Not here because they concern what stands above a session: TLS, and how many binds an account may have (the status of a
refusal is the caller's: `refuse_bind`).
"""

import pytest
from smpp.samples import DELIVER, SUBMIT, asked, bound, opened, sent

from bridge.smpp.codec import decode, encode
from bridge.smpp.enums import RESPONSE_BIT, CommandId, EsmClass, Status, Tag
from bridge.smpp.events import Closed, Delivered, DeliveryFailed, Malformed, Submitted, Violation
from bridge.smpp.pdus import (
    PDUS,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm,
    SubmitSmResp,
    Unbind,
)
from bridge.smpp.states import State
from bridge.smpp.wire import pack_header, text_of, unpack_header


def reframed(octets: bytes) -> bytes:
    return pack_header(len(octets), *unpack_header(octets)[1:]) + octets[16:]


def test_quirk_1_uncounted_nul_after_short_message() -> None:
    assert decode(reframed(encode(SUBMIT) + b"\0")) == SUBMIT


def test_quirk_1_uncounted_nul_between_short_message_and_sar_tlvs() -> None:
    sar = ((0x020C, b"\0\1"), (0x020E, b"\2"), (0x020F, b"\1"))
    with_sar = SubmitSm(short_message=b"hello", tlvs=sar)
    plain = encode(SubmitSm(short_message=b"hello"))
    assert decode(reframed(plain + b"\0" + encode(with_sar)[len(plain) :])) == with_sar


def test_quirk_2_counted_nul_belongs_to_the_text() -> None:
    pdu = decode(encode(SubmitSm(short_message=b"hello\0")))
    assert isinstance(pdu, SubmitSm)
    assert pdu.short_message == b"hello\0"


def test_quirk_7_tlv_strings_without_nul() -> None:
    pdu = DeliverSm(tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"42"),))
    assert text_of(decode(encode(pdu)).tlv(Tag.RECEIPTED_MESSAGE_ID) or b"") == "42"


def test_quirk_8_plus_and_leading_spaces_stay() -> None:
    pdu = SubmitSm(source_addr="  123", destination_addr="+90532")
    assert decode(encode(pdu)) == pdu


@pytest.mark.parametrize("message_id", ["", "0", "a-message-id"])
def test_quirk_11_deliver_sm_resp_with_an_id(message_id: str) -> None:
    assert decode(encode(DeliverSmResp(message_id=message_id))) == DeliverSmResp(message_id=message_id)


@pytest.mark.parametrize("command", [c for c in CommandId if c & RESPONSE_BIT])
def test_quirk_11_responses_without_body(command: CommandId) -> None:
    assert decode(pack_header(16, command, 0, 3)) == PDUS[command](sequence=3)


def test_quirk_12_an_error_with_a_body_that_cannot_be_read() -> None:
    octets = pack_header(19, CommandId.SUBMIT_SM_RESP, 0x45, 3) + b"abc"
    assert decode(octets) == SubmitSmResp(sequence=3, status=0x45)


def test_quirk_18_message_payload_for_short_text() -> None:
    pdu = decode(encode(SubmitSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"hi"),))))
    assert pdu.tlv(Tag.MESSAGE_PAYLOAD) == b"hi"


def test_quirk_21_a_password_longer_than_eight() -> None:
    pdu = BindTransceiver(password="a-much-longer-password")
    assert decode(encode(pdu)) == pdu


def test_quirk_22_vendor_tlvs_are_kept() -> None:
    pdu = SubmitSm(tlvs=((0x1403, b"\xaa"), (0x1501, b"")))
    assert decode(encode(pdu)) == pdu


def test_quirk_3_a_transceiver_that_says_version_0() -> None:
    session = opened()
    session.accept_bind(asked(session, BindTransceiver(interface_version=0x00)), 0.0)
    assert (session.state, session.version) == (State.BOUND_TRX, "3.3")
    assert sent(session) == [BindTransceiverResp(system_id="bridge")]


def test_quirk_3_a_3_4_client_that_says_5_0_and_is_known_for_it() -> None:
    session = opened()
    session.accept_bind(asked(session, BindTransceiver(interface_version=0x50)), 0.0, version="3.4")
    assert sent(session)[0].tlv(Tag.SC_INTERFACE_VERSION) == b"\x34"


def test_quirk_4_submit_before_bind_resp() -> None:
    session = opened()
    bind = asked(session, BindTransceiver(sequence=1), behind=encode(SUBMIT, 2))
    (event,) = session.accept_bind(bind, 0.0)
    assert isinstance(event, Submitted)
    assert event.pdu == decode(encode(SUBMIT, 2))


def test_quirk_4_submit_before_a_refusal_is_dropped_with_the_session() -> None:
    session = opened()
    bind = asked(session, BindTransceiver(sequence=1), behind=encode(SUBMIT, 2))
    assert session.refuse_bind(bind, Status.RBINDFAIL) == [Closed("refused")]
    assert sent(session) == [BindTransceiverResp(sequence=1, status=Status.RBINDFAIL)]


def test_quirk_5_enquire_link_before_bind() -> None:
    session = opened()
    assert session.receive(encode(EnquireLink(sequence=3)), 1.0) == []
    assert sent(session) == [EnquireLinkResp(sequence=3)]
    assert session.state is State.OPEN


@pytest.mark.parametrize("sequence", [0, 0x6B0413A8, 0x80000000, 0xFFFFFFFF])
def test_quirk_6_any_sequence_number_is_echoed(sequence: int) -> None:
    session = bound()
    session.receive(encode(SUBMIT, sequence) + encode(EnquireLink(sequence=sequence)), 1.0)
    session.submitted(sequence, "1")
    assert [each.sequence for each in sent(session)] == [sequence, sequence]


def test_quirk_6_two_submits_with_one_sequence_number_are_two() -> None:
    session = bound()
    assert len(session.receive(encode(SUBMIT, 7) * 2, 1.0)) == 2
    session.submitted(7, "1")
    assert session.pending_submits == 1


@pytest.mark.parametrize("esm_class", [0x03, 0x08, 0x02, EsmClass.UDHI, 0xFF])
@pytest.mark.parametrize("registered_delivery", [0x11, 0x00, 0x1F])
def test_quirks_9_and_10_bit_fields_are_the_callers_to_judge(esm_class: int, registered_delivery: int) -> None:
    pdu = SubmitSm(sequence=2, esm_class=esm_class, registered_delivery=registered_delivery)
    assert bound().receive(encode(pdu), 1.0) == [Submitted(pdu)]


@pytest.mark.parametrize(
    "octets",
    [
        pack_header(16, CommandId.DELIVER_SM_RESP, 0, 1),
        encode(DeliverSmResp(sequence=1)),
        encode(DeliverSmResp(sequence=1, message_id="not-empty")),
    ],
)
def test_quirk_11_every_form_of_deliver_sm_resp_settles(octets: bytes) -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    assert session.receive(octets, 1.0) == [Delivered("a", 0)]


def test_quirk_13_generic_nack_as_the_answer_to_deliver_sm() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    nack = GenericNack(sequence=1, status=Status.RINVCMDID)
    assert session.receive(encode(nack), 1.0) == [DeliveryFailed("a", "nack", Status.RINVCMDID)]
    assert session.deliver_room == 50


@pytest.mark.parametrize("status", [Status.RINVSERTYP, Status.RINVOPTPARSTREAM])
def test_quirk_14_an_odd_status_of_deliver_sm_resp_is_handed_on(status: Status) -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    assert session.receive(encode(DeliverSmResp(sequence=1, status=status)), 1.0) == [Delivered("a", status)]


def test_quirk_15_a_client_that_closes_without_unbind() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    assert session.eof(1.0) == [DeliveryFailed("a", "closed"), Closed("eof")]


def test_quirk_15_a_client_that_never_answers_unbind() -> None:
    session = bound(response_s=10.0)
    session.unbind(0.0)
    assert sent(session) == [Unbind(sequence=1)]
    assert session.tick(10.0) == [Closed("unbound")]


def test_quirk_16_a_client_that_never_answers_deliver_sm() -> None:
    session = bound(response_s=10.0, deliver_window=1, enquire_link_s=100.0)
    session.deliver(DELIVER, "a", 0.0)
    assert session.deliver_room == 0
    assert session.tick(10.0) == [DeliveryFailed("a", "timeout")]
    assert session.deliver_room == 1


def test_quirk_19_udh_by_hand_and_septets_unpacked() -> None:
    text = bytes.fromhex("050003cc0201") + b"x" * 153
    pdu = decode(encode(SubmitSm(esm_class=EsmClass.UDHI | 0x03, short_message=text)))
    assert isinstance(pdu, SubmitSm)
    assert pdu.short_message == text


def test_quirk_20_a_second_bind_on_a_bound_session() -> None:
    session = bound()
    assert session.receive(encode(BindTransmitter(sequence=2)), 1.0) == [
        Violation(CommandId.BIND_TRANSMITTER, 2, Status.RALYBND)
    ]
    assert session.to_write() == pack_header(16, CommandId.BIND_TRANSMITTER_RESP, Status.RALYBND, 2)
    assert session.state is State.BOUND_TRX


def test_quirk_23_unsolicited_and_duplicate_responses() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    session.to_write()
    answer = encode(DeliverSmResp(sequence=1))
    assert session.receive(answer * 2 + encode(SubmitSmResp(sequence=4)), 1.0) == [
        Delivered("a", 0),
        Violation(CommandId.DELIVER_SM_RESP, 1, None),
        Violation(CommandId.SUBMIT_SM_RESP, 4, None),
    ]
    assert session.to_write() == b""


def test_quirk_24_a_half_open_connection_is_found() -> None:
    session = bound(enquire_link_s=30.0, response_s=5.0)
    session.tick(30.0)
    assert session.tick(35.0) == [Closed("enquire_link_timeout")]


def test_a_tls_client_at_a_plain_port() -> None:
    session = opened()
    events = session.receive(bytes.fromhex("160301020001000001fc0303"), 0.0)
    assert [type(each) for each in events] == [Malformed, Closed]
