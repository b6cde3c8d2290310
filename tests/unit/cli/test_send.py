"""`smsbridge send`: where it goes by its options, what it says, and its exit code."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import typer
from click.testing import Result
from flows.bridges import Bridge
from structlog.testing import capture_logs
from typer.testing import CliRunner

from bridge.cli.send import send

CONFIG = """
listeners:
  smpp: [{listen: 127.0.0.1:0}]
  smtp: [{listen: 127.0.0.1:0, domain: sms.example.com, auth_without_tls: true}]
  http: [{listen: 127.0.0.1:0}]
accounts:
  demo:
    smpp: {system_id: demo, password: demo-pw}
    smtp: {login: demo, password: demo-secret, from: ["*@demo.example"]}
    http: {api_key: demo-key}
  acme:
    smpp: {system_id: acme, password: secret1}
    smtp: {login: acme, password: secret2, from: ["*@acme.example"]}
    http: {api_key: secret3}
  hashed:
    http: {api_key: "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b27bA"}
providers: {virtual: {type: virtual, poll: 100ms}}
routes: [{send: [virtual]}]
"""
DELIVERED, ABSENT, NEVER = "+380501234500", "+380501234501", "+380501234505"

app = typer.Typer()
app.command()(send)


@pytest_asyncio.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    running = Bridge(tmp_path, CONFIG)
    with capture_logs():  # the bridge runs in this process, and what it logs is none of the command's output
        await running.start()
        yield running
        await running.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """The TLS settings with a certificate of somebody else's name, signed by itself."""
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=another.example"
    names = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", *options.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    return f"{{certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem}}"


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(words), env={"SMSBRIDGE_PASSWORD": "", "COLUMNS": "200", **(env or {})})


async def sent(
    bridge: Bridge, protocol: str, *words: str, to: str = DELIVERED, env: dict[str, str] | None = None
) -> Result:
    server = f"127.0.0.1:{getattr(bridge, protocol)}"
    return await asyncio.to_thread(
        lambda: run(protocol, "--server", server, "--to", to, "--text", "hello", *words, env=env)
    )


def pinned(bridge: Bridge, folder: Path) -> Path:
    """The same configuration, with the ports that it really has."""
    text = CONFIG
    for protocol in ("smpp", "smtp", "http"):
        text = text.replace(
            f"{protocol}: [{{listen: 127.0.0.1:0", f"{protocol}: [{{listen: ':{getattr(bridge, protocol)}'"
        )
    path = folder / "pinned.yaml"
    path.write_text(f"store: sqlite:{bridge.store}\n{text}")
    return path


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["smpp", "http"])
async def test_delivered_is_0(bridge: Bridge, protocol: str) -> None:
    done = await sent(bridge, protocol)
    assert (done.exit_code, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "taken as 1"
    assert second.startswith("delivered")


async def test_smtp_says_where_the_report_goes(bridge: Bridge) -> None:
    done = await sent(bridge, "smtp")
    assert (done.exit_code, done.stdout) == (0, "taken as 1\nits report comes by mail to me@demo.example\n")


@pytest.mark.parametrize("protocol", ["smpp", "http"])
async def test_undelivered_is_1(bridge: Bridge, protocol: str) -> None:
    done = await sent(bridge, protocol, to=ABSENT)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].startswith("undeliverable: ")


@pytest.mark.parametrize("protocol", ["smpp", "http"])
async def test_no_report_in_time_is_1(bridge: Bridge, protocol: str) -> None:
    done = await sent(bridge, protocol, "--wait", "0.2", to=NEVER)
    assert (done.exit_code, done.stdout) == (1, "taken as 1\n")
    assert done.stderr.startswith("no report within 0.2 s")


@pytest.mark.parametrize("protocol", ["smpp", "smtp", "http"])
async def test_taken_is_0_when_nothing_is_waited_for(bridge: Bridge, protocol: str) -> None:
    done = await sent(bridge, protocol, "--wait", "0", to=NEVER)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "taken as 1\n", "")


