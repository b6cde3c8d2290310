"""Every provider of the folder, and the template, keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from providers.cases import Subject, no_network, subject
from providers.contract import CHECKS

from bridge import providers


@pytest.mark.parametrize("name", [*providers.known(), "_template"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Subject], None], name: str) -> None:
    with no_network():
        check(subject(name))
