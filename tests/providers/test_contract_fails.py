"""A rule that cannot fail is no rule: each check is shown a provider, or cases, that break it."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from providers.hostile import check_any_bytes
from providers.subjects import no_network, subject
from pydantic import ConfigDict

from bridge.message import Accepted, Inbound, Outcome, Reason, Refused, Report, State
from bridge.providers import (
    Attempt,
    Callback,
    Capabilities,
    Heard,
    Money,
    NotSetUp,
    Request,
    Response,
    Token,
    _template,
)
from bridge.providers._cases import promises as contract
from bridge.providers._cases.making import CALLBACK_URL, Subject
from bridge.providers._cases.promises import CHECKS
from bridge.providers._contract import status_outcome

Defect = Callable[[Subject], Subject]


def cases(change: Callable[[dict[str, Any]], object]) -> Defect:
    """Sound provider, broken cases."""

    def apply(sound: Subject) -> Subject:
        broken = copy.deepcopy(sound.cases)
        change(broken)
        return replace(sound, cases=broken)

    return apply


def code(**methods: Any) -> Defect:
    """Sound cases, a provider with other methods."""
    return lambda sound: replace(sound, provider=type("Broken", (_template.Provider,), methods))


def able(**claims: Any) -> Defect:
    """A provider that claims more, or less, than it does."""
    changed = msgspec.structs.replace(_template.Provider.capabilities, **claims)
    return code(capabilities=changed)


class Forgiving(_template.Settings):
    model_config = ConfigDict(extra="ignore")


class Shown(_template.Provider):
    def __repr__(self) -> str:
        return f"Shown({self.settings.token.get_secret_value()})"


calls = iter(range(10**9))


class Restless(_template.Provider):
    def build(self, attempts: Sequence[Attempt]) -> Request:
        return msgspec.structs.replace(super().build(attempts), headers={"X-Call": str(next(calls))})


class Trusting(_template.Provider):
    """Believes any status below 500, and any body."""

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        return [Accepted(provider_ref="x")] * len(attempts) if response.status < 500 else [status_outcome(response)]


class Impatient(_template.Provider):
    """Gives a message up when its provider is out of order."""

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        if response.status == 503:
            return [Refused(reason=Reason.PROVIDER_UNREACHABLE)]
        return super().interpret(response, attempts)


class Fragile(_template.Provider):
    """Expects JSON, always."""

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        msgspec.json.decode(response.body)
        return super().interpret(response, attempts)


class Guessing(_template.Provider):
    """Takes a status that it does not know for a failure."""

    def reports(self, callback: Callback) -> Heard:
        heard = super().reports(callback)
        return msgspec.structs.replace(heard, items=[self.guess(item) for item in heard.items])

    @staticmethod
    def guess(report: Any) -> Report:
        state = State.UNDELIVERABLE if report.state is State.UNKNOWN else report.state
        return msgspec.structs.replace(report, state=state, reason=report.reason or Reason.UNSPECIFIED)


class Wordless(_template.Provider):
    """Drops the provider's own word."""

    def reports(self, callback: Callback) -> Heard:
        heard = super().reports(callback)
        return msgspec.structs.replace(heard, items=[msgspec.structs.replace(item, native="") for item in heard.items])


class Empty(_template.Provider):
    """Makes reports of nothing."""

    def reports(self, callback: Callback) -> Heard:
        return Heard(items=[Report(state=State.DELIVERED)])


class Online(_template.Provider):
    def build(self, attempts: Sequence[Attempt]) -> Request:
        socket.getaddrinfo("provider.example", 443)
        return super().build(attempts)


class Crowded(_template.Provider):
    """Says that it takes ten, and sends the first."""

    capabilities = msgspec.structs.replace(_template.Provider.capabilities, batch_size=10)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        return super().interpret(response, attempts) * len(attempts)


