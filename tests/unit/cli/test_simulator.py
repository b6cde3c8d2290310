"""The simulated provider, asked by an HTTP client of another make and by the provider that is to believe it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from bridge.cli.simulator import BsgSimulator, SimulatedMessage, failing
from bridge.message import Accepted, Message, Refused, Report, State
from bridge.providers import bsg
from bridge.providers._contract import Attempt, Callback, Reference, References, Response

KEY = "test_key"
PHONE = {"destination": "phone", "originator": "BSG", "body": "hello", "msisdn": "380972000001", "reference": "a1"}


class Receiver:
    """Takes callbacks; those that `statuses` names first are answered so."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.paths: list[str] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.paths.append(f"{request.method} {request.path_qs}")
        self.bodies.put_nowait(json.loads(await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.bodies.get(), 5)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{site.port}/callbacks/bsg/token?a=1"
    yield receiver
    await runner.cleanup()


class Client:
    """Speaks to a simulator."""

    def __init__(self, session: aiohttp.ClientSession, url: str, simulator: BsgSimulator) -> None:
        self.session, self.url, self.simulator = session, url, simulator

    async def create(self, body: object, method: str = "POST") -> dict[str, Any]:
        async with self.session.request(method, f"{self.url}/sms/create", json=body) as answer:
            assert answer.status == 200
            return dict(await answer.json())

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(self.url + path) as answer:
            return dict(await answer.json())


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    simulator = BsgSimulator(KEY, None, report_delay_s=60.0)
    url = await simulator.start()
    async with aiohttp.ClientSession(headers={"X-API-KEY": KEY}) as session:
        yield Client(session, url, simulator)
    await simulator.stop()


async def test_one_message_is_taken_and_found_by_id_and_reference(client: Client) -> None:
    result = (await client.create(PHONE, "PUT"))["result"]
    assert (result["error"], result["reference"], result["currency"]) == (0, "a1", "EUR")
    for path in (f"/sms/{result['id']}", "/sms/reference/a1"):
        status = await client.get(path)
        assert (status["error"], status["id"], status["msisdn"]) == (0, result["id"], "380972000001")
        assert (status["status"], status["time_dr"]) == ("accepted", None)
        time.strptime(status["time_in"], "%Y-%m-%d %H:%M:%S")
    message = client.simulator.messages["a1"]
    assert (message.body, message.originator, message.msisdn) == ("hello", "BSG", "380972000001")


async def test_one_text_for_many_and_a_text_each(client: Client) -> None:
    many = {"destination": "phones", "originator": "BSG", "body": "one for all", "phones": [
        {"msisdn": "380972000001", "reference": "b1"}, {"msisdn": "380972000002", "reference": "b2"}]}  # fmt: skip
    each = {"destination": "individual", "phones": [
        {"msisdn": "380972000001", "reference": "c1", "body": "one", "originator": "A"},
        {"msisdn": "380972000002", "reference": "c2", "body": "two"}]}  # fmt: skip
    answers = [await client.create(many), await client.create(each)]
    assert [[item["reference"] for item in answer["result"]] for answer in answers] == [["b1", "b2"], ["c1", "c2"]]
    assert answers[0]["task_id"] != answers[1]["task_id"]
    assert answers[0]["total_price"] == 0.02
    taken = client.simulator.messages
    assert {reference: (message.body, message.originator) for reference, message in taken.items()} == {
        "b1": ("one for all", "BSG"),
        "b2": ("one for all", "BSG"),
        "c1": ("one", "A"),
        "c2": ("two", None),
    }


async def test_repeated_reference_is_refused_and_counted_and_not_taken_twice(client: Client) -> None:
    await client.create(PHONE)
    again = (await client.create({**PHONE, "body": "other"}))["result"]
    assert (again["error"], again["reference"]) == (23, "a1")
    assert "id" not in again
    assert (client.simulator.repeated, client.simulator.refused, len(client.simulator.messages)) == (1, 1, 1)
    assert client.simulator.messages["a1"].body == "hello"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"msisdn": "+380972000001"}, 21),
        ({"msisdn": "12"}, 21),
        ({"msisdn": 380972000001}, 21),
        ({"reference": None}, 22),
        ({"reference": ""}, 22),
        ({"reference": "a-1"}, 27),
        ({"reference": "a" * 33}, 27),
        ({"body": ""}, 26),
        ({"body": None}, 26),
        ({"originator": "longer-than-14c"}, 25),
        ({"originator": ""}, 25),
    ],
)
async def test_fault_of_one_message_is_in_its_result(client: Client, change: dict[str, Any], code: int) -> None:
    assert (await client.create(PHONE | change))["result"]["error"] == code
    assert (client.simulator.refused, client.simulator.messages) == (1, {})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"destination": None}, 3),
        ({"destination": "phones"}, 3),
        ({"destination": "phones", "phones": []}, 3),
        ({"destination": "everybody", "phones": [{}]}, 4),
        ({"send_time": "2030-01-01T00:00:00Z"}, 4),
        ({"destination": "phones", "phones": "380972000001"}, 7),
        ({"destination": "phones", "phones": ["380972000001"]}, 7),
        ({"destination": "phones", "phones": [{"msisdn": str(380972000000 + n)} for n in range(51)]}, 12),
        ({"validity": 0}, 28),
        ({"validity": 73}, 28),
        ({"validity": "soon"}, 28),
        ({"validity": True}, 28),
        ({"tariff": "10"}, 6),
    ],
)
async def test_fault_of_the_whole_request_stands_alone(client: Client, change: dict[str, Any], code: int) -> None:
    answer = await client.create(PHONE | change)
    assert (answer["error"], set(answer)) == (code, {"error", "errorDescription"})
    assert (client.simulator.refused, client.simulator.messages) == (1, {})


