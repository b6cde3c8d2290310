from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=5, help="how often tests/flows/test_kill.py kills the daemon (200 for a release)"
    )
