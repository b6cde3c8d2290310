"""Logs are JSON lines, with numbers masked and texts left out unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from bridge.telemetry import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    config = structlog.get_config()
    yield
    structlog.configure(**config)


def _line(capsys: pytest.CaptureFixture[str], *, show_text: bool) -> dict[str, object]:
    logs.configure("info", "json", show_text=show_text)
    structlog.get_logger().info("sent", to="380501234567", message_text="a secret", count=3)
    line: dict[str, object] = json.loads(capsys.readouterr().err)
    return line


def test_numbers_and_texts_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    line = _line(capsys, show_text=False)
    assert (line["event"], line["to"], line["message_text"], line["count"]) == ("sent", "3805****67", "<8>", 3)


def test_numbers_and_texts_are_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    line = _line(capsys, show_text=True)
    assert (line["to"], line["message_text"]) == ("380501234567", "a secret")


def test_below_its_level_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    structlog.get_logger().info("sent")
    assert capsys.readouterr().err == ""


def test_an_error_is_logged_with_its_traceback_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    try:
        raise ValueError("what")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: what" in json.loads(line)["exception"]


@pytest.mark.parametrize(("number", "masked"), [("380501234567", "3805****67"), ("1234567", "****"), ("", "****")])
def test_a_mask_hides_the_middle_or_all(number: str, masked: str) -> None:
    assert logs.mask(number) == masked
