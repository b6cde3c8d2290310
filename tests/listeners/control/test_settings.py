"""Settings of the control socket."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.listeners.control.settings import Control


def test_nothing_has_to_be_set() -> None:
    assert (Control().socket, Control().group) == (None, None)


@pytest.mark.parametrize("path", ["/run/smsbridge/control.sock", "control.sock", "x" * 107])
def test_paths(path: str) -> None:
    assert Control(socket=path).socket == path


@pytest.mark.parametrize("path", ["", "/run/smsbridge/", "x" * 108, "ü" * 54, "a\0b"])
def test_what_is_no_path_of_a_socket(path: str) -> None:
    with pytest.raises(ValidationError):
        Control(socket=path)
