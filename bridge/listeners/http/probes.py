"""What machines ask: `/metrics`, `/livez`, `/readyz`."""

from __future__ import annotations

from aiohttp import web

from bridge.listeners.http.incoming import Incoming
from bridge.listeners.http.ports import Health, Metrics
from bridge.listeners.http.replies import json_reply, reply
from bridge.listeners.http.routes import Routes

_TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus exposition format


class Probes:
    """Metrics, and whether the process lives and takes messages."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health

    def add_to(self, routes: Routes) -> None:
        """Adds its paths."""
        routes.add("GET", "/metrics", self.metrics)
        routes.add("GET", "/livez", self.livez)
        routes.add("GET", "/readyz", self.readyz)

    async def metrics(self, incoming: Incoming) -> web.Response:
        """All metrics, in the text format of Prometheus."""
        return reply(200, self._metrics(), _TEXT_FORMAT)

    async def livez(self, incoming: Incoming) -> web.Response:
        """200 as long as the event loop turns."""
        return json_reply(200, {"status": "ok"})

    async def readyz(self, incoming: Incoming) -> web.Response:
        """200 while messages are taken, else 503; with the details of `health`."""
        ready, details = self._health()
        return json_reply(200 if ready else 503, {"status": "ok" if ready else "unavailable", **details})
