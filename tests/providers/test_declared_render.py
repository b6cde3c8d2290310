"""Whatever a message holds stays a value: it never becomes a part of the form, the JSON, the XML or the header."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bridge.problems import KeyPath
from bridge.providers._declared import render
from bridge.providers._declared.template import Template

NAMES = {"text": lambda scope: scope.text, "to": lambda scope: scope.to, "none": lambda scope: None}
NASTY = "&a=1\"'<x>]]>{\\\r\n\0ї%"


def template(source: str, path: KeyPath) -> Template:
    return Template(source, NAMES)


def made(declared: Any, *texts: str) -> Any:
    scopes = [SimpleNamespace(text=text, to=str(number)) for number, text in enumerate(texts, 1)]
    return render.compiled(declared, (), template).make(scopes)


@given(st.text())
def test_form_holds_the_value(text: str) -> None:
    body = render.fields(made({"a": "{text}", "b": "x"}, text))
    assert parse_qsl(body.decode(), keep_blank_values=True) == [
        ("a", text.encode(errors="replace").decode()),
        ("b", "x"),
    ]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_holds_the_value(text: str) -> None:
    assert json.loads(render.json(made({"a": ["{text}", {"b": 1}]}, text))) == {"a": [text, {"b": 1}]}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"])))
def test_xml_holds_the_value(text: str) -> None:
    root = etree.fromstring(render.xml(made({"r": {"@a": "{text}", "b": "{text}"}}, text)))
    assert (root.get("a"), root.findtext("b") or "") == (text, text)


def test_xml_leaves_out_what_xml_cannot_hold() -> None:
    root = etree.fromstring(render.xml(made({"r": {"@k": "v", "#text": "{text}"}}, NASTY)))
    assert root.text == "&a=1\"'<x>]]>{\\\n\nї%".replace("\n\n", "\n")


def test_header_is_one_line() -> None:
    assert render.header("a\r\nX-Evil: 1\0") == "a X-Evil: 1 "


def test_what_has_no_value_is_left_out() -> None:
    declared = {"a": "{none}", "b": {"c": "{none}"}, "d": ["{none}", "x"], "e": {}, "f": ["{none}"], "g": False, "h": 0}
    assert made(declared, "x") == {"d": ["x"], "e": {}, "g": False, "h": 0}
    assert made({"a": {"b": "{none}"}}, "x") is None


def test_each_is_an_item_for_each_message() -> None:
    declared = {
        "to": {"each": "{to}", "join": ","},
        "nobody": {"each": "{none}", "join": ","},
        "items": {"each": {"n": "{to}", "none": "{none}"}},
        "first": "{text}",
    }
    assert made(declared, "a", "b") == {
        "to": "1,2",
        "nobody": ",",
        "items": [{"n": "1"}, {"n": "2"}],
        "first": "a",
    }


def test_lists_repeat_a_field_and_an_element() -> None:
    assert render.fields({"a": ["1", "2"], "b": True}) == b"a=1&a=2&b=true"
    assert render.xml({"r": {"m": [{"@n": 1}, {"@n": 2}]}}).endswith(b'<r><m n="1"></m><m n="2"></m></r>')


def test_templates_outside_of_each_are_known() -> None:
    node = render.compiled({"a": "{text}", "b": {"each": {"c": "{to}"}}, "d": ["{none}"]}, (), template)
    outside = {name for each in render.templates_in(node, of_each=False) for name in each.names}
    inside = {name for each in render.templates_in(node, of_each=True) for name in each.names}
    assert (outside, inside) == ({"text", "none"}, {"to"})


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"a": 1, "b": 2}, "one root"),
        ({"a": [1]}, "one root"),
        ({"a": {"1b": "x"}}, '"1b" is no name'),
        ({"a": {"m": {"each": {"b c": 1}}}}, '"b c" is no name'),
        ({"a": {"@b": 1, "#text": 2, "c": [1]}}, None),
    ],
)
def test_structure_that_cannot_be_xml(declared: Any, told: str | None) -> None:
    found = render.xml_problem(declared)
    assert found is None if told is None else found is not None and told in found
