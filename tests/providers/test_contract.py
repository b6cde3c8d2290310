"""Every provider of the folder, and the template, keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from providers.hostile import check_any_bytes
from providers.subjects import no_network, subject

from bridge import providers
from bridge.providers._cases.making import Subject
from bridge.providers._cases.promises import CHECKS


@pytest.mark.parametrize("name", [*providers.known(), "_template"])
@pytest.mark.parametrize("check", [*CHECKS, check_any_bytes], ids=lambda check: check.__name__)
def test_contract(check: Callable[[Subject], None], name: str) -> None:
    with no_network():
        check(subject(name))


@pytest.mark.parametrize("name", [*providers.known(), "_template"])
def test_any_bytes_with_other_settings(name: str) -> None:
    with no_network():
        for variant in subject(name).variants():
            check_any_bytes(variant)
