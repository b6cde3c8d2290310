"""The HTTP server: sockets, TLS, the way to an endpoint, and an answer whatever happens.

It stands on aiohttp's low-level server: on the hot path of providers' callbacks `web.Application` costs a third more.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from bridge.errors import Refusal, StoreUnavailable
from bridge.listeners.addresses import Networks, may_come
from bridge.listeners.entrance import Entrance
from bridge.listeners.http.callbacks import Callbacks
from bridge.listeners.http.incoming import ClientGone, Incoming
from bridge.listeners.http.keys import Keys
from bridge.listeners.http.messages import Messages
from bridge.listeners.http.ports import Account, Health, Hear, Intake, Metrics, Records
from bridge.listeners.http.probes import Probes
from bridge.listeners.http.replies import HttpError, error_reply, refusal_reply
from bridge.listeners.http.routes import Routes
from bridge.listeners.http.settings import HttpListener
from bridge.listeners.passwords import Passwords
from bridge.listeners.tls import renew, server_context
from bridge.message import Reason
from bridge.values import listen_address

_KEEPALIVE_S = 75.0  # also the time for the header of a request to come
_LINGERING_S = 2.0  # to read what a client still sends after its answer, so that it sees the answer
_log = structlog.get_logger()


class HttpServer:
    """One address with the REST API, the callbacks of providers, and the probes."""

    def __init__(
        self,
        settings: HttpListener,
        accounts: Iterable[Account],
        *,
        intake: Intake,
        records: Records,
        hear: Hear,
        metrics: Metrics,
        health: Health,
        passwords: Passwords,
        clock: Callable[[], float] = time.time,
        body_timeout_s: float = 30.0,
        grace_s: float = 30.0,
    ) -> None:
        """`clock`: Unix seconds; `body_timeout_s`: for a whole body; `grace_s`: for requests under way at the end."""
        self._settings = settings
        self._passwords = passwords
        self._body_timeout_s = body_timeout_s
        self._grace_s = grace_s
        self._messages = Messages(Keys(accounts, passwords), intake, records, clock)
        self._routes = Routes()
        self._messages.add_to(self._routes)
        Callbacks(hear).add_to(self._routes)
        if settings.metrics:
            Probes(metrics, health).add_to(self._routes)
        self._runner: web.ServerRunner | None = None
        self._tls: ssl.SSLContext | None = None
        self._entrance: Entrance | None = None
        self.port = 0

    @property
    def connections(self) -> int:
        """Clients connected now."""
        server = self._runner.server if self._runner is not None else None
        return 0 if server is None else len(server.connections)

    async def start(self) -> None:
        """Listens. Raises OSError when the address is taken, or the TLS files cannot be read (ssl.SSLError too)."""
        settings = self._settings
        self._tls = None if settings.tls is None else server_context(settings.tls, ["http/1.1"])
        sockets = _Sockets(self._answer)
        runner = web.ServerRunner(sockets, shutdown_timeout=self._grace_s)
        await runner.setup()
        entrance = Entrance(
            lambda peer: sockets.connection(peer, settings.networks), tls=self._tls, proxies=settings.proxy
        )
        await entrance.open(listen_address(settings.listen))
        self._entrance, self._runner, self.port = entrance, runner, entrance.port

    async def stop(self) -> None:
        """Takes no more connections, lets the requests under way finish in their time, then closes."""
        if self._entrance is not None:
            self._entrance.close()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def replace_accounts(self, accounts: Iterable[Account]) -> None:
        """Serves these accounts from now on (reload); connections stay."""
        self._messages.keys = Keys(accounts, self._passwords)

    def renew_tls(self) -> None:
        """Reads certificate and key again (reload). Raises OSError; then the old ones stay."""
        if self._tls is not None and self._settings.tls is not None:
            renew(self._tls, self._settings.tls)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            endpoint, rest = self._routes.find(request.method, request.rel_url.raw_path)
            incoming = Incoming(request, rest, max_body=self._settings.max_body, body_timeout_s=self._body_timeout_s)
            return await endpoint(incoming)
        except HttpError as error:
            answer = error_reply(error.status, error.text, headers=error.headers)
            if error.close:
                answer.force_close()
            return answer
        except Refusal as refusal:
            return refusal_reply(refusal)
        except StoreUnavailable:
            return refusal_reply(Refusal(Reason.UNAVAILABLE, "Nothing can be stored at the moment; nothing was taken."))
        except web.RequestPayloadError:
            answer = error_reply(400, "The body is not what its header says.")
            answer.force_close()
            return answer
        except ClientGone:
            raise  # there is nobody to answer
        except Exception as error:  # noqa: BLE001  # whatever it is, it touches this request only
            return _incident_reply(request, error)


class _Sockets(web.Server):
    """aiohttp's server with our connections: it makes one protocol for each."""

    def connection(self, peer: str | None, networks: Networks | None) -> web.RequestHandler:
        return _Connection(
            self,
            peer,
            networks,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            access_log=None,
            auto_decompress=False,
        )


class _Connection(web.RequestHandler):
    """A connection whose errors of HTTP itself are answered as JSON, and never with what was sent.

    It knows whom a proxy connects for, and ends at once where its client may not come from there.
    """

    __slots__ = ("_networks", "_peer")

    def __init__(self, server: web.Server, peer: str | None, networks: Networks | None, **options: Any) -> None:
        super().__init__(server, **options)
        self._peer = peer
        self._networks = networks

    @property
    def peername(self) -> str | tuple[str, int, int, int] | tuple[str, int] | None:
        return super().peername if self._peer is None else self._peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._networks is not None:
            peer = self.peername
            if not may_come(peer if isinstance(peer, str) else peer and str(peer[0]), self._networks):
                _log.warning("http_connection_refused", remote=peer)
                self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, LineTooLong):
            status, text = 431, f"A line of the request's header has at most {self.max_line_size} bytes."
        else:
            text = "This is not HTTP/1.1 (RFC 9112)."
        answer = error_reply(status, text)
        answer.force_close()
        return answer


def _incident_reply(request: web.BaseRequest, error: Exception) -> web.Response:
    """Answers 500 with an id that is in the log as well; neither quotes the error, which may quote the request."""
    incident = secrets.token_hex(6)
    _log.error(
        "http_request_failed",
        incident=incident,
        method=request.method,
        route="/".join(request.rel_url.raw_path.split("/")[:3]),  # further on there are tokens and ids
        error=type(error).__name__,
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)],
    )
    return error_reply(500, f"An error on our side; it is in our log as incident {incident}.", incident=incident)
