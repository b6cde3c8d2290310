"""YAML as plain values with lines: nothing is read as something it does not look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.document import Document, items_at, keys_at, value_at

TEXT = """\
store: sqlite:x
accounts:
  acme:
    smpp: {system_id: acme,
           window: 5}
routes:
  - {send: [one]}
  - send:
      - two
"""


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("NO", "NO"),
        ("0", 0),
        ("42", 42),
        ("-7", -7),
        ("007", "007"),
        ("+38050", "+38050"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("9" * 30, "9" * 30),
        ("1.5", 1.5),
        ("1.50", "1.50"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("2026-11-22", "2026-11-22"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_value_is_what_it_looks_like(written: str, value: object) -> None:
    document = Document(f"key: {written}")
    assert document.problems == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_keys_are_text() -> None:
    assert Document("{1: a, true: b, null: c}").data == {"1": "a", "true": "b", "null": "c"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("store",), 1),
        (("accounts", "acme"), 3),
        (("accounts", "acme", "smpp", "window"), 5),
        (("accounts", "acme", "smpp", "password"), 4),
        (("routes", 0), 7),
        (("routes", 1, "send", 0), 9),
        (("routes", 7), 6),
        (("nothing",), 1),
    ],
)
def test_line_of_a_path_or_of_what_is_there_of_it(path: tuple[str | int, ...], line: int) -> None:
    assert Document(TEXT).line_of(path) == line


def test_key_written_twice_is_a_problem_and_the_first_counts() -> None:
    document = Document("a: 1\nb:\n  c: 2\n  c: 3\n")
    assert document.data == {"a": 1, "b": {"c": 2}}
    [problem] = document.problems
    assert (problem.path, problem.line, problem.text) == (("b", "c"), 4, "written twice, first in line 3")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: b: c\n", 1, "not YAML"),
        ("a: 1\nto: *\n", 2, "must stand in quotes"),
        ("a: &x 1\nb: *x\n", 2, "aliases are not supported"),
        ("a: @x\n", 1, "must stand in quotes"),
        ("a: 1\n---\nb: 2\n", 2, "document"),
        ("a: 1\nb: \x07\n", 2, "does not allow"),
        ("[" * 5000, 1, "nested too deeply"),
    ],
)
def test_syntax_error_has_its_line(text: str, line: int, words: str) -> None:
    document = Document(text)
    assert document.data is None
    [problem] = document.problems
    assert problem.line == line
    assert words in problem.text


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!local", "!!binary", "!!set"])
def test_tags_make_nothing(tag: str) -> None:
    document = Document(f"a: 1\nb: {tag} {{x: null}}\n")
    assert document.data == {"a": 1, "b": None}
    [problem] = document.problems
    assert problem.path == ("b",)
    assert "is not supported" in problem.text


def test_key_that_is_no_word_is_a_problem() -> None:
    document = Document("a: 1\n? [x, y]\n: 2\n")
    assert document.data == {"a": 1}
    assert [(problem.line, problem.text) for problem in document.problems] == [(2, "a key must be one word")]


@given(st.text(alphabet=st.sampled_from("ab:- \n\t{}[]&*!|>'\"%@`#?,~\\\x00é"), max_size=60))
def test_any_text_is_read_or_is_a_problem(text: str) -> None:
    document = Document(text)
    assert all(problem.text and (problem.line or document.line_of(problem.path)) for problem in document.problems)


def test_values_are_found_where_the_shape_is_right_and_nowhere_else() -> None:
    data = Document(TEXT).data
    assert value_at(data, "accounts", "acme", "smpp", "window") == 5
    assert value_at(data, "store", "x") is None
    assert keys_at(data, "accounts") == ["acme"]
    assert keys_at(data, "routes") == keys_at(None) == []
    assert list(items_at(data, "routes")) == [(("routes", 0), {"send": ["one"]}), (("routes", 1), {"send": ["two"]})]
    assert list(items_at(data, "store")) == list(items_at([], "x")) == []
