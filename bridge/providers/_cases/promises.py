"""What every provider has to keep to, as its cases show it: one function a promise, each fails with an AssertionError.

Pure. The tests run all of them on every provider of the package, `smsbridge provider check` on a declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import asdict, replace
from pydantic import ValidationError

from bridge.message import Accepted, Reason, Report, Retry, State, Unsure
from bridge.providers import BadCallback, Callback, Heard, Provider, Response, fit
from bridge.providers._cases.making import (
    KEYS,
    SECTIONS,
    Subject,
    attempts_of,
    body_of,
    callback_of,
    exchange,
    filled,
    references_of,
    response_of,
    same_items,
    same_outcome,
    same_request,
    sample,
    secrets_of,
)
from bridge.providers._cases.promises_verbs import (
    check_balances,
    check_inboxes,
    check_logins,
    check_prices,
    check_setups,
)


def check_cases_are_complete(subject: Subject) -> None:
    """The cases are written as cases are, and show what must be shown."""
    assert set(subject.cases) <= KEYS["cases"], f"unknown sections {set(subject.cases) - KEYS['cases']}"
    for section in SECTIONS:
        names = [case["name"] for case in subject.section(section)]
        assert len(names) == len(set(names)), f"two {section} have one name"
        for case in subject.section(section):
            assert set(case) <= KEYS[section], f"{section}: {case['name']}: unknown {set(case) - KEYS[section]}"
    for section in ("codes", "statuses"):
        assert set(subject.section(section)) <= KEYS[section], f"{section}: unknown keys"
    kinds = {next(iter(outcome)) for case in subject.section("sends") for outcome in case["outcomes"]}
    assert {"accepted", "refused"} <= kinds, "sends show nothing accepted, or nothing refused"
    can = subject.make().capabilities
    if not (can.push_reports or can.poll_reports):
        return
    states = {
        item.get("state")
        for section in ("callbacks", "polls", "inboxes")
        for case in subject.section(section)
        for item in case.get("reports", [])
    }
    assert "delivered" in states, "no report shows a delivered message"
    assert states & {"undeliverable", "rejected"}, "no report shows an undelivered message"


def made_for(subject: Subject, case: Mapping[str, Any]) -> Provider:
    """The provider with the settings of a case."""
    return subject.make(**case.get("settings", {}))


def each_case(subject: Subject, section: str, check: Callable[[Subject, Mapping[str, Any]], None]) -> None:
    """Fails with a line for each case of a section that `check` fails for."""
    told = []
    for case in subject.section(section):
        try:
            check(subject, case)
        except AssertionError as error:
            told.append(f"{case['name']}: {error}")
    assert not told, "\n".join(told)


def check_settings(subject: Subject) -> None:
    """Settings load, and wrong ones are refused."""
    settings = subject.make().settings
    for wrong in [*subject.section("wrong_settings"), subject.cases["settings"] | {"no_such_key": 1}]:
        try:
            subject.settings.model_validate(wrong)
        except ValidationError:
            continue
        raise AssertionError(f"these settings should be refused: {wrong}")
    assert subject.settings.model_config.get("frozen"), "settings can be changed"
    assert settings.type == subject.name


def check_secrets_stay_secret(subject: Subject) -> None:
    """No secret shows in what is printed, logged or raised."""
    provider = subject.make(callback_token="t0ken-s3cret")  # noqa: S106 - a sample; every provider can have one
    secrets = secrets_of(provider.settings)
    shown = [repr(provider), repr(provider.settings), str(provider.settings), repr(provider.build([sample(subject)]))]
    shown += [repr(request) for request in provider.poll(references_of([{"message_id": 1, "provider_ref": "1"}]))]
    exports = provider.exports()
    if exports is not None:
        shown += [repr(exports), repr(exports.listing()), repr(exports.file("1"))]
    try:
        subject.settings.model_validate(subject.cases["settings"] | {"no_such_key": 1, "batch": -1})
    except ValidationError as error:
        shown += [str(error), repr(error)]
    for secret in secrets:
        shown += errors_shown(provider, secret)
    for text in shown:
        assert not any(secret in text for secret in secrets), f"a secret shows in {text.replace(secrets[0], '***')}"


def errors_shown(provider: Provider, secret: str) -> list[str]:
    """What a callback that carries a secret leaves behind in the error that refuses it."""
    try:
        provider.reports(Callback(method="POST", path=secret, query={"token": secret}, body=secret.encode()))
    except BadCallback as error:
        return [str(error), repr(error)]
    return []


def check_sends(subject: Subject) -> None:
    """Requests are as expected, built twice alike, and answers mean what they should."""
    each_case(subject, "sends", _send)


def _send(subject: Subject, case: Mapping[str, Any]) -> None:
    provider, attempts = made_for(subject, case), attempts_of(case["messages"])
    assert len({provider.batch_key(attempt.message) for attempt in attempts}) == 1, "they may not share a request"
    for attempt in attempts:
        assert fit(attempt.message, provider.capabilities) == attempt.message, "this never gets as far as build"
    request = provider.build(attempts)
    again = made_for(subject, case).build(attempts_of(case["messages"]))
    assert asdict(request) == asdict(again), "built twice, and not alike"
    if "request" in case:
        same_request(request, case["request"])
    response = exchange(provider, request, case.get("answer"))
    outcomes = provider.interpret(response, attempts)
    assert len(outcomes) == len(attempts) == len(case["outcomes"])
    refs = provider.provider_refs(attempts)
    for outcome, expected, ref in zip(outcomes, case["outcomes"], refs, strict=True):
        same_outcome(outcome, expected)
        if ref is not None and isinstance(outcome, Accepted) and outcome.provider_ref is not None:
            assert ref == outcome.provider_ref, f"unanswered, it would be looked for as {ref}"


def check_shared_meanings(subject: Subject) -> None:
    """HTTP statuses mean what they mean everywhere."""
    provider, attempts = subject.make(), [sample(subject)]
    bodies = [b"", b"{}", b"[]", b"<html>", b"null", *accepted_bodies(subject)]
    for body in bodies:
        for status in (408, 429, 500, 502, 503, 504, 599):
            (outcome,) = provider.interpret(Response(status=status, body=body), attempts)
            assert isinstance(outcome, Retry | Unsure), f"HTTP {status} loses the message: {outcome}"
            assert not (isinstance(outcome, Retry) and outcome.pause), f"HTTP {status} stops the lane"
        for status in (401, 403):
            (outcome,) = provider.interpret(Response(status=status, body=body), attempts)
            assert isinstance(outcome, Retry), f"HTTP {status} does not keep the message: {outcome}"
            assert outcome.pause, f"HTTP {status} does not stop the lane"
        for status in (301, 302, 307, 400, 404, 405, 413):
            (outcome,) = provider.interpret(Response(status=status, body=body), attempts)
            assert not isinstance(outcome, Accepted), f"HTTP {status} counts as accepted"
    (outcome,) = provider.interpret(Response(status=429, headers={"retry-after": "7"}), attempts)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 7.0, "Retry-After is not kept"
    for body in (b"", b"<html>", b"not what was agreed"):
        (outcome,) = provider.interpret(Response(status=200, body=body), attempts)
        assert isinstance(outcome, Unsure), f"an unreadable 200 is guessed to be {outcome}"


def accepted_bodies(subject: Subject) -> list[bytes]:
    """The answers of the cases that accept everything."""
    return [
        body_of(case["answer"])
        for case in subject.section("sends")
        if "answer" in case
        and all("accepted" in outcome for outcome in case["outcomes"])
        and not any("attempt" in message for message in case["messages"])  # that may be an error: "known already"
    ]


def check_codes(subject: Subject) -> None:
    """Every code of the table is in a case, and means what it says."""
    codes = subject.section("codes")
    documented = {str(code) for code in codes.get("outcomes", {})}
    assert {str(code) for code in subject.codes} <= documented, "a code in the table that no case documents"
    provider = subject.make()
    for code, expected in codes.get("outcomes", {}).items():
        (outcome,) = provider.interpret(response_of(filled(codes["answer"], "CODE", str(code))), [sample(subject)])
        try:
            same_outcome(outcome, expected)
        except AssertionError as error:
            raise AssertionError(f"code {code}: {error}") from error


def check_statuses(subject: Subject) -> None:
    """Every status of the table is in a case, and an unknown one is UNKNOWN."""
    statuses = subject.section("statuses")
    states = {str(word): state for word, state in statuses.get("states", {}).items()}
    assert {str(word) for word in subject.states} <= set(states), "a status in the table that no case documents"
    ways = {"callback", "poll"} & set(statuses)
    assert ways or not subject.states, "statuses say neither a callback nor a poll"
    for way in ways:
        for word, state in states.items():
            report = said(subject, way, filled(statuses[way], "STATUS", word))
            assert report.state is State[state.upper()], f"{word} is {report.state!r}"
            assert report.native == word, f"{word} is kept as {report.native}"
            assert report.state is not State.UNDELIVERABLE or report.reason is not None, f"{word} has no reason"
        report = said(subject, way, filled(statuses[way], "STATUS", "quite-new"))
        assert (report.state, report.native) == (State.UNKNOWN, "quite-new"), "an unknown status is guessed"


def said(subject: Subject, way: str, case: Mapping[str, Any]) -> Report:
    """The one report in a callback, or in the answer to a poll."""
    provider = subject.make()
    if way == "callback":
        heard = provider.reports(callback_of(case, provider))
    else:
        heard = provider.heard(response_of(case), references_of([{"message_id": 1}]))
    (report,) = heard.items
    assert isinstance(report, Report)
    return report


def check_callbacks(subject: Subject) -> None:
    """Callbacks say what they should, or are refused as they should."""
    each_case(subject, "callbacks", _callback)


def _callback(subject: Subject, case: Mapping[str, Any]) -> None:
    provider = made_for(subject, case)
    callback = callback_of(case["callback"], provider)
    heard = heard_or_refused(provider, callback)
    if "refused" in case:
        assert heard == case["refused"], f"{heard}"
        return
    assert isinstance(heard, Heard), f"refused with {heard}"
    assert 200 <= heard.status < 300, f"answered with {heard.status}"
    same_items(heard, case["reports"])


def heard_or_refused(provider: Provider, callback: Callback) -> Heard | int:
    """What a callback says, or the status it is refused with."""
    try:
        return provider.reports(callback)
    except BadCallback as error:
        return error.status


def check_polls(subject: Subject) -> None:
    """Polls ask as they should, and their answers say what they should."""
    each_case(subject, "polls", _poll)


def _poll(subject: Subject, case: Mapping[str, Any]) -> None:
    provider, wanted = made_for(subject, case), references_of(case["wanted"])
    assert len(wanted) <= provider.capabilities.poll_size, "more than it is ever asked for"
    requests = provider.poll(wanted)
    assert requests, "nothing is asked"
    if "requests" in case:
        assert len(requests) == len(case["requests"])
        for request, expected in zip(requests, case["requests"], strict=True):
            same_request(request, expected)
    same_items(provider.heard(exchange(provider, requests[0], case.get("answer")), wanted), case["reports"])


def check_capabilities(subject: Subject) -> None:
    """What is claimed is used and shown by a case; what is not claimed never gets as far as `build`."""
    provider = subject.make()
    can = provider.capabilities
    sends, callbacks, polls, inboxes = (subject.section(name) for name in ("sends", "callbacks", "polls", "inboxes"))

    def differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
        """True when what is built depends on what differs."""
        requests = [provider.build([sample(subject, **more)]) for more in (one, other)]
        return asdict(requests[0]) != asdict(requests[1])

    octets = {"text": None, "binary": "AQI="}
    shown = {
        "batch_size": any(len(case["messages"]) > 1 for case in sends),
        "idempotent": any(
            message.get("attempt", 1) > 1 and "accepted" in outcome
            for case in sends
            for message, outcome in zip(case["messages"], case["outcomes"], strict=True)
        ),
        "lookup": (can.poll_reports and provider.provider_refs([sample(subject)])[0] is not None)
        or any("provider_ref" not in each for case in polls if case["reports"] for each in case["wanted"]),
        "binary": differ(octets, octets | {"binary": "AwQ="}) and differ(octets, octets | {"udh": "AgEA"}),
        "flash": differ({}, {"flash": True}),
        "alphanumeric_source": differ({}, {"source": "Acme"}),
        "validity": differ({}, {"valid_s": 7200}),
        "schedule": differ({}, {"deliver_in_s": 600}),
        "push_reports": any(case.get("reports") for case in callbacks),
        "poll_reports": any(case["reports"] for case in polls),
        "inbound": any("state" not in item for case in callbacks + inboxes for item in case.get("reports", [])),
        "content": can.content == {each["content"]["kind"] for case in sends for each in kinds_shown(subject, case)},
    }
    claimed = {name: bool(getattr(can, name)) for name in shown} | {"batch_size": can.batch_size > 1}
    for name, claim in claimed.items():
        if claim:
            assert shown[name], f"{name} is claimed, and no case shows it"
    assert can.push_reports or not callbacks, "cases of callbacks, and push_reports is not claimed"
    assert can.poll_reports or can.lookup or not provider.poll(references_of([{"message_id": 1}])), "polls unclaimed"
    assert can.poll_size >= 1
    assert can.poll_rate is None or can.poll_rate > 0

    assert isinstance(fit(sample(subject, **octets).message, can), Reason) is not can.binary
    if "location" not in can.content:
        place = sample(subject, content={"kind": "location", "latitude": 1.0, "longitude": 2.0}).message
        assert fit(place, can) == replace(place, content=None)
        assert fit(replace(place, text=None), can) is Reason.UNSUPPORTED
    flash, source = sample(subject, flash=True).message, sample(subject, source="Acme").message
    assert fit(flash, can) == (flash if can.flash else replace(flash, flash=False))
    assert fit(source, can) == (source if can.alphanumeric_source else replace(source, source=None))
    assert fit(sample(subject, source="9" * (can.source_max + 1)).message, can) is Reason.INVALID_SOURCE
    assert can.alphanumeric_max is None or can.alphanumeric_max < can.source_max


def kinds_shown(subject: Subject, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a case whose content goes out by the settings that are looked at."""
    own = all(subject.cases["settings"].get(key) == value for key, value in case.get("settings", {}).items())
    return [message for message in case["messages"] if own and "content" in message]


