"""The small language of declarations: variables, filters, absence, and what is wrong with a text."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.providers._declared.template import FILTERS, Template, TemplateError, text_of

NAMES = {
    name: (lambda scope, name=name: getattr(scope, name))
    for name in ("to", "from", "text", "number", "flash", "binary", "fields", "at", "settings.sender")
} | {"header.*": lambda scope: scope.headers}
SCOPE = SimpleNamespace(
    **{
        "to": "380972000001",
        "from": None,
        "text": "Привіт",
        "number": 3601,
        "flash": True,
        "binary": b"\x01\xff",
        "fields": {"b": "2&3", "a": "1", "sig": "x"},
        "at": 1_700_000_000.4,
        "settings.sender": "Acme",
        "headers": {"x-signature": "abc"},
    }
)


def value(source: str) -> Any:
    return Template(source, NAMES).value(SCOPE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{number}", 3601),
        ("{flash}", True),
        ("n={number}", "n=3601"),
        ("is {flash}", "is true"),
        ("{{{number}}}", "{3601}"),
        ("{from}", None),
        ("from {from}", None),
        ("{from|or:settings.sender}", "Acme"),
        ("{from|default:nobody}", "nobody"),
        ("{from|then:yes}", None),
        ("{from|then:yes|default:no}", "no"),
        ("{from|upper}", None),
        ("{flash|then:yes|default:no}", "yes"),
        ("{header.x-signature}", "abc"),
        ("{header.x-other}", None),
        ("{to|plus}", "+380972000001"),
        ("{settings.sender|plus}", "Acme"),
        ("{settings.sender|upper}{settings.sender|lower}", "ACMEacme"),
        ("{text|cut:3}", "При"),
        ("{number|text}", "3601"),
        ("{to|number}", 380972000001),
        ("{number|minutes}", 61),
        ("{number|hours}", 2),
        ("{number|days}", 1),
        ("{number|ms}", 3601000),
        ("{number|least:4000}", 4000),
        ("{number|most:60}", 60),
        ("{number|least:60|most:4000}", 3601),
        ("{at|iso}", "2023-11-14T22:13:20Z"),
        ("{at|time:%d.%m.%Y %H:%M}", "14.11.2023 22:13"),
        ("{binary|hex}", "01ff"),
        ("{binary|base64}", "Af8="),
        ("{text|ucs2hex}", "041f04400438043204560442"),
        ("{text|hex}", "d09fd180d0b8d0b2d196d182"),
        ("{settings.sender|sha256}", "37036cd8f9746d335038eca92f8a73ae5f1bca4779a1e55e5812e37743b2f5bf"),
        ("{settings.sender|digest:md5|hex}", "79d894520f4f94c267986a819e110bec"),
        ("{fields|pairs}", "a1b2&3sigx"),
        ("{fields|without:sig|clean:&=|pairs:&=}", "&a=1&b=2_3"),
    ],
)
def test_value(source: str, expected: Any) -> None:
    assert value(source) == expected
    assert type(value(source)) is type(expected)


def test_every_filter_is_tried() -> None:
    tried = " ".join(str(case) for mark in test_value.pytestmark for case in mark.args[1])  # type: ignore[attr-defined]
    assert [name for name in FILTERS if f"|{name}" not in tried] == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{txt}", 'no variable is called "txt"'),
        ("{text|plsu}", 'no filter is called "plsu"'),
        ("{from|or:sender}", 'no variable is called "sender"'),
        ("{text|upper:1}", "takes no argument"),
        ("{text|cut}", "needs an argument"),
        ("{text|cut:-1}", "needs an argument"),
        ("{text|digest:shake_128}", "needs an argument"),
        ("{binary}", "are bytes"),
        ("{text|pairs}", "only {fields}"),
        ("a { b", "a brace that is alone"),
        ("a } b", "a brace that is alone"),
    ],
)
def test_wrong_template_says_what_is_wrong(source: str, told: str) -> None:
    with pytest.raises(TemplateError, match=told.replace("{", r"\{").replace("}", r"\}")):
        Template(source, NAMES)


def test_values_are_quoted_and_the_text_around_them_is_not() -> None:
    template = Template("a b/{text}/{number}", NAMES)
    assert template.quoted(SCOPE, lambda text, name: f"<{name}:{text}>") == "a b/<text:Привіт>/<number:3601>"


def test_octets_keep_bytes_as_they_are() -> None:
    assert Template("{number}|{to|digest:sha256}", NAMES).octets(SCOPE) == b"3601|" + sha256(b"380972000001").digest()
    assert Template("{to}", NAMES).octets(SCOPE) == b"380972000001"
    assert Template("{from}.", NAMES).octets(SCOPE) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (1.5, "1.5"), (True, "true"), (False, "false"), (b"\xff", "\ufffd"), (float("inf"), "inf")],
)
def test_text_of(value: Any, text: str) -> None:
    assert text_of(value) == text
