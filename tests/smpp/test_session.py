import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpp.samples import BINDS, DELIVER, SUBMIT, VECTORS, Vector, asked, bound, in_state, opened, pdus_of, sent

from bridge.smpp.codec import decode, encode
from bridge.smpp.enums import SUBMISSION_TLV_OCTETS, CommandId, Status, Tag, answer_id
from bridge.smpp.events import (
    Bind,
    BindRequested,
    Closed,
    Delivered,
    DeliveryFailed,
    Event,
    Malformed,
    Requested,
    Submitted,
    Unbound,
    Violation,
)
from bridge.smpp.fields import DistributionList
from bridge.smpp.pdus import (
    PDUS,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    BindTransmitterResp,
    BroadcastSm,
    CancelBroadcastSm,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QueryBroadcastSm,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    UnbindResp,
)
from bridge.smpp.session import BACKLOG_MAX, SessionError
from bridge.smpp.states import TABLE, Do, State
from bridge.smpp.wire import pack_header

# --- binding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BINDS, ids=lambda kind: kind.__name__)
def test_an_accepted_bind(kind: type[Bind]) -> None:
    session = opened()
    pdu = asked(session, kind(sequence=7, system_id="acme"))
    assert session.state is State.BINDING
    assert session.to_write() == b""
    assert session.accept_bind(pdu, 0.0) == []
    state, response = BINDS[kind]
    assert session.state is state
    assert sent(session) == [response(7, 0, ((Tag.SC_INTERFACE_VERSION, b"\x34"),), "bridge")]


@pytest.mark.parametrize(
    ("interface_version", "version", "tlvs"),
    [
        (0x00, "3.3", ()),
        (0x33, "3.3", ()),
        (0x34, "3.4", ((Tag.SC_INTERFACE_VERSION, b"\x34"),)),
        (0x50, "5.0", ((Tag.SC_INTERFACE_VERSION, b"\x50"),)),
    ],
)
def test_the_version_is_negotiated(interface_version: int, version: str, tlvs: tuple[tuple[int, bytes], ...]) -> None:
    session = opened()
    session.accept_bind(asked(session, BindTransceiver(interface_version=interface_version)), 0.0)
    assert session.version == version
    assert sent(session)[0].tlvs == tlvs


def test_an_account_may_override_the_version() -> None:
    session = opened()
    session.accept_bind(asked(session, BindTransceiver(interface_version=0x00)), 0.0, version="3.4")
    assert session.version == "3.4"
    assert sent(session)[0].tlv(Tag.SC_INTERFACE_VERSION) == b"\x34"


def test_a_refused_bind_is_answered_and_closed() -> None:
    session = opened()
    assert session.refuse_bind(asked(session, BindTransmitter(sequence=7)), Status.RINVPASWD) == [Closed("refused")]
    assert session.state is State.CLOSED
    assert session.to_write() == pack_header(16, CommandId.BIND_TRANSMITTER_RESP, Status.RINVPASWD, 7)


def test_only_the_bind_that_waits_can_be_decided() -> None:
    session = opened()
    with pytest.raises(SessionError):
        session.accept_bind(BindTransceiver(), 0.0)
    pdu = asked(session, BindTransceiver())
    session.accept_bind(pdu, 0.0)
    with pytest.raises(SessionError):
        session.refuse_bind(pdu, Status.RBINDFAIL)


def test_a_decision_that_comes_after_the_end_goes_nowhere() -> None:
    session = opened()
    pdu = asked(session, BindTransceiver())
    assert session.eof(1.0) == [Closed("eof")]
    assert session.accept_bind(pdu, 1.0) == []
    assert session.refuse_bind(pdu, Status.RBINDFAIL) == []
    assert session.to_write() == b""


def test_what_comes_behind_a_bind_waits_for_its_decision_in_order() -> None:
    session = opened()
    bind = BindTransmitter(sequence=1)
    hasty = encode(SUBMIT, 2) + encode(EnquireLink(sequence=3)) + encode(SUBMIT, 4)
    (event,) = session.receive(encode(bind) + hasty[:40], 0.0)
    assert isinstance(event, BindRequested)
    assert not session.wants_data
    assert session.receive(hasty[40:], 0.1) == []
    events = session.accept_bind(event.pdu, 0.2)
    assert [each.pdu.sequence for each in events if isinstance(each, Submitted)] == [2, 4]
    assert [(type(each), each.sequence) for each in sent(session)] == [(BindTransmitterResp, 1), (EnquireLinkResp, 3)]
    assert session.wants_data


