"""Routes and inbound rules: what they accept, what they match, and how a decision explains itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.errors import ConfigError
from bridge.message import Inbound, Message
from bridge.routing.rules import InboundRouter, InboundRule, Route, Router, literal_prefix, matcher

PROVIDERS = {"bsg", "sms-center", "virtual"}


def route(**keys: Any) -> Route:
    keys.setdefault("send", ["virtual"])
    return Route.model_validate(keys)


def message(
    destination: str = "380501234567", source: str | None = "Acme", account: str = "shop", listener: str = "smpp"
) -> Message:
    return Message(
        message_id=1,
        account=account,
        listener=listener,
        destination=destination,
        source=source,
        text="hello",
        accepted_at=0.0,
        expires_at=60.0,
    )


def inbound(destination: str = "380441112233", text: str = "hello") -> Inbound:
    return Inbound(source="380501234567", destination=destination, text=text)


# --- settings


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("+380*", "380*"),
        ("380*", "380*"),
        ("*", "*"),
        (380501234567, "380501234567"),
        (" +4915????????? ", "4915?????????"),
    ],
)
def test_number_patterns(written: object, held: str) -> None:
    assert route(to=written).to == held
    assert InboundRule.model_validate({"to": written, "account": "shop"}).to == held


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "a number pattern is digits"),
        ("+", "a number pattern is digits"),
        ("UA*", "a number pattern is digits"),
        ("+380[5]*", "a number pattern is digits"),
        ("380 50*", "a number pattern is digits"),
        ("00380*", "begins with the country code"),
        ("+050*", "begins with the country code"),
        (True, "valid string"),
        (["380*"], "valid string"),
    ],
)
def test_wrong_number_patterns(written: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        route(to=written)


@pytest.mark.parametrize(
    ("written", "held"),
    [("Acme", "Acme"), ("+380*", "380*"), (1234, "1234"), ("+Plus", "+Plus"), (" A ", "A"), ("*", "*")],
)
def test_sender_patterns(written: object, held: str) -> None:
    assert route(**{"from": written}).source == held


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"from": " "}, "a sender pattern is not empty"),
        ({"send": []}, "at least 1 item"),
        ({"send": ["bsg", "bsg"]}, "names each provider once"),
        ({"listener": "ftp"}, "'smpp', 'smtp' or 'http'"),
        ({"source": "Acme"}, "Extra inputs"),
        ({"via": "bsg"}, "Extra inputs"),
    ],
)
def test_wrong_routes(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        route(**keys)


def test_a_route_says_where_to_send() -> None:
    with pytest.raises(ValidationError, match="send"):
        Route.model_validate({"to": "+380*"})


@pytest.mark.parametrize("keyword", ["", " ", "two words", True])
def test_wrong_keywords(keyword: object) -> None:
    with pytest.raises(ValidationError, match="keyword"):
        InboundRule.model_validate({"keyword": keyword, "account": "shop"})


def test_routes_to_unknown_providers_are_named_all_at_once() -> None:
    routes = [route(send=["bsg", "bgs"]), route(), route(send=["vritual"])]
    with pytest.raises(ConfigError) as caught:
        Router(routes, PROVIDERS)
    assert caught.value.problems == (
        "route 1: there is no provider 'bgs'",
        "route 3: there is no provider 'vritual'",
    )


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("380*", "380", True),
        ("380*", "38", False),
        ("380?", "380", False),
        ("380?", "3801", True),
        ("380?", "38012", False),
        ("*99", "38099", True),
        ("3*9*1", "3891", True),
        ("3*9*1", "3981", True),
        ("3*9*1", "381", False),
        ("380", "380", True),
        ("380", "3801", False),
        ("a[bc]*", "ab", False),
        ("a[bc]*", "a[bc]d", True),
        ("a.c", "abc", False),
        ("a.?", "a.c", True),
    ],
)
def test_matching(pattern: str, text: str, matches: bool) -> None:
    assert bool(matcher(pattern)(text)) is matches


def test_many_stars_take_no_longer_than_one() -> None:
    assert not matcher("*1" * 30 + "*2")("1" * 15)


def test_the_literal_prefix_ends_at_the_first_wildcard() -> None:
    assert [literal_prefix(pattern) for pattern in ("380*", "38?0*", "*", "380")] == ["380", "38", "", "380"]


# --- plans


def test_the_first_route_that_matches_decides_also_over_a_longer_prefix() -> None:
    router = Router(
        [route(to="+380*", send=["bsg"]), route(to="+38050*", send=["virtual"]), route(send=["sms-center"])], PROVIDERS
    )
    assert router.plan(message("380501234567")) == ("bsg",)
    assert router.plan(message("491712345678")) == ("sms-center",)


def test_a_plan_has_the_providers_in_order() -> None:
    assert Router([route(send=["virtual", "bsg"])], PROVIDERS).plan(message()) == ("virtual", "bsg")


@pytest.mark.parametrize(
    ("keys", "matches"),
    [
        ({}, True),
        ({"to": "+380501234567"}, True),
        ({"to": "+38050123456"}, False),
        ({"to": "+3805012345678"}, False),
        ({"to": "+380*67"}, True),
        ({"to": "+380*68"}, False),
        ({"to": "*"}, True),
        ({"from": "ACME"}, True),
        ({"from": "ac*"}, True),
        ({"from": "Acme2"}, False),
        ({"from": "A?me"}, True),
        ({"account": "shop"}, True),
        ({"account": "Shop"}, False),
        ({"listener": "smpp"}, True),
        ({"listener": "http"}, False),
        ({"to": "+380*", "from": "acme", "account": "shop", "listener": "smpp"}, True),
        ({"to": "+380*", "from": "acme", "account": "shop", "listener": "smtp"}, False),
        ({"to": "+49*", "from": "acme", "account": "shop", "listener": "smpp"}, False),
    ],
)
def test_conditions(keys: dict[str, Any], matches: bool) -> None:
    router = Router([route(**keys)], PROVIDERS)
    assert (router.plan(message()) is not None) is matches
    assert router.explain(message())[0].startswith("route 1: matches" if matches else "route 1: no: ")


@pytest.mark.parametrize(("pattern", "matches"), [("*", True), ("?*", False), ("Acme", False), (None, True)])
def test_a_message_without_a_sender_is_matched_as_an_empty_one(pattern: str | None, matches: bool) -> None:
    router = Router([route(**({"from": pattern} if pattern else {}))], PROVIDERS)
    assert (router.plan(message(source=None)) is not None) is matches


def test_the_sender_is_compared_in_any_case_also_beyond_ascii() -> None:
    router = Router([route(**{"from": "Straße*"})], PROVIDERS)
    assert router.plan(message(source="STRASSE 1")) == ("virtual",)


def test_all_but_the_last_have_their_time_where_the_route_gives_one() -> None:
    plan = Router([route(send=["virtual", "bsg", "sms-center"], else_after="90s")], PROVIDERS).plan(message())
    assert plan is not None
    assert [plan.wait_s(step) for step in range(3)] == [90, 90, None]
    assert [plan.only(["bsg", "sms-center"]).wait_s(step) for step in range(2)] == [90, None]
    assert plan.only(["virtual"]).wait_s(0) is None  # nobody is left to go next


def test_time_for_a_provider_without_a_next_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="else_after needs a second provider"):
        route(send=["bsg"], else_after="90s")


def test_without_routes_there_is_no_plan() -> None:
    assert Router([], PROVIDERS).plan(message()) is None


def test_an_explanation_names_each_condition_and_neither_number_nor_sender() -> None:
    router = Router(
        [
            route(to="+49*", account="bank"),
            route(**{"from": "Bank*", "listener": "http"}),
            route(to="+380*", send=["bsg", "virtual"]),
            route(),
        ],
        PROVIDERS,
    )
    lines = router.explain(message())
    assert lines == [
        "route 1: no: the destination is not +49*, the account is not bank",
        "route 2: no: the sender is not Bank*, the listener is not http",
        "route 3: matches: send to bsg, then virtual",
        "route 4: matches too, but route 3 comes first",
    ]
    assert "380501234567" not in "".join(lines)
    assert "Acme" not in "".join(lines)


NUMBERS = st.text(alphabet="12", min_size=1, max_size=4)
PATTERNS = st.one_of(st.none(), st.text(alphabet="12*?", min_size=1, max_size=4))
SENDERS = st.sampled_from([None, "1", "12", "a", "AB"])
ROUTES = st.lists(
    st.builds(
        lambda to, source, account, listener, name: Route.model_validate(
            {"to": to, "from": source, "account": account, "listener": listener, "send": [name]}
        ),
        PATTERNS,
        st.one_of(st.none(), st.sampled_from(["a", "A*", "ab", "1", "?", "*"])),
        st.sampled_from([None, "shop", "bank"]),
        st.sampled_from([None, "smpp", "http"]),
        st.sampled_from(["p1", "p2", "p3", "p4", "p5", "p6"]),
    ),
    max_size=12,
)


@given(ROUTES, NUMBERS, SENDERS, st.sampled_from(["shop", "bank"]), st.sampled_from(["smpp", "http"]))
def test_the_compiled_routes_decide_as_their_explanation_does(
    routes: list[Route], destination: str, source: str | None, account: str, listener: str
) -> None:
    router = Router(routes, {f"p{number}" for number in range(1, 7)})
    sent = message(destination, source, account, listener)
    lines = router.explain(sent)
    assert len(lines) == len(routes)
    expected = next((line.rpartition(" ")[2] for line in lines if "matches: send to" in line), None)
    for _ in range(2):  # compiled on the first call, looked up on the second
        plan = router.plan(sent)
        assert (plan[0] if plan else None) == expected


# --- inbound


def inbound_router(*rules: dict[str, Any]) -> InboundRouter:
    return InboundRouter([InboundRule.model_validate(rule) for rule in rules])


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("stop", "crm"),
        ("STOP", "crm"),
        ("  Stop  please", "crm"),
        ("Stop!", "crm"),
        ("stop, now", "crm"),
        ("stopped", "shop"),
        ("please stop", "shop"),
        ("", "shop"),
        (" \n ", "shop"),
        ("?", "quiz"),
        ("42", "quiz"),
        ("зупинити\nусе", "crm"),
    ],
)
def test_keywords(text: str, account: str) -> None:
    router = inbound_router(
        {"keyword": "Stop", "account": "crm"},
        {"keyword": "ЗУПИНИТИ", "account": "crm"},
        {"keyword": "?", "account": "quiz"},
        {"keyword": 42, "account": "quiz"},
        {"account": "shop"},
    )
    assert router.account_of(inbound(text=text)) == account


def test_number_and_keyword_must_both_match_and_the_first_rule_decides() -> None:
    router = inbound_router(
        {"to": "+380441112233", "keyword": "win", "account": "lottery"},
        {"to": "+38044*", "account": "shop"},
        {"to": 7788, "keyword": "win", "account": "short"},
    )
    assert router.account_of(inbound("380441112233", "win")) == "lottery"
    assert router.account_of(inbound("+380441112233", "Win!")) == "lottery"
    assert router.account_of(inbound("380441112233", "lose")) == "shop"
    assert router.account_of(inbound("380449999999", "win")) == "shop"
    assert router.account_of(inbound("7788", "win 5")) == "short"
    assert router.account_of(inbound("7788", "hello")) is None
    assert router.account_of(inbound("491712345678", "win")) is None


def test_without_rules_nobody_gets_it() -> None:
    assert InboundRouter([]).account_of(inbound()) is None