def check_batches(subject: Subject) -> None:
    """A full batch holds every message."""
    provider = subject.make()
    assert 1 <= provider.batch_size == provider.capabilities.batch_size
    assert subject.make(batch=1).batch_size == 1
    size = provider.batch_size
    messages = [{"destination": f"38097{number:07}", "text": f"text {number}"} for number in range(size)]
    attempts = attempts_of(messages)
    request = provider.build(attempts)
    body = (request.body or b"").decode() + request.url
    for attempt in attempts:
        assert attempt.message.destination in body, "a full batch lacks a message"
    assert len(provider.interpret(Response(status=200), attempts)) == len(provider.provider_refs(attempts)) == size


# Those that do not depend on the sample settings of the cases alone.
ALWAYS = (check_secrets_stay_secret, check_shared_meanings, check_batches)


def check_variants(subject: Subject) -> None:
    """What does not depend on cases holds with other settings too."""
    for variant in subject.variants():
        for check in ALWAYS:
            check(variant)


CHECKS: list[Callable[[Subject], None]] = [
    check_cases_are_complete,
    check_settings,
    check_secrets_stay_secret,
    check_sends,
    check_shared_meanings,
    check_codes,
    check_statuses,
    check_callbacks,
    check_polls,
    check_capabilities,
    check_batches,
    check_variants,
    check_inboxes,
    check_balances,
    check_prices,
    check_setups,
    check_logins,
]
