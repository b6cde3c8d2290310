from bridge.smpp.events import BindRequested, Closed, Delivered, Requested, Submitted, messages_in
from bridge.smpp.fields import DistributionList, SmeAddress
from bridge.smpp.pdus import BindTransceiver, DataSm, QuerySm, SubmitMulti, SubmitSm


def test_an_event_may_be_logged() -> None:
    shown = repr(
        [
            BindRequested(BindTransceiver(system_id="acme-login", password="hunter2")),
            Submitted(SubmitSm(destination_addr="905321234567", short_message=b"my pin is 1111")),
            Requested(QuerySm(message_id="8888", source_addr="905321234567")),
        ]
    )
    for secret in ("hunter2", "acme-login", "905321234567", "1111", "8888"):
        assert secret not in shown


def test_events_are_values() -> None:
    assert Closed("eof") == Closed("eof") != Closed("closed")
    assert Delivered("token", 0) != Delivered("token", 8)


def test_how_many_messages_a_request_submits() -> None:
    several = SubmitMulti(dest_address=(SmeAddress(1, 1, "380501234567"), DistributionList("staff")))
    assert [messages_in(pdu) for pdu in (SubmitSm(), DataSm(), several, QuerySm())] == [1, 1, 2, 0]
