"""The table of fields against the specification's, written down a second time: names and octets, NUL included."""

import pytest

from bridge.smpp.codec import fields_of
from bridge.smpp.enums import CommandId
from bridge.smpp.fields import Counted, CString, Destinations, Integer, Kind, Unsuccesses
from bridge.smpp.pdus import PDUS

BIND = "system_id 16, password 64, system_type 13, interface_version, addr_ton, addr_npi, address_range 41"
SOURCE = "source_addr_ton, source_addr_npi, source_addr 21"
DEST = "dest_addr_ton, dest_addr_npi, destination_addr 21"
TIMES = "schedule_delivery_time 17, validity_period 17"
MESSAGE = (
    f"esm_class, protocol_id, priority_flag, {TIMES}, registered_delivery, replace_if_present_flag, data_coding,"
    " sm_default_msg_id, short_message counted"
)
SM = f"service_type 6, {SOURCE}, {DEST}, {MESSAGE}"
SPECIFIED = {
    "bind_receiver": BIND,
    "bind_transmitter": BIND,
    "bind_transceiver": BIND,
    "bind_receiver_resp": "system_id 16",
    "bind_transmitter_resp": "system_id 16",
    "bind_transceiver_resp": "system_id 16",
    "outbind": "system_id 16, password 64",
    "unbind": "",
    "unbind_resp": "",
    "enquire_link": "",
    "enquire_link_resp": "",
    "generic_nack": "",
    "submit_sm": SM,
    "submit_sm_resp": "message_id 65",
    "deliver_sm": SM,
    "deliver_sm_resp": "message_id 65",
    "submit_multi": f"service_type 6, {SOURCE}, dest_address destinations, {MESSAGE}",
    "submit_multi_resp": "message_id 65, unsuccess_sme unsuccesses",
    "data_sm": (
        "service_type 6, source_addr_ton, source_addr_npi, source_addr 65, dest_addr_ton, dest_addr_npi,"
        " destination_addr 65, esm_class, registered_delivery, data_coding"
    ),
    "data_sm_resp": "message_id 65",
    "query_sm": f"message_id 65, {SOURCE}",
    "query_sm_resp": "message_id 65, final_date 17, message_state, error_code",
    "cancel_sm": f"service_type 6, message_id 65, {SOURCE}, {DEST}",
    "cancel_sm_resp": "",
    "replace_sm": f"message_id 65, {SOURCE}, {TIMES}, registered_delivery, sm_default_msg_id, short_message counted",
    "replace_sm_resp": "",
    "alert_notification": (
        "source_addr_ton, source_addr_npi, source_addr 65, esme_addr_ton, esme_addr_npi, esme_addr 65"
    ),
    "broadcast_sm": (
        f"service_type 6, {SOURCE}, message_id 65, priority_flag, {TIMES}, replace_if_present_flag, data_coding,"
        " sm_default_msg_id"
    ),
    "broadcast_sm_resp": "message_id 65",
    "query_broadcast_sm": f"message_id 65, {SOURCE}",
    "query_broadcast_sm_resp": "message_id 65",
    "cancel_broadcast_sm": f"service_type 6, message_id 65, {SOURCE}",
    "cancel_broadcast_sm_resp": "",
}


def shown(name: str, kind: Kind) -> str:
    match kind:
        case Integer():
            return name
        case CString(maximum):
            return f"{name} {maximum}"
        case Counted():
            return f"{name} counted"
        case Destinations():
            return f"{name} destinations"
        case Unsuccesses():
            return f"{name} unsuccesses"


@pytest.mark.parametrize("command", CommandId, ids=lambda command: command.name)
def test_a_pdu_has_the_fields_of_the_specification(command: CommandId) -> None:
    fields = fields_of(PDUS[command])
    assert ", ".join(shown(*field) for field in fields.items()) == SPECIFIED[command.name.lower()]


@pytest.mark.parametrize("command", CommandId, ids=lambda command: command.name)
def test_counted_octets_are_the_last_field(command: CommandId) -> None:
    kinds = list(fields_of(PDUS[command]).values())
    assert not any(isinstance(kind, Counted) for kind in kinds[:-1])
