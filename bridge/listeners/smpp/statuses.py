"""The listener's tables: what a client is answered, the `err` of its receipts, and what its own answers mean."""

from __future__ import annotations

from enum import Enum

from bridge.errors import Refusal
from bridge.message import Reason
from bridge.smpp.enums import Status

STATUS: dict[Reason, Status] = {
    Reason.INVALID_REQUEST: Status.RSUBMITFAIL,
    Reason.INVALID_SOURCE: Status.RINVSRCADR,
    Reason.SOURCE_NOT_ALLOWED: Status.RINVSRCADR,
    Reason.INVALID_DESTINATION: Status.RINVDSTADR,
    Reason.INVALID_TEXT: Status.RINVMSGLEN,
    Reason.TEXT_TOO_LONG: Status.RINVMSGLEN,
    Reason.INVALID_VALIDITY: Status.RINVEXPIRY,
    Reason.INVALID_SCHEDULE: Status.RINVSCHED,
    Reason.UNSUPPORTED: Status.RSUBMITFAIL,
    Reason.NO_ROUTE: Status.RINVDSTADR,
    Reason.NOT_PERMITTED: Status.RSUBMITFAIL,
    Reason.THROTTLED: Status.RTHROTTLED,
    Reason.QUEUE_FULL: Status.RMSGQFUL,
    Reason.UNAVAILABLE: Status.RSYSERR,
} | dict.fromkeys(
    # Known only after the message was taken, so never an answer to submit_sm; listed so that the table is whole.
    (
        Reason.PARTS_MISSING,
        Reason.CANCELLED,
        Reason.VALIDITY_ELAPSED,
        Reason.UNKNOWN_SUBSCRIBER,
        Reason.ABSENT_SUBSCRIBER,
        Reason.HANDSET_ERROR,
        Reason.BARRED,
        Reason.BLOCKED,
        Reason.NETWORK_ERROR,
        Reason.CONTENT_REFUSED,
        Reason.SENDER_REFUSED,
        Reason.NO_CREDIT,
        Reason.PROVIDER_ACCOUNT,
        Reason.PROVIDER_UNREACHABLE,
        Reason.PROVIDER_REFUSED,
        Reason.UNSURE,
        Reason.NO_REPORT,
        Reason.UNSPECIFIED,
    ),
    Status.RSUBMITFAIL,
)

# `err` of a receipt: three decimal digits, GSM cause values (3GPP TS 29.002) where there is one, else our own 2xx.
ERROR: dict[Reason, str] = {
    Reason.UNKNOWN_SUBSCRIBER: "001",
    Reason.ABSENT_SUBSCRIBER: "027",
    Reason.HANDSET_ERROR: "031",
    Reason.BARRED: "013",
    Reason.BLOCKED: "201",
    Reason.NETWORK_ERROR: "034",
    Reason.CONTENT_REFUSED: "202",
    Reason.SENDER_REFUSED: "203",
    Reason.NO_CREDIT: "204",
    Reason.PROVIDER_ACCOUNT: "205",
    Reason.PROVIDER_UNREACHABLE: "206",
    Reason.PROVIDER_REFUSED: "207",
    Reason.UNSURE: "208",
    Reason.NO_REPORT: "209",
    Reason.VALIDITY_ELAPSED: "210",
    Reason.CANCELLED: "211",
    Reason.PARTS_MISSING: "212",
    Reason.INVALID_REQUEST: "220",
    Reason.INVALID_SOURCE: "221",
    Reason.SOURCE_NOT_ALLOWED: "222",
    Reason.INVALID_DESTINATION: "223",
    Reason.INVALID_TEXT: "224",
    Reason.TEXT_TOO_LONG: "225",
    Reason.INVALID_VALIDITY: "226",
    Reason.INVALID_SCHEDULE: "227",
    Reason.UNSUPPORTED: "228",
    Reason.NO_ROUTE: "229",
    Reason.NOT_PERMITTED: "230",
    Reason.THROTTLED: "231",
    Reason.QUEUE_FULL: "232",
    Reason.UNAVAILABLE: "233",
    Reason.UNSPECIFIED: "255",
}


class Unsupported(Refusal):
    """A refusal whose status the reason alone does not tell."""

    def __init__(self, status: Status, reason: Reason, text: str) -> None:
        super().__init__(reason, text)
        self.status = status


def status_of(refusal: Refusal) -> Status:
    """The command_status that answers a refusal."""
    return refusal.status if isinstance(refusal, Unsupported) else STATUS[Reason(refusal.reason)]


class Answered(Enum):
    """What a client's error says about something that we handed it."""

    LATER = "later"  # it wants to have it again, as often as it says so
    HARDLY = "hardly"  # it is likely to answer the same again: it gets it TRIES times
    NEVER = "never"  # it does not want this one
    NEVER_THERE = "never there"  # nor anything else for that address of its


TRIES = 3
_ANSWERED: dict[int, Answered] = {
    # What an SMSC repeats after, by the lists that providers publish; other errors it does not repeat after.
    Status.RSYSERR: Answered.LATER,
    Status.RMSGQFUL: Answered.LATER,
    Status.RSUBMITFAIL: Answered.LATER,
    Status.RTHROTTLED: Answered.LATER,
    Status.RQUERYFAIL: Answered.LATER,
    Status.RDELIVERYFAILURE: Answered.LATER,
    Status.RUNKNOWNERR: Answered.LATER,
    # The three that are made for it (3.4 §5.1.3).
    Status.RX_T_APPN: Answered.LATER,
    Status.RX_P_APPN: Answered.NEVER_THERE,
    Status.RX_R_APPN: Answered.NEVER,
}


def answered(status: int) -> Answered:
    """What the client's `status` (not 0) says."""
    return _ANSWERED.get(status, Answered.HARDLY)