def test_what_waits_behind_a_bind_is_bounded() -> None:
    session = opened()
    asked(session, BindTransmitter())
    assert session.receive(bytes(BACKLOG_MAX), 0.0) == []
    assert session.receive(b"\0", 0.0) == [Closed("backlog")]


def test_outbind_asks_a_receiver_to_bind() -> None:
    session = opened(session_init_s=30)
    session.outbind("bridge", "secret")
    assert (sent(session), session.state) == ([Outbind(1, system_id="bridge", password="secret")], State.OUTBOUND)
    pdu = asked(session, BindReceiver(sequence=5))
    session.accept_bind(pdu, 0.0)
    assert session.state is State.BOUND_RX
    assert session.deliver(DELIVER, "a", 0.0) == 2


def test_who_does_not_bind_after_outbind_is_left() -> None:
    session = opened(session_init_s=30)
    session.outbind("bridge", "")
    assert session.next_deadline == 30
    assert session.tick(29.9) == []
    assert session.tick(30) == [Closed("session_init_timeout")]


@pytest.mark.parametrize(
    ("interface_version", "answer"), [(0x50, "resp"), (0x34, CommandId.GENERIC_NACK), (0x33, CommandId.GENERIC_NACK)]
)
@pytest.mark.parametrize("kind", [BroadcastSm, QueryBroadcastSm, CancelBroadcastSm])
def test_broadcast_has_a_response_only_where_the_version_has(
    interface_version: int, answer: CommandId | str, kind: type[Pdu]
) -> None:
    session = bound(interface_version=interface_version)
    session.receive(encode(kind(sequence=9)), 0.0)
    (said,) = sent(session)
    assert said.command == (answer_id(kind.command) if answer == "resp" else answer)
    assert (said.status, said.sequence) == (Status.RINVCMDID, 9)


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "command"), TABLE, ids=lambda value: value.name)
def test_each_cell_of_the_table_is_obeyed(state: State, command: CommandId) -> None:
    session = in_state(state)
    pdu = PDUS[command](sequence=9)
    if isinstance(pdu, SubmitMulti):
        pdu = SubmitMulti(sequence=9, dest_address=(DistributionList("x"),))
    events = session.receive(encode(pdu), 0.0)
    answers = sent(session)
    ours = Violation(command, 9, None)
    match TABLE[state, command]:
        case Status() as status:
            answer = CommandId.GENERIC_NACK if status is Status.RINVCMDID else answer_id(command)
            assert [(each.command, each.status, each.sequence) for each in answers] == [(answer, status, 9)]
            assert events == [Violation(command, 9, status)]
            assert session.state is state
        case Do.BIND:
            assert (events, answers, session.state) == ([BindRequested(pdu)], [], State.BINDING)  # type: ignore[arg-type]
        case Do.SUBMIT:
            assert (events, answers, session.state) == ([Submitted(pdu)], [], state)  # type: ignore[arg-type]
        case Do.REQUEST:
            assert (events, answers, session.state) == ([Requested(pdu)], [], state)
        case Do.ALIVE:
            assert (events, answers, session.state) == ([], [EnquireLinkResp(sequence=9)], state)
        case Do.UNBIND:
            leaving = state in (State.UNBINDING, State.UNBOUND)
            assert events == ([] if leaving else [Unbound()])
            assert answers == [UnbindResp(sequence=9)]
            assert session.state is (state if leaving else State.UNBOUND)
        case Do.TURN_AWAY:
            assert answers == [UnbindResp(sequence=9, status=Status.RINVBNDSTS)]
            assert (events, session.state) == ([Closed("unbound")], State.CLOSED)
        case Do.LEAVE:
            assert (events, answers, session.state) == ([Closed("unbound")], [], State.CLOSED)
        case Do.PASS:
            assert (events, answers, session.state) == ([], [], state)
        case Do.SETTLE | Do.FAIL | Do.IGNORE:
            assert (events, answers, session.state) == ([ours], [], state)
        case Do.NACK:
            assert answers == [GenericNack(sequence=9, status=Status.RINVBNDSTS)]
            assert (events, session.state) == ([Violation(command, 9, Status.RINVBNDSTS)], state)


