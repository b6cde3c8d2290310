"""The numbers of SMPP by name: commands, statuses, TLV tags, states and bit fields.

Sources: SMPP 3.4 §5.1.2 (command_id), §5.1.3 (command_status), §5.3.1 (tags); SMPP 5.0 §4.7.5, §4.7.6, §4.8.1.
Where 5.0 renamed a thing, the 3.4 name stands here.
"""

from __future__ import annotations

from collections.abc import Container
from enum import IntEnum
from typing import Final, Literal

Version = Literal["3.3", "3.4", "5.0"]

RESPONSE_BIT: Final = 0x80000000  # response id = request id | this (3.4 §5.1.2)
SEQUENCE_MAX: Final = 0x7FFFFFFF


class CommandId(IntEnum):
    """command_id (3.4 §5.1.2.1, 5.0 §4.7.5)."""

    BIND_RECEIVER = 0x00000001
    BIND_TRANSMITTER = 0x00000002
    QUERY_SM = 0x00000003
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    REPLACE_SM = 0x00000007
    CANCEL_SM = 0x00000008
    BIND_TRANSCEIVER = 0x00000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    SUBMIT_MULTI = 0x00000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    BROADCAST_SM = 0x00000111
    QUERY_BROADCAST_SM = 0x00000112
    CANCEL_BROADCAST_SM = 0x00000113
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI_RESP = 0x80000021
    DATA_SM_RESP = 0x80000103
    BROADCAST_SM_RESP = 0x80000111
    QUERY_BROADCAST_SM_RESP = 0x80000112
    CANCEL_BROADCAST_SM_RESP = 0x80000113


class Status(IntEnum):
    """command_status (3.4 §5.1.3, 5.0 §4.7.6); 0x100-0x112 may go to 5.0 peers only."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVOPTPARSTREAM = 0xC0
    ROPTPARNOTALLWD = 0xC1
    RINVPARLEN = 0xC2
    RMISSINGOPTPARAM = 0xC3
    RINVOPTPARAMVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF
    RSERTYPUNAUTH = 0x100
    RPROHIBITED = 0x101
    RSERTYPUNAVAIL = 0x102
    RSERTYPDENIED = 0x103
    RINVDCS = 0x104
    RINVSRCADDRSUBUNIT = 0x105
    RINVDSTADDRSUBUNIT = 0x106
    RINVBCASTFREQINT = 0x107
    RINVBCASTALIAS_NAME = 0x108
    RINVBCASTAREAFMT = 0x109
    RINVNUMBCAST_AREAS = 0x10A
    RINVBCASTCNTTYPE = 0x10B
    RINVBCASTMSGCLASS = 0x10C
    RBCASTFAIL = 0x10D
    RBCASTQUERYFAIL = 0x10E
    RBCASTCANCELFAIL = 0x10F
    RINVBCAST_REP = 0x110
    RINVBCASTSRVGRP = 0x111
    RINVBCASTCHANIND = 0x112


class Tag(IntEnum):
    """TLV tags (3.4 §5.3.1, 5.0 §4.8.1)."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    BROADCAST_CHANNEL_INDICATOR = 0x0600
    BROADCAST_CONTENT_TYPE = 0x0601
    BROADCAST_CONTENT_TYPE_INFO = 0x0602
    BROADCAST_MESSAGE_CLASS = 0x0603
    BROADCAST_REP_NUM = 0x0604
    BROADCAST_FREQUENCY_INTERVAL = 0x0605
    BROADCAST_AREA_IDENTIFIER = 0x0606
    BROADCAST_ERROR_STATUS = 0x0607
    BROADCAST_AREA_SUCCESS = 0x0608
    BROADCAST_END_TIME = 0x0609
    BROADCAST_SERVICE_GROUP = 0x060A
    BILLING_IDENTIFICATION = 0x060B
    SOURCE_NETWORK_ID = 0x060D
    DEST_NETWORK_ID = 0x060E
    SOURCE_NODE_ID = 0x060F
    DEST_NODE_ID = 0x0610
    DEST_ADDR_NP_RESOLUTION = 0x0611
    DEST_ADDR_NP_INFORMATION = 0x0612
    DEST_ADDR_NP_COUNTRY = 0x0613
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


