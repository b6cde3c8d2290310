"""Requests to one provider: the token is fetched once, kept, renewed, and shown to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bridge.errors import TransportError
from bridge.message import Outcome
from bridge.providers import Attempt, Capabilities, Provider, ProviderSettings, References, Request, Response, Token
from bridge.transport import Transport, kept_s, refuses_login


class Office:
    """Gives out tokens t1, t2, ..., and takes requests with the newest."""

    def __init__(self) -> None:
        self.url = ""
        self.logins = 0
        self.requests: list[str | None] = []
        self.login_status = 200
        self.valid: set[str] = set()
        self.let_in = asyncio.Event()
        self.let_in.set()

    async def login(self, request: web.Request) -> web.Response:
        self.logins += 1
        await self.let_in.wait()
        token = f"t{self.logins}"
        self.valid = {f"Bearer {token}"}
        return web.Response(status=self.login_status, text=token if self.login_status == 200 else "")

    async def take(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization")
        self.requests.append(given)
        return web.Response(status=200 if given in self.valid else 401, text="taken")


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office, application = Office(), web.Application()
    application.router.add_post("/login", office.login)
    application.router.add_post("/take", office.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    office.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield office
    await runner.cleanup()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


class ByToken(Provider):
    capabilities = Capabilities()
    office: Office
    lifetime_s: float | None = None

    def build(self, attempts: Sequence[Attempt]) -> Request:
        return Request(method="POST", url=f"{self.office.url}/take")

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        return []

    def login(self) -> Request | None:
        return Request(method="POST", url=f"{self.office.url}/login")

    def token_of(self, response: Response) -> Token | None:
        return Token(response.body.decode(), self.lifetime_s) if response.body else None


@pytest.fixture
def provider(office: Office) -> ByToken:
    made = ByToken("p", ProviderSettings(type="by_token"), References("0123456789ab"))
    made.office = office
    return made


async def test_token_is_fetched_once_for_all(office: Office, provider: ByToken, transport: Transport) -> None:
    office.let_in.clear()
    asked = [asyncio.create_task(transport.line(provider).ask(provider.build([]))) for _ in range(5)]
    while not office.logins:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0)
    office.let_in.set()
    assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * 5
    assert (office.logins, office.requests) == (1, ["Bearer t1"] * 5)


async def test_token_is_fetched_anew_when_it_expires(office: Office, provider: ByToken, transport: Transport) -> None:
    provider.lifetime_s = 0.0
    line = transport.line(provider)
    for _ in range(2):
        assert (await line.ask(provider.build([]))).status == 200
    assert office.requests == ["Bearer t1", "Bearer t2"]


async def test_token_that_is_refused_is_fetched_anew_once(
    office: Office, provider: ByToken, transport: Transport
) -> None:
    line = transport.line(provider)
    assert (await line.ask(provider.build([]))).status == 200
    office.valid = set()
    assert (await line.ask(provider.build([]))).body == b"taken"
    assert office.requests == ["Bearer t1", "Bearer t1", "Bearer t2"]


async def test_second_refusal_is_the_answer(office: Office, provider: ByToken, transport: Transport) -> None:
    provider.token_of = lambda response: Token("wrong")  # type: ignore[method-assign]
    assert (await transport.line(provider).ask(provider.build([]))).status == 401
    assert office.requests == ["Bearer wrong"] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_login_that_is_refused_is_a_401(
    office: Office, provider: ByToken, transport: Transport, status: int
) -> None:
    office.login_status = status
    assert (await transport.line(provider).ask(provider.build([]))).status == 401
    assert (office.logins, office.requests) == (1, [])


@pytest.mark.parametrize("status", [204, 302, 429, 500, 503])
async def test_login_without_an_answer_has_sent_nothing(
    office: Office, provider: ByToken, transport: Transport, status: int
) -> None:
    office.login_status = status
    with pytest.raises(TransportError, match=f"login: no token in an answer with HTTP {status}") as caught:
        await transport.line(provider).ask(provider.build([]))
    assert caught.value.sent is False
    office.login_status = 200
    assert (await transport.line(provider).ask(provider.build([]))).status == 200


async def test_login_that_breaks_off_has_sent_nothing(office: Office, provider: ByToken, transport: Transport) -> None:
    office.let_in.clear()
    provider.settings = ProviderSettings(type="by_token", timeout="50ms")
    with pytest.raises(TransportError, match=r"login: 127\.0\.0\.1: no answer") as caught:
        await transport.line(provider).ask(provider.build([]))
    assert caught.value.sent is False
    office.let_in.set()


async def test_token_shows_nowhere(office: Office, provider: ByToken, transport: Transport) -> None:
    with capture_logs() as logged:
        await transport.line(provider).ask(provider.build([]))
    shown = repr([logged, Token("t1"), provider.authorise(provider.build([]), Token("t1"))])
    assert "t1" not in shown


async def test_provider_has_one_line(provider: ByToken, office: Office, transport: Transport) -> None:
    line = transport.line(provider)
    assert transport.line(provider) is line
    other = ByToken("p", provider.settings, provider.references)
    other.office = office
    assert transport.line(other) is not line


@pytest.mark.parametrize(
    ("status", "refused"),
    [(200, False), (302, False), (400, True), (401, True), (408, False), (429, False), (500, False)],
)
def test_login_is_refused_by_what_will_not_change(status: int, refused: bool) -> None:
    assert refuses_login(status) is refused


def test_token_is_kept_a_tenth_less_than_it_lives() -> None:
    assert kept_s(Token("a", 3600.0)) == 3240.0
    assert kept_s(Token("a")) == float("inf")