async def test_fault_of_one_item_leaves_the_others_alone(client: Client) -> None:
    phones = [
        {"msisdn": "380972000001", "reference": "d1"},
        {"msisdn": "nobody", "reference": "d2"},
        {"msisdn": "380972000001", "reference": "d3"},
        {"msisdn": "380972000004", "reference": "d4"},
    ]
    answer = await client.create({"destination": "phones", "body": "x", "phones": phones})
    assert [item["error"] for item in answer["result"]] == [0, 21, 31, 0]
    assert list(client.simulator.messages) == ["d1", "d4"]


async def test_fifty_phones_fit(client: Client) -> None:
    phones = [{"msisdn": str(380972000000 + number), "reference": f"e{number}"} for number in range(50)]
    await client.create({"destination": "phones", "body": "x", "phones": phones})
    assert len(client.simulator.messages) == 50


async def test_wrong_key_is_error_1_everywhere(client: Client) -> None:
    client.session.headers["X-API-KEY"] = "other"
    assert (await client.create(PHONE))["error"] == 1
    assert (await client.get("/common/balance"))["error"] == 1
    assert client.simulator.messages == {}


@pytest.mark.parametrize("path", ["/sms/1", "/sms/reference/a1"])
async def test_unknown_message_is_error_20(client: Client, path: str) -> None:
    assert (await client.get(path))["error"] == 20


@pytest.mark.parametrize("path", ["/sms/other/a1", "/viber/1", "/"])
async def test_what_is_not_simulated_says_so(client: Client, path: str) -> None:
    assert (await client.get(path))["error"] in (4, 20)


async def test_body_that_is_not_an_object_is_error_7(client: Client) -> None:
    for body in (b"{", b"[]", b"\xff"):
        async with client.session.post(f"{client.url}/sms/create", data=body) as answer:
            assert (await answer.json())["error"] == 7


async def test_balance_falls_by_the_price(client: Client) -> None:
    before = await client.get("/common/balance")
    await client.create(PHONE)
    after = await client.get("/common/balance")
    assert before["amount"] - after["amount"] == pytest.approx(0.01)
    assert set(after) == {"error", "errorDescription", "amount", "currency", "limit"}


# --- reports ----------------------------------------------------------------------------------------------------------


async def simulate(url: str | None, **options: Any) -> tuple[BsgSimulator, str]:
    simulator = BsgSimulator(KEY, url, **options)
    return simulator, await simulator.start()


async def create(url: str, count: int) -> None:
    phones = [{"msisdn": str(380972000000 + number), "reference": f"f{number}"} for number in range(count)]
    async with aiohttp.ClientSession(headers={"X-API-KEY": KEY}) as session:
        await session.post(f"{url}/sms/create", json={"destination": "phones", "body": "x", "phones": phones})


async def test_statuses_are_called_back_in_their_order(receiver: Receiver) -> None:
    def states(message: SimulatedMessage) -> Sequence[str]:
        return ("sent", "delivered") if message.reference == "f0" else ("rejected",)

    simulator, url = await simulate(receiver.url, report_delay_s=0.05, states=states)
    started = time.monotonic()
    await create(url, 2)
    told = [await receiver.next() for _ in range(3)]
    assert time.monotonic() - started >= 0.1
    assert {(item["reference"], item["status"]) for item in told[:2]} == {("f0", "sent"), ("f1", "rejected")}
    last = told[2]
    assert (last["reference"], last["status"], last["error"]) == ("f0", "delivered", 0)
    assert set(last) == {
        "error", "errorDescription", "id", "msisdn", "reference", "time_in", "time_sent", "time_dr", "status", "price",
        "currency",
    }  # fmt: skip
    assert set(receiver.paths) == {"POST /callbacks/bsg/token?a=1"}
    assert simulator.messages["f0"].status == "delivered"
    await simulator.stop()


