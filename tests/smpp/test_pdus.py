import pytest

from bridge.smpp.enums import RESPONSE_BIT, CommandId, Tag
from bridge.smpp.pdus import PDUS, BindTransceiver, Pdu, SubmitMulti, SubmitSm, answer_id


def test_every_command_has_a_type_and_every_type_its_command() -> None:
    assert set(PDUS) == set(CommandId)
    for command, kind in PDUS.items():
        assert kind.command == command
        assert kind.__name__.lower() == CommandId(command).name.replace("_", "").lower()


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


def test_tlv_finds_the_first_of_its_tag() -> None:
    pdu = SubmitSm(tlvs=((Tag.SOURCE_PORT, b"\0\1"), (Tag.CALLBACK_NUM, b"a"), (Tag.CALLBACK_NUM, b"b")))
    assert pdu.tlv(Tag.CALLBACK_NUM) == b"a"
    assert pdu.tlv(Tag.DESTINATION_PORT) is None


@pytest.mark.parametrize(
    "pdu",
    [
        BindTransceiver(system_id="acme-login", password="hunter2", system_type="kind", address_range="^1"),
        SubmitSm(source_addr="5551234", destination_addr="905321234567", short_message=b"my pin is 1111"),
        SubmitSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"my pin is 1111"),)),
    ],
)
def test_repr_shows_no_text(pdu: Pdu) -> None:
    shown = repr(pdu)
    for secret in ("hunter2", "acme-login", "5551234", "905321234567", "1111"):
        assert secret not in shown
    assert shown.startswith(type(pdu).__name__ + "(sequence=0")


def test_repr_shows_integers_and_lengths() -> None:
    shown = repr(SubmitMulti(sequence=7, data_coding=8, short_message=b"abcd"))
    assert "sequence=7" in shown
    assert "data_coding=8" in shown
    assert "short_message=<4>" in shown
