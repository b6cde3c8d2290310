from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=5, help="how often tests/flows/test_kill.py kills the daemon (200 for a release)"
    )
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=float(os.environ.get("SMSBRIDGE_FUZZ_SECONDS", "5")),
        help="how long tests/smpp/test_fuzz.py goes on (36000 for a release); SMSBRIDGE_FUZZ_SECONDS is the default",
    )
    parser.addoption("--fuzz-seed", type=int, help="the number of its first trial, instead of a random one")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With SMSBRIDGE_TEST_STRICT=1 a skipped test fails: where everything is installed, nothing is skipped."""
    report = yield
    if report.skipped and os.environ.get("SMSBRIDGE_TEST_STRICT") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, with SMSBRIDGE_TEST_STRICT=1: {report.longrepr}"
    return report