async def test_callback_that_is_refused_comes_again(receiver: Receiver) -> None:
    receiver.statuses = [503]
    simulator, url = await simulate(receiver.url)
    await create(url, 1)
    first, second = await receiver.next(), await receiver.next()
    assert first == second
    await simulator.stop()
    assert (simulator.reported, simulator.lost) == (1, 0)


async def test_many_reports_all_arrive(receiver: Receiver) -> None:
    simulator, url = await simulate(receiver.url)
    await create(url, 50)
    assert {(await receiver.next())["reference"] for _ in range(50)} == set(simulator.messages)
    await simulator.stop()


async def test_without_a_callback_url_the_state_can_be_asked_for() -> None:
    simulator, url = await simulate(None)
    await create(url, 1)
    async with aiohttp.ClientSession(headers={"X-API-KEY": KEY}) as session, asyncio.timeout(5):
        while (await Client(session, url, simulator).get("/sms/reference/f0"))["status"] != "delivered":
            pass
    assert simulator.reported == 0
    await simulator.stop()


@pytest.mark.parametrize(("share", "fails"), [(0.0, 0), (0.1, 10), (0.25, 25), (1.0, 100)])
def test_failing_fails_that_share(share: float, fails: int) -> None:
    states = failing(share)
    messages = [
        SimulatedMessage(id=str(n), reference=f"{n}", msisdn="1", body="x", originator=None, time_in=0.0)
        for n in range(1001, 1101)
    ]
    assert sum(states(message) == ("undeliverable",) for message in messages) == fails


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "ftp://host/", "127.0.0.1:80", "http://"])
def test_callback_url_is_http(url: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        BsgSimulator(KEY, url)


def test_key_is_not_shown() -> None:
    assert KEY not in repr(BsgSimulator(KEY, None))


# --- and the provider -------------------------------------------------------------------------------------------------


async def test_the_provider_understands_it(receiver: Receiver) -> None:
    simulator, url = await simulate(receiver.url)
    settings = bsg.Settings.model_validate({"type": "bsg", "api_key": KEY, "base_url": url})
    references = References("0123456789ab")
    provider = bsg.Provider("bsg", settings, references)
    attempts = [
        Attempt(
            Message(message_id=number, account="a", listener="smpp", destination=f"{380972000000 + number}",
                    text="hello", accepted_at=0.0, expires_at=3600.0),
            references.of(number),
            1,
        )
        for number in (1, 2)
    ]  # fmt: skip

    async def outcomes() -> list[Any]:
        request = provider.build(attempts)
        async with aiohttp.request(request.method, request.url, data=request.body, headers=request.headers) as answer:
            response = Response(status=answer.status, headers={}, body=await answer.read())
        return provider.interpret(response, attempts)

    first = await outcomes()
    assert all(isinstance(outcome, Accepted) and outcome.provider_ref for outcome in first)
    # Known already, so the provider has it; nothing is sent twice.
    assert [type(outcome) for outcome in await outcomes()] == [Accepted, Accepted]
    assert simulator.repeated == 2

    told = [await receiver.next() for _ in attempts]
    callbacks = [
        Callback(method="POST", path="", query={}, headers={}, body=json.dumps(body).encode()) for body in told
    ]
    reports = [item for callback in callbacks for item in provider.reports(callback).items]
    assert {report.message_id for report in reports if isinstance(report, Report)} == {1, 2}
    assert {report.state for report in reports if isinstance(report, Report)} == {State.DELIVERED}

    (request,) = provider.poll([Reference(1, references.of(1), None)])
    async with aiohttp.request(request.method, request.url, headers=request.headers) as answer:
        response = Response(status=answer.status, headers={}, body=await answer.read())
    (report,) = provider.heard(response, []).items
    assert isinstance(report, Report)
    assert (report.message_id, report.state) == (1, State.DELIVERED)
    await simulator.stop()


async def test_the_provider_understands_its_errors(client: Client) -> None:
    settings = bsg.Settings.model_validate({"type": "bsg", "api_key": KEY, "base_url": client.url})
    provider = bsg.Provider("bsg", settings, References("0123456789ab"))
    message = Message(
        message_id=1, account="a", listener="smpp", destination="1", text="x", accepted_at=0, expires_at=9
    )
    attempts = [Attempt(message, "0a1", 1)]
    request = provider.build(attempts)
    async with client.session.post(request.url, data=request.body, headers=request.headers) as answer:
        response = Response(status=answer.status, headers={}, body=await answer.read())
    assert [type(outcome) for outcome in provider.interpret(response, attempts)] == [Refused]
