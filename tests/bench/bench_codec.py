"""How many PDUs a second one core decodes, encodes and takes through a session.

Run by hand: `python tests/bench/bench_codec.py`. It asserts nothing: rates belong to a machine. The best of several
runs is shown, which is the one that was disturbed least.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from bridge.smpp.codec import Framer, decode, encode
from bridge.smpp.events import BindRequested, Submitted
from bridge.smpp.pdus import BindTransceiver, DeliverSm, DeliverSmResp, Pdu, SubmitSm, SubmitSmResp
from bridge.smpp.receipts import receipt_text, receipt_tlvs
from bridge.smpp.session import Session

NUMBER = 20_000
RUNS = 7

SUBMIT = SubmitSm(
    sequence=7,
    source_addr_ton=5,
    source_addr="ACME",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr="905321234567",
    registered_delivery=1,
    short_message=b"Your verification code is 482913. It expires in ten minutes.",
)
RECEIPT = DeliverSm(
    sequence=7,
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr="905321234567",
    dest_addr_ton=5,
    destination_addr="ACME",
    esm_class=4,
    short_message=receipt_text("1234567890", 2, submitted_at=1.8e9, done_at=1.8e9, text="Your code").encode(),
    tlvs=receipt_tlvs("1234567890", 2, 0),
)


def bound() -> Session:
    session = Session(system_id="bridge", now=0.0, window=NUMBER, deliver_window=NUMBER)
    (event,) = session.receive(encode(BindTransceiver(sequence=1)), 0.0)
    assert isinstance(event, BindRequested)
    session.accept_bind(event.pdu, 0.0)
    session.to_write()
    return session


def decoding(pdu: Pdu) -> Callable[[], None]:
    octets = encode(pdu)

    def run() -> None:
        for _ in range(NUMBER):
            decode(octets)

    return run


def encoding(pdu: Pdu) -> Callable[[], None]:
    def run() -> None:
        for _ in range(NUMBER):
            encode(pdu)

    return run


def framing() -> None:
    framer = Framer()
    for _ in range(NUMBER // 500):
        framer.feed(CHUNK)
        for _ in framer:
            pass


def receiving() -> None:
    session = bound()
    for _ in range(NUMBER // 500):
        session.receive(CHUNK, 1.0)


def answering() -> None:
    session = bound()
    for _ in range(NUMBER // 500):
        for event in session.receive(CHUNK, 1.0):
            assert isinstance(event, Submitted)
            session.submitted(event.pdu.sequence, "1234567890")
        session.to_write()


def delivering() -> None:
    session = bound()
    for _ in range(NUMBER // 500):
        answers = [encode(DeliverSmResp(sequence=session.deliver(RECEIPT, None, 1.0))) for _ in range(500)]
        session.to_write()
        session.receive(b"".join(answers), 1.0)


CHUNK = encode(SUBMIT) * 500

BENCHES: dict[str, Callable[[], None]] = {
    "decode submit_sm": decoding(SUBMIT),
    "decode deliver_sm (receipt, 3 TLVs)": decoding(RECEIPT),
    "decode submit_sm_resp": decoding(SubmitSmResp(sequence=7, message_id="1234567890")),
    "encode submit_sm": encoding(SUBMIT),
    "encode deliver_sm (receipt, 3 TLVs)": encoding(RECEIPT),
    "encode submit_sm_resp": encoding(SubmitSmResp(sequence=7, message_id="1234567890")),
    "framer, submit_sm in 60 KB pieces": framing,
    "session: receive submit_sm": receiving,
    "session: receive, answer, to_write": answering,
    "session: deliver, encode and receive resp": delivering,
}


def main() -> None:
    for name, run in BENCHES.items():
        best = float("inf")
        for _ in range(RUNS):
            start = process_time()
            run()
            best = min(best, process_time() - start)
        print(f"{name:<44} {NUMBER / best:>10,.0f} /s {best / NUMBER * 1e6:>8.2f} us")


if __name__ == "__main__":
    main()
