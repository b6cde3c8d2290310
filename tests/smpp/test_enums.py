import pytest

from bridge.smpp.enums import (
    RESPONSE_BIT,
    SUBMISSION_TLV_OCTETS,
    CommandId,
    MessageState,
    Status,
    Tag,
    Version,
    answer_id,
    status_for,
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
    ("tag", "shortest", "longest"),
    [
        (Tag.SOURCE_SUBADDRESS, 2, 23),
        (Tag.DEST_SUBADDRESS, 2, 23),
        (Tag.CALLBACK_NUM, 4, 19),
        (Tag.CALLBACK_NUM_ATAG, 0, 65),
        (Tag.BILLING_IDENTIFICATION, 1, 1024),
        (Tag.SOURCE_NETWORK_ID, 6, 65),
        (Tag.DEST_ADDR_NP_COUNTRY, 1, 5),
        (Tag.DEST_ADDR_NP_INFORMATION, 10, 10),
        (Tag.QOS_TIME_TO_LIVE, 4, 4),
        (Tag.SAR_MSG_REF_NUM, 2, 2),
        (Tag.SAR_TOTAL_SEGMENTS, 1, 1),
    ],
)
def test_the_lengths_that_a_tlv_may_have(tag: Tag, shortest: int, longest: int) -> None:
    allowed = [octets for octets in range(1100) if octets in SUBMISSION_TLV_OCTETS[tag]]
    assert allowed == list(range(shortest, longest + 1))


@pytest.mark.parametrize(
    ("version", "status", "answer"),
    [
        ("5.0", Status.RINVDCS, Status.RINVDCS),
        ("3.4", Status.RINVDCS, Status.RSUBMITFAIL),
        ("3.3", Status.RINVBCASTCHANIND, Status.RSUBMITFAIL),
        ("3.4", Status.RUNKNOWNERR, Status.RUNKNOWNERR),
        ("3.4", 0x113, 0x113),
        ("3.3", 0x400, 0x400),
    ],
)
def test_the_status_for_a_version(version: Version, status: int, answer: int) -> None:
    assert status_for(version, status) == answer


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
