"""Bodies of the operations besides submit_sm, octet by octet, and what their responses hold."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from listeners.smpp.esme import Answer, c_octets, tlv

QUERY_SM, REPLACE_SM, CANCEL_SM, SUBMIT_MULTI, DATA_SM = 0x03, 0x07, 0x08, 0x21, 0x103
FROM = (5, 0, "ACME")


def address(given: tuple[int, int, str]) -> bytes:
    return bytes(given[:2]) + c_octets(given[2])


def query_body(message_id: str, source: tuple[int, int, str] = FROM) -> bytes:
    return c_octets(message_id) + address(source)


def cancel_body(
    message_id: str = "", source: tuple[int, int, str] = FROM, to: str = "", service_type: str = ""
) -> bytes:
    return c_octets(service_type) + c_octets(message_id) + address(source) + address((1, 1, to))


def replace_body(
    message_id: str,
    text: bytes,
    source: tuple[int, int, str] = FROM,
    *,
    schedule: str = "",
    validity: str = "",
    registered: int = 1,
    tlvs: bytes = b"",
) -> bytes:
    return (
        c_octets(message_id)
        + address(source)
        + c_octets(schedule)
        + c_octets(validity)
        + bytes((registered, 0, len(text)))
        + text
        + tlvs
    )


def data_body(to: str, *, esm_class: int = 0, registered: int = 1, data_coding: int = 0, tlvs: bytes = b"") -> bytes:
    return b"\0" + address(FROM) + address((1, 1, to)) + bytes((esm_class, registered, data_coding)) + tlvs


def payload(text: bytes) -> bytes:
    return tlv(0x0424, text)


def multi_body(
    *to: str,
    lists: tuple[str, ...] = (),
    text: bytes = b"hello",
    count: int | None = None,
    flag: int = 1,
    replace: int = 0,
    schedule: str = "",
    registered: int = 1,
    esm_class: int = 0,
) -> bytes:
    """`count`: what number_of_dests says; `flag`: the dest_flag of numbers."""
    destinations = [bytes((flag, 1, 1)) + c_octets(number) for number in to]
    destinations += [b"\2" + c_octets(name) for name in lists]
    return (
        b"\0"
        + address(FROM)
        + bytes((len(destinations) if count is None else count,))
        + b"".join(destinations)
        + bytes((esm_class, 0, 0))
        + c_octets(schedule)
        + b"\0"
        + bytes((registered, replace, 0, 0, len(text)))
        + text
    )


def queried(answer: Answer) -> tuple[str, str, int, int]:
    """message_id, final_date, message_state and error_code of a query_sm_resp."""
    assert answer.status == 0, answer
    message_id, final_date, rest = answer.body.split(b"\0", 2)
    return message_id.decode(), final_date.decode(), rest[0], rest[1]


def unsuccessful(answer: Answer) -> list[tuple[str, int]]:
    """Addresses and statuses of a submit_multi_resp."""
    assert answer.status == 0, answer
    rest = answer.body.partition(b"\0")[2]
    count, rest = rest[0], rest[1:]
    found = []
    for _ in range(count):
        number, _, rest = rest[2:].partition(b"\0")
        found.append((number.decode(), struct.unpack(">I", rest[:4])[0]))
        rest = rest[4:]
    assert rest == b""
    return found


def at(time: float) -> str:
    """A point in time as SMPP writes it."""
    return datetime.fromtimestamp(time, UTC).strftime("%y%m%d%H%M%S") + "000+"


def later(hours: int) -> str:
    """A span of hours as SMPP writes it."""
    return f"000000{hours:02}0000000R"