# Octets that a TLV of a submission must have. Only tags that the specification lists for submissions (3.4 §4.4.1,
# §4.5.1, §4.7.1; 5.0 §4.2.5): a TLV that is not meant for the PDU is ignored whatever it holds (3.4 §3.3).
SUBMISSION_TLV_OCTETS: Final[dict[int, Container[int]]] = {
    Tag.DEST_ADDR_SUBUNIT: (1,),
    Tag.DEST_NETWORK_TYPE: (1,),
    Tag.DEST_BEARER_TYPE: (1,),
    Tag.DEST_TELEMATICS_ID: (1, 2),  # 2; its twin of the source has 1, and clients make them alike
    Tag.SOURCE_ADDR_SUBUNIT: (1,),
    Tag.SOURCE_NETWORK_TYPE: (1,),
    Tag.SOURCE_BEARER_TYPE: (1,),
    Tag.SOURCE_TELEMATICS_ID: (1, 2),
    Tag.QOS_TIME_TO_LIVE: (4,),
    Tag.PAYLOAD_TYPE: (1,),
    Tag.MS_MSG_WAIT_FACILITIES: (1,),
    Tag.PRIVACY_INDICATOR: (1,),
    Tag.SOURCE_SUBADDRESS: range(2, 24),
    Tag.DEST_SUBADDRESS: range(2, 24),
    Tag.USER_MESSAGE_REFERENCE: (2,),
    Tag.USER_RESPONSE_CODE: (1,),
    Tag.SOURCE_PORT: (2,),
    Tag.DESTINATION_PORT: (2,),
    Tag.SAR_MSG_REF_NUM: (2,),
    Tag.LANGUAGE_INDICATOR: (1,),
    Tag.SAR_TOTAL_SEGMENTS: (1,),
    Tag.SAR_SEGMENT_SEQNUM: (1,),
    Tag.CALLBACK_NUM_PRES_IND: (1,),
    Tag.CALLBACK_NUM_ATAG: range(66),
    Tag.CALLBACK_NUM: range(4, 20),
    Tag.NUMBER_OF_MESSAGES: (1,),
    Tag.SET_DPF: (1,),
    Tag.MORE_MESSAGES_TO_SEND: (1,),
    Tag.USSD_SERVICE_OP: (1,),
    Tag.BILLING_IDENTIFICATION: range(1, 1025),
    Tag.SOURCE_NETWORK_ID: range(6, 66),  # 7 with its NUL
    Tag.DEST_NETWORK_ID: range(6, 66),
    Tag.SOURCE_NODE_ID: (6,),
    Tag.DEST_NODE_ID: (6,),
    Tag.DEST_ADDR_NP_RESOLUTION: (1,),
    Tag.DEST_ADDR_NP_INFORMATION: (10,),
    Tag.DEST_ADDR_NP_COUNTRY: range(1, 6),
    Tag.DISPLAY_TIME: (1,),
    Tag.SMS_SIGNAL: (2,),
    Tag.MS_VALIDITY: (1, 4),  # 4: 5.0
    Tag.ALERT_ON_MESSAGE_DELIVERY: (0, 1),  # 1: 5.0
    Tag.ITS_REPLY_TYPE: (1,),
    Tag.ITS_SESSION_INFO: (2,),
}


class MessageState(IntEnum):
    """message_state (3.4 §5.2.28, 5.0 §4.7.15)."""

    SCHEDULED = 0  # 5.0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9  # 5.0


class Ton(IntEnum):
    """Type of number (3.4 §5.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(IntEnum):
    """Numbering plan indicator (3.4 §5.2.6)."""

    UNKNOWN = 0
    ISDN = 1
    DATA = 3
    TELEX = 4
    LAND_MOBILE = 6
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP_CLIENT_ID = 18


class EsmClass(IntEnum):
    """Values and masks of esm_class (3.4 §5.2.12, 5.0 §4.7.12)."""

    TYPE_MASK = 0x3C
    DELIVERY_RECEIPT = 0x04  # SMSC to ESME; test `esm_class & TYPE_MASK`, not this bit alone
    SME_DELIVERY_ACK = 0x08
    SME_MANUAL_ACK = 0x10
    CONVERSATION_ABORT = 0x18
    INTERMEDIATE_NOTIFICATION = 0x20
    UDHI = 0x40  # the user data begins with a header
    REPLY_PATH = 0x80


_RESPONSES: Final = frozenset(command for command in CommandId if command & RESPONSE_BIT)


def answer_id(command_id: int) -> int:
    """The command_id that answers `command_id`: its response where there is one, otherwise generic_nack."""
    response = command_id | RESPONSE_BIT
    return response if response in _RESPONSES else CommandId.GENERIC_NACK


def version_of(interface_version: int) -> Version:
    """The version to speak with a peer that bound with this `interface_version` (3.4 §5.2.4, 5.0 §4.7.13).

    Values between the published ones are met: anything below 0x34 is 3.3, up to 0x4F 3.4, the rest 5.0.
    """
    if interface_version < 0x34:
        return "3.3"
    return "3.4" if interface_version < 0x50 else "5.0"


def status_for(version: Version, status: int) -> int:
    """The status to answer a peer of this version: those that came with 5.0 (§4.7.6) become RSUBMITFAIL before it."""
    if version != "5.0" and Status.RSERTYPUNAUTH <= status <= Status.RINVBCASTCHANIND:
        return Status.RSUBMITFAIL
    return status