# --- submissions ----------------------------------------------------------------------------------------------------


def test_submits_are_answered_in_any_order() -> None:
    session = bound()
    events = session.receive(b"".join(encode(SUBMIT, n) for n in (10, 11, 12)), 1.0)
    assert [each.pdu.sequence for each in events if isinstance(each, Submitted)] == [10, 11, 12]
    assert session.pending_submits == 3
    session.submitted(12, "1002")
    session.refuse(SubmitSm(sequence=10), Status.RTHROTTLED)
    session.submitted(11, "1001")
    assert session.pending_submits == 0
    assert sent(session) == [
        SubmitSmResp(sequence=12, message_id="1002"),
        SubmitSmResp(sequence=10, status=Status.RTHROTTLED),
        SubmitSmResp(sequence=11, message_id="1001"),
    ]


def test_a_full_window_stops_reading_and_not_answering() -> None:
    session = opened(window=99)
    session.accept_bind(asked(session, BindTransmitter()), 0.0, window=2)
    assert session.wants_data
    events = session.receive(encode(SUBMIT, 1) + encode(SUBMIT, 2) + encode(SUBMIT, 3), 0.0)
    assert [event.pdu.sequence for event in events if isinstance(event, Submitted)] == [1, 2]
    assert session.pending_submits == 2
    assert not session.wants_data
    session.submitted(1, "1")
    assert session.wants_data
    events = session.receive(b"", 0.0)
    assert [event.pdu.sequence for event in events if isinstance(event, Submitted)] == [3]
    assert not session.wants_data
    session.submitted(2, "2")
    session.submitted(3, "3")
    assert session.receive(b"", 0.0) == []
    assert session.wants_data


def test_what_waits_behind_a_full_window_is_bounded_and_not_looked_at() -> None:
    session = bound(window=1)
    assert len(session.receive(encode(SUBMIT, 1) * 2, 0.0)) == 1
    assert session.receive(encode(SUBMIT, 3), 0.0) == []
    assert session.pending_submits == 1
    assert session.receive(bytes(BACKLOG_MAX), 0.0) == [Closed("backlog")]


@pytest.mark.parametrize(
    ("request_pdu", "response"),
    [
        (CancelSm(sequence=3), CancelSmResp(sequence=3)),
        (DataSm(sequence=3), DataSmResp(sequence=3, message_id="9", tlvs=((Tag.DPF_RESULT, b"\1"),))),
    ],
)
def test_other_operations_are_the_callers_to_answer(request_pdu: Pdu, response: Pdu) -> None:
    session = bound()
    assert session.receive(encode(request_pdu), 1.0) == [Requested(request_pdu)]
    assert session.pending_submits == 1
    session.respond(response)
    assert session.pending_submits == 0
    assert sent(session) == [response]


@pytest.mark.parametrize(
    ("interface_version", "given_status", "status"),
    [
        (0x34, Status.RINVDCS, Status.RSUBMITFAIL),
        (0x00, Status.RPROHIBITED, Status.RSUBMITFAIL),
        (0x50, Status.RINVDCS, Status.RINVDCS),
        (0x34, Status.RMSGQFUL, Status.RMSGQFUL),
        (0x34, 0x400, 0x400),
    ],
)
def test_a_status_that_an_older_peer_does_not_know(interface_version: int, given_status: int, status: int) -> None:
    session = bound(interface_version=interface_version)
    session.receive(encode(SUBMIT), 1.0)
    session.refuse(SUBMIT, given_status)
    assert sent(session) == [SubmitSmResp(sequence=5, status=status)]


def test_a_3_3_peer_gets_no_tlvs() -> None:
    session = bound(interface_version=0x00)
    session.receive(encode(DataSm(sequence=3)), 1.0)
    session.respond(DataSmResp(sequence=3, message_id="9", tlvs=((Tag.DPF_RESULT, b"\1"),)))
    session.deliver(DeliverSm(tlvs=((Tag.MESSAGE_STATE, b"\2"),), short_message=b"id:1"), "token", 1.0)
    assert sent(session) == [DataSmResp(sequence=3, message_id="9"), DeliverSm(sequence=1, short_message=b"id:1")]


