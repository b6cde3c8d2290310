"""Sessions over time: deliveries under way, unbinding, timers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpp.samples import BINDS, DELIVER, SUBMIT, asked, bound, in_state, opened, sent

from bridge.smpp.codec import encode
from bridge.smpp.enums import CommandId, Status
from bridge.smpp.events import (
    Closed,
    Delivered,
    DeliveryFailed,
    Malformed,
    Requested,
    Submitted,
    Unbound,
    Violation,
)
from bridge.smpp.fields import SmeAddress
from bridge.smpp.pdus import (
    BindReceiver,
    BindTransceiver,
    DeliverSmResp,
    EnquireLink,
    Pdu,
    QuerySm,
    SubmitMulti,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from bridge.smpp.session import SessionError
from bridge.smpp.states import State
from bridge.smpp.wire import pack_header

# --- deliveries -----------------------------------------------------------------------------------------------------


def test_a_delivery_and_its_response() -> None:
    session = bound(BindReceiver)
    first = session.deliver(DELIVER, "a", 1.0)
    second = session.deliver(DELIVER, "b", 1.0)
    assert [each.sequence for each in sent(session)] == [first, second] == [1, 2]
    answers = encode(DeliverSmResp(second, Status.RX_T_APPN)) + encode(DeliverSmResp(first))
    assert session.receive(answers, 2.0) == [Delivered("b", Status.RX_T_APPN), Delivered("a", 0)]
    assert session.receive(encode(DeliverSmResp(first)), 2.0) == [Violation(CommandId.DELIVER_SM_RESP, first, None)]


def test_the_window_of_deliveries() -> None:
    session = opened(deliver_window=9)
    session.accept_bind(asked(session, BindReceiver()), 0.0, deliver_window=2)
    assert session.deliver_room == 2
    session.deliver(DELIVER, 1, 0.0)
    session.deliver(DELIVER, 2, 0.0)
    assert session.deliver_room == 0
    with pytest.raises(SessionError):
        session.deliver(DELIVER, 3, 0.0)
    session.receive(encode(DeliverSmResp(1)), 0.0)
    assert session.deliver_room == 1


@pytest.mark.parametrize("state", [State.OPEN, State.OUTBOUND, State.BOUND_TX, State.UNBINDING, State.UNBOUND])
def test_only_receivers_and_transceivers_are_delivered_to(state: State) -> None:
    session = in_state(state)
    assert session.deliver_room == 0
    with pytest.raises(SessionError):
        session.deliver(DELIVER, 1, 0.0)


def test_sequence_numbers_wrap_to_one() -> None:
    session = bound()
    session._sequence = 0x7FFFFFFE
    assert [session.deliver(DELIVER, n, 0.0) for n in range(2)] == [0x7FFFFFFF, 1]


def test_every_delivery_under_way_fails_when_the_session_ends() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    session.deliver(DELIVER, "b", 0.0)
    assert session.close() == [DeliveryFailed("a", "closed"), DeliveryFailed("b", "closed"), Closed("closed")]


def test_a_delivery_may_be_answered_after_the_peer_unbound() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    assert session.receive(encode(Unbind(sequence=2)), 0.0) == [Unbound()]
    assert session.receive(encode(DeliverSmResp(1)), 0.0) == [Delivered("a", 0)]


def test_a_malformed_response_settles_by_its_header() -> None:
    session = bound()
    session.deliver(DELIVER, "a", 0.0)
    session.to_write()
    events = session.receive(pack_header(18, CommandId.DELIVER_SM_RESP, 0, 1) + b"no", 0.0)
    assert [type(each) for each in events] == [Malformed, Delivered]
    assert session.to_write() == b""


# --- unbinding ------------------------------------------------------------------------------------------------------


def test_unbind_resp_follows_the_last_answer() -> None:
    session = bound()
    session.receive(encode(SUBMIT, 2) + encode(SUBMIT, 3) + encode(Unbind(sequence=4)), 0.0)
    assert session.to_write() == b""
    session.submitted(3, "1")
    session.submitted(2, "2")
    assert [(type(each), each.sequence) for each in sent(session)] == [
        (SubmitSmResp, 3),
        (SubmitSmResp, 2),
        (UnbindResp, 4),
    ]
    assert session.eof(1.0) == [Closed("unbound")]


def test_our_unbind_follows_the_last_answer() -> None:
    session = bound()
    session.receive(encode(SUBMIT, 2), 0.0)
    session.unbind(0.0)
    assert session.state is State.UNBINDING
    assert session.to_write() == b""
    session.submitted(2, "1")
    assert [type(each) for each in sent(session)] == [SubmitSmResp, Unbind]
    assert session.receive(encode(UnbindResp(sequence=1)), 1.0) == [Closed("unbound")]


def test_a_submit_that_crosses_our_unbind_may_be_sent_again_elsewhere() -> None:
    session = bound()
    session.unbind(0.0)
    session.receive(encode(SUBMIT), 0.0)
    assert sent(session) == [Unbind(sequence=1), SubmitSmResp(sequence=5, status=Status.RSYSERR)]


def test_both_sides_unbind_at_once() -> None:
    session = bound()
    session.unbind(0.0)
    events = session.receive(encode(Unbind(sequence=8)) + encode(UnbindResp(sequence=1)), 0.0)
    assert sent(session) == [Unbind(sequence=1), UnbindResp(sequence=8)]
    assert events == [Closed("unbound")]


# --- timers ---------------------------------------------------------------------------------------------------------


def test_session_init_runs_until_the_bind_is_decided() -> None:
    session = opened(session_init_s=10.0)
    assert session.next_deadline == 10.0
    session.receive(encode(EnquireLink(sequence=1)), 9.0)
    asked(session, BindTransceiver())
    assert session.next_deadline == 10.0
    assert session.tick(9.9) == []
    assert session.tick(10.0) == [Closed("session_init_timeout")]


def test_an_idle_peer_is_asked_and_any_pdu_answers() -> None:
    session = bound(enquire_link_s=30.0, response_s=5.0)
    assert session.next_deadline == 30.0
    assert session.tick(29.9) == []
    assert session.to_write() == b""
    session.tick(30.0)
    assert sent(session) == [EnquireLink(sequence=1)]
    assert session.next_deadline == 35.0
    session.tick(34.9)
    assert session.to_write() == b""
    session.receive(encode(EnquireLink(sequence=3)), 34.9)
    assert session.next_deadline == 64.9
    assert session.tick(36.0) == []


def test_a_peer_that_never_answers_is_closed() -> None:
    session = bound(enquire_link_s=30.0, response_s=5.0)
    session.deliver(DELIVER, "a", 29.0)
    session.tick(30.0)
    assert session.tick(34.0) == [DeliveryFailed("a", "timeout")]
    assert session.tick(35.0) == [Closed("enquire_link_timeout")]


def test_half_a_pdu_is_no_sign_of_life() -> None:
    session = bound(enquire_link_s=30.0, response_s=5.0)
    session.receive(encode(SUBMIT)[:-1], 29.0)
    assert session.next_deadline == 30.0


def test_enquire_links_alone_are_inactivity() -> None:
    session = bound(enquire_link_s=30.0, inactivity_s=100.0, response_s=5.0)
    for now in (25.0, 50.0, 75.0, 99.0):
        session.receive(encode(EnquireLink(sequence=2)), now)
        assert session.tick(now) == []
    session.to_write()
    assert session.next_deadline == 100.0
    assert session.tick(100.0) == []
    assert sent(session) == [Unbind(sequence=1)]
    assert session.next_deadline == 105.0
    assert session.tick(105.0) == [Closed("unbound")]


def test_traffic_in_either_direction_is_activity() -> None:
    session = bound(inactivity_s=100.0, enquire_link_s=1000.0)
    session.receive(encode(SUBMIT), 50.0)
    assert session.next_deadline == 150.0
    session.deliver(DELIVER, "a", 80.0)
    session.receive(encode(DeliverSmResp(1)), 90.0)
    assert session.next_deadline == 190.0


def test_an_unanswered_delivery_frees_its_place() -> None:
    session = bound(response_s=10.0, deliver_window=2)
    session.deliver(DELIVER, "a", 0.0)
    session.deliver(DELIVER, "b", 4.0)
    assert session.next_deadline == 10.0
    assert session.tick(10.0) == [DeliveryFailed("a", "timeout")]
    assert session.deliver_room == 1
    assert session.next_deadline == 14.0
    assert session.receive(encode(DeliverSmResp(1)), 11.0) == [Violation(CommandId.DELIVER_SM_RESP, 1, None)]


def test_a_peer_that_unbinds_and_stays_is_closed() -> None:
    session = bound(response_s=10.0)
    session.receive(encode(Unbind(sequence=2)), 5.0)
    assert session.next_deadline == 15.0
    assert session.tick(14.9) == []
    assert session.tick(15.0) == [Closed("unbound")]


@given(
    st.lists(st.sampled_from(["tick", "submit", "enquire", "deliver", "settle", "unbind", "wait"]), max_size=25),
    st.sampled_from(list(BINDS)),
)
def test_every_deadline_is_kept_and_the_session_ends_in_time(steps: list[str], kind: type[Pdu]) -> None:
    session = bound(kind, enquire_link_s=3.0, inactivity_s=20.0, response_s=2.0)
    now, events = 0.0, []
    for step in steps:
        deadline = session.next_deadline
        if deadline is None:
            break
        if step == "tick":
            now = max(now, deadline)
            events += session.tick(now)
            assert session.next_deadline is None or session.next_deadline > now
        elif step == "submit":
            events += session.receive(encode(SUBMIT), now)
        elif step == "enquire":
            events += session.receive(encode(EnquireLink(sequence=1)), now)
        elif step == "deliver" and session.deliver_room:
            session.deliver(DELIVER, now, now)
        elif step == "settle":
            events += session.receive(encode(DeliverSmResp(session._sequence)), now)
        elif step == "unbind":
            session.unbind(now)
        now += 0.5
    for _ in range(200):
        if session.next_deadline is None:
            break
        now = max(now, session.next_deadline)
        events += session.tick(now)
    assert session.state is State.CLOSED
    assert isinstance(events[-1], Closed)
    assert not session._delivering


def test_a_peer_that_we_do_not_hear_is_not_called_silent() -> None:
    session = bound(window=1, enquire_link_s=30.0, response_s=10.0, inactivity_s=50.0)
    session.tick(30.0)
    assert sent(session) == [EnquireLink(sequence=1)]
    session.receive(encode(SUBMIT, 2), 31.0)
    for now in (61.0, 71.0, 300.0):
        assert session.tick(now) == []
        assert session.state is State.BOUND_TRX
        assert session.next_deadline is not None
        assert session.next_deadline > now
    session.submitted(2, "1")
    session.to_write()
    assert session.tick(330.0) == []
    assert sent(session) == [EnquireLink(sequence=2)]
    assert session.tick(340.0) == [Closed("enquire_link_timeout")]


def test_unbinding_again_and_again_gathers_nothing() -> None:
    session = bound()
    session.receive(encode(SUBMIT, 2), 0.0)
    session.unbind(0.0)
    session.receive(b"".join(encode(Unbind(sequence=number)) for number in range(10, 110)), 0.0)
    early = len(sent(session))
    session.submitted(2, "1")
    answers = sent(session)
    assert early + len(answers) == 102
    assert answers == [SubmitSmResp(sequence=2, message_id="1"), Unbind(sequence=1), UnbindResp(sequence=10)]


# --- an allowance -----------------------------------------------------------------------------------------------------


def test_no_more_submits_are_taken_than_allowed() -> None:
    session = bound()
    session.allowance = 2
    octets = b"".join(encode(SUBMIT, number) for number in (1, 2, 3))
    assert [event.pdu.sequence for event in session.receive(octets, 0.0)] == [1, 2]
    assert (session.allowance, session.wants_data) == (0, False)
    assert session.receive(encode(EnquireLink(9)), 0.0) == []
    session.allowance = 5
    assert [event.pdu.sequence for event in session.receive(b"", 0.0)] == [3]
    assert [each.sequence for each in sent(session)] == [9]
    assert session.allowance == 4


def test_only_submits_use_an_allowance_up() -> None:
    session = bound()
    session.allowance = 1
    session.receive(encode(EnquireLink(1)) + encode(EnquireLink(2)), 0.0)
    assert (session.allowance, session.wants_data) == (1, True)


def test_submit_multi_uses_it_up_by_its_destinations() -> None:
    session = bound()
    session.allowance = 3
    several = SubmitMulti(dest_address=tuple(SmeAddress(1, 1, f"38050123456{digit}") for digit in range(2)))
    octets = b"".join(encode(several, number) for number in (1, 2, 3))
    assert [event.pdu.sequence for event in session.receive(octets, 0.0)] == [1, 2]
    assert (session.allowance, session.wants_data) == (0, False)
    session.allowance = 1
    assert [event.pdu.sequence for event in session.receive(b"", 0.0)] == [3]


def test_whoever_may_not_submit_is_heard_until_it_does() -> None:
    session = bound()
    session.allowance = 0
    session.deliver(DELIVER, "a", 0.0)
    sent(session)
    events = session.receive(
        encode(EnquireLink(1)) + encode(DeliverSmResp(1)) + encode(QuerySm(2)) + encode(SUBMIT, 3) + encode(SUBMIT, 4),
        0.0,
    )
    assert [type(event) for event in events] == [Delivered, Requested]
    assert [each.sequence for each in sent(session)] == [1]
    assert not session.wants_data
    session.allowance = 2
    assert [event.pdu.sequence for event in session.receive(b"", 0.0)] == [3, 4]


def test_a_delivery_that_may_have_been_answered_unread_has_not_failed() -> None:
    session = bound(response_s=10.0)
    session.allowance = 0
    session.receive(encode(SUBMIT, 1), 0.0)
    session.deliver(DELIVER, "a", 0.0)
    assert session.tick(10.0) == []
    assert session.next_deadline == 20.0
    session.allowance = 1
    assert [type(event) for event in session.receive(encode(DeliverSmResp(1)), 15.0)] == [Submitted, Delivered]


def test_a_peer_that_is_not_read_is_not_silent() -> None:
    session = bound(enquire_link_s=10.0, inactivity_s=15.0, response_s=1.0)
    session.allowance = 0
    session.receive(encode(SUBMIT, 1), 0.0)
    for now in (10.0, 12.0, 30.0, 60.0):
        assert session.tick(now) == []
    assert session.to_write() == b""
    session.allowance = 1
    session.tick(70.0)
    assert isinstance(sent(session)[0], EnquireLink)


def test_timers_of_the_account() -> None:
    session = opened(enquire_link_s=10.0, inactivity_s=100.0, response_s=5.0)
    session.timers.adopt(2.0, None, 1.0)
    session.accept_bind(asked(session, BindTransceiver()), 0.0)
    session.to_write()
    assert session.next_deadline == 2.0
    session.tick(2.0)
    assert session.next_deadline == 3.0
    assert session.tick(3.0) == [Closed("enquire_link_timeout")]
