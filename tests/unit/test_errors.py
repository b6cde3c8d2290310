"""The error tree: what each error carries, and that the drawing of it is true."""

from __future__ import annotations

import inspect
import re

import pytest

from bridge import errors
from bridge.errors import BridgeError, ConfigError, Refusal, StoreUnavailable, TransportError
from bridge.message import Reason


def test_the_tree_in_the_docstring_shows_every_error() -> None:
    made = {
        name for name, thing in vars(errors).items() if inspect.isclass(thing) and thing.__module__ == errors.__name__
    }
    drawn = re.findall(r"^ +(?:[├└]── )?(\w+)(?:  |$)", errors.__doc__ or "", flags=re.MULTILINE)
    assert set(drawn) == made
    assert len(drawn) == len(made)


@pytest.mark.parametrize(
    "error",
    [
        ConfigError(["a"]),
        Refusal(Reason.NO_ROUTE, "no"),
        StoreUnavailable("full"),
        TransportError("refused", sent=False),
    ],
)
def test_every_error_of_ours_can_be_caught_as_one(error: Exception) -> None:
    assert isinstance(error, BridgeError)


def test_a_config_error_shows_every_problem_on_a_line() -> None:
    error = ConfigError(["accounts.shop: no password", "routes: empty"])
    assert error.problems == ("accounts.shop: no password", "routes: empty")
    assert str(error) == "accounts.shop: no password\nroutes: empty"


def test_a_refusal_says_why_where_and_when_to_come_again() -> None:
    refusal = Refusal(Reason.THROTTLED, "over the rate", field="to", retry_after_s=1.5)
    assert (refusal.reason, refusal.text, refusal.field, refusal.retry_after_s, str(refusal)) == (
        Reason.THROTTLED,
        "over the rate",
        "to",
        1.5,
        "over the rate",
    )
    bare = Refusal(Reason.NO_ROUTE, "no route")
    assert (bare.field, bare.retry_after_s) == (None, None)


@pytest.mark.parametrize("sent", [True, False])
def test_a_transport_error_says_whether_the_other_side_may_know(sent: bool) -> None:
    assert TransportError("no answer", sent=sent).sent is sent
