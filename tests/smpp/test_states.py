"""The table against the rules of the specification, written down a second time."""

import pytest

from bridge.smpp.enums import RESPONSE_BIT, CommandId, Status
from bridge.smpp.states import TABLE, Do, State, refusal_of

BOUND_OR_LATER = (State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX, State.UNBINDING, State.UNBOUND)
READING = (State.OPEN, State.OUTBOUND, *BOUND_OR_LATER)
BOUND = (State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX)
BINDS = (CommandId.BIND_RECEIVER, CommandId.BIND_TRANSMITTER, CommandId.BIND_TRANSCEIVER)
OPERATIONS = (
    CommandId.SUBMIT_SM,
    CommandId.SUBMIT_MULTI,
    CommandId.DATA_SM,
    CommandId.QUERY_SM,
    CommandId.CANCEL_SM,
    CommandId.REPLACE_SM,
)
BROADCASTS = (CommandId.BROADCAST_SM, CommandId.QUERY_BROADCAST_SM, CommandId.CANCEL_BROADCAST_SM)


def test_every_command_has_a_cell_in_every_state_that_reads() -> None:
    assert set(TABLE) == {(state, command) for state in READING for command in CommandId}


@pytest.mark.parametrize("command", BINDS)
def test_a_bind_is_for_an_open_session(command: CommandId) -> None:
    assert TABLE[State.OPEN, command] is Do.BIND
    assert all(TABLE[state, command] is Status.RALYBND for state in BOUND)


def test_who_was_called_may_bind_to_receive() -> None:
    assert (
        TABLE[State.OUTBOUND, CommandId.BIND_RECEIVER] is TABLE[State.OUTBOUND, CommandId.BIND_TRANSCEIVER] is Do.BIND
    )
    assert TABLE[State.OUTBOUND, CommandId.BIND_TRANSMITTER] is Status.RINVBNDSTS


@pytest.mark.parametrize("command", OPERATIONS)
def test_an_operation_is_for_transmitters_and_transceivers(command: CommandId) -> None:
    taken = Do.SUBMIT if command is CommandId.SUBMIT_SM else Do.REQUEST
    assert TABLE[State.BOUND_TX, command] is taken
    assert TABLE[State.BOUND_TRX, command] is taken
    assert TABLE[State.OPEN, command] is Status.RINVBNDSTS
    assert TABLE[State.BOUND_RX, command] is Status.RINVBNDSTS
    assert TABLE[State.UNBOUND, command] is Status.RINVBNDSTS
    assert TABLE[State.UNBINDING, command] is Status.RSYSERR


@pytest.mark.parametrize("command", BROADCASTS)
def test_broadcast_is_not_offered(command: CommandId) -> None:
    assert TABLE[State.BOUND_TX, command] is Status.RINVCMDID
    assert TABLE[State.BOUND_TRX, command] is Status.RINVCMDID
    assert TABLE[State.BOUND_RX, command] is Status.RINVBNDSTS


@pytest.mark.parametrize("state", READING)
def test_enquire_link_is_answered_everywhere(state: State) -> None:
    assert TABLE[state, CommandId.ENQUIRE_LINK] is Do.ALIVE


@pytest.mark.parametrize("state", READING)
def test_what_only_a_server_sends_is_nacked_everywhere(state: State) -> None:
    for command in (CommandId.DELIVER_SM, CommandId.ALERT_NOTIFICATION, CommandId.OUTBIND):
        assert TABLE[state, command] is Do.NACK


def test_no_response_is_ever_answered() -> None:
    silent = {Do.SETTLE, Do.FAIL, Do.LEAVE, Do.PASS, Do.IGNORE}
    assert all(cell in silent for (_, command), cell in TABLE.items() if command & RESPONSE_BIT)


@pytest.mark.parametrize("response", [CommandId.DELIVER_SM_RESP, CommandId.DATA_SM_RESP])
def test_a_response_counts_where_a_delivery_was_possible(response: CommandId) -> None:
    settled = {state for state in READING if TABLE[state, response] is Do.SETTLE}
    assert settled == {State.BOUND_RX, State.BOUND_TRX, State.UNBINDING, State.UNBOUND}


def test_unbind_resp_ends_only_what_we_unbound() -> None:
    assert TABLE[State.UNBINDING, CommandId.UNBIND_RESP] is Do.LEAVE
    assert all(TABLE[s, CommandId.UNBIND_RESP] is Do.IGNORE for s in READING if s is not State.UNBINDING)


@pytest.mark.parametrize(
    ("state", "command", "answer", "status"),
    [
        (State.BOUND_TRX, CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP, Status.RINVSRCADR),
        (State.OPEN, CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP, Status.RINVBNDSTS),
        (State.BOUND_RX, CommandId.DATA_SM, CommandId.DATA_SM_RESP, Status.RINVBNDSTS),
        (State.OPEN, CommandId.BIND_RECEIVER, CommandId.BIND_RECEIVER_RESP, Status.RINVSRCADR),
        (State.BOUND_TX, CommandId.BIND_RECEIVER, CommandId.BIND_RECEIVER_RESP, Status.RALYBND),
        (State.BOUND_TRX, CommandId.DELIVER_SM, CommandId.GENERIC_NACK, Status.RINVBNDSTS),
        (State.BOUND_TRX, CommandId.ALERT_NOTIFICATION, CommandId.GENERIC_NACK, Status.RINVBNDSTS),
        (State.BOUND_TRX, 0x00010200, CommandId.GENERIC_NACK, Status.RINVSRCADR),
    ],
)
def test_a_malformed_request_is_out_of_place_before_it_is_malformed(
    state: State, command: int, answer: CommandId, status: Status
) -> None:
    assert refusal_of(state, command, Status.RINVSRCADR) == (answer, status)
