"""Times, states and encodings of what is called back."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.message import Reason, Report, State
from bridge.providers import References
from bridge.providers._declared import schema
from bridge.providers._declared.sayings import Inbounds, Reports, state_of

REFERENCES = References("0123456789ab")


def reported(data: Any, **declared: Any) -> list[Report]:
    told = schema.Told.model_validate({"id": "id", "status": "s"} | declared)
    states = {"ok": state_of("delivered"), "bad": state_of("undeliverable")}
    return list(Reports(told, states, {"7": Reason.BLOCKED}).found(data, REFERENCES))


@pytest.mark.parametrize(
    ("at", "value", "seconds"),
    [
        ("t", 1700000000, 1_700_000_000.0),
        ("t", "1700000000.5", 1_700_000_000.5),
        ("t", 1700000000000, 1_700_000_000.0),
        ("t", "2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("t", "2023-11-14T23:13:20.000+0100", 1_700_000_000.0),
        ("t", "2023-11-14 22:13:20", 1_700_000_000.0),
        ({"path": "t", "timezone": "Europe/Berlin"}, "2023-11-14 23:13:20", 1_700_000_000.0),
        ({"path": "t", "timezone": "Europe/Berlin"}, "2023-07-14 23:13:20", 1_689_369_200.0),
        ({"path": "t", "timezone": "Europe/Berlin"}, "2023-11-14T22:13:20Z", 1_700_000_000.0),
        ({"path": "t", "format": "%y%m%d%H%M"}, "2311142213", 1_699_999_980.0),
        ({"path": "t", "format": "%d.%m.%Y %H:%M:%S %z"}, "14.11.2023 23:13:20 +0100", 1_700_000_000.0),
        *(("t", value, None) for value in ("", "soon", -1, "9" * 400, "nan", "1_700", None, [], "٧", "9999-99-99")),
        ({"path": "t", "format": "%y"}, "x", None),
        ({"path": "t", "timezone": "Europe/Berlin"}, "0001-01-01", None),
    ],
)
def test_time(at: Any, value: Any, seconds: float | None) -> None:
    (report,) = reported({"id": "1", "s": "ok", "t": value}, at=at)
    assert report.at == seconds


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("delivered", (State.DELIVERED, None)),
        ("undeliverable", (State.UNDELIVERABLE, Reason.UNSPECIFIED)),
        ("undeliverable blocked", (State.UNDELIVERABLE, Reason.BLOCKED)),
        ("expired", (State.EXPIRED, Reason.VALIDITY_ELAPSED)),
        ("rejected", (State.REJECTED, Reason.PROVIDER_REFUSED)),
    ],
)
def test_state(words: str, expected: object) -> None:
    assert state_of(words) == expected


@pytest.mark.parametrize(("words", "wrong"), [("arrived", "arrived"), ("delivered soon", "soon")])
def test_wrong_state_names_the_word(words: str, wrong: str) -> None:
    with pytest.raises(KeyError) as caught:
        state_of(words)
    assert caught.value.args == (wrong,)


def test_unknown_status_says_nothing_and_is_kept() -> None:
    (report,) = reported({"id": 5, "s": "Novel"})
    assert (report.state, report.native, report.provider_ref, report.reason) == (State.UNKNOWN, "Novel", "5", None)


def test_case_of_a_status_does_not_count_and_is_kept() -> None:
    (report,) = reported({"id": 5, "s": "OK"})
    assert (report.state, report.native) == (State.DELIVERED, "OK")


def test_reason_is_only_that_of_a_failure() -> None:
    data = [{"id": 1, "s": "bad", "e": 7}, {"id": 2, "s": "bad", "e": 8}, {"id": 3, "s": "ok", "e": 7}]
    assert [report.reason for report in reported(data, items="[*]", reason="e")] == [
        Reason.BLOCKED,
        Reason.UNSPECIFIED,
        None,
    ]


@pytest.mark.parametrize("data", [{}, {"id": 1}, {"s": "ok"}, {"id": {}, "s": "ok"}, {"id": 1, "s": []}, [], None, 1])
def test_what_is_no_report_is_none(data: Any) -> None:
    assert reported(data) == []


def test_reference_of_another_is_not_ours() -> None:
    assert reported({"s": "ok", "r": "0123456789ab2a"}, id=None, reference="r")[0].message_id == 42
    assert reported({"s": "ok", "r": "somebody"}, id=None, reference="r") == []


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("plain", "Hi", ["Hi"]),
        ("plain", "", [""]),
        ("hex", "4869", ["Hi"]),
        ("base64", "SGk=", ["Hi"]),
        ("ucs2hex", "00480069", ["Hi"]),
        ("hex", "xyz", []),
        ("base64", "!", []),
        ("ucs2hex", "d800", []),
    ],
)
def test_text_of_an_inbound_message(encoding: str, text: str, expected: list[str]) -> None:
    declared = {"from": "f", "to": "t", "text": "x", "encoding": encoding}
    found = Inbounds(schema.Heard.model_validate(declared)).found({"f": "+1", "t": "2", "x": text})
    assert [item.text for item in found] == expected
