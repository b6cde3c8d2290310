"""The promise that cases cannot show: whatever the bytes are, they give an outcome, a report or a refusal."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge.message import Accepted, Inbound, Refused, Report, Retry, State, Unsure
from bridge.providers import Callback, Heard, NotExported, NotSetUp, Provider, Request, Response
from bridge.providers._cases.making import CALLBACK_URL, SECTIONS, Subject, attempts_of, body_of, references_of
from bridge.providers._cases.promises import heard_or_refused
from bridge.providers._declared.provider import Declared

# Bodies that have broken parsers before.
NASTY = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'""',
    b"0",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 5000,
    b'{"error":' + b"9" * 5000 + b"}",
    b'{"result":[null]}',
    b'{"result":[[]]}',
    b'"\\ud800"',
    b"\xff\xfe",
    "\ufeff{}".encode(),
    b"<html>busy</html>",
    b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c SYSTEM "file:///etc/hostname">]><a>&b;&c;</a>',
    b"<a>" * 10_000,
    b"status=\xff&id=%zz",
    b"a&" * 5000,
]


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    )


@st.composite
def spoiled(draw: st.DrawFn, bodies: list[Any]) -> bytes:
    """One of the known bodies with something else in one place."""
    whole = [copy.deepcopy(draw(st.sampled_from(bodies)))]
    inner: Any = whole
    place: Any = 0
    while isinstance(inner[place], dict | list) and inner[place] and draw(st.integers(0, 3)):
        inner = inner[place]
        places = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        place = draw(st.sampled_from(places))
    inner[place] = draw(json_values())
    return json.dumps(whole[0]).encode()


@st.composite
def cut(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """One of the known bodies with something else in it, or a part of it."""
    body = draw(st.sampled_from(bodies))
    start, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
    return body[:start] + draw(st.binary(max_size=20)) + body[end:]


def known_bodies(subject: Subject) -> st.SearchStrategy[bytes]:
    """Answers and callbacks of the cases, none of them as it was."""
    found = [
        case[key]
        for name in SECTIONS
        for case in subject.section(name)
        for key in ("answer", "callback")
        if key in case
    ]
    for name, keys in (("codes", ["answer"]), ("statuses", ["callback", "poll"])):
        found += [subject.section(name)[key] for key in keys if key in subject.section(name)]
    of_json = [case["json"] for case in found if "json" in case]
    others = cut([b"", *(body_of(case) for case in found)])
    return spoiled(of_json) | others if of_json else others


def check_any_bytes(subject: Subject) -> None:
    provider, wanted = subject.make(), references_of([{"message_id": 1, "provider_ref": "1"}, {"message_id": 2}])
    size = min(2, provider.batch_size)
    attempts = attempts_of([{"destination": f"3809{number}", "text": "a"} for number in range(size)])

    def try_body(body: bytes, status: int, method: str) -> None:
        outcomes = provider.interpret(Response(status=status, body=body), attempts)
        assert len(outcomes) == len(attempts)
        for outcome in outcomes:
            assert isinstance(outcome, Accepted | Refused | Retry | Unsure)
            assert isinstance(outcome.native, str)
            if isinstance(outcome, Accepted):
                assert outcome.provider_ref is None or (isinstance(outcome.provider_ref, str) and outcome.provider_ref)
        look_at(provider.heard(Response(status=status, body=body), wanted))
        look_at_the_rest(provider, Response(status=status, body=body))
        query = {"status": body.decode("latin-1")[:50], "id": body.decode("latin-1")[:50]}
        callbacks = [Callback(method=method, body=body), Callback(method=method, query=query)]
        if isinstance(provider, Declared) and provider.parts.sign is not None:
            callbacks += [provider.signed(callback) for callback in callbacks]
        for callback in callbacks:
            heard = heard_or_refused(provider, callback)
            if isinstance(heard, Heard):
                look_at(heard)
            else:
                assert heard in (400, 401, 404, 405)

    for body in NASTY:
        for status in (200, 400, 500):
            for method in ("POST", "GET"):
                try_body(body, status, method)

    bodies = st.binary(max_size=200) | json_values().map(lambda value: json.dumps(value).encode())

    @hypothesis_settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        bodies | known_bodies(subject),
        st.sampled_from([200, 201, 204, 302, 400, 401, 404, 429, 500, 503]) | st.integers(100, 999),
        st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    )
    def fuzz(body: bytes, status: int, method: str) -> None:
        try_body(body, status, method)

    fuzz()


def look_at(heard: Heard) -> None:
    """Reports and inbound messages that the rest of the program can hold."""
    for item in heard.items:
        assert isinstance(item, Report | Inbound)
        assert item.at is None or -1e11 < item.at < 1e12, f"no moment is {item.at}"
        assert item.provider_ref is None or isinstance(item.provider_ref, str)
        if isinstance(item, Report):
            assert isinstance(item.state, State)
            assert isinstance(item.native, str)
            assert item.message_id is None or 0 < item.message_id < 2**63
            assert item.message_id is not None or item.provider_ref, "a report of nothing"


def look_at_the_rest(provider: Provider, response: Response) -> None:
    """The verbs that not every API has: nothing, or what the rest of the program can hold."""
    look_at(provider.inbox_of(response) or Heard())
    for money in (provider.balance_of(response), provider.price_of(response)):
        assert money is None or money.amount.is_finite(), f"no amount is {money}"
    token = provider.token_of(response)
    assert token is None or (token.value and (token.lifetime_s is None or token.lifetime_s >= 0))
    exports = provider.exports()
    if exports is not None:
        with suppress(NotExported):
            assert all(export.export_id for export in exports.listing_of(response)), "an export that cannot be had"
    with suppress(NotSetUp):
        assert isinstance(provider.setup(CALLBACK_URL, [response]), Request | str)
