"""The providers of the folder with the cases beside this file, and a place without a network to try them in."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import yaml

from bridge import providers
from bridge.providers._cases.making import Subject

FOLDER = Path(__file__).parent


@cache
def subject(name: str) -> Subject:
    """The provider `name` with the cases beside this file."""
    module = importlib.import_module(f"bridge.providers.{name}") if name[0] == "_" else providers.load(name)
    path = FOLDER / f"{name}.yaml"
    assert path.is_file(), f"provider {name} has no cases: write tests/providers/{name}.yaml"
    cases = yaml.safe_load(path.read_text())
    return Subject(name, module.Settings, module.Provider, module.CODES, module.STATES, cases)


@contextmanager
def no_network() -> Iterator[None]:
    """Any socket or name lookup is an AssertionError."""

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a provider opened a socket")

    with (
        mock.patch.object(socket, "socket", refuse),
        mock.patch.object(socket, "create_connection", refuse),
        mock.patch.object(socket, "getaddrinfo", refuse),
    ):
        yield
