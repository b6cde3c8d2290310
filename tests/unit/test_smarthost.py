"""The smarthost is a server on another library's own terms: aiosmtpd's."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from bridge.errors import TransportError
from bridge.smarthost import MailRefused, Smarthost

MAIL = b"Subject: x\r\n\r\n.hello\r\n"


class Sink:
    """What a smarthost takes, and what it says; a test may set its answers by command."""

    def __init__(self) -> None:
        self.mails: list[tuple[str | None, list[str], bytes, list[str]]] = []
        self.connections = 0
        self.logins: list[tuple[str, str]] = []
        self.secure: list[bool] = []
        self.answers: dict[str, str] = {}
        self.vanish = False  # after DATA, instead of the answer

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, envelope.mail_options))
        self.secure.append(session.ssl is not None)
        if self.vanish:
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]
        return self.answers.get("DATA", "250 OK")

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"pass word", handled=False)


class NullSenderToo(SMTP):
    """The library takes no mail from the null sender by itself."""

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        assert self.envelope is not None
        if arg is not None and arg.upper().startswith("FROM:<>"):
            self.envelope.mail_from = "<>"
            await self.push("250 OK")
        else:
            await super().smtp_MAIL(arg)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def serve(sink: Sink) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Starts the sink; gives its port."""
    servers = []
    sessions: list[SMTP] = []

    async def start(*, implicit: ssl.SSLContext | None = None, **options: Any) -> int:
        def connected() -> SMTP:
            sink.connections += 1
            session = NullSenderToo(sink, loop=asyncio.get_running_loop(), hostname="sink.example", **options)
            sessions.append(session)
            return session

        server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, ssl=implicit)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for session in sessions:
        if session.transport is not None:
            session.transport.close()
            await session._get_close_waiter(None)  # type: ignore[attr-defined]