def test_a_data_sm_to_the_peer_is_answered_like_a_deliver_sm() -> None:
    session = bound()
    pdu = DataSm(esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, b"id:1"),))
    for token in ("taken", "refused", "garbled"):
        session.deliver(pdu, token, 1.0)
    assert [type(each) for each in sent(session)] == [DataSm] * 3
    assert session.receive(encode(DataSmResp(sequence=1)), 2.0) == [Delivered("taken", 0, CommandId.DATA_SM_RESP)]
    refused = Delivered("refused", 0x64, CommandId.DATA_SM_RESP)
    assert session.receive(encode(DataSmResp(sequence=2, status=0x64)), 2.0) == [refused]
    unterminated = pack_header(17, CommandId.DATA_SM_RESP, 0, 3) + b"x"
    assert session.receive(unterminated, 2.0)[1:] == [Delivered("garbled", 0, CommandId.DATA_SM_RESP)]
    assert session.to_write() == b""


def test_answers_after_the_end_go_nowhere() -> None:
    session = bound()
    session.receive(encode(SUBMIT), 1.0)
    session.eof(1.0)
    session.submitted(5, "1")
    session.refuse(SUBMIT, Status.RSYSERR)
    session.respond(SubmitSmResp(sequence=5))
    session.unbind(1.0)
    assert session.to_write() == b""
    assert session.receive(encode(SUBMIT), 2.0) == []
    assert session.tick(1e9) == []
    assert session.close() == []
    assert session.next_deadline is None
    assert not session.wants_data


# --- defects --------------------------------------------------------------------------------------------------------


def test_a_malformed_request_is_answered_and_the_session_lives_on() -> None:
    session = bound()
    body = encode(SUBMIT)[16:].replace(b"ACME", b"A" * 21)
    broken = pack_header(16 + len(body), CommandId.SUBMIT_SM, 0, 5) + body
    events = session.receive(broken + encode(SUBMIT, 6), 1.0)
    assert isinstance(events[0], Malformed)
    assert (events[0].command_id, events[0].status) == (CommandId.SUBMIT_SM, Status.RINVSRCADR)
    assert events[1:] == [Submitted(decode(encode(SUBMIT, 6)))]  # type: ignore[arg-type]
    assert sent(session) == [SubmitSmResp(sequence=5, status=Status.RINVSRCADR)]


def test_a_malformed_request_out_of_place_is_answered_as_out_of_place() -> None:
    session = opened()
    broken = pack_header(18, CommandId.SUBMIT_SM, 0, 5) + b"xx"
    (event,) = session.receive(broken, 1.0)
    assert isinstance(event, Malformed)
    assert event.status is Status.RINVBNDSTS
    assert sent(session) == [SubmitSmResp(sequence=5, status=Status.RINVBNDSTS)]
    assert session.state is State.OPEN


@pytest.mark.parametrize("stray", [b"\xff", b"\xff\xff\xff\xff\xff"])
def test_the_header_of_a_response_counts_whatever_its_body_is(stray: bytes) -> None:
    session = bound()
    settled = session.deliver(DELIVER, "a", 0.0), session.deliver(DELIVER, "b", 0.0)
    session.unbind(0.0)
    answers = [(CommandId.DELIVER_SM_RESP, settled[0]), (CommandId.GENERIC_NACK, settled[1])]
    answers.append((CommandId.UNBIND_RESP, 3))
    session.to_write()
    octets = b"".join(pack_header(16 + len(stray), command, 0, number) + stray for command, number in answers)
    events = [event for event in session.receive(octets, 1.0) if not isinstance(event, Malformed)]
    assert events == [Delivered("a", 0), DeliveryFailed("b", "nack", 0), Closed("unbound")]
    assert session.to_write() == b""


def test_an_unknown_command_is_nacked_and_skipped() -> None:
    session = bound()
    unknown = pack_header(20, 0x00010201, 0, 77) + b"what"
    events = session.receive(unknown + encode(SUBMIT), 1.0)
    assert [type(each) for each in events] == [Malformed, Submitted]
    assert sent(session) == [GenericNack(sequence=77, status=Status.RINVCMDID)]


