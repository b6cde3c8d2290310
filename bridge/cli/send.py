"""`smsbridge send`: one message over SMPP, SMTP or HTTP, and what became of it."""

from __future__ import annotations

import ssl
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from bridge.cli.clients import CLIENTS, NotSent, Order, Protocol, Taken, credentials_of
from bridge.config.loader import load
from bridge.errors import ConfigError
from bridge.listeners.passwords import is_hashed
from bridge.message import State
from bridge.problems import hint
from bridge.values import Tls, listen_address

# What `smsbridge demo` knows; its ports are whatever was free.
_PORT = {Protocol.SMPP: 2775, Protocol.SMTP: 2525, Protocol.HTTP: 8080}
_DEMO_LOGIN = "demo"
_DEMO_SECRET = {Protocol.SMPP: "demo-pw", Protocol.SMTP: "demo-secret", Protocol.HTTP: "demo-key"}
_DEMO_SENDER = "me@demo.example"
_SMTPS = 465


def send(
    protocol: Annotated[Protocol, typer.Argument(help="How it goes: smpp, smtp or http.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="The number, best as +380...; by mail also number@domain.")],
    text: Annotated[str, typer.Option("--text", help="What it says.")],
    source: Annotated[
        str | None, typer.Option("--from", help="The sender; over smtp the mail address of the sender.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", help="host:port; otherwise port 2775, 2525 or 8080 of this machine."),
    ] = None,
    login: Annotated[
        str | None,
        typer.Option("--user", "--login", help="The system_id or login; otherwise that of `smsbridge demo`."),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            "--api-key",
            envvar="SMSBRIDGE_PASSWORD",
            show_envvar=True,
            help="The password; over http the API key. Otherwise those of `smsbridge demo`.",
        ),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0.0, help="Seconds to wait for the report; 0: none.")] = 30.0,
    tls: Annotated[
        bool, typer.Option("--tls", help="TLS, over smtp STARTTLS unless the port is 465; certificates are verified.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Take server and credentials from this configuration.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Whose credentials; goes with --config.")] = None,
) -> None:
    """Send one message, show its id, and its report when it comes.

    Exits 0 when the message was delivered (or taken, where no report is waited for), 1 when it was refused, failed or
    had no report in time, 2 when the call is wrong.
    """
    if (config is None) != (account is None):
        raise typer.BadParameter("--config and --account go together")
    if not _is_unicode(text):
        raise typer.BadParameter("--text is not UTF-8")
    settings: dict[str, Any] = {
        "login": _DEMO_LOGIN,
        "password": _DEMO_SECRET[protocol],
        "mail_from": _DEMO_SENDER,
        "port": _PORT[protocol],
    }
    if config is not None and account is not None:
        settings |= _from_config(protocol, config, account)
    if server is not None:
        settings |= _from_address(server)
    if login is not None:
        settings["login"] = login
    if password is not None:
        settings["password"] = password
    if source is not None:
        settings["mail_from" if protocol is Protocol.SMTP else "source"] = source
    if tls:
        implicit = protocol is not Protocol.SMTP or settings["port"] == _SMTPS
        settings |= {"tls": ssl.create_default_context(), "implicit": implicit}
    if is_hashed(SecretStr(settings["password"])):
        raise typer.BadParameter("the configuration holds a hash only: give the password in SMSBRIDGE_PASSWORD")
    if not settings["port"]:
        raise typer.BadParameter("the configuration names no port: give --server")
    try:
        code = _tell(protocol, Order(to=to, text=text, wait_s=wait, **settings))
    except NotSent as error:
        typer.echo(str(error), err=True)
        code = 1
    raise typer.Exit(code)


def _from_address(server: str) -> dict[str, Any]:
    try:
        address = listen_address(server)
    except ValueError as error:
        raise typer.BadParameter(f"--server: {error}") from None
    return {"host": _reachable(address.host), "port": address.port}


def _from_config(protocol: Protocol, path: Path, name: str) -> dict[str, Any]:
    """Server and credentials of an account, as a configuration has them."""
    try:
        config = load(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if name not in config.accounts:
        raise typer.BadParameter(f'no account is called "{name}"{hint(name, config.accounts)}')
    account = config.accounts[name]
    settings = credentials_of(protocol, account)
    if not settings:
        raise typer.BadParameter(f'the account {name} has no "{protocol}"')
    listeners: list[Any] = getattr(config.listeners, protocol)
    if not listeners:
        return settings | {"port": 0}
    listener = listeners[0]
    settings |= {"host": _reachable(listener.listen.host), "port": listener.listen.port}
    if protocol is Protocol.SMTP:
        settings |= {"domain": listener.domain, "implicit": listener.mode == "implicit"}
    if listener.tls is not None:
        settings["tls"] = _pinned(listener.tls)
    return settings


def _reachable(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    if host in ("", str(IPv4Address(0))):
        return "127.0.0.1"
    return "::1" if host == "::" else host


def _pinned(tls: Tls) -> ssl.SSLContext:
    """Trusts the listener's own certificate and nothing else, whatever name is in it."""
    try:
        context = ssl.create_default_context(cafile=tls.certificate)
    except OSError as error:
        raise typer.BadParameter(f"{tls.certificate} cannot be read: {error.strerror}") from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _is_unicode(text: str) -> bool:
    """False for what a command line holds in place of bytes that are not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _tell(protocol: Protocol, order: Order) -> int:
    """Sends, and writes what happens; the exit code."""
    reported = None
    for step in CLIENTS[protocol](order):
        if isinstance(step, Taken):
            typer.echo(f"taken as {' '.join(step.ids)}")
        else:
            reported = step
            typer.echo(f"{step.state}: {step.native}" if step.native else step.state)
    if reported is not None:
        return int(reported.state != State.DELIVERED.word)
    if not order.wait_s:
        return 0
    if protocol is Protocol.SMTP:
        typer.echo(f"its report comes by mail to {order.mail_from}")
        return 0
    elsewhere = "; another bind of the account may have got it" if protocol is Protocol.SMPP else ""
    typer.echo(f"no report within {order.wait_s:g} s{elsewhere}", err=True)
    return 1
