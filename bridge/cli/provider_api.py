"""`smsbridge provider list | show | balance | setup | try | downloads`: what asks a provider's API, without the daemon.

The settings are those of the configuration, and requests go out as the daemon's would; what is shown of them has no
secrets in it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from urllib.parse import quote, quote_plus

import typer
from msgspec.structs import asdict
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge import providers
from bridge.cli.check import CONFIG
from bridge.config.loader import load
from bridge.config.schema import Config
from bridge.errors import ConfigError, TransportError
from bridge.message import Accepted, Message, Reason
from bridge.problems import hint
from bridge.providers import EXPORT_STATES, Attempt, Exports, Money, NotExported, NotSetUp, Provider, References, fit
from bridge.providers import Request as ProviderRequest
from bridge.providers._contract import Response
from bridge.transport import MIB, Line, Transport

T = TypeVar("T")
_WIDTH = 180  # where there is no terminal to measure
_STEPS = 20  # requests of a setup: one that needs more goes round in circles
_BODY = 4000  # characters of a body that are shown
_FILE_BYTES = 512 * MIB
_VALID_S = 3600.0

Name = Annotated[str, typer.Argument(metavar="NAME", help="The provider's name in the configuration.")]
ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="The configuration that has it.")]


def list_(config: ConfigPath = CONFIG) -> None:
    """List the providers of the configuration, and the types there are."""
    loaded = _load(config)
    table = _table("provider", "type", "address", "asked for balance", "asked for inbound")
    for name, settings in sorted(loaded.providers.items()):
        made = _made(loaded, name)
        cells = [name, settings.type, str(getattr(settings, "base_url", ""))]
        now = time.time()
        able = [made.balance() is not None, made.inbox(now, now) is not None]
        table.add_row(*map(Text, [*cells, *("yes" if each else "" for each in able)]))
    _print(table)
    typer.echo(f"types: {', '.join(providers.known(loaded.provider_paths))}")


def show(name: Name, config: ConfigPath = CONFIG) -> None:
    """Show a provider's settings, without secrets, what it can do, and where it calls us back."""
    loaded = _load(config)
    made = _made(loaded, name)
    table = _table("", "")
    for key in type(made.settings).model_fields:
        value = getattr(made.settings, key)
        table.add_row(Text(key), Text("***" if isinstance(value, SecretStr) else "" if value is None else str(value)))
    for key, value in asdict(made.capabilities).items():
        words = ", ".join(sorted(value)) if isinstance(value, frozenset) else value
        table.add_row(Text(f"can: {key.replace('_', ' ')}"), Text("" if words is None else str(words)))
    _print(table)
    if made.callback_url is not None:
        typer.echo(f"callbacks: {_masked(made, made.callback_url)}")


def balance(name: Name, config: ConfigPath = CONFIG) -> None:
    """Show the balance of the account with a provider. Exits 1 when it cannot be had."""
    made = _made(_load(config), name)
    request = made.balance()
    if request is None:
        _fail(f"{name}: this provider does not tell balances over its API")
    response = _ask(made, lambda line: line.ask(request))
    money = made.balance_of(response)
    if money is None:
        _fail(f"{name}: no balance in an answer with HTTP {response.status}: {_shown(made, response.body)}")
    typer.echo(_written(money))


def setup(name: Name, config: ConfigPath = CONFIG) -> None:
    """Have a provider call us back, at the `public_url` of the configuration; or say what has to be done by hand.

    Exits 1 when it refuses, 2 when there is no `public_url`.
    """
    loaded = _load(config)
    made = _made(loaded, name)
    callback_url = made.callback_url
    if callback_url is None:
        typer.echo(f'{config.name}: a provider needs a "public_url" to call', err=True)
        raise typer.Exit(2)
    try:
        # Not masked: a person who has to enter the address needs its token.
        typer.echo(_ask(made, lambda line: _set_up(line, callback_url)))
    except NotSetUp as error:
        _fail(f"{name}: {_masked(made, str(error))}")


async def _set_up(line: Line, callback_url: str) -> str:
    """Asks until there is nothing left to ask, and gives what the provider says then."""
    answers: list[Response] = []
    while isinstance(step := line.provider.setup(callback_url, answers), ProviderRequest):
        if len(answers) == _STEPS:
            raise NotSetUp(f"still not done after {_STEPS} requests")
        typer.echo(_line_of(line.provider, step))
        answers.append(await line.ask(step))
    return step


