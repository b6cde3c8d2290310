"""What the tests of this folder share: the recorded PDUs, and strategies that make a PDU of any type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bridge.smpp.codec import Framer, encode, fields_of
from bridge.smpp.enums import RESPONSE_BIT, SUBMISSION_TLV_OCTETS, Tag
from bridge.smpp.events import Bind, BindRequested
from bridge.smpp.fields import (
    Counted,
    CString,
    Destinations,
    DistributionList,
    Integer,
    Kind,
    SmeAddress,
    Unsuccesses,
    UnsuccessSme,
)
from bridge.smpp.pdus import (
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DeliverSm,
    Pdu,
    SubmitSm,
    Unbind,
)
from bridge.smpp.session import Session
from bridge.smpp.states import State


@dataclass(frozen=True)
class Vector:
    """One PDU from a public test suite or a recording, as several decoders agreed to read it."""

    source: str
    octets: bytes
    kind: str  # well-formed | malformed | unknown-command
    decoded: dict[str, Any]
    notes: tuple[str, ...]
    suggested_status: int | None

    def has(self, note: str) -> bool:
        return any(note in each for each in self.notes)


def _vectors() -> list[Vector]:
    text = (Path(__file__).parent / "vectors" / "smpp_pdus.json").read_text(encoding="utf-8")
    return [
        Vector(
            source=entry["source"],
            octets=bytes.fromhex(entry["hex"]),
            kind=entry["class"],
            decoded=entry["decoded"],
            notes=tuple(entry["notes"]),
            suggested_status=int(entry["suggested_status"], 16) if "suggested_status" in entry else None,
        )
        for entry in json.loads(text)
    ]


VECTORS = _vectors()

octet = st.integers(0, 255)
u32 = st.integers(0, 0xFFFFFFFF)


def c_string(maximum: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=maximum - 1)


def _values(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Integer():
            return octet
        case CString(maximum):
            return c_string(maximum)
        case Counted():
            return st.binary(max_size=255)
        case Destinations():
            address = st.builds(SmeAddress, octet, octet, c_string(21))
            return st.lists(address | st.builds(DistributionList, c_string(21)), min_size=1, max_size=9).map(tuple)
        case Unsuccesses():
            return st.lists(st.builds(UnsuccessSme, octet, octet, c_string(21), u32), max_size=9).map(tuple)


def _tlv(tag: int) -> st.SearchStrategy[tuple[int, bytes]]:
    """A TLV that a submission may have, too."""
    allowed = SUBMISSION_TLV_OCTETS.get(tag, range(300))
    lengths = st.sampled_from([octets for octets in range(1025) if octets in allowed])
    return lengths.flatmap(lambda size: st.tuples(st.just(tag), st.binary(min_size=size, max_size=size)))


# Every tag there is, vendors' and unknown ones, repeated or not, in any order.
tlvs = st.lists((st.sampled_from(sorted(Tag)) | st.integers(0, 0xFFFF)).flatmap(_tlv), max_size=4).map(tuple)


def pdus_of(kind: type[Pdu]) -> st.SearchStrategy[Pdu]:
    """Any PDU of this type that can be written; a response with an error has no body, so none is made here."""
    fields = {name: _values(each) for name, each in fields_of(kind).items()}
    status = st.just(0) if kind.command & RESPONSE_BIT else u32
    return st.builds(kind, sequence=u32, status=status, tlvs=tlvs, **fields)


BINDS = {
    BindTransmitter: (State.BOUND_TX, BindTransmitterResp),
    BindReceiver: (State.BOUND_RX, BindReceiverResp),
    BindTransceiver: (State.BOUND_TRX, BindTransceiverResp),
}
SUBMIT = SubmitSm(sequence=5, source_addr="ACME", destination_addr="905321234567", short_message=b"hello")
DELIVER = DeliverSm(source_addr="905321234567", destination_addr="ACME", short_message=b"hi")


def opened(**settings: Any) -> Session:
    return Session(**{"system_id": "bridge", "now": 0.0, **settings})


def asked(session: Session, bind: Bind, behind: bytes = b"") -> Bind:
    (event,) = session.receive(encode(bind) + behind, 0.0)
    assert isinstance(event, BindRequested)
    return event.pdu


def bound(kind: type[Pdu] = BindTransceiver, *, interface_version: int = 0x34, **settings: Any) -> Session:
    """A session at time 0 that has accepted this bind, its response already fetched."""
    session = Session(**{"system_id": "bridge", "now": 0.0, **settings})
    bind = kind(sequence=1, system_id="acme", password="secret", interface_version=interface_version)  # type: ignore[call-arg]
    (event,) = session.receive(encode(bind), 0.0)
    assert isinstance(event, BindRequested)
    assert session.accept_bind(event.pdu, 0.0) == []
    session.to_write()
    return session


def sent(session: Session) -> list[Pdu]:
    """What the session wrote since the last call, decoded."""
    framer = Framer()
    framer.feed(session.to_write())
    found = [item for item in framer if isinstance(item, Pdu)]
    assert framer.buffered == 0
    return found


def in_state(state: State) -> Session:
    """A session in a state that reads, with nothing left to write."""
    if state is State.OPEN:
        return opened()
    if state is State.OUTBOUND:
        session = opened()
        session.outbind("bridge", "secret")
        session.to_write()
        return session
    for kind, (reached, _) in BINDS.items():
        if reached is state:
            return bound(kind)
    session = bound()
    if state is State.UNBINDING:
        session.unbind(0.0)
    else:
        session.receive(encode(Unbind(sequence=2)), 0.0)
    session.to_write()
    return session
