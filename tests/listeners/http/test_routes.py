"""The routing table."""

from __future__ import annotations

import pytest

from bridge.listeners.http.replies import HttpError
from bridge.listeners.http.routes import Routes


def endpoint(name: str):
    async def answer(incoming):
        raise AssertionError(name)

    answer.__name__ = name
    return answer


@pytest.fixture
def routes() -> Routes:
    made = Routes()
    made.add("POST", "/v1/messages", endpoint("submit"))
    made.add("GET", "/v1/messages", endpoint("search"))
    made.add("GET", "/v1/messages/", endpoint("show"))
    made.add("POST", "/callbacks/", endpoint("callback"))
    made.add("GET", "/v1/", endpoint("below"))
    return made


@pytest.mark.parametrize(
    ("method", "path", "name", "rest"),
    [
        ("POST", "/v1/messages", "submit", ""),
        ("GET", "/v1/messages", "search", ""),
        ("HEAD", "/v1/messages", "search", ""),
        ("GET", "/v1/messages/12", "show", "12"),
        ("GET", "/v1/messages/12/x", "show", "12/x"),
        ("GET", "/v1/balance", "below", "balance"),
        ("POST", "/callbacks/bsg/token", "callback", "bsg/token"),
    ],
)
def test_found(routes: Routes, method: str, path: str, name: str, rest: str) -> None:
    found, left = routes.find(method, path)
    assert (found.__name__, left) == (name, rest)


@pytest.mark.parametrize(
    "path", ["/", "", "*", "/v1", "/v1/", "/v2/messages", "/callbacks", "/callbacks/", "/V1/messages"]
)
def test_nothing_there(routes: Routes, path: str) -> None:
    with pytest.raises(HttpError) as caught:
        routes.find("GET", path)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/messages", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/messages/12", "GET, HEAD"),
        ("HEAD", "/callbacks/bsg", "POST"),
        ("post", "/v1/messages", "GET, HEAD, POST"),
    ],
)
def test_wrong_method(routes: Routes, method: str, path: str, allowed: str) -> None:
    with pytest.raises(HttpError) as caught:
        routes.find(method, path)
    assert caught.value.status == 405
    assert caught.value.headers == {"Allow": allowed}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/"])
def test_one_route_is_added_once(routes: Routes, path: str) -> None:
    with pytest.raises(ValueError, match="routed twice"):
        routes.add("GET", path, endpoint("again"))
