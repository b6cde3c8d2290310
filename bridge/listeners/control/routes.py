"""The paths of the control socket, and what each asks of the bridge.

=======================================  =========================================================================
GET /v1/sessions                         who is bound, and how many are connected
GET /v1/capture?account=&mask=&seconds=  the PDUs of an account's binds, a line of JSON each, until either side ends
GET /v1/providers                        every provider's lane
POST /v1/providers/{name}/pause          sends nothing more to it
POST /v1/providers/{name}/resume         sends again
=======================================  =========================================================================

An error is `{"status", "code", "message"}`, as it is over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web

from bridge.errors import StoreUnavailable
from bridge.listeners.control.ports import Steering, Watch
from bridge.values import duration_s

log = structlog.get_logger("bridge.listeners.control")

_JSON = "application/json"
_LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode


class Routes:
    """The endpoints, over the one who steers."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering
        self._watches: set[Watch] = set()

    def add_to(self, app: web.Application) -> None:
        """Adds every path."""
        app.router.add_get("/v1/sessions", self.sessions)
        app.router.add_get("/v1/capture", self.capture)
        app.router.add_get("/v1/providers", self.providers)
        app.router.add_post("/v1/providers/{name}/pause", self.pause)
        app.router.add_post("/v1/providers/{name}/resume", self.resume)

    def close(self) -> None:
        """Ends what goes on."""
        for watch in self._watches:
            watch.close()

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        """Who is bound."""
        return _reply(200, self._steering.sessions())

    async def providers(self, request: web.Request) -> web.StreamResponse:
        """Every provider's lane."""
        return _reply(200, {"providers": await self._steering.lanes()})

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Sends nothing more to a provider."""
        return self._steer(self._steering.pause, request)

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """Sends to it again."""
        return self._steer(self._steering.resume, request)

    async def capture(self, request: web.Request) -> web.StreamResponse:
        """The PDUs of an account's binds, as they pass."""
        query = request.query
        try:
            seconds = duration_s(query["seconds"] + "s") if "seconds" in query else None
            watch = self._steering.capture(query.get("account", ""), masked=query.get("mask", "") == "1")
        except ValueError as error:
            return error_reply(400, "bad_request", f"seconds: {error}")
        except LookupError as error:
            return _unknown(error)
        return await self._tell(watch, request, seconds)

    async def _tell(self, watch: Watch, request: web.Request, seconds: float | None) -> web.StreamResponse:
        """Everything of a watch, a line each, until it ends, so much time has passed, or nobody reads any more."""
        response = web.StreamResponse(headers={"Content-Type": _LINES})
        self._watches.add(watch)
        try:
            await response.prepare(request)
            async with asyncio.timeout(seconds):
                while (found := await watch.next()) is not None:
                    await response.write(b"".join(_encode(each) + b"\n" for each in found))
        except TimeoutError:
            pass  # that was agreed on
        finally:
            self._watches.discard(watch)
            watch.close()
        await response.write_eof()
        return response

    def _steer(self, verb: Callable[[str], object], request: web.Request) -> web.StreamResponse:
        try:
            return _reply(200, verb(request.match_info["name"]))
        except LookupError as error:
            return _unknown(error)


@web.middleware
async def always_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as JSON, those of aiohttp and ours."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        code = (error.reason or "").lower().replace(" ", "_")
        return error_reply(error.status, code, f"{request.method} {request.path}: {error.reason}")
    except StoreUnavailable as error:
        return error_reply(503, "unavailable", str(error))
    except Exception:
        log.exception("control_failed", method=request.method, path=request.path)
        return error_reply(500, "internal_server_error", "An error on our side; it is in the daemon's log.")


def error_reply(status: int, code: str, text: str) -> web.Response:
    """An error: a word for programs, a sentence for a person."""
    return _reply(status, {"status": status, "code": code, "message": text})


def _unknown(error: LookupError) -> web.Response:
    return error_reply(404, "not_found", str(error.args[0]))


def _reply(status: int, content: object) -> web.Response:
    return web.Response(status=status, body=_encode(content), content_type=_JSON)
