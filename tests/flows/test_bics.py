"""Messages through BICS: set up by the command, sent in batches and on channels, reported by webhook or when asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from flows.bics_server import BicsServer
from flows.bridges import Bridge, until
from flows.conftest import Start
from flows.sinks import SECRET, Callbacks
from typer import Typer
from typer.testing import CliRunner

from bridge.cli.provider_api import add_to
from bridge.message import State

Launch = Callable[..., Awaitable[Bridge]]

provider = Typer()
add_to(provider)


@pytest.fixture
async def bics() -> AsyncIterator[BicsServer]:
    async with BicsServer() as server:
        yield server


@pytest.fixture
def launch(start: Start, bics: BicsServer, callbacks: Callbacks) -> Launch:
    """Starts a bridge to BICS; keyword arguments are settings of the provider."""

    async def begin(*, set_up: bool = True, **more: object) -> Bridge:
        settings = {
            "type": "bics",
            "base_url": bics.base_url,
            "token": bics.token,
            "webhook_secret": "the-secret",
            "callback_token": "token",
            "poll": "1h",
            **more,
        }
        bridge = await start(f"""
listeners: {{http: [{{listen: "127.0.0.1:0"}}]}}
accounts:
  acme: {{http: {{api_key: secret-key, callback: "{callbacks.url}", callback_secret: {SECRET}}}}}
providers:
  bics: {{{", ".join(f"{key}: {value!r}" for key, value in settings.items())}}}
