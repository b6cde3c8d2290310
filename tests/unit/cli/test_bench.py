"""`smsbridge bench` as a user runs it: every scenario with few messages; of rates only that they are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli.bench import bench

LOOPS = ("floor", "single", "batch")
COUNTS = {"messages": 300, "accepted": 300, "refused": 0, "sent": 300, "reported": 300, "lost": 0, "doubled": 0}
LOOP_KEYS = {
    "counts", "accepted_per_s", "sent_per_s", "reported_per_s", "response_ms", "receipt_ms", "cpu_us_per_message",
    "busy", "load_busy", "memory_mb", "messages_per_request", "repeated",
}  # fmt: skip
BACKLOG_KEYS = {
    "counts", "normal_per_s", "normal_cpu_us_per_message", "accepted_per_s", "accepted_first_tenth_per_s",
    "accepted_last_tenth_per_s", "accepted_cpu_us_per_message", "noticed_s", "drained_per_s",
    "drained_slowest_tenth_per_s", "drained_cpu_us_per_message", "drained_to_normal", "memory_normal_mb", "memory_mb",
    "store_mb", "repeated",
}  # fmt: skip

app = typer.Typer()
app.command()(bench)


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bridge.cli import main; main()", "bench", "--dir", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bench")
    done = run("--messages", "300", "--backlog", "300", "--report-delay", "0.2", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(folder.iterdir()) == []  # nothing is left behind
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.mark.parametrize("name", LOOPS)
def test_nothing_is_lost_or_doubled(found: dict[str, Any], name: str) -> None:
    assert found["scenarios"][name]["counts"] == COUNTS


@pytest.mark.parametrize("name", LOOPS)
def test_everything_is_measured(found: dict[str, Any], name: str) -> None:
    loop = found["scenarios"][name]
    assert loop.keys() == LOOP_KEYS
    assert all(loop[key] > 0 for key in LOOP_KEYS - {"counts", "response_ms", "receipt_ms", "repeated"})
    for key in ("response_ms", "receipt_ms"):
        each = loop[key]
        assert 0 < each["p50"] <= each["p95"] <= each["p99"] <= each["max"]
    assert loop["repeated"] == 0


def test_batches_are_full_and_reports_delayed_in_batch_alone(found: dict[str, Any]) -> None:
    scenarios = found["scenarios"]
    assert scenarios["floor"]["messages_per_request"] == scenarios["single"]["messages_per_request"] == 1.0
    assert scenarios["batch"]["messages_per_request"] > 1.0
    assert scenarios["batch"]["receipt_ms"]["p50"] >= 200.0


def test_a_backlog_waits_and_drains(found: dict[str, Any]) -> None:
    backlog = found["scenarios"]["backlog"]
    assert backlog.keys() == BACKLOG_KEYS
    assert backlog["counts"] == {key: value * 2 for key, value in COUNTS.items()}
    assert all(backlog[key] > 0 for key in BACKLOG_KEYS - {"counts", "repeated"})
    assert backlog["memory_mb"] >= backlog["memory_normal_mb"]


def test_the_distance_to_the_floor_is_of_the_same_run(found: dict[str, Any]) -> None:
    scenarios = found["scenarios"]
    assert found["ratios"].keys() == {"cpu_single_to_floor", "cpu_batch_to_floor", "reported_single_to_floor"}
    assert found["ratios"]["cpu_single_to_floor"] == pytest.approx(
        scenarios["single"]["cpu_us_per_message"] / scenarios["floor"]["cpu_us_per_message"]
    )


def test_settings_and_machine_are_told(found: dict[str, Any]) -> None:
    assert (found["settings"]["messages"], found["settings"]["backlog"]) == (300, 300)
    assert found["machine"].keys() == {"cores", "python", "sync_ms"}


def test_a_table_is_printed_for_people(tmp_path: Path) -> None:
    done = run("--messages", "50", "--scenario", "floor", "--rate", "500", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CPU µs / message" in done.stdout
    assert "500 a second" in done.stdout
    assert "single" not in done.stdout


def test_the_backlog_needs_its_size(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--scenario", "backlog", "--dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "needs --backlog" in done.stderr


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["--dir", str(tmp_path / "gone")]).exit_code == 2