@pytest.mark.parametrize("protocol", ["smpp", "smtp", "http"])
async def test_refused_is_1(bridge: Bridge, protocol: str) -> None:
    done = await sent(bridge, protocol, to="12")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("the server refused: ")


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "option"), [("smpp", "--password"), ("smtp", "--password"), ("http", "--api-key")]
)
async def test_credentials_by_options(bridge: Bridge, protocol: str, option: str) -> None:
    password = {"smpp": "secret1", "smtp": "secret2", "http": "secret3"}[protocol]
    words = ["--login", "acme", option, password, "--wait", "0"]
    if protocol == "smtp":
        words += ["--from", "me@acme.example"]
    done = await sent(bridge, protocol, *words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (await bridge.record(1)).message.account == "acme"


async def test_password_from_the_environment(bridge: Bridge) -> None:
    done = await sent(bridge, "http", "--wait", "0", env={"SMSBRIDGE_PASSWORD": "secret3"})
    assert done.exit_code == 0
    assert (await bridge.record(1)).message.account == "acme"


@pytest.mark.parametrize("protocol", ["smpp", "smtp", "http"])
async def test_server_and_credentials_from_a_configuration(bridge: Bridge, tmp_path: Path, protocol: str) -> None:
    config = pinned(bridge, tmp_path)
    words = [protocol, "--config", str(config), "--account", "acme", "--to", DELIVERED, "--text", "x", "--wait", "0"]
    done = await asyncio.to_thread(run, *words)
    assert (done.exit_code, done.stderr) == (0, "")
    message = (await bridge.record(1)).message
    assert (message.account, message.listener) == ("acme", protocol)


async def test_tls_from_a_configuration_trusts_its_certificate(tmp_path: Path, certificate: str) -> None:
    running = Bridge(tmp_path, CONFIG.replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:0, tls: {certificate}"))
    with capture_logs():
        await running.start()
        for protocol in ("smpp", "smtp", "http"):
            words = ["--config", str(running.path), "--account", "acme", "--wait", "0"]
            done = await sent(running, protocol, *words)
            assert (done.exit_code, done.stderr) == (0, "")
        done = await sent(running, "http", "--tls", "--wait", "0")
        assert done.exit_code == 1
        assert "certificate" in done.stderr
        await running.stop()


# --- wrong calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pigeon", "--to", "1", "--text", "x"], "pigeon"),
        (["http", "--text", "x"], "--to"),
        (["http", "--to", "1"], "--text"),
        (["http", "--to", "1", "--text", "x", "--server", "nowhere"], "host:port"),
        (["http", "--to", "1", "--text", "x", "--server", "host:0"], "no port"),
        (["http", "--to", "1", "--text", "x", "--wait", "-1"], "--wait"),
        (["http", "--to", "1", "--text", "x", "--account", "acme"], "go together"),
        (["http", "--to", "1", "--text", "\udcff"], "not UTF-8"),
    ],
)
def test_wrong_call_is_2(words: list[str], told: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("protocol", "account", "told"),
    [
        ("http", "acmee", 'did you mean "acme"'),
        ("smpp", "hashed", 'no "smpp"'),
        ("http", "hashed", "a hash only"),
        ("http", "acme", "no port"),
    ],
)
def test_configuration_that_does_not_help_is_2(tmp_path: Path, protocol: str, account: str, told: str) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text(f"store: sqlite:bridge.db\n{CONFIG}")
    done = run(protocol, "--config", str(config), "--account", account, "--to", DELIVERED, "--text", "x")
    assert done.exit_code == 2
    assert told in done.stderr


def test_wrong_configuration_is_2_with_every_problem(tmp_path: Path) -> None:
    config = tmp_path / "bridge.yaml"
    config.write_text("stor: x\nroutes: y\n")
    done = run("http", "--config", str(config), "--account", "acme", "--to", DELIVERED, "--text", "x")
    assert done.exit_code == 2
    assert done.stderr.count("bridge.yaml:") >= 2
