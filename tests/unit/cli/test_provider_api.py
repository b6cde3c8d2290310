"""`smsbridge provider ...`: a provider's API asked by hand, against a strict server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import typer
from click.testing import Result
from flows.smsc_server import SmscServer
from typer.testing import CliRunner

from bridge import providers
from bridge.cli.provider_api import add_to

KEY, TOKEN, CALLBACK = "k3y-s3cret", "t0ken-s3cret", "c4llback-s3cret"
TO = "+380501234567"

app = typer.Typer()
add_to(app)


@pytest_asyncio.fixture
async def smsc() -> AsyncIterator[SmscServer]:
    async with SmscServer(api_key=KEY) as server:
        yield server


@pytest.fixture
def config(smsc: SmscServer, tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(f"""
store: sqlite:{tmp_path}/bridge.db
public_url: https://sms.example.com/
accounts: {{acme: {{http: {{api_key: other}}}}}}
providers:
  smsc: {{type: smscentre, base_url: "{smsc.base_url}", api_key: {KEY}, callback_secret: {CALLBACK},
          callback_token: {TOKEN}}}
  down: {{type: smscentre, base_url: "http://127.0.0.1:1", api_key: {KEY}, timeout: 2s}}
  virtual: {{type: virtual}}
routes: [{{send: [smsc]}}]
""")
    return path


async def run(config: Path, *words: str) -> Result:
    """The command, in a thread: it has an event loop of its own."""
    done: Result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--config", str(config)])
    for secret in (KEY, CALLBACK, *(() if words[0] == "setup" else (TOKEN,))):
        assert secret not in done.output
    return done


def rewrite(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


async def test_list_names_providers_and_types(config: Path) -> None:
    done = await run(config, "list")
    assert done.exit_code == 0
    rows = [line.split()[:2] for line in done.stdout.splitlines()]
    assert rows[1:4] == [["down", "smscentre"], ["smsc", "smscentre"], ["virtual", "virtual"]]
    assert f"types: {', '.join(providers.known())}" in done.stdout


async def test_show_hides_secrets_and_tells_where_we_are_called(config: Path, smsc: SmscServer) -> None:
    done = await run(config, "show", "smsc")
    assert done.exit_code == 0
    shown = dict(
        re.split(r" {2,}", line.strip(), maxsplit=1) for line in done.stdout.splitlines() if "  " in line.strip()
    )
    assert shown["api_key"] == "***"
    assert shown["base_url"] == smsc.base_url
    assert shown["channel"] == "sms"
    assert shown["can: batch size"] == "100"
    assert "callbacks: https://sms.example.com/callbacks/smsc/***" in done.stdout


async def test_balance_is_told(config: Path) -> None:
    done = await run(config, "balance", "smsc")
    assert (done.exit_code, done.stdout) == (0, "83.60 EUR\n")


async def test_balance_that_is_refused_says_why(config: Path, smsc: SmscServer) -> None:
    smsc.api_key = "another"
    done = await run(config, "balance", "smsc")
    assert done.exit_code == 1
    assert "authorise error" in done.stderr


async def test_balance_of_a_provider_without_one(config: Path) -> None:
    done = await run(config, "balance", "virtual")
    assert (done.exit_code, done.stderr) == (1, "virtual: this provider does not tell balances over its API\n")


async def test_provider_that_is_down_is_told(config: Path) -> None:
    done = await run(config, "balance", "down")
    assert done.exit_code == 1
    assert done.stderr.startswith("down: 127.0.0.1: no connection")
    assert "it may have been taken" not in done.stderr


async def test_setup_says_what_to_do_by_hand(config: Path) -> None:
    done = await run(config, "setup", "smsc")
    assert done.exit_code == 0
    assert f"https://sms.example.com/callbacks/smsc/{TOKEN}?charset=utf-8&md5&sha1" in done.stdout


async def test_setup_needs_an_address(config: Path) -> None:
    rewrite(config, "public_url: https://sms.example.com/", "")
    done = await run(config, "setup", "smsc")
    assert done.exit_code == 2
    assert "public_url" in done.stderr


async def test_try_sends_and_shows_all_but_secrets(config: Path, smsc: SmscServer) -> None:
    done = await run(config, "try", "smsc", "--to", TO, "--text", "hello you", "--from", "ACME")
    assert done.exit_code == 0
    (sms,) = smsc.taken
    assert (sms.phone, sms.text, sms.fields["sender"]) == (TO[1:], "hello you", "ACME")
    assert f"> POST {smsc.base_url}/send.php" in done.stdout
    assert "> apikey=***&" in done.stdout
    assert "mes=hello+you" in done.stdout
    assert "< HTTP 200" in done.stdout
    assert f"accepted: provider_ref {sms.number}:{sms.phone}" in done.stdout


async def test_try_that_is_refused_fails(config: Path, smsc: SmscServer) -> None:
    smsc.wrong = lambda phone: True
    done = await run(config, "try", "smsc", "--to", TO, "--text", "hello")
    assert done.exit_code == 1
    assert "refused: reason invalid_destination, native 22 err 249" in done.stdout


async def test_try_price_sends_nothing(config: Path, smsc: SmscServer) -> None:
    done = await run(config, "try", "smsc", "--to", TO, "--text", "hello", "--price")
    assert (done.exit_code, smsc.taken) == (0, [])
    assert done.stdout.endswith("0.05\n")


async def test_try_of_a_provider_without_a_network(config: Path) -> None:
    done = await run(config, "try", "virtual", "--to", TO, "--text", "hello", "--flash")
    assert done.exit_code == 0
    assert "accepted:" in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("try", "smsc", "--to", "Acme", "--text", "a"), "a number is"),
        (("balance", "smcs"), 'no provider is called "smcs"'),
        (("downloads", "smsc", "--state", "don"), 'no state is called "don"'),
    ],
)
async def test_call_that_is_wrong_is_told(config: Path, words: tuple[str, ...], text: str) -> None:
    done = await run(config, *words)
    assert done.exit_code == 2
    assert text in " ".join(done.stderr.replace("│", " ").split())


async def test_try_of_what_is_not_carried(config: Path, smsc: SmscServer) -> None:
    done = await run(config, "try", "smsc", "--to", TO, "--text", "a" * 1001)
    assert (done.exit_code, done.stderr, smsc.sends) == (1, "smsc does not carry that: text_too_long\n", 0)


async def test_configuration_that_is_wrong_is_told(config: Path) -> None:
    rewrite(config, "routes:", "nonsense:")
    done = await run(config, "list")
    assert done.exit_code == 2
    assert "nonsense" in done.stderr


# --- downloads --------------------------------------------------------------------------------------------------------


def keep(smsc: SmscServer) -> None:
    rows = [(1, "March", 2, "march.csv"), (2, "April", 1, ""), (3, "May", 4, "")]
    smsc.tasks = [
        {"id": number, "name": name, "status": status, "created": "01.04.2026", "time": "02.04.2026", "file": file}
        for number, name, status, file in rows
    ]
    smsc.files = {"1": b"id;phone\n1;380501234567\n"}


async def test_downloads_are_listed_with_their_states(config: Path, smsc: SmscServer) -> None:
    keep(smsc)
    done = await run(config, "downloads", "smsc")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[:3] for row in rows] == [["1", "done", "March"], ["2", "running", "April"], ["3", "failed", "May"]]


async def test_downloads_of_one_state(config: Path, smsc: SmscServer) -> None:
    keep(smsc)
    done = await run(config, "downloads", "smsc", "--state", "running")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["2"]


async def test_download_is_saved_as_it_is(config: Path, smsc: SmscServer, tmp_path: Path) -> None:
    keep(smsc)
    path = tmp_path / "march.csv"
    done = await run(config, "downloads", "smsc", "--fetch", "1", str(path))
    assert (done.exit_code, done.stdout) == (0, f"{path}: 24 bytes\n")
    assert path.read_bytes() == smsc.files["1"]
    again = await run(config, "downloads", "smsc", "--fetch", "1", str(path))
    assert again.exit_code == 2
    assert smsc.asked["downloads"] == 1


async def test_download_that_is_not_there_leaves_no_file(config: Path, smsc: SmscServer, tmp_path: Path) -> None:
    path = tmp_path / "no.csv"
    done = await run(config, "downloads", "smsc", "--fetch", "9", str(path))
    assert (done.exit_code, done.stderr) == (1, "smsc: error 3: there is no such task\n")
    assert not path.exists()


async def test_fourth_request_of_a_minute_is_refused_and_told(config: Path, smsc: SmscServer) -> None:
    done = [await run(config, "downloads", "smsc") for _ in range(4)]
    assert [each.exit_code for each in done] == [0, 0, 0, 1]
    assert "more than three times in a minute" in done[-1].stderr


async def test_provider_without_downloads(config: Path) -> None:
    done = await run(config, "downloads", "virtual")
    assert (done.exit_code, done.stderr) == (1, "virtual: this provider keeps nothing for download\n")
