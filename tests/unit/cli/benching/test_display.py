"""What was found is shown whole, and what was not measured is not there."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from bridge.cli.benching.display import Findings, Machine, ratios, show
from bridge.cli.benching.scenario import Backlog, Loop
from bridge.cli.benching.stage import Settings
from bridge.cli.benching.tally import Counts, Percentiles

GOOD = Counts(messages=100, accepted=100, refused=0, sent=100, reported=100, lost=0, doubled=0)
SETTINGS = Settings(
    messages=100, backlog=500, binds=4, window=50, concurrency=32, rate=None, report_delay_s=3.0, directory="/disk"
)
BACKLOG = Backlog(
    counts=GOOD,
    normal_per_s=4000.0,
    normal_cpu_us_per_message=250.0,
    accepted_per_s=8000.0,
    accepted_first_tenth_per_s=8100.0,
    accepted_last_tenth_per_s=7900.0,
    accepted_cpu_us_per_message=50.0,
    noticed_s=1.5,
    drained_per_s=3600.0,
    drained_slowest_tenth_per_s=3500.0,
    drained_cpu_us_per_message=200.0,
    drained_to_normal=0.9,
    memory_normal_mb=80.0,
    memory_mb=120.0,
    store_mb=44.0,
    repeated=0,
)


def loop(cpu_us: float, reported_per_s: float = 3000.0, counts: Counts = GOOD) -> Loop:
    return Loop(
        counts=counts,
        accepted_per_s=3210.0,
        sent_per_s=3200.0,
        reported_per_s=reported_per_s,
        response_ms=Percentiles(11.0, 12.0, 13.0, 14.0),
        receipt_ms=Percentiles(21.0, 22.0, 23.0, 24.0),
        cpu_us_per_message=cpu_us,
        busy=0.9,
        load_busy=0.4,
        memory_mb=77.0,
        messages_per_request=1.0,
        repeated=0,
    )


def findings(scenarios: dict[str, Loop | Backlog]) -> Findings:
    machine = Machine(cores=2, python="3.11.7", sync_ms=0.4)
    return Findings(machine=machine, settings=SETTINGS, scenarios=scenarios, ratios=ratios(scenarios))


def shown(found: Findings) -> str:
    out = io.StringIO()
    show(found, Console(file=out, width=100))
    return out.getvalue()


def test_ratios_are_to_the_floor() -> None:
    found = ratios({"floor": loop(200.0, 5000.0), "single": loop(300.0, 4000.0), "batch": loop(250.0)})
    assert found == {"cpu_single_to_floor": 1.5, "reported_single_to_floor": 0.8, "cpu_batch_to_floor": 1.25}
    assert ratios({"single": loop(300.0)}) == {}


def test_every_scenario_has_its_column_and_the_ratio_its_line() -> None:
    text = shown(findings({"floor": loop(200.0), "single": loop(300.0), "batch": loop(250.0), "backlog": BACKLOG}))
    for expected in ("floor", "single", "batch", "backlog of 500", "3,210", "8,100, 7,900", "250, 50, 200", "80, 120"):
        assert expected in text
    assert "CPU a message, single : floor = 1.50" in text
    assert "reports come 3 s after sending" in text
    assert "a synced write takes 0.4 ms in /disk" in text


def test_what_was_not_measured_is_not_shown() -> None:
    text = shown(findings({"floor": loop(200.0)}))
    assert "batch" not in text
    assert "backlog" not in text
    assert ":" not in text.split("lost, doubled, refused")[1].split("\n\n")[0]


@pytest.mark.parametrize(
    ("counts", "broken"),
    [
        (GOOD, False),
        (msgspec.structs.replace(GOOD, lost=1), True),
        (msgspec.structs.replace(GOOD, doubled=1), True),
        (msgspec.structs.replace(GOOD, refused=1), False),
    ],
)
def test_lost_and_doubled_break_the_promise(counts: Counts, broken: bool) -> None:
    assert findings({"single": loop(300.0, counts=counts)}).broken is broken