class Asking(_template.Provider):
    """Has every verb, and no case that shows it; what it says is right."""

    def inbox(self, since: float, now: float) -> Request | None:
        return Request(method="GET", url="https://host/inbox")

    def inbox_of(self, response: Response) -> Heard | None:
        return Heard(items=[Inbound(source="1", destination="2", text="a")]) if response.status == 200 else None

    def balance(self) -> Request | None:
        return Request(method="GET", url="https://host/balance")

    def balance_of(self, response: Response) -> Money | None:
        return Money(Decimal("1.50"), "EUR") if response.status == 200 else None

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        return Request(method="GET", url="https://host/price")

    def price_of(self, response: Response) -> Money | None:
        return self.balance_of(response)

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        if not answers:
            return Request(method="POST", url="https://host/setup", body=callback_url.encode())
        if answers[-1].status != 200:
            raise NotSetUp("refused")
        return "done"

    def login(self) -> Request | None:
        return Request(method="POST", url="https://host/login")

    def token_of(self, response: Response) -> Token | None:
        return Token("abc", 60.0) if response.status == 200 else None


class Sending(Asking):
    """Sends when it is asked for the price."""

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        return self.build(attempts)


class Forgetful(Asking):
    """Fetches a token and does not use it."""

    def authorise(self, request: Request, token: Token) -> Request:
        return request


class Misnaming(_template.Provider):
    """Would look for its messages by a name that they do not have."""

    def provider_refs(self, attempts: Sequence[Attempt]) -> Sequence[str | None]:
        return ["other"] * len(attempts)


def asking(section: str, *shown: dict[str, Any], provider: type = Asking) -> Defect:
    """A provider with every verb, and cases of one of them."""

    def apply(sound: Subject) -> Subject:
        return replace(sound, provider=provider, cases=sound.cases | {section: list(shown)})

    return apply


def made_of(provider: type) -> Defect:
    return lambda sound: replace(sound, provider=provider)


GET: dict[str, Any] = {"name": "a", "request": {"method": "GET", "url": "https://host/inbox"}}
PAID = GET | {"request": {"method": "GET", "url": "https://host/balance"}, "answer": {}}
PRICED = PAID | {"request": {"method": "GET", "url": "https://host/price"}, "messages": [{"destination": "1"}]}
SENT = {
    "name": "a",
    "messages": [{"destination": "1", "text": "a"}],
    "request": {
        "method": "POST",
        "url": "https://api.provider.example/v1/messages",
        "json": {"to": "1", "text": "a", "ref": "0123456789ab1", "valid_s": 3600, "from": "Bridge"},
    },
    "answer": {},
    "money": ["1.50", "EUR"],
}
SET_UP = {
    "name": "a",
    "steps": [{"request": {"method": "POST", "url": "https://host/setup", "text": CALLBACK_URL}, "answer": {}}],
}
LOGIN = PAID | {"request": {"method": "POST", "url": "https://host/login"}}
HEADED = {"token": ["abc", 60.0], "headers": {"Authorization": "Bearer other"}}

