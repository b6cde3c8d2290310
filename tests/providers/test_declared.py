"""A declaration as a provider: its settings, what it can do, its problems, and the file that changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bridge import providers
from bridge.errors import ConfigError
from bridge.message import Message
from bridge.providers import Attempt, Callback, Capabilities, Provider, Reference, References

REFERENCES = References("0123456789ab")
SOUND: dict[str, Any] = {
    "about": "Acme: SMS.",
    "documents": "https://acme.example/docs",
    "settings": {"base_url": "url", "key": "secret", "sender": {"optional": True}},
    "send": {"url": "{settings.base_url}/sms/{to}", "json": {"text": "{text}", "from": "{from|or:settings.sender}"}},
    "answer": {"ref": "id"},
    "report": {"id": "id", "status": "status"},
    "states": {"OK": "delivered"},
}
SETTINGS = {"type": "acme", "base_url": "https://acme.example/api", "key": "k3y-s3cret"}


def declare(folder: Path, **changed: Any) -> Path:
    path = folder / "acme.yaml"
    path.write_text(yaml.safe_dump(SOUND | changed, sort_keys=False))
    return path


def made(folder: Path, settings: dict[str, Any] | None = None, **changed: Any) -> Provider:
    module = providers.declared(declare(folder, **changed))
    return module.Provider("p", module.Settings.model_validate(SETTINGS | (settings or {})), REFERENCES)


def attempt(**fields: Any) -> Attempt:
    known = {"message_id": 1, "account": "a", "listener": "http", "accepted_at": 0.0, "expires_at": 3600.0}
    message = Message(**(known | {"destination": "380972000001", "text": "hi"} | fields))
    return Attempt(message, REFERENCES.of(message.message_id))


def problems(folder: Path, **changed: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        providers.declared(declare(folder, **changed))
    return list(caught.value.problems)


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "good", "wrong"),
    [
        ("text", "a", ""),
        ("secret", "s", ""),
        ("url", "https://a.example", "ftp://a"),
        ({"kind": "number", "least": 1, "most": 9}, 9, 10),
        ("flag", True, "perhaps"),
        ({"kind": "choice", "choices": ["eu", "us"]}, "eu", "de"),
        ("networks", ["192.0.2.0/24"], ["192.0.2.1/24"]),
    ],
)
def test_setting_of_each_kind(tmp_path: Path, declared: Any, good: Any, wrong: Any) -> None:
    kind = providers.declared(declare(tmp_path, settings=SOUND["settings"] | {"x": declared})).Settings
    kind.model_validate(SETTINGS | {"x": good})
    for value in ({"x": wrong}, {}):
        with pytest.raises(ValidationError):
            kind.model_validate(SETTINGS | value)


def test_setting_that_may_be_left_out(tmp_path: Path) -> None:
    settings = SOUND["settings"] | {"a": {"kind": "secret", "optional": True}, "b": {"default": "x"}}
    kind = providers.declared(declare(tmp_path, settings=settings)).Settings
    found = kind.model_validate(SETTINGS)
    assert (getattr(found, "a"), getattr(found, "b")) == (None, "x")  # noqa: B009 - they are declared, not written
    assert "k3y-s3cret" not in repr(found)


# --- what it does -------------------------------------------------------------------------------------------------


def test_values_in_a_url_are_encoded_and_url_settings_are_not(tmp_path: Path) -> None:
    provider = made(tmp_path, send={"url": "{settings.base_url}/{text}", "query": {"a": "{text}"}})
    assert provider.build([attempt(text="a/b?ї")]).url == "https://acme.example/api/a%2Fb%3F%D1%97?a=a%2Fb%3F%D1%97"


def test_capabilities_are_those_of_the_templates(tmp_path: Path) -> None:
    assert made(tmp_path).capabilities == Capabilities(push_reports=True)
    fields = {
        "t": {"each": {"to": "{to}", "f": "{flash}", "b": "{binary|hex}", "u": "{udh|hex}", "v": "{validity_s}"}},
        "d": "{deliver_at}",
    }
    polled = {"url": "{settings.base_url}/q", "query": {"r": {"each": "{reference}"}}, "id": "id", "status": "s"}
    provider = made(
        tmp_path,
        send={"url": "{settings.base_url}/x", "json": fields, "max": 9},
        capabilities={"idempotent": True, "text_max": 70, "source_max": 11},
        inbound={"from": "f", "to": "t", "text": "x"},
        poll={"max": 5, **polled},
    )
    assert provider.capabilities == Capabilities(
        batch_size=9, idempotent=True, lookup=True, binary=True, flash=True, alphanumeric_source=False, source_max=11,
        text_max=70, validity=True, schedule=True, push_reports=True, poll_reports=True, inbound=True, poll_size=5,
    )  # fmt: skip


def test_messages_share_a_request_where_what_is_outside_of_each_is_alike(tmp_path: Path) -> None:
    send = {"url": "{settings.base_url}", "max": 3, "json": {"text": "{text}", "v": "{validity_s|hours}",
                                                            "to": {"each": "{to}"}}}  # fmt: skip
    provider = made(tmp_path, send=send)
    keys = [provider.batch_key(attempt(**fields).message) for fields in (
        {}, {"destination": "380"}, {"expires_at": 3500.0}, {"text": "other"}, {"expires_at": 7200.0}
    )]  # fmt: skip
    assert [key == keys[0] for key in keys] == [True, True, True, False, False]
    assert made(tmp_path).batch_key(attempt().message) is None


def test_poll_asks_only_for_what_can_be_named(tmp_path: Path) -> None:
    poll = {"url": "{settings.base_url}/{provider_ref}", "status": "s"}
    provider = made(tmp_path, poll=poll)
    wanted = [Reference(1, REFERENCES.of(1), "a/b"), Reference(2, REFERENCES.of(2))]
    assert [request.url for request in provider.poll(wanted)] == ["https://acme.example/api/a%2Fb"]
    assert not provider.capabilities.lookup


def test_answer_to_a_poll_of_one_is_about_that_one(tmp_path: Path) -> None:
    provider = made(tmp_path, poll={"url": "{settings.base_url}/{reference}", "status": "s"})
    heard = provider.heard(providers.Response(status=200, body=b'{"s":"ok"}'), [Reference(7, REFERENCES.of(7))])
    assert [item.message_id for item in heard.items if hasattr(item, "message_id")] == [7]
    assert provider.heard(providers.Response(status=404, body=b'{"s":"ok"}'), [Reference(7, "x")]).items == ()


def test_reply_is_the_declared_one(tmp_path: Path) -> None:
    provider = made(tmp_path, reply={"status": 202, "body": "<Response/>", "type": "text/xml"})
    heard = provider.reports(Callback(method="POST", body=b'{"id":1,"status":"ok"}'))
    assert (heard.status, heard.body, heard.content_type) == (202, b"<Response/>", "text/xml")


def test_a_provider_without_reports_takes_no_callbacks(tmp_path: Path) -> None:
    changed = SOUND | {"report": None, "states": {}}
    path = tmp_path / "acme.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in changed.items() if value is not None}))
    module = providers.declared(path)
    provider = module.Provider("p", module.Settings.model_validate(SETTINGS), REFERENCES)
    with pytest.raises(providers.BadCallback) as caught:
        provider.reports(Callback(method="POST"))
    assert caught.value.status == 404


# --- problems -----------------------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("""\
about: Acme
documents: https://acme.example
settings: {base_url: url, tokn: {kind: secrt}, rate: text}
send:
  url: "{settings.base_ul}/x"
  formm: {}
  json: {a: "{txt}", b: "{to|pluss}", c: "{"}
