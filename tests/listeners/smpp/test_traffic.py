"""What a connection writes and hears, counted."""

from __future__ import annotations

from listeners.smpp.conftest import Connect, Serve
from listeners.smpp.esme import SUBMIT_SM, pdu, submit_body
from listeners.smpp.world import World, account

from bridge.errors import Refusal
from bridge.listeners.smpp.traffic import Fault, Traffic, command_name, status_name
from bridge.message import Reason
from bridge.telemetry import metrics

OUT = "submit_sm_resp"


def counted(name: str, direction: str, command: str, status: str) -> int:
    return metrics.smpp_responses.value(name, direction, command, status)


def test_what_is_written_is_counted_by_command_and_status() -> None:
    traffic = Traffic(lambda: 1001.0, lambda: 10.0)
    oks = b"".join(pdu(0x80000004, b"1\0", sequence=number) for number in range(3))
    traffic.wrote(oks + pdu(0x80000004, status=0x58) + pdu(0x05, b"x" * 40) + pdu(0x15), "w")
    assert counted("w", "out", OUT, "ESME_ROK") == 3
    assert counted("w", "out", OUT, "ESME_RTHROTTLED") == 1
    assert traffic.taken.per_s(10.0) == 4.0
    assert traffic.handed.per_s(10.0) == 1.0
    assert traffic.fault == Fault(OUT, "ESME_RTHROTTLED", code=0x58, incoming=False, at=1001.0)


def test_one_is_counted_as_many_are() -> None:
    traffic = Traffic(lambda: 1001.0, lambda: 10.0)
    traffic.wrote(pdu(0x80000004, b"1\0"), "one")
    traffic.wrote(pdu(0x05, b"x"), "one")
    assert counted("one", "out", OUT, "ESME_ROK") == 1
    assert (traffic.taken.per_s(10.0), traffic.handed.per_s(10.0), traffic.fault) == (1.0, 1.0, None)


def test_clients_make_up_no_names() -> None:
    assert (command_name(0x80000005), command_name(0x8000BEEF)) == ("deliver_sm_resp", "unknown")
    assert (status_name(0), status_name(0xDEADBEEF)) == ("ESME_ROK", "unknown")


async def test_a_client_is_counted_by_its_account(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account("counted")])
    client = await bound(server, system_id="counted")
    assert counted("counted", "out", "bind_transceiver_resp", "ESME_ROK") == 1
    await client.submit("380501234567")
    world.ledger.refusal = Refusal(Reason.THROTTLED, "slow down")
    await client.submit("380501234567")
    assert counted("counted", "out", OUT, "ESME_ROK") == 1
    assert counted("counted", "out", OUT, "ESME_RTHROTTLED") == 1


async def test_what_the_session_answers_by_itself_is_counted(serve: Serve, bound: Connect) -> None:
    server = await serve([account("itself")])
    client = await bound(server, system_id="itself")
    await client.ask(SUBMIT_SM, submit_body("380501234567")[:9])
    await client.ask(0x15)
    assert counted("itself", "out", "enquire_link_resp", "ESME_ROK") == 1
    assert counted("itself", "out", OUT, "ESME_RINVCMDLEN") == 1


async def test_what_the_client_answers_is_counted(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account("answers")])
    client = await bound(server, system_id="answers")
    client.answering = lambda deliver: 0x14 if len(client.delivered) == 1 else 0
    await world.owe(2, "answers")
    await client.receipts(2)
    await client.ask(0x15)  # behind it both answers have been heard
    assert counted("answers", "in", "deliver_sm_resp", "ESME_RMSGQFUL") == 1
    assert counted("answers", "in", "deliver_sm_resp", "ESME_ROK") == 1
    (seen,) = server.seen()
    assert seen.fault is not None
    assert (seen.fault.status, seen.fault.incoming) == ("ESME_RMSGQFUL", True)


async def test_a_nack_is_counted_as_one(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account("nacks")])
    client = await bound(server, system_id="nacks")
    client.answering = lambda deliver: None
    await world.owe(1, "nacks")
    (deliver,) = await client.receipts(1)
    client.write(pdu(0x80000000, status=3, sequence=deliver.sequence))
    await client.ask(0x15)
    assert counted("nacks", "in", "generic_nack", "ESME_RINVCMDID") == 1


async def test_answers_to_data_sm_are_counted_as_those(serve: Serve, bound: Connect, world: World) -> None:
    server = await serve([account("data", receipts={"by": "data_sm"})])
    client = await bound(server, system_id="data")
    await world.owe(1, "data")
    await client.receipts(1)
    await client.ask(0x15)
    assert counted("data", "in", "data_sm_resp", "ESME_ROK") == 1
    assert server.seen()[0].handed_per_s == 1.0
