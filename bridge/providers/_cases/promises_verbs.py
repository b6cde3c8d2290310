"""The promises about the verbs that not every API has: a case shows each one that is there, and none that is not.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict

from bridge.message import Inbound
from bridge.providers import Money, NotSetUp, Provider, Request, Response, Token
from bridge.providers._cases.making import (
    CALLBACK_URL,
    NOW,
    Subject,
    attempts_of,
    response_of,
    same_items,
    same_request,
    sample,
    secrets_of,
)

SINCE = NOW - 3600


def made_for(subject: Subject, case: Mapping[str, Any]) -> Provider:
    """The provider with the settings of a case."""
    return subject.make(**case.get("settings", {}))


def shown(subject: Subject, section: str, asks: Callable[[Provider], object]) -> list[dict[str, Any]]:
    """The cases of a section, which exist when the provider asks with any of its settings, and only then."""
    cases: list[dict[str, Any]] = subject.section(section)
    able = any(asks(each.make()) is not None for each in (subject, *subject.variants()))
    assert able or not cases, f"{section} have cases, and the provider asks for nothing"
    assert cases or not able, f"the provider asks, and no case of {section} shows it"
    return cases


def same_as(provider: Provider, request: Request | None, case: Mapping[str, Any]) -> None:
    """The request must be as the case says."""
    assert request is not None, f"{case['name']}: nothing is asked"
    same_request(request, case["request"])
    assert not any(secret in repr(request) for secret in secrets_of(provider.settings)), "a secret shows in repr"


def check_inboxes(subject: Subject) -> None:
    """What is asked for inbound messages, and what came."""
    for case in shown(subject, "inboxes", lambda provider: provider.inbox(SINCE, NOW)):
        provider = made_for(subject, case)
        same_as(provider, provider.inbox(SINCE, NOW), case)
        heard = provider.inbox_of(response_of(case["answer"]))
        if "reports" not in case:
            assert heard is None, f"{case['name']}: {heard}"
            continue
        assert heard is not None, f"{case['name']}: refused"
        same_items(heard, case["reports"])
        nameless = [item for item in heard.items if isinstance(item, Inbound) and not item.provider_ref]
        assert not nameless, "asked for again, these would be taken for others"


def check_balances(subject: Subject) -> None:
    """What is asked for the balance, and what it is."""
    for case in shown(subject, "balances", lambda provider: provider.balance()):
        provider = made_for(subject, case)
        same_as(provider, provider.balance(), case)
        same_money(provider.balance_of(response_of(case["answer"])), case)


def check_prices(subject: Subject) -> None:
    """What is asked for a price, and what it is; nothing is sent by it."""
    for case in shown(subject, "prices", lambda provider: provider.price([sample(subject)])):
        provider, attempts = made_for(subject, case), attempts_of(case["messages"])
        request = provider.price(attempts)
        same_as(provider, request, case)
        assert asdict(provider.build(attempts)) != asdict(request), "what asks for a price sends"  # type: ignore[arg-type]
        same_money(provider.price_of(response_of(case["answer"])), case)


def same_money(money: Money | None, case: Mapping[str, Any]) -> None:
    """`money` of a case is [amount, currency]; without it, the answer says nothing."""
    expected = None
    if "money" in case:
        amount, currency = case["money"]
        expected = Money(Decimal(amount), currency)
    assert money == expected, f"{case['name']}: {money}"


def check_setups(subject: Subject) -> None:
    """The steps by which callbacks are set up."""

    def asks(provider: Provider) -> object:
        return None if type(provider).setup is Provider.setup else provider.setup(CALLBACK_URL, [])

    for case in shown(subject, "setups", asks):
        provider, answers = made_for(subject, case), list[Response]()
        for step in case.get("steps", []):
            request = provider.setup(CALLBACK_URL, answers)
            assert isinstance(request, Request), f"{case['name']}: {request}"
            same_as(provider, request, {"name": case["name"], **step})
            answers.append(response_of(step["answer"]))
        expected = {key: case[key] for key in ("done", "refused") if key in case}
        assert said_at_the_end(provider, answers) == expected, case["name"]


def said_at_the_end(provider: Provider, answers: list[Response]) -> dict[str, object]:
    """What is said when there is nothing left to ask."""
    try:
        return {"done": provider.setup(CALLBACK_URL, answers)}
    except NotSetUp as error:
        return {"refused": str(error)}


def check_logins(subject: Subject) -> None:
    """What is asked for a token, and how requests carry it."""
    for case in shown(subject, "logins", lambda provider: provider.login()):
        provider = made_for(subject, case)
        same_as(provider, provider.login(), case)
        token = provider.token_of(response_of(case["answer"]))
        if "token" not in case:
            assert token is None, f"{case['name']}: a token of nothing"
            continue
        assert token is not None, f"{case['name']}: no token"
        assert token == Token(*case["token"]), case["name"]
        plain = provider.build([sample(subject)])
        request = provider.authorise(plain, token)
        assert asdict(request) != asdict(plain), "a request with the token is as one without"
        assert token.value not in repr(request) + repr(token), "the token shows in repr"
        for name, value in case.get("headers", {}).items():
            assert request.headers.get(name) == value, f"header {name}"