DEFECTS: list[tuple[str, Callable[[Subject], None], Defect]] = [
    ("no refused", contract.check_cases_are_complete, cases(lambda c: c["sends"].pop(3))),
    ("no delivered", contract.check_cases_are_complete, cases(lambda c: c["callbacks"].pop(0))),
    ("no undelivered", contract.check_cases_are_complete, cases(lambda c: c["callbacks"].pop(1))),
    ("misspelt key", contract.check_cases_are_complete, cases(lambda c: c["sends"][0].update(outcome=[]))),
    ("misspelt section", contract.check_cases_are_complete, cases(lambda c: c.update(callback=[]))),
    ("one name twice", contract.check_cases_are_complete, cases(lambda c: c["sends"].append(c["sends"][0]))),
    ("unknown settings taken", contract.check_settings, lambda sound: replace(sound, settings=Forgiving)),
    ("nothing wrong", contract.check_settings, cases(lambda c: c["wrong_settings"].append(c["settings"]))),
    ("plain secret", contract.check_secrets_stay_secret, lambda sound: replace(sound, provider=Shown)),
    ("another request", contract.check_sends, cases(lambda c: c["sends"][0]["request"].update(method="PUT"))),
    ("another body", contract.check_sends, cases(lambda c: c["sends"][0]["request"]["json"].update(to="1"))),
    ("another header", contract.check_sends, cases(lambda c: c["sends"][0]["request"]["headers"].update(X="y"))),
    ("another outcome", contract.check_sends, cases(lambda c: c["sends"][0].update(outcomes=[{"unsure": {}}]))),
    (
        "another reason",
        contract.check_sends,
        cases(lambda c: c["sends"][3].update(outcomes=[{"refused": {"reason": "blocked"}}])),
    ),
    ("not twice alike", contract.check_sends, made_of(Restless)),
    ("what does not fit", contract.check_sends, cases(lambda c: c["sends"][0]["messages"][0].update(source="9" * 12))),
    ("trusts any status", contract.check_shared_meanings, made_of(Trusting)),
    ("gives up on 503", contract.check_shared_meanings, made_of(Impatient)),
    ("undocumented code", contract.check_codes, cases(lambda c: c["codes"]["outcomes"].pop("busy"))),
    ("another meaning", contract.check_codes, cases(lambda c: c["codes"]["outcomes"].update(busy={"unsure": {}}))),
    (
        "pause forgotten",
        contract.check_codes,
        cases(lambda c: c["codes"]["outcomes"]["no_credit"]["retry"].pop("pause")),
    ),
    ("undocumented status", contract.check_statuses, cases(lambda c: c["statuses"]["states"].pop("queued"))),
    ("another state", contract.check_statuses, cases(lambda c: c["statuses"]["states"].update(queued="expired"))),
    ("guesses", contract.check_statuses, made_of(Guessing)),
    ("drops the word", contract.check_statuses, made_of(Wordless)),
    ("another report", contract.check_callbacks, cases(lambda c: c["callbacks"][0]["reports"][0].update(message_id=2))),
    ("a report too many", contract.check_callbacks, cases(lambda c: c["callbacks"][0]["reports"].clear())),
    ("not refused", contract.check_callbacks, cases(lambda c: c["callbacks"][0].update(refused=400))),
    ("another refusal", contract.check_callbacks, cases(lambda c: c["callbacks"][3].update(refused=400))),
    (
        "asks nothing",
        contract.check_polls,
        cases(lambda c: c.update(polls=[{"name": "a", "wanted": [{"message_id": 1}], "answer": {}, "reports": []}])),
    ),
    ("claims binary", contract.check_capabilities, able(binary=True)),
    ("claims flash", contract.check_capabilities, able(flash=True)),
    ("claims schedule", contract.check_capabilities, able(schedule=True)),
    ("claims inbound", contract.check_capabilities, able(inbound=True)),
    ("claims polling", contract.check_capabilities, able(poll_reports=True)),
    ("claims lookup", contract.check_capabilities, able(lookup=True)),
    ("claims batches", contract.check_capabilities, able(batch_size=2)),
    ("hides callbacks", contract.check_capabilities, able(push_reports=False)),
    ("never repeated", contract.check_capabilities, cases(lambda c: c["sends"].pop(2))),
    ("inbox not shown", contract.check_inboxes, asking("inboxes")),
    (
        "inbound without a name",
        contract.check_inboxes,
        asking("inboxes", GET | {"answer": {}, "reports": [{"source": "1", "destination": "2", "text": "a"}]}),
    ),
    ("inbox understood in part", contract.check_inboxes, asking("inboxes", GET | {"answer": {}, "reports": []})),
    ("inbox never refused", contract.check_inboxes, asking("inboxes", GET | {"answer": {}})),
    ("inbox shown, and not there", contract.check_inboxes, cases(lambda c: c.update(inboxes=[GET]))),
    ("balance not shown", contract.check_balances, asking("balances")),
    ("another balance", contract.check_balances, asking("balances", PAID | {"money": ["1.5", "USD"]})),
    ("balance of nothing", contract.check_balances, asking("balances", PAID)),
    ("price not shown", contract.check_prices, asking("prices")),
    ("another price", contract.check_prices, asking("prices", PRICED | {"money": ["2", "EUR"]})),
    ("sends for a price", contract.check_prices, asking("prices", SENT, provider=Sending)),
    ("setup not shown", contract.check_setups, asking("setups")),
    ("setup says something else", contract.check_setups, asking("setups", SET_UP | {"done": "set up"})),
    ("setup not refused", contract.check_setups, asking("setups", SET_UP | {"refused": "refused"})),
    ("login not shown", contract.check_logins, asking("logins")),
    ("another token", contract.check_logins, asking("logins", LOGIN | {"token": ["abd", 60.0]})),
    ("token not used", contract.check_logins, asking("logins", LOGIN | {"token": ["abc", 60.0]}, provider=Forgetful)),
    ("another header", contract.check_logins, asking("logins", LOGIN | HEADED)),
    ("found by another name", contract.check_sends, made_of(Misnaming)),
    ("claims content", contract.check_capabilities, able(content=frozenset({"photo"}))),
    ("polls for none", contract.check_capabilities, able(poll_size=0)),
    ("polls at no rate", contract.check_capabilities, able(poll_rate=0.0)),
    (
        "a variant that breaks",
        contract.check_variants,
        lambda sound: replace(
            sound, provider=Crowded, cases=sound.cases | {"settings": sound.cases["settings"], "variants": [{}]}
        ),
    ),
    ("sends one of ten", contract.check_batches, made_of(Crowded)),
    ("expects JSON", check_any_bytes, made_of(Fragile)),
    ("reports of nothing", check_any_bytes, made_of(Empty)),
]