def try_(
    name: Name,
    to: Annotated[str, typer.Option("--to", help="The number, in international form.")],
    text: Annotated[str, typer.Option("--text", help="What it says.")],
    source: Annotated[str | None, typer.Option("--from", help="The sender; without it, the provider's.")] = None,
    flash: Annotated[bool, typer.Option("--flash", help="As a flash message.")] = False,
    price: Annotated[bool, typer.Option("--price", help="Ask for the price, and send nothing.")] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Send one real message by a provider's API, past the daemon, and show request, answer and outcome.

    No report of it is waited for. Exits 0 when it was accepted, 1 when not.
    """
    made = _made(_load(config), name)
    attempt = _attempt(made, to, text, source, flash=flash)
    request = made.price([attempt]) if price else made.build([attempt])
    if request is None:
        _fail(f"{name}: this provider does not tell prices over its API")
    typer.echo(_line_of(made, request))
    for key, value in request.headers.items():
        typer.echo(f"> {key}: {'***' if key.lower() == 'authorization' else _masked(made, value)}")
    if request.body:
        typer.echo(f"> {_shown(made, request.body)}")
    response = _ask(made, lambda line: line.ask(request))
    typer.echo(f"< HTTP {response.status}\n< {_shown(made, response.body)}")
    if price:
        money = made.price_of(response)
        typer.echo(_written(money) if money is not None else "no price")
        raise typer.Exit(int(money is None))
    (outcome,) = made.interpret(response, [attempt])
    fields = [f"{key} {_masked(made, str(value))}" for key, value in asdict(outcome).items() if value not in (None, "")]
    typer.echo(f"{type(outcome).__name__.lower()}: {', '.join(fields)}")
    raise typer.Exit(int(not isinstance(outcome, Accepted)))


def downloads(
    name: Name,
    state: Annotated[str | None, typer.Option("--state", help=f"Only those: {', '.join(EXPORT_STATES)}.")] = None,
    fetch: Annotated[
        tuple[str, Path] | None, typer.Option("--fetch", metavar="ID FILE", help="Save the file of one, as a new FILE.")
    ] = None,
    config: ConfigPath = CONFIG,
) -> None:
    """List the files that a provider keeps for download, or save one. Exits 1 when it refuses."""
    made = _made(_load(config), name)
    exports = made.exports()
    if exports is None:
        _fail(f"{name}: this provider keeps nothing for download")
    if state is not None and state not in EXPORT_STATES:
        raise typer.BadParameter(f'no state is called "{state}"{hint(state, EXPORT_STATES)}', param_hint="--state")
    try:
        if fetch is not None:
            _save(made, exports, *fetch)
            return
        found = exports.listing_of(_ask(made, lambda line: line.ask(exports.listing(), limit_bytes=8 * MIB)))
    except NotExported as error:
        _fail(f"{name}: {error}")
    table = _table("id", "state", "name", "created", "started", "file")
    for each in found:
        if state in (None, each.state):
            table.add_row(*map(Text, (each.export_id, each.state, each.name, each.created, each.started, each.file)))
    _print(table)


def _save(made: Provider, exports: Exports, export_id: str, path: Path) -> None:
    if path.exists():
        raise typer.BadParameter(f"{path} is there already", param_hint="--fetch")
    request = exports.file(export_id)
    octets = exports.file_of(_ask(made, lambda line: line.ask(request, limit_bytes=_FILE_BYTES)))
    try:
        with path.open("xb") as file:
            file.write(octets)
    except OSError as error:
        _fail(f"{path}: {error.strerror}")
    typer.echo(f"{path}: {len(octets)} bytes")


def add_to(group: typer.Typer) -> None:
    """Gives a group of commands these."""
    for name, command in (("list", list_), ("show", show), ("balance", balance), ("setup", setup), ("try", try_),
                          ("downloads", downloads)):  # fmt: skip
        group.command(name)(command)


# --- settings, and what is made of them -------------------------------------------------------------------------------


def _load(config: Path) -> Config:
    try:
        return load(config)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _made(config: Config, name: str) -> Provider:
    """The provider, with references of its own: its messages are none of the daemon's."""
    settings = config.providers.get(name)
    if settings is None:
        raise typer.BadParameter(f'no provider is called "{name}"{hint(name, config.providers)}')
    module = providers.load(settings.type, config.provider_paths)
    made = module.Provider(name, settings, References(secrets.token_hex(6)))
    made.callback_url = config.callback_url(name)
    return made


def _attempt(made: Provider, to: str, text: str, source: str | None, *, flash: bool) -> Attempt:
    digits = to.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 15):
        raise typer.BadParameter("a number is +, country code and number, such as +380501234567", param_hint="--to")
    now, message_id = time.time(), 1 + secrets.randbelow(10**9)
    message = Message(
        message_id=message_id,
        account="try",
        listener="http",
        destination=digits,
        accepted_at=now,
        expires_at=now + _VALID_S,
        source=source,
        text=text,
        flash=flash,
    )
    fitted = fit(message, made.capabilities)
    if isinstance(fitted, Reason):
        _fail(f"{made.name} does not carry that: {fitted}")
    return Attempt(fitted, made.references.of(message_id))


def _ask(made: Provider, ask: Callable[[Line], Awaitable[T]]) -> T:
    """What comes of asking. Exits 1 when there is no answer."""

    async def run() -> T:
        async with Transport() as transport:
            return await ask(transport.line(made))

    try:
        return asyncio.run(run())
    except TransportError as error:
        _fail(f"{made.name}: {error}" + ("; it may have been taken" if error.sent else ""))


# --- what is shown ----------------------------------------------------------------------------------------------------


def _masked(made: Provider, text: str) -> str:
    """The text without the provider's secrets, in whichever way they are escaped there."""
    values = [getattr(made.settings, key) for key in type(made.settings).model_fields]
    for secret in sorted({each.get_secret_value() for each in values if isinstance(each, SecretStr)}, key=len)[::-1]:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(form, "***")
    return text


def _shown(made: Provider, body: bytes) -> str:
    text = _masked(made, body.decode("utf-8", "replace"))
    return text if len(text) <= _BODY else f"{text[:_BODY]} ... ({len(body)} bytes)"


def _line_of(made: Provider, request: ProviderRequest) -> str:
    return f"> {request.method} {_masked(made, request.url)}"


def _written(money: Money) -> str:
    return f"{money.amount:f} {money.currency or ''}".rstrip()


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    console.print(table)
