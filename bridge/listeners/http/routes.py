"""Which function answers which path: a table of exact paths, and one of prefixes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.listeners.http.incoming import Incoming
from bridge.listeners.http.replies import HttpError

Endpoint = Callable[[Incoming], Awaitable[web.Response]]
Methods = dict[str, Endpoint]


class Routes:
    """The table; a path that ends in `/` stands for everything below it, of which the longest match wins."""

    def __init__(self) -> None:
        self._exact: dict[str, Methods] = {}
        self._below: list[tuple[str, Methods]] = []  # longest first

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Adds one route. Raises ValueError when it is taken."""
        if path.endswith("/"):
            methods = dict(self._below).get(path)
            if methods is None:
                methods = {}
                self._below.append((path, methods))
                self._below.sort(key=lambda entry: -len(entry[0]))
        else:
            methods = self._exact.setdefault(path, {})
        if method in methods:
            raise ValueError(f"{method} {path} is routed twice")
        methods[method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, str]:
        """The endpoint, and what follows its prefix (`""` for an exact path). Raises HttpError 404 or 405.

        HEAD is GET without the body (RFC 9110 §9.3.2), unless it has a route of its own.
        """
        methods, rest = self._exact.get(path), ""
        if methods is None:
            methods, rest = self._find_below(path)
        endpoint = methods.get(method)
        if endpoint is None and method == "HEAD":
            endpoint = methods.get("GET")
        if endpoint is None:
            allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            raise HttpError(405, f"This path takes {allowed}.", headers={"Allow": allowed})
        return endpoint, rest

    def _find_below(self, path: str) -> tuple[Methods, str]:
        for prefix, methods in self._below:
            if path.startswith(prefix) and len(path) > len(prefix):
                return methods, path[len(prefix) :]
        raise HttpError(404, "There is nothing at this path.")
