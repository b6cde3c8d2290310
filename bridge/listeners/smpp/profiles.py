"""How an account's receipts are written: its dialect, and the presets that are named after who reads them.

Every SMSC writes receipts a little differently, and clients were written for the one they had. The specification's
own form (3.4 Appendix B) is the default, since all strict readers take it; a preset is a row of what differs from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bridge.message import Reason
from bridge.smpp.receipts import TEXT_MAX, ErrorForm
from bridge.values import Settings

# How a message id is written: as it is, or with as many digits at least.
IdForm = Literal["decimal", "hex", "dec10", "hex8"]
Preset = Literal["standard", "kannel", "cloudhopper", "jsmpp", "jasmin", "php-smpp", "v33", "8x8", "smppcenter"]

_CHARACTERS_MAX = 50  # with everything else, a receipt fits in the 160 octets of 3.3
_ERROR_CODE = re.compile(r"[0-9A-Za-z]{1,3}")

# 8x8's own list of `err` codes (its documentation, "SMS delivery receipt error codes"); its 0 is "no reason code".
_ERRORS_8X8: Final[dict[str, str]] = {str(reason): "0" for reason in Reason} | {
    Reason.ABSENT_SUBSCRIBER: "1",
    Reason.CONTENT_REFUSED: "2",
    Reason.INVALID_DESTINATION: "15",
    Reason.TEXT_TOO_LONG: "17",
    Reason.SENDER_REFUSED: "19",
    Reason.CANCELLED: "20",
    Reason.HANDSET_ERROR: "21",
    Reason.NETWORK_ERROR: "23",
    Reason.BARRED: "26",
    Reason.NO_ROUTE: "33",
    Reason.VALIDITY_ELAPSED: "36",
    Reason.NO_CREDIT: "42",
    Reason.BLOCKED: "43",
}

# What differs from the canonical form, and whose parser it is for.
PRESETS: Final[dict[str, dict[str, Any]]] = {
    # Whoever reads Appendix B to the letter: one order, single blanks, seven letters of stat, three digits of err.
    "standard": {},
    # Kannel: sscanf "id:%64[^ ] sub:%d dlvrd:%d submit date:%14[0-9] done date:%14[0-9] stat:%15[^ ] err:%3[^ ]"; from
    # 3.4 on it takes the TLVs first, and parses no text when network_error_code is among them.
    "kannel": {"network_error_code": True},
    # ch-smpp's DeliveryReceipt: every field must be there and not be empty, dates have 10, 12 or 14 digits, err at most
    # three characters; it finds labels wherever they stand first, in any case.
    "cloudhopper": {},
    # jSMPP's DeliveryReceipt looks for "Text:" before "text:", so a message that has it in itself is cut there.
    "jsmpp": {"text_label": "Text"},
    # Jasmin: id [\dA-Za-z-_]+, three digits of sub and dlvrd, stat \w{7}, err \w{3}; TLVs first.
    "jasmin": {},
    # php-smpp: one anchored pattern up to the end of the message, err \d{2,3}; TLVs behind the text break older ones.
    "php-smpp": {"tlvs": False},
    # 3.3: no TLVs and no data_sm, ids of at most 8 hexadecimal digits, no intermediate notifications (bit 4 is 3.4).
    "v33": {"id": "hex8", "tlvs": False, "intermediate": False},
    # Written for 8x8: "err:E Text:", its own codes without leading zeros.
    "8x8": {"err": "dec", "errors": _ERRORS_8X8, "text_label": "Text"},
    # Written for SMPPCenter: dates to the second.
    "smppcenter": {"seconds": True},
}


def _characters(value: object) -> object:
    """How much of the message a receipt quotes; `true` is the specification's measure, `false` not even the label."""
    if value is True:
        return TEXT_MAX
    if value is False:
        return None
    if not isinstance(value, int) or not 0 <= value <= _CHARACTERS_MAX:
        raise ValueError(f"must be true, false, or how many characters of the message: 0 to {_CHARACTERS_MAX}")
    return value


def _code(value: str) -> str:
    if not _ERROR_CODE.fullmatch(value):
        raise ValueError('an error code is 1 to 3 digits or letters in quotes, such as "034"')
    return value


class Receipts(Settings):
    """How an account gets receipts; the name of a preset alone is the short form."""

    preset: Preset = "standard"  # what holds where nothing else is said
    id: IdForm | None = None  # how ids are written everywhere; without it, as message_id says
    reported_id: IdForm | None = None  # how receipts write them, if other than submit_sm_resp
    case: Literal["lower", "upper"] = "lower"  # of hexadecimal ids
    seconds: bool = False  # dates to the second
    counts: bool = True  # sub and dlvrd
    err: ErrorForm = "dec3"  # how error codes are written
    # Codes other than ours, by reason; written as they stand.
    errors: dict[Reason, Annotated[str, AfterValidator(_code)]] = Field(default_factory=dict)
    text: Annotated[
        int | None,
        BeforeValidator(_characters),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": _CHARACTERS_MAX}]}),
    ] = TEXT_MAX  # how many characters of the message are quoted
    text_label: Literal["text", "Text"] = "text"  # what stands before them
    tlvs: bool = True  # receipted_message_id and message_state, from 3.4 on
    network_error_code: bool = False  # the TLV of that name, on failure
    per: Literal["part", "message"] = "part"  # of a long message: a receipt for each part, or one for all
    by: Literal["deliver_sm", "data_sm"] = "deliver_sm"  # which PDU; 3.3 knows deliver_sm only
    intermediate: bool = True  # intermediate notifications, where a message asks for them

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        """A preset is what holds where nothing else is said."""
        if isinstance(value, str):
            value = {"preset": value}
        if not isinstance(value, Mapping):
            return value
        preset = value.get("preset", "standard")
        return {**PRESETS[preset], **value} if isinstance(preset, str) and preset in PRESETS else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A group, or the name of a preset."""
        return {"anyOf": [{"enum": list(get_args(Preset)), "type": "string"}, handler(schema)]}


def written_id(message_id: int, form: IdForm, case: Literal["lower", "upper"] = "lower") -> str:
    """A message id in a form: `decimal` and `hex` as they are, `dec10` and `hex8` filled up with zeros."""
    if form == "decimal":
        return str(message_id)
    if form == "dec10":
        return f"{message_id:010d}"
    digits = f"{message_id:x}" if form == "hex" else f"{message_id:08x}"
    return digits if case == "lower" else digits.upper()
