"""The dialects of receipts: settings, presets, and who reads what they say."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listeners.smpp.submissions import NOW, taken
from pydantic import SecretStr, ValidationError
from smpp.readers import READERS

from bridge.listeners.smpp.profiles import PRESETS, IdForm, Preset, Receipts, written_id
from bridge.listeners.smpp.settings import SmppAccount
from bridge.listeners.smpp.translate_out import receipt_from_report, shown_id
from bridge.message import FINAL, Message, Owed, Reason, Report, State
from bridge.smpp.codec import encode
from bridge.smpp.enums import Tag
from bridge.smpp.pdus import DeliverSm


def settings(receipts: Any, **others: Any) -> SmppAccount:
    return SmppAccount(system_id="acme", password=SecretStr("secret"), receipts=receipts, **others)


def owed(message: Message, state: State = State.DELIVERED, reason: Reason | None = None, known_id: int = 4711) -> Owed:
    report = Report(state=state, reason=reason, at=NOW + 90)
    return Owed(
        account="acme", listener="smpp", created_at=NOW, due_at=NOW, known_id=known_id, message=message, report=report
    )


def receipt(account: SmppAccount, thing: Owed, version: str = "3.4") -> DeliverSm:
    pdu = receipt_from_report(thing, account, version)
    assert isinstance(pdu, DeliverSm)
    return pdu


# --- presets -----------------------------------------------------------------------------------------------------


def test_every_preset_has_a_row_and_a_reader() -> None:
    assert set(PRESETS) == set(get_args(Preset)) == set(READERS)


@given(
    preset=st.sampled_from(get_args(Preset)),
    known=st.integers(1, 0xFFFF_FFFF),
    state=st.sampled_from([*sorted(FINAL), State.ENROUTE]),
    reason=st.none() | st.sampled_from(Reason),
    text=st.text(max_size=40),
)
def test_what_a_preset_writes_is_read_by_whom_it_is_for(
    preset: str, known: int, state: State, reason: Reason | None, text: str
) -> None:
    account = settings(preset)
    pdu = receipt(
        account, owed(taken(data_coding=8, short_message=text.encode("utf-16-be", "replace")), state, reason, known)
    )
    said = pdu.short_message.decode("ascii")
    for read in READERS[preset]:
        found = read(said)
        assert found.message_id == shown_id(known, account)
        assert len(found.stat) == 7
        if reason is None:
            assert found.err is not None
            assert int(found.err) == 0


@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_preset_fits_in_a_message_of_3_3(preset: str) -> None:
    thing = owed(taken(short_message=b"x" * 60), State.UNDELIVERABLE, Reason.UNSPECIFIED, 99_999_999)
    pdu = receipt(settings({"preset": preset, "text": 50}), thing, "3.3")
    assert len(pdu.short_message) <= 160


def test_kannel_needs_no_text_where_the_tlvs_say_it() -> None:
    pdu = receipt(settings("kannel"), owed(taken(), State.UNDELIVERABLE, Reason.ABSENT_SUBSCRIBER))
    assert pdu.tlv(Tag.NETWORK_ERROR_CODE) == b"\x03\x00\x1b"
    assert receipt(settings("kannel"), owed(taken())).tlv(Tag.NETWORK_ERROR_CODE) is None


@pytest.mark.parametrize("preset", ["v33", "php-smpp"])
def test_presets_without_tlvs(preset: str) -> None:
    message = taken(tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\0\1"),))
    assert receipt(settings(preset), owed(message)).tlvs == ()


def test_8x8_has_its_own_codes() -> None:
    def err(reason: Reason | None) -> str:
        text = receipt(settings("8x8"), owed(taken(), State.REJECTED, reason)).short_message.decode()
        return text.partition(" err:")[2].partition(" Text:")[0]

    assert [err(reason) for reason in (None, Reason.ABSENT_SUBSCRIBER, Reason.BLOCKED, Reason.UNSURE)] == [
        "0", "1", "43", "0",
    ]  # fmt: skip


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_name_of_a_preset_is_the_short_form() -> None:
    assert settings("jsmpp").receipts == settings({"preset": "jsmpp"}).receipts
    assert settings({}).receipts == Receipts() == settings("standard").receipts


def test_what_is_said_beside_a_preset_wins() -> None:
    receipts = settings({"preset": "v33", "id": "hex", "tlvs": True}).receipts
    assert (receipts.id, receipts.tlvs, receipts.intermediate) == ("hex", True, False)


@pytest.mark.parametrize(
    ("given_text", "held"), [(True, 20), (False, None), (0, 0), (1, 1), (50, 50)], ids=["true", "false", "0", "1", "50"]
)
def test_how_much_text(given_text: object, held: int | None) -> None:
    assert settings({"text": given_text}).receipts.text == held


@pytest.mark.parametrize(
    ("receipts", "place"),
    [
        ("kanel", ("receipts", "preset")),
        (5, ("receipts",)),
        ({"preset": ["kannel"]}, ("receipts", "preset")),
        ({"text": 51}, ("receipts", "text")),
        ({"text": -1}, ("receipts", "text")),
        ({"text": "all"}, ("receipts", "text")),
        ({"id": "dec8"}, ("receipts", "id")),
        ({"err": "3"}, ("receipts", "err")),
        ({"errors": {"barred": "1234"}}, ("receipts", "errors", "barred")),
        ({"errors": {"barred": "1 2"}}, ("receipts", "errors", "barred")),
        ({"errors": {"bared": "12"}}, ("receipts", "errors", "bared", "[key]")),
        ({"upper": True}, ("receipts", "upper")),
    ],
)
def test_what_is_wrong_is_told_where_it_is(receipts: Any, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(receipts)
    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_ids_of_3_3_have_eight_characters() -> None:
    with pytest.raises(ValidationError, match="8 characters"):
        settings({"id": "dec10"}, version="3.3")
    with pytest.raises(ValidationError, match="8 characters"):
        settings({}, version="3.3", message_id="dec10")
    assert settings("v33", version="3.3", message_id="dec10").receipts.id == "hex8"


def test_an_editor_offers_both_forms() -> None:
    schema = json.dumps(SmppAccount.model_json_schema()["$defs"]["Receipts"])
    assert '{"anyOf": [{"enum": ["standard", "kannel"' in schema
    assert '"text_label"' in schema


# --- ids ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "case", "written"),
    [
        ("decimal", "lower", "48879"),
        ("dec10", "upper", "0000048879"),
        ("hex", "lower", "beef"),
        ("hex", "upper", "BEEF"),
        ("hex8", "lower", "0000beef"),
        ("hex8", "upper", "0000BEEF"),
    ],
)
def test_forms_of_ids(form: IdForm, case: Any, written: str) -> None:
    assert written_id(0xBEEF, form, case) == written
    assert shown_id(0xBEEF, settings({"id": form, "case": case})) == written
    assert shown_id(0xBEEF, settings({"case": case}, message_id=form)) == written


@given(st.integers(1, 10**12), st.sampled_from(get_args(IdForm)), st.sampled_from(["lower", "upper"]))
def test_an_id_can_be_read_again(message_id: int, form: IdForm, case: Any) -> None:
    assert int(written_id(message_id, form, case), 16 if form.startswith("hex") else 10) == message_id


@pytest.mark.parametrize("form", get_args(IdForm))
def test_the_id_is_the_same_wherever_it_stands(form: IdForm) -> None:
    account = settings({"id": form, "case": "upper"})
    shown = shown_id(0xBEEF, account)
    pdu = receipt(account, owed(taken(), known_id=0xBEEF))
    assert pdu.short_message.startswith(f"id:{shown} ".encode())
    assert pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) == shown.encode() + b"\0"
    assert encode(pdu, 1)


def test_receipts_may_write_ids_differently() -> None:
    """As SMSCs do whose clients are told: hexadecimal in the response, decimal in the receipt."""
    account = settings({"id": "hex", "reported_id": "dec10"})
    assert shown_id(0xBEEF, account) == "beef"
    pdu = receipt(account, owed(taken(), known_id=0xBEEF))
    assert pdu.short_message.startswith(b"id:0000048879 ")
    assert pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) == b"0000048879\0"