def test_an_unknown_response_is_never_answered() -> None:
    session = bound()
    (event,) = session.receive(pack_header(16, 0x80003302, 0, 77), 1.0)
    assert isinstance(event, Malformed)
    assert session.to_write() == b""


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_lost_framing_is_nacked_and_closed(length: int) -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    session.to_write()
    events = session.receive(pack_header(length, 4, 0, 9), 1.0)
    assert [type(each) for each in events] == [Malformed, DeliveryFailed, Closed]
    assert events[-1] == Closed("framing")
    assert sent(session) == [GenericNack(sequence=9, status=Status.RINVCMDLEN)]


def test_a_limit_on_pdus_is_the_sessions() -> None:
    session = opened(max_pdu=64)
    events = session.receive((65).to_bytes(4, "big"), 0.0)
    assert events[-1] == Closed("framing")
    assert sent(session) == [GenericNack(sequence=0, status=Status.RINVCMDLEN)]


@given(st.lists(st.sampled_from(VECTORS), max_size=12), st.integers(1, 50), st.booleans())
def test_any_vectors_in_any_order_and_pieces_leave_a_session_in_good_order(
    vectors: list[Vector], size: int, is_bound: bool
) -> None:
    session = bound() if is_bound else opened()
    stream = b"".join(vector.octets for vector in vectors)
    events: list[Event] = []
    for at in range(0, len(stream), size):
        events += session.receive(stream[at : at + size], 1.0)
        while session.state is State.BINDING:
            bind = events[-1]
            assert isinstance(bind, BindRequested)
            events += session.accept_bind(bind.pdu, 1.0)
    assert sum(isinstance(each, Submitted | Requested) for each in events) == session.pending_submits
    assert all(not isinstance(each, Closed) for each in events[:-1])
    assert all(pdu.command & 0x80000000 for pdu in sent(session))


@pytest.mark.parametrize("state", sorted({state for state, _ in TABLE}))
def test_every_vector_fed_octet_by_octet_is_what_it_is_at_once(state: State) -> None:
    for vector in VECTORS:
        at_once, piecewise = in_state(state), in_state(state)
        expected = at_once.receive(vector.octets, 1.0)
        found = [event for octet in vector.octets for event in piecewise.receive(bytes((octet,)), 1.0)]
        assert (found, piecewise.state) == (expected, at_once.state), vector.source
        assert piecewise.to_write() == at_once.to_write()


@pytest.mark.parametrize("tag", sorted(SUBMISSION_TLV_OCTETS))
def test_a_tlv_of_a_wrong_length_is_refused_and_the_session_lives_on(tag: Tag) -> None:
    session = bound()
    wrong = encode(SubmitSm(sequence=5, tlvs=((tag, bytes(1100)),)))
    (event,) = session.receive(wrong, 1.0)
    assert isinstance(event, Malformed)
    assert sent(session) == [SubmitSmResp(sequence=5, status=Status.RINVPARLEN)]
    assert session.receive(encode(SUBMIT), 1.0) == [Submitted(SUBMIT)]


@given(st.binary(max_size=300), st.integers(0, 0xFFFFFFFF))
def test_any_octets_leave_a_session_in_good_order(data: bytes, command: int) -> None:
    session = bound()
    events = session.receive(pack_header(16 + len(data), command, 0, 1) + data + data, 1.0)
    assert session.state in State
    assert (session.state is State.CLOSED) == (bool(events) and isinstance(events[-1], Closed))


@given(pdus_of(QuerySm) | pdus_of(ReplaceSm) | pdus_of(BroadcastSm) | pdus_of(Outbind))
def test_each_request_has_one_reaction(pdu: Pdu) -> None:
    session = bound()
    (event,) = session.receive(encode(pdu), 1.0)
    assert (event == Requested(pdu)) == (session.to_write() == b"")


def test_octets_that_were_not_handled_can_be_looked_at() -> None:
    session = bound(window=1)
    rest = encode(SUBMIT, 2) + b"\0\0\0"
    session.receive(encode(SUBMIT, 1) + rest, 1.0)
    assert session.unread() == rest
    session.submitted(1, "1")
    session.receive(b"", 1.0)
    assert session.unread() == b"\0\0\0"
