import pytest

from bridge.smpp.enums import RESPONSE_BIT, SUBMISSION_TLV_OCTETS, CommandId, MessageState, Status, Tag, version_of


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
    assert Status.RTHROTTLED == 0x58
    assert Status.RMSGQFUL == 0x14
    assert Status.RSYSERR == 0x08
    assert Status.RINVOPTPARSTREAM == 0xC0
    assert Tag.MESSAGE_PAYLOAD == 0x0424
    assert Tag.RECEIPTED_MESSAGE_ID == 0x001E
    assert MessageState.REJECTED == 8


def test_only_known_tags_have_a_length() -> None:
    assert set(SUBMISSION_TLV_OCTETS) <= set(Tag)
    assert Tag.MESSAGE_PAYLOAD not in SUBMISSION_TLV_OCTETS