answer:
  ref: "$.["
  rules: [{status: 2x, then: accepted}, {then: refusd}, {then: refused blokd}]
codes: {1: refused invalid_destinaton}
report: {status: s, as: xml, at: {path: "//x[", timezone: Europe/Berlin}}
states: {a: delivred}
verify: [{hmac: {given: "{header.x}", over: "{bdy}", key: k}}, {}]
""")
    with pytest.raises(ConfigError) as caught:
        providers.declared(path)
    assert list(caught.value.problems) == [
        "acme.yaml:3: settings.rate: every provider has this setting; call yours something else",
        'acme.yaml:3: settings.tokn.kind: not a valid word; did you mean "secret"?',
        'acme.yaml:5: send.url: no variable is called "settings.base_ul"; did you mean "settings.base_url"?',
        'acme.yaml:6: send.formm: unknown key; did you mean "form"?',
        'acme.yaml:7: send.json.a: no variable is called "txt"; did you mean "text"?',
        'acme.yaml:7: send.json.b: no filter is called "pluss"; did you mean "plus"?',
        'acme.yaml:7: send.json.c: a brace that is alone; write "{{" for the character',
        "acme.yaml:9: answer.ref: not a JSONPath: expected a shorthand selector",
        'acme.yaml:10: answer.rules[0]: "2x" is no status: 200, 2xx or 400-404',
        'acme.yaml:10: answer.rules[1]: no valid word: "refusd"; did you mean "refused"?',
        'acme.yaml:10: answer.rules[2]: no valid word: "blokd"; did you mean "blocked"?',
        'acme.yaml:11: codes.1: no valid word: "invalid_destinaton"; did you mean "invalid_destination"?',
        "acme.yaml:12: report: needs id or reference: of which message it is",
        "acme.yaml:12: report.at.path: not an XPath: Invalid expression",
        'acme.yaml:13: states.a: no valid word: "delivred"; did you mean "delivered"?',
        'acme.yaml:14: verify[0].hmac.over: no variable is called "bdy"; did you mean "body"?',
        "acme.yaml:14: verify[1]: each item is one check: secret, basic, hmac, hash, ed25519, jwt or networks",
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"send": {"url": "{settings.base_url}", "form": {}, "json": {}}}, "send: one body is enough: form, json"),
        ({"send": {"url": "{settings.base_url}", "json": {"a": "{to}"}, "max": 2}}, "needs an `each`"),
        (
            {"send": {"url": "{settings.base_url}", "json": {"r": "{reference}", "t": {"each": "{to}"}}, "max": 2}},
            "send: {reference} outside of `each` would be that of one message only",
        ),
        ({"send": {"url": "{settings.base_url}/{settings.sender}"}}, "send: a value in the URL is missing"),
        ({"send": {"url": "{settings.base_url}", "xml": {"a": 1, "b": 2}}}, "send: XML has one root"),
        ({"send": {"url": "{settings.base_url}", "json": {"a": "{binary}"}}}, "send.json.a: {binary} are bytes"),
        ({"send": {"url": "{settings.base_url}", "json": {"each": 1, "max": 2}}}, "each stands alone"),
        ({"answer": {}}, "answer: nothing says when a message is accepted"),
        ({"answer": {"ref": "id", "rules": [{"where": {"a": {}}, "then": "unsure"}]}}, "answer.rules[0]"),
        ({"states": {}}, "states: reports have words"),
        ({"report": {"id": "id", "status": "s", "at": {"path": "t", "timezone": "Mars/Base"}}}, "report.at"),
        ({"settings": {"base_url": "url", "c": {"kind": "choice"}}}, "settings.c: a choice needs choices"),
        ({"settings": {"base_url": {"kind": "url", "default": "no"}, "sender": "text"}}, "settings.base_url.default: "),
        ({"settings": {"Base": "url"}}, "settings.Base"),
        ({"verify": [{"networks": "settings.key"}]}, "verify[0]: a list of networks"),
        ({"reasons": {"1": "soon"}}, 'reasons.1: no valid word: "soon"'),
        ({"reply": {"status": 500}}, "reply.status"),
        ({"capabilities": {"bach": 1}}, "capabilities.bach: unknown key"),
        ({"about": None}, "about: is empty"),
    ],
)
def test_problem_is_told(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    assert any(told in problem for problem in problems(tmp_path, **changed)), problems(tmp_path, **changed)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\0", "about: &a x\nb: *a"])
def test_file_that_says_nothing_is_a_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"acme\.yaml:\d"):
        providers.declared(path)


def test_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        providers.declared(tmp_path / "gone.yaml")


# --- the file -----------------------------------------------------------------------------------------------------


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = declare(tmp_path)
    first = providers.declared(path)
    assert providers.declared(path) is first
    declare(tmp_path, about="Acme: another.")
    os.utime(path, ns=(1, 1))
    assert (providers.declared(path).__doc__ or "").startswith("Acme: another.")


@pytest.mark.parametrize("path", sorted(providers.FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_declaration_is_short_and_names_its_source(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    assert text.startswith("# ")
    assert "http" in text.partition("\nabout:")[0]