@pytest.fixture
async def smarthost() -> AsyncIterator[Callable[..., Smarthost]]:
    hosts = []

    def make(url: str, **options: Any) -> Smarthost:
        hosts.append(Smarthost(url, hostname="bridge.example", **{"timeout_s": 5.0, **options}))
        return hosts[-1]

    yield make
    for host in hosts:
        await host.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key of localhost, signed by itself."""
    folder: Path = tmp_path_factory.mktemp("tls")
    options = "-newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out certificate.pem"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=folder, check=True, capture_output=True)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.fixture
def tls(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


async def test_mail_is_handed_over(sink: Sink, serve: Any, smarthost: Any) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}")
    await host.send("bridge@sms.example", "it@acme.example", MAIL)
    assert sink.mails == [("bridge@sms.example", ["it@acme.example"], MAIL, [f"SIZE={len(MAIL)}"])]


async def test_null_sender(sink: Sink, serve: Any, smarthost: Any) -> None:
    await smarthost(f"smtp://127.0.0.1:{await serve()}").send("", "it@acme.example", MAIL)
    assert sink.mails[0][:2] == ("<>", ["it@acme.example"])


async def test_connection_is_used_again_by_one_mail_at_a_time(sink: Sink, serve: Any, smarthost: Any) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}")
    await asyncio.gather(*(host.send("a@sms.example", f"{i}@acme.example", MAIL) for i in range(5)))
    assert [mail[1] for mail in sink.mails] == [[f"{i}@acme.example"] for i in range(5)]
    assert sink.connections == 1


async def test_connection_is_given_up_after_many_mails(sink: Sink, serve: Any, smarthost: Any) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}")
    for _ in range(101):
        await host.send("a@sms.example", "b@acme.example", MAIL)
    assert (len(sink.mails), sink.connections) == (101, 2)


async def test_connection_that_the_smarthost_ended_is_made_anew(sink: Sink, serve: Any, smarthost: Any) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve(timeout=0.05)}")
    await host.send("a@sms.example", "b@acme.example", MAIL)
    async with asyncio.timeout(5):
        while host._smtp.is_connected:  # noqa: ASYNC110 - the library tells nobody
            await asyncio.sleep(0.01)
    await host.send("a@sms.example", "b@acme.example", MAIL)
    assert (len(sink.mails), sink.connections) == (2, 2)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_refused_for_ever(sink: Sink, serve: Any, smarthost: Any, command: str) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}")
    sink.answers[command] = "550 5.1.1 no such user"
    with pytest.raises(MailRefused, match=r"550 5\.1\.1 no such user"):
        await host.send("a@sms.example", "b@acme.example", MAIL)
    sink.answers.clear()
    await host.send("a@sms.example", "b@acme.example", MAIL)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_refused_for_now(sink: Sink, serve: Any, smarthost: Any, command: str) -> None:
    sink.answers[command] = "451 4.7.1 greylisted"
    with pytest.raises(TransportError, match="greylisted") as caught:
        await smarthost(f"smtp://127.0.0.1:{await serve()}").send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is False


async def test_no_answer_to_the_mail(sink: Sink, serve: Any, smarthost: Any) -> None:
    sink.vanish = True
    with pytest.raises(TransportError) as caught:
        await smarthost(f"smtp://127.0.0.1:{await serve()}").send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is True


async def test_nobody_listens(smarthost: Any, unused_tcp_port: int) -> None:
    with pytest.raises(TransportError) as caught:
        await smarthost(f"smtp://127.0.0.1:{unused_tcp_port}").send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is False


async def test_smarthost_that_says_nothing(smarthost: Any) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TransportError) as caught:
        await smarthost(f"smtp://127.0.0.1:{port}", timeout_s=0.1).send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is False
    await gone.wait()
    server.close()


async def test_addresses_that_are_not_ascii(sink: Sink, serve: Any, smarthost: Any) -> None:
    plain = smarthost(f"smtp://127.0.0.1:{await serve()}")
    with pytest.raises(MailRefused, match="SMTPUTF8"):
        await plain.send("a@sms.example", "jörg@acme.example", MAIL)
    able = smarthost(f"smtp://127.0.0.1:{await serve(enable_SMTPUTF8=True)}")
    await able.send("a@sms.example", "jörg@acme.example", "Subject: ü\r\n\r\nx\r\n".encode())
    assert sink.mails[0][1] == ["jörg@acme.example"]
    assert set(sink.mails[0][3]) >= {"SMTPUTF8", "BODY=8BITMIME"}


@pytest.mark.parametrize("address", ["b@acme.example\r\nRSET", "a,b@acme.example", "a b@acme.example", "a@b\0"])
async def test_malformed_address(sink: Sink, serve: Any, smarthost: Any, address: str) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}")
    for addresses in (("a@sms.example", address), (address, "b@acme.example")):
        with pytest.raises(MailRefused, match="malformed"):
            await host.send(*addresses, MAIL)
    assert sink.mails == []


# --- TLS and AUTH


async def test_offered_starttls_is_taken_whoever_signed_it(
    sink: Sink, serve: Any, smarthost: Any, tls: ssl.SSLContext
) -> None:
    await smarthost(f"smtp://127.0.0.1:{await serve(tls_context=tls)}").send("a@sms.example", "b@acme.example", MAIL)
    assert sink.secure == [True]


async def test_starttls_never(sink: Sink, serve: Any, smarthost: Any, tls: ssl.SSLContext) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve(tls_context=tls)}", starttls="never")
    await host.send("a@sms.example", "b@acme.example", MAIL)
    assert sink.secure == [False]


async def test_starttls_always_is_verified(
    sink: Sink,
    serve: Any,
    smarthost: Any,
    tls: ssl.SSLContext,
    certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = await serve(tls_context=tls)
    with pytest.raises(TransportError, match=r"(?i)certificate") as caught:
        await smarthost(f"smtp://localhost:{port}", starttls="always").send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is False
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    await smarthost(f"smtp://localhost:{port}", starttls="always").send("a@sms.example", "b@acme.example", MAIL)
    assert sink.secure == [True]


async def test_starttls_always_where_there_is_none(sink: Sink, serve: Any, smarthost: Any) -> None:
    host = smarthost(f"smtp://127.0.0.1:{await serve()}", starttls="always")
    with pytest.raises(TransportError, match="STARTTLS"):
        await host.send("a@sms.example", "b@acme.example", MAIL)
    assert sink.mails == []


async def test_smtps(
    sink: Sink,
    serve: Any,
    smarthost: Any,
    tls: ssl.SSLContext,
    certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    port = await serve(implicit=tls)
    await smarthost(f"smtps://localhost:{port}").send("a@sms.example", "b@acme.example", MAIL)
    assert len(sink.mails) == 1


async def test_login_over_tls_only(
    sink: Sink,
    serve: Any,
    smarthost: Any,
    tls: ssl.SSLContext,
    certificate: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    clear = await serve(authenticator=sink.login, auth_require_tls=False)
    with pytest.raises(TransportError, match="STARTTLS"):
        await smarthost(f"smtp://bridge:pass%20word@localhost:{clear}").send("a@sms.example", "b@acme.example", MAIL)
    assert sink.logins == []
    port = await serve(authenticator=sink.login, tls_context=tls)
    await smarthost(f"smtp://bridge:pass%20word@localhost:{port}").send("a@sms.example", "b@acme.example", MAIL)
    assert sink.logins == [("bridge", "pass word")]


async def test_wrong_login_waits_for_a_person_and_shows_no_password(sink: Sink, serve: Any, smarthost: Any) -> None:
    port = await serve(authenticator=sink.login, auth_require_tls=False)
    host = smarthost(f"smtp://bridge:hunter2@127.0.0.1:{port}", starttls="never")
    with pytest.raises(TransportError) as caught:
        await host.send("a@sms.example", "b@acme.example", MAIL)
    assert caught.value.sent is False
    assert sink.logins[0] == ("bridge", "hunter2")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + repr(host)
