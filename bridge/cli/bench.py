"""`smsbridge bench`: how much the bridge carries on this machine, and how far that is from a bare relay."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bridge.cli.benching.client import LoadError
from bridge.cli.benching.display import Findings, Machine, ratios, show
from bridge.cli.benching.scenario import WARM_UP, Backlog, Loop, Name, run
from bridge.cli.benching.stage import Settings
from bridge.cli.benching.subject import BenchError
from bridge.cli.benching.tally import MESSAGES_MAX

_SYNCS = 20


def bench(
    messages: Annotated[int, typer.Option(min=10, max=MESSAGES_MAX // 2, help="Messages of each scenario.")] = 20_000,
    scenario: Annotated[
        list[Name] | None,
        typer.Option(help="What to run, repeatable: floor, single, batch, backlog. Default: the first three."),
    ] = None,
    backlog: Annotated[
        int, typer.Option(min=0, max=MESSAGES_MAX // 2 - WARM_UP, help="Also let so many messages wait for a provider.")
    ] = 0,
    binds: Annotated[int, typer.Option(min=1, max=100, help="Connections of the client.")] = 4,
    window: Annotated[int, typer.Option(min=1, max=10_000, help="Unanswered submit_sm on each.")] = 50,
    rate: Annotated[float | None, typer.Option(min=1, help="Messages a second; default: as many as it takes.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Requests to the provider at once.")] = 32,
    report_delay: Annotated[float, typer.Option(min=0, help="Seconds from sending to the report, in batch.")] = 3.0,
    directory: Annotated[
        Path, typer.Option("--dir", exists=True, file_okay=False, writable=True, help="Where the store is, on a disk.")
    ] = Path("/var/tmp"),  # noqa: S108 - the place for it that outlives a restart, so it is on a disk
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the whole loop on this machine: SMPP in, a simulated provider, reports back.

    The daemon runs as its own process with its store on disk, and so does the floor, a bare relay of the same
    libraries without store or routing. Exits 1 when a message was lost or doubled, or something did not work.
    """
    names = list(scenario or (Name.FLOOR, Name.SINGLE, Name.BATCH))
    if backlog and Name.BACKLOG not in names:
        names.append(Name.BACKLOG)
    if Name.BACKLOG in names and not backlog:
        raise typer.BadParameter("the scenario backlog needs --backlog, the number of messages that wait")
    settings = Settings(
        messages=messages,
        backlog=backlog,
        binds=binds,
        window=window,
        concurrency=concurrency,
        rate=rate,
        report_delay_s=report_delay,
        directory=str(directory),
    )
    try:
        findings = _find(names, settings, Console(stderr=True))
    except (BenchError, LoadError, OSError) as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode() + "\n")
    else:
        show(findings, Console())
    if findings.broken:
        raise typer.Exit(1)


def _find(names: list[Name], settings: Settings, console: Console) -> Findings:
    machine = Machine(
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        sync_ms=_sync_ms(settings.directory),
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: dict[str, Loop | Backlog] = {}
    # Four times a second: what is drawn here costs the load generator its time.
    with Progress(*columns, console=console, refresh_per_second=4, disable=not console.is_terminal) as bar:
        for name in names:
            task = bar.add_task(name)

            def told(what: str, done: int, count: int, task: TaskID = task) -> None:
                bar.update(task, description=what, completed=done, total=count)

            found[name.value] = uvloop.run(run(name, settings, told))
    return Findings(machine=machine, settings=settings, scenarios=found, ratios=ratios(found))


def _sync_ms(directory: str) -> float:
    """The median of writing 4 KiB and syncing it: what a commit waits for."""
    times_s = []
    with TemporaryFile(dir=directory) as file:
        for _ in range(_SYNCS):
            begun = time.perf_counter()
            os.write(file.fileno(), b"\0" * 4096)
            os.fdatasync(file.fileno())
            times_s.append(time.perf_counter() - begun)
    return statistics.median(times_s) * 1000.0
