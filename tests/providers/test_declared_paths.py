"""Where values are: JSONPath, XPath, fields and patterns, in whatever a provider says."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.providers._declared.paths import Format, Path, parse

DATA = {"a": {"b-c": [{"d": 1}, {"d": " two "}], "n": None, "t": True}, "e": "x#12", "l": [1, [2, 3]]}
XML = b'<r xmlns:s="urn:s" code="7"><m id="1">one</m><m id="2">t<b>w</b>o</m><s:z/></r>'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.b-c[0].d", "1"),
        ("$.a.b-c[1].d", "two"),
        ("$['a']['b-c'][1]['d']", "two"),
        ('$["a"].t', "true"),
        ("a.b-c[*].d", "1"),
        ("a.n", None),
        ("a", None),
        ("a.b-c[9].d", None),
        ("a.x.y", None),
        ("l[1][0]", "2"),
        ("$..d", "1"),
        ("$.a['b-c'][?(@.d == 1)].d", "1"),
        ("e ~ #(\\d+)$", "12"),
        ("e ~ no(ne)", None),
        ("$", None),
    ],
)
def test_json(source: str, expected: str | None) -> None:
    assert Path(source, "json").text(DATA) == expected


def test_list_of_a_whole_answer() -> None:
    assert Path("[*]", "json").all([1, 2]) == [1, 2]
    assert Path("$", "json").text(900) == "900"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("/r/@code", "7"), ("//m[@id='2']", "two"), ("count(//m)", "2"), ("//none", None), ("string(//m[1])", "one")],
)
def test_xml(source: str, expected: str | None) -> None:
    assert Path(source, "xml").text(parse(XML, "xml")) == expected


def test_items_of_xml_are_looked_into() -> None:
    items = Path("//m", "xml").all(parse(XML, "xml"))
    assert [Path("@id", "xml").text(item) for item in items] == ["1", "2"]


@pytest.mark.parametrize(
    ("source", "expected"), [('Success "(.+)"', "u1"), ("Succ", "Succ"), ("^second (.)", "l"), ("none", None)]
)
def test_text(source: str, expected: str | None) -> None:
    assert Path(source, "text").text(parse(b'Success "u1"\nsecond line', "text")) == expected


def test_form_is_the_body_or_else_the_query() -> None:
    assert parse(b"a=1&b=%20x&a=2", "form", {"a": "9", "c": "3"}) == {"a": "1", "b": " x", "c": "3"}
    assert parse(b"", "form", {"a": "9"}) == {"a": "9"}
    assert parse(b"", "form") is None


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"{", "json"),
        (b"", "json"),
        (b"<a>", "xml"),
        (b"", "xml"),
        (b"", "text"),
        (b"\xff\xfe=1", "form"),
        (b"&".join([b"a=1"] * 2000), "form"),
    ],
)
def test_what_is_something_else_is_nothing(body: bytes, form: Format) -> None:
    assert parse(body, form) is None


def test_entities_of_xml_are_not_resolved() -> None:
    whole = parse(b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname"><!ENTITY c "x">]><a>&b;&c;</a>', "xml")
    assert Path("/a", "xml").text(whole) == "&b;&c;"


@pytest.mark.parametrize("source", ["$", "a.b", "$..x", "[*]"])
@pytest.mark.parametrize("node", [None, 1, "x", [], {}, [[[[]]]]])
def test_path_leads_nowhere_without_raising(source: str, node: Any) -> None:
    Path(source, "json").text(node)


@pytest.mark.parametrize(
    ("source", "form"), [("$.[", "json"), ("$[?", "json"), ("//m[", "xml"), ("(", "text"), ("a ~ (", "json")]
)
def test_wrong_path_says_so(source: str, form: Format) -> None:
    with pytest.raises(ValueError, match="not a"):
        Path(source, form)
