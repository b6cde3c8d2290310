"""What the bench found, as tables for a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table

from bridge.cli.benching.scenario import BATCH, ON_THE_WAY, WARM_UP, Backlog, Loop
from bridge.cli.benching.stage import Settings

_Each = TypeVar("_Each", Loop, Backlog)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cores: int
    python: str
    sync_ms: float  # the median of writing 4 KiB and syncing it, in the folder of the store


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that one call of the bench found; its JSON is this."""

    machine: Machine
    settings: Settings
    scenarios: dict[str, Loop | Backlog]
    ratios: dict[str, float]

    @property
    def broken(self) -> bool:
        """True when a message was lost or doubled anywhere."""
        return any(each.counts.lost or each.counts.doubled for each in self.scenarios.values())


_LOOP_ROWS: tuple[tuple[str, Callable[[Loop], str]], ...] = (
    ("accepted / s", lambda loop: f"{loop.accepted_per_s:,.0f}"),
    ("sent / s", lambda loop: f"{loop.sent_per_s:,.0f}"),
    ("reported / s", lambda loop: f"{loop.reported_per_s:,.0f}"),
    ("submit → response, ms: p50", lambda loop: f"{loop.response_ms.p50:,.0f}"),
    ("  p95", lambda loop: f"{loop.response_ms.p95:,.0f}"),
    ("  p99", lambda loop: f"{loop.response_ms.p99:,.0f}"),
    ("  longest", lambda loop: f"{loop.response_ms.max:,.0f}"),
    ("submit → receipt, ms: p50", lambda loop: f"{loop.receipt_ms.p50:,.0f}"),
    ("  p95", lambda loop: f"{loop.receipt_ms.p95:,.0f}"),
    ("  p99", lambda loop: f"{loop.receipt_ms.p99:,.0f}"),
    ("  longest", lambda loop: f"{loop.receipt_ms.max:,.0f}"),
    ("CPU µs / message", lambda loop: f"{loop.cpu_us_per_message:,.0f}"),
    ("busy, of one core", lambda loop: f"{loop.busy:.0%}"),
    ("load's own, of one core", lambda loop: f"{loop.load_busy:.0%}"),
    ("peak memory, MiB", lambda loop: f"{loop.memory_mb:,.0f}"),
    ("messages / request", lambda loop: f"{loop.messages_per_request:.1f}"),
    ("lost, doubled, refused", lambda loop: f"{loop.counts.lost}, {loop.counts.doubled}, {loop.counts.refused}"),
)
_BACKLOG_ROWS: tuple[tuple[str, Callable[[Backlog], str]], ...] = (
    ("whole loop / s, without a backlog", lambda each: f"{each.normal_per_s:,.0f}"),
    ("accepted / s, provider away", lambda each: f"{each.accepted_per_s:,.0f}"),
    (
        "  first tenth, last tenth",
        lambda each: f"{each.accepted_first_tenth_per_s:,.0f}, {each.accepted_last_tenth_per_s:,.0f}",
    ),
    ("provider back → first message, s", lambda each: f"{each.noticed_s:.1f}"),
    ("drained / s, to the receipt", lambda each: f"{each.drained_per_s:,.0f}"),
    ("  slowest tenth", lambda each: f"{each.drained_slowest_tenth_per_s:,.0f}"),
    ("  of the loop without a backlog", lambda each: f"{each.drained_to_normal:.2f}"),
    (
        "CPU µs / message: loop, accept, drain",
        lambda each: (
            f"{each.normal_cpu_us_per_message:,.0f}, {each.accepted_cpu_us_per_message:,.0f},"
            f" {each.drained_cpu_us_per_message:,.0f}"
        ),
    ),
    ("peak memory, MiB: before, after", lambda each: f"{each.memory_normal_mb:,.0f}, {each.memory_mb:,.0f}"),
    ("store, MiB", lambda each: f"{each.store_mb:,.0f}"),
    ("lost, doubled, refused", lambda each: f"{each.counts.lost}, {each.counts.doubled}, {each.counts.refused}"),
)
_RATIOS = {
    "cpu_single_to_floor": "CPU a message, single : floor",
    "cpu_batch_to_floor": "CPU a message, batch : floor",
    "reported_single_to_floor": "messages a second, single : floor",
}


def ratios(scenarios: Mapping[str, Loop | Backlog]) -> dict[str, float]:
    """How far the daemon is from the floor, as far as both were measured."""
    floor, single, batch = (scenarios.get(name) for name in ("floor", "single", "batch"))
    found: dict[str, float] = {}
    if not isinstance(floor, Loop) or not floor.cpu_us_per_message:
        return found
    if isinstance(single, Loop):
        found["cpu_single_to_floor"] = single.cpu_us_per_message / floor.cpu_us_per_message
        found["reported_single_to_floor"] = single.reported_per_s / floor.reported_per_s
    if isinstance(batch, Loop):
        found["cpu_batch_to_floor"] = batch.cpu_us_per_message / floor.cpu_us_per_message
    return found


def show(findings: Findings, console: Console) -> None:
    """Prints the tables, the ratios, and what to know when reading them."""
    loops = {name: each for name, each in findings.scenarios.items() if isinstance(each, Loop)}
    if loops:
        console.print(_table(loops, _LOOP_ROWS))
    for each in findings.scenarios.values():
        if isinstance(each, Backlog):
            console.print(_table({f"backlog of {findings.settings.backlog:,}": each}, _BACKLOG_ROWS))
    for name, ratio in findings.ratios.items():
        console.print(f"{_RATIOS[name]} = {ratio:.2f}")
    console.print()
    for note in _notes(findings, set(findings.scenarios)):
        console.print(note, style="dim", highlight=False, soft_wrap=True)


def _table(columns: Mapping[str, _Each], rows: tuple[tuple[str, Callable[[_Each], str]], ...]) -> RenderableType:
    table = Table()
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for title, cell in rows:
        table.add_row(title, *(cell(each) for each in columns.values()))
    return table


def _notes(findings: Findings, names: set[str]) -> list[str]:
    settings, machine = findings.settings, findings.machine
    pace = f"{settings.rate:,g} a second" if settings.rate else "as fast as it goes"
    notes = [
        f"{settings.messages:,} messages each after a warm-up of {min(WARM_UP, settings.messages):,}, {pace};"
        f" {settings.binds} binds with a window of {settings.window}, {settings.concurrency} requests at once.",
        f"{machine.cores} cores, Python {machine.python}; a synced write takes {machine.sync_ms:.1f} ms"
        f" in {settings.directory}.",
        "CPU and memory are those of the daemon (or the floor) alone.",
    ]
    if names & {"floor", "single", "backlog"}:
        notes.append(
            f"At most {ON_THE_WAY:,} messages are on the way at once, which is most of the time to the receipt."
        )
    if "batch" in names:
        notes.append(
            f"batch: up to {BATCH} messages a request; reports come {settings.report_delay_s:g} s after sending, and"
            " sent / s counts until the first was due."
        )
    if "backlog" in names:
        notes.append("backlog: without it, the loop takes in messages too; while it drains, no new ones come.")
    return notes
