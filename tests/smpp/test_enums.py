import pytest

from bridge.smpp.enums import (
    RESPONSE_BIT,
    SUBMISSION_TLV_OCTETS,
    CommandId,
    MessageState,
    Status,
    Tag,
    answer_id,
    version_of,
)


@pytest.mark.parametrize(
    ("interface_version", "version"),
    [
        (0x00, "3.3"),  # Net::SMPP
        (0x03, "3.3"),
        (0x33, "3.3"),
        (0x34, "3.4"),
        (0x35, "3.4"),
        (0x4F, "3.4"),
        (0x50, "5.0"),
        (0x51, "5.0"),
        (0xFF, "5.0"),
    ],
)
def test_version_of_an_interface_version(interface_version: int, version: str) -> None:
    assert version_of(interface_version) == version


def test_every_response_but_the_nack_answers_a_request() -> None:
    for command in CommandId:
        if command & RESPONSE_BIT and command is not CommandId.GENERIC_NACK:
            assert CommandId(command & ~RESPONSE_BIT).name + "_RESP" == command.name


def test_numbers_that_peers_rely_on() -> None:
    assert (int(Status.RTHROTTLED), int(Status.RMSGQFUL), int(Status.RSYSERR)) == (0x58, 0x14, 0x08)
    assert int(Status.RINVOPTPARSTREAM) == 0xC0
    assert (int(Tag.MESSAGE_PAYLOAD), int(Tag.RECEIPTED_MESSAGE_ID)) == (0x0424, 0x001E)
    assert int(MessageState.REJECTED) == 8


def test_only_known_tags_have_a_length() -> None:
    assert set(SUBMISSION_TLV_OCTETS) <= set(Tag)
    assert Tag.MESSAGE_PAYLOAD not in SUBMISSION_TLV_OCTETS


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP),
        (CommandId.BIND_TRANSCEIVER, CommandId.BIND_TRANSCEIVER_RESP),
        (CommandId.ALERT_NOTIFICATION, CommandId.GENERIC_NACK),
        (CommandId.OUTBIND, CommandId.GENERIC_NACK),
        (0x00010203, CommandId.GENERIC_NACK),
        (0, CommandId.GENERIC_NACK),
    ],
)
def test_what_answers_a_command(command: int, answer: CommandId) -> None:
    assert answer_id(command) == answer


def test_a_request_without_a_response_is_one_of_two() -> None:
    unanswered = {c for c in CommandId if not c & RESPONSE_BIT and answer_id(c) == CommandId.GENERIC_NACK}
    assert unanswered == {CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION}
