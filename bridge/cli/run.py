"""`smsbridge run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop

from bridge.app import App
from bridge.config.loader import load, warnings
from bridge.config.schema import Config
from bridge.errors import ConfigError, StoreUnavailable
from bridge.telemetry import logs
from bridge.telemetry.notify import Notifier

log = structlog.get_logger("bridge.app")

# The thread that commits needs the interpreter for a moment only; by default it would wait 5 ms for it.
_SWITCH_INTERVAL_S = 0.0005


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")] = Path(
        "/etc/smsbridge/bridge.yaml"
    ),
) -> None:
    """Runs the bridge in the foreground: logs on stderr, `ready` on stdout once every listener is open.

    SIGTERM and SIGINT drain and exit 0; SIGHUP takes over changed accounts and routes.
    Exits 2 when the configuration is wrong, 1 when an address or the store cannot be used.
    """
    try:
        loaded = load(config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        raise typer.Exit(2) from None
    logs.configure(loaded.log.level, loaded.log.format, show_text=loaded.log.text)
    for warning in warnings(loaded, config):
        log.warning("configuration", text=warning)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # Messages live long and form no cycles: look for garbage rarely, and never at what was made at start.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    raise typer.Exit(uvloop.run(serve(loaded, config)))


async def serve(config: Config, path: Path) -> int:
    """Serves until a signal; gives the exit code."""
    notifier = Notifier.from_env(os.environ)
    app = App(config, notifier=notifier)
    try:
        await app.start()
    except (OSError, StoreUnavailable) as error:
        log.error("not_started", error=str(error))
        return 1
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, app, path, notifier)
    log.info("ready", smpp=[server.port for server in app.smpp], smtp=[server.port for server in app.smtp],
             http=[server.port for server in app.http])  # fmt: skip
    print("ready", flush=True)
    await stop.wait()
    log.info("stopping")
    await app.stop()
    log.info("stopped")
    return 0


def _reload(app: App, path: Path, notifier: Notifier) -> None:
    """Whole, or not at all."""
    notifier.reloading()
    try:
        app.reload(load(path))
    except ConfigError as error:
        log.error("not_reloaded", problems=list(error.problems))
    else:
        log.info("reloaded")
    notifier.send(READY=1)