@pytest.mark.parametrize(("check", "defect"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_check_finds_the_defect(check: Callable[[Subject], None], defect: Defect) -> None:
    sound = subject("_template")
    with no_network(), pytest.raises((AssertionError, msgspec.DecodeError)):
        check(defect(sound))


def test_verbs_that_are_shown_are_sound() -> None:
    """So that the defects above are found for what they are."""
    shown = {
        "balances": [PAID | {"money": ["1.50", "EUR"]}],
        "prices": [PRICED | {"money": ["1.50", "EUR"]}],
        "setups": [SET_UP | {"done": "done"}],
        "logins": [LOGIN | {"token": ["abc", 60.0], "headers": {"Authorization": "Bearer abc"}}],
    }
    sound = subject("_template")
    sound = replace(sound, provider=Asking, cases=sound.cases | shown)
    for check in (contract.check_balances, contract.check_prices, contract.check_setups, contract.check_logins):
        check(sound)


@pytest.mark.parametrize("check", [*CHECKS, check_any_bytes], ids=lambda check: check.__name__)
def test_every_check_has_a_defect(check: Callable[[Subject], None]) -> None:
    assert check in {row[1] for row in DEFECTS}


def test_network_is_noticed() -> None:
    with no_network(), pytest.raises(AssertionError, match="opened a socket"):
        contract.check_sends(replace(subject("_template"), provider=Online))


def test_provider_without_cases_is_noticed() -> None:
    with pytest.raises(AssertionError, match="has no cases"):
        subject("_contract")


def test_capabilities_have_each_a_check() -> None:
    """A capability that is added to the contract needs a way to be shown."""
    checked = {"batch_size", "idempotent", "lookup", "binary", "flash", "alphanumeric_source", "validity", "schedule"}
    checked |= {"push_reports", "poll_reports", "inbound", "content", "poll_size", "poll_rate"}
    limits = {"source_max", "alphanumeric_max", "text_max"}
    assert {field.name for field in msgspec.structs.fields(Capabilities)} == checked | limits
