"""How a problem is told: its place and its hint."""

from __future__ import annotations

import pytest

from bridge.problems import hint, written


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("store",), "store"), (("routes", 0, "send", 2), "routes[0].send[2]"), (("a", "b"), "a.b")],
)
def test_path_is_written_as_a_person_does(path: tuple[str | int, ...], text: str) -> None:
    assert written(path) == text


@pytest.mark.parametrize(
    ("word", "known", "text"),
    [
        ("pasword", ["password", "window"], '; did you mean "password"?'),
        ("PASSWORD", ["password", "window"], '; did you mean "password"?'),
        ("zzz", ["b", "a"], "; known: a, b"),
        (5, ["a"], "; known: a"),
        ("x", [], "; there are none yet"),
    ],
)
def test_hint_is_the_nearest_word_or_all(word: object, known: list[str], text: str) -> None:
    assert hint(word, known) == text


def test_hint_stays_short() -> None:
    text = hint("zzz", [f"account{number:03}" for number in range(1000)])
    assert text.endswith("account029 and others")
