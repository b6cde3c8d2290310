"""The units: systemd finds no fault in them, their sandbox is tight, and both of them are the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = ("smsbridge.service", "smsbridge@.service")
PROGRAM = "/opt/smsbridge/bin/smsbridge"
MOST_EXPOSURE = 2.0


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of systemd; where it is missing the test is skipped."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def installed(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    """A copy of a unit with a program that exists, a template as its instance `one`; `old` in it becomes `new`."""
    text = (SYSTEMD / name).read_text()
    assert PROGRAM in text
    assert old in text
    unit = folder / name.replace("@.", "@one.")
    unit.write_text(text.replace(PROGRAM, "/bin/true").replace(old, new))
    return unit


def faults(unit: Path) -> str:
    """What `systemd-analyze verify` has to say of a unit; its exit code is 0 for an unknown key, too."""
    verdict = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    return verdict.stdout + verdict.stderr


def is_tight(unit: Path) -> bool:
    """True when the exposure level is at most `MOST_EXPOSURE` of 10."""
    threshold = f"--threshold={round(MOST_EXPOSURE * 10)}"
    return run("systemd-analyze", "security", "--offline=true", "--no-pager", threshold, unit).returncode == 0


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_no_fault(name: str, tmp_path: Path) -> None:
    assert faults(installed(tmp_path, name)) == ""


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    assert "WatchdogSecs" in faults(installed(tmp_path, UNITS[0], "WatchdogSec=", "WatchdogSecs="))


@pytest.mark.parametrize("name", UNITS)
def test_sandbox_is_tight(name: str, tmp_path: Path) -> None:
    assert is_tight(installed(tmp_path, name))


def test_a_loose_sandbox_would_be_found(tmp_path: Path) -> None:
    loose = installed(tmp_path, UNITS[0], "CapabilityBoundingSet=\n", "CapabilityBoundingSet=~\n")
    assert not is_tight(loose)


def test_both_units_are_the_same_but_for_names() -> None:
    one, template = ((SYSTEMD / name).read_text() for name in UNITS)
    settings = [line for line in template.splitlines() if not line.startswith("#")]
    instance = "\n".join(settings).replace("/%i.yaml", "/bridge.yaml").replace("smsbridge/%i", "smsbridge")
    expected = "\n".join(line for line in one.splitlines() if not line.startswith("#"))
    assert instance.replace("smsbridge %i:", "smsbridge:") == expected


def test_account_can_be_made() -> None:
    made = run("systemd-sysusers", "--dry-run", SYSTEMD / "smsbridge.sysusers.conf")
    assert made.returncode == 0, made.stderr
    assert "User=smsbridge\n" in (SYSTEMD / UNITS[0]).read_text()


def test_configuration_is_readable_by_the_account_alone() -> None:
    lines = (SYSTEMD / "smsbridge.tmpfiles.conf").read_text().splitlines()
    rules = {line.split()[1]: line.split()[2:5] for line in lines if not line.startswith("#")}
    assert rules == {
        "/etc/smsbridge": ["0750", "root", "smsbridge"],
        "/etc/smsbridge/*.yaml": ["0640", "root", "smsbridge"],
    }
