from __future__ import annotations

import os

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
