import pytest

from bridge.smpp.enums import CommandId, Tag
from bridge.smpp.pdus import PDUS, BindTransceiver, Pdu, SubmitMulti, SubmitSm


def test_every_command_has_a_type_and_every_type_its_command() -> None:
    assert set(PDUS) == set(CommandId)
    for command, kind in PDUS.items():
        assert kind.command == command
        assert kind.__name__.lower() == CommandId(command).name.replace("_", "").lower()


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