routes: [{{send: [bics]}}]
inbound: [{{account: acme}}]
""")
        if set_up:
            await ask(bridge, "setup")
        return bridge

    return begin


async def ask(bridge: Bridge, command: str) -> str:
    """What a command says of the provider, in a thread: it has an event loop of its own."""
    path = bridge.path.with_name("asking.yaml")
    path.write_text(f'public_url: "http://127.0.0.1:{bridge.http}"\n{bridge.path.read_text()}')
    done = await asyncio.to_thread(CliRunner().invoke, provider, [command, "bics", "--config", str(path)])
    assert done.exit_code == 0, done.output
    assert "the-secret" not in done.output
    assert "the-token" not in done.output
    return done.stdout


async def send(bridge: Bridge, *numbers: int, source: str = "ACME") -> list[str]:
    """The ids of messages, one to each number."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret-key"}) as session:

        async def one(number: int) -> str:
            body = {"to": f"+38050{number:07}", "text": f"text {number}, так", "from": source}
            async with session.post(f"http://127.0.0.1:{bridge.http}/v1/messages", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return str((await answer.json())["id"])

        return list(await asyncio.gather(*map(one, numbers)))


async def test_batches_go_out_and_are_reported_to_the_webhook_that_setup_made(
    launch: Launch, bics: BicsServer, callbacks: Callbacks
) -> None:
    bics.outcome = lambda sent: "ABSENT-SUB" if sent.mobile.endswith("3") else "DELIVRD"
    bics.wrong = lambda number: number.endswith("7")
    bridge = await launch(concurrency=1)
    ids = await send(bridge, *range(20))
    for number, record in enumerate([await bridge.final(each) for each in ids]):
        assert (record.state, record.reason) == {
            3: (State.UNDELIVERABLE, "absent_subscriber"),
            7: (State.UNDELIVERABLE, "invalid_destination"),
        }.get(number % 10, (State.DELIVERED, None)), number
    await callbacks.news.until(lambda: len(callbacks.bodies) == 20, 15)
    assert bics.sends < 20, "each went out alone"
    assert {sent.said["message"] for sent in bics.taken} == {f"text {n}, так" for n in range(20) if n % 10 != 7}
    assert not bics.refused
    assert not bics.asked["sms/status"]
    assert set(bics.called) == {200}


async def test_setup_may_be_repeated_and_changes_only_what_differs(launch: Launch, bics: BicsServer) -> None:
    for number in range(3):
        bics.webhooks[f"other-{number}"] = {"id": f"other-{number}", "name": "x", "uri": "https://example.com/"}
    bridge = await launch()
    said = await ask(bridge, "setup")
    (webhook,) = [each for each in bics.webhooks.values() if each["name"] == "smsbridge bics"]
    uri = f"http://127.0.0.1:{bridge.http}/callbacks/bics/token"
    assert (webhook["uri"], webhook["secret"]) == (uri, "the-secret")
    assert sorted(each["event"] for each in bics.subscriptions) == ["sms:message:status", "vmn:message:in"]
    assert said.splitlines()[-1] == f"webhook {webhook['id']} calls {uri}, for sms:message:status, for vmn:message:in"
    assert await ask(bridge, "balance") == "69\n"


async def test_without_a_webhook_every_message_is_asked_for(launch: Launch, bics: BicsServer) -> None:
    bics.outcome = lambda sent: "SPAM" if sent.mobile.endswith("3") else "DELIVRD"
    bridge = await launch(set_up=False, poll="100ms")
    states = [(await bridge.final(each)).state for each in await send(bridge, 1, 2, 3)]
    assert states == [State.DELIVERED, State.DELIVERED, State.REJECTED]
    assert not bics.refused


async def test_webhook_may_be_named_in_each_request(launch: Launch, bics: BicsServer) -> None:
    bics.webhooks["w1"] = {"id": "w1", "name": "by hand", "secret": "the-secret"}
    bridge = await launch(set_up=False, webhook_id="w1")
    bics.webhooks["w1"]["uri"] = f"http://127.0.0.1:{bridge.http}/callbacks/bics/token"
    records = [await bridge.final(each) for each in await send(bridge, 1, 2)]
    assert [record.state for record in records] == [State.DELIVERED] * 2


async def test_message_that_was_never_answered_is_found_and_not_sent_again(launch: Launch, bics: BicsServer) -> None:
    bics.silent = lambda number: number == 0
    bridge = await launch(set_up=False, poll="100ms")
    (message_id,) = await send(bridge, 7)
    record = await bridge.final(message_id)
    assert record.state is State.DELIVERED
    assert [event["event"] for event in record.timeline][:2] == ["accepted", "unsure"]
    assert len(bics.taken) == 1


@pytest.mark.parametrize("channel", ["viber", "whatsapp", "rcs"])
async def test_channel_carries_messages_reports_and_answers(
    launch: Launch, bics: BicsServer, callbacks: Callbacks, channel: str
) -> None:
    bics.outcome = lambda sent: "failed" if sent.mobile.endswith("3") else "read"
    bridge = await launch(channel=channel, sender="700969ca-0cb2")
    records = [await bridge.final(each) for each in await send(bridge, 1, 3)]
    assert [record.state for record in records] == [State.DELIVERED, State.UNDELIVERABLE]
    said = inbound("5", channel, "Так")
    await bics.tell(said["event"], said)
    await bics.tell(said["event"], said)
    await callbacks.news.until(lambda: len(callbacks.bodies) == 3, 15)
    await bridge.settled()
    assert [body["data"]["text"] for body in callbacks.bodies if "text" in body["data"]] == ["Так"]
    assert not bics.refused
    assert set(bics.called) == {200}


async def test_where_only_get_gets_through_everything_is_one(launch: Launch, bics: BicsServer) -> None:
    bics.by_query = True
    bridge = await launch(get_only=True, auth="query")
    records = [await bridge.final(each) for each in await send(bridge, 1, 2)]
    assert [record.state for record in records] == [State.DELIVERED] * 2
    assert not bics.refused
    assert len(bics.webhooks) == 1


async def test_webhook_is_not_deceived(launch: Launch, bics: BicsServer) -> None:
    bridge = await launch(set_up=False)
    (message_id,) = await send(bridge, 1)

    async def look() -> bool:
        return (await bridge.record(message_id)).provider_ref is not None

    await until(look)
    (sent,) = bics.taken
    uri = f"http://127.0.0.1:{bridge.http}/callbacks/bics/token"
    said = {"id": sent.id, "mobile": sent.mobile, "status": "DELIVRD", "custom": sent.custom}
    assert await bics.call(uri, said, "another-secret") == 401
    assert await bics.call(uri.replace("token", "another"), said, "the-secret") == 401
    assert (await bridge.record(message_id)).state is State.ENROUTE
    assert await bics.call(uri, said, "the-secret") == 200
    assert (await bridge.final(message_id)).state is State.DELIVERED


def inbound(number: str, channel: str, text: str) -> dict[str, object]:
    return {
        "event": f"{channel}:message:in",
        "payload": {
            "id": number,
            "channels": [{"name": channel, "to": "700969ca-0cb2"}],
            "recipient": {"from": "380501112233", "user": {"id": "u1", "first_name": None}},
            "message": {"type": "text", "payload": {"text": text}},
        },
    }
