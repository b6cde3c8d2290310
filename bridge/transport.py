"""The only outbound HTTP: one try per call, every limit explicit, and a failure that says whether anything was sent.

What aiohttp does by default and this room does not: repeat a GET by itself when a kept connection turns out to be
closed, follow redirects, keep cookies, wait five minutes, read a body of any size. Whether a request was sent follows
one rule: from the moment a connection was handed out for it, the other side may have seen it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from contextvars import ContextVar
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from bridge import __version__
from bridge.errors import TransportError
from bridge.providers._contract import Response

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

    from bridge.providers._contract import Provider, Request, Token

CONNECT_S = 10.0  # TCP and TLS together, for each address
KEEPALIVE_S = 15.0  # shorter than what servers usually keep, so that few kept connections turn out to be closed
DNS_S = 60
MIB = 1024 * 1024

# What an address stands for when it carries an IPv4 address: NAT64 (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# A public address by number, yet inside a cloud it is the host's own metadata and control channel.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})

_FAILURES: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "the name does not resolve"),
    (aiohttp.ClientConnectorCertificateError, "its TLS certificate is not trusted"),
    (aiohttp.ClientConnectorSSLError, "the TLS handshake failed"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer"),
    (aiohttp.ClientPayloadError, "the answer broke off or could not be decoded"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    (aiohttp.InvalidURL, "the URL cannot be used"),
    (OSError, "the connection broke"),
)


class _Exchange:
    """What is known of one call while it is under way."""

    __slots__ = ("connected", "loopback", "overdue", "refused", "task")

    def __init__(self, loopback: bool, task: asyncio.Task[Any]) -> None:
        self.connected = False
        self.loopback = loopback  # the URL itself names this machine
        self.overdue = False  # its time is up, and its task was cancelled for that
        self.refused: str | None = None  # an address that the call may not reach
        self.task = task


class _Deadline:
    """Ends calls that last too long: one timer for all that may take equally long. A timer for each, which is what
    aiohttp's own `total` makes, costs a twentieth of a message.
    """

    __slots__ = ("_due", "_loop", "_timeout_s", "_timer")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._due: dict[_Exchange, float] = {}  # the first is the next
        self._timer: asyncio.TimerHandle | None = None

    def start(self, exchange: _Exchange) -> None:
        due = self._due[exchange] = self._loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def end(self, exchange: _Exchange) -> None:
        self._due.pop(exchange, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        while self._due:
            exchange, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                return
            del self._due[exchange]
            exchange.overdue = True
            exchange.task.cancel()


# The connector and its socket factory have no other way to know which call they work for; happy eyeballs runs the
# factory in tasks of its own, which inherit the context.
_exchange: ContextVar[_Exchange] = ContextVar("exchange")


class _Connector(aiohttp.TCPConnector):
    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        exchange = _exchange.get()
        if exchange.connected:
            # aiohttp is about to repeat an idempotent request by itself.
            raise aiohttp.ServerDisconnectedError
        connection = await super().connect(req, traces, timeout)
        exchange.connected = True
        return connection


class Transport:
    """Sends requests; made inside a running loop, closed with `close` or as a context manager."""

    def __init__(self) -> None:
        self._any = _session()
        self._public = _session(socket_factory=_public_socket)
        self._lines: dict[str, Line] = {}
        self._deadlines: dict[float, _Deadline] = {}  # by timeout

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; calls under way fail."""
        await self._any.close()
        await self._public.close()
        for deadline in self._deadlines.values():
            deadline.close()

    def line(self, provider: Provider) -> Line:
        """The one line to a provider: all who ask it share its token."""
        line = self._lines.get(provider.name)
        if line is None or line.provider is not provider:
            line = self._lines[provider.name] = Line(self, provider)
        return line

    async def send(
        self,
        request: Request,
        *,
        timeout_s: float,
        limit_bytes: int = MIB,
        addresses: Literal["any", "public"] = "any",
    ) -> Response:
        """The answer to one request, whatever its status; redirects are answers too.

        `timeout_s` covers everything from the name to the last byte, `limit_bytes` the decoded body. `public` refuses
        private, link-local, shared and multicast addresses, looked at when connecting; this machine is reached only
        by a URL that names it (`localhost`, `127.0.0.1`, `[::1]`). Raises TransportError without URL or headers in it.
        """
        try:
            url, loopback = _parse(request.url)
        except ValueError:
            raise TransportError("the URL cannot be used", sent=False) from None
        task = asyncio.current_task()
        assert task is not None
        exchange = _Exchange(loopback, task)
        token = _exchange.set(exchange)
        deadline = self._deadlines.get(timeout_s) or self._deadlines.setdefault(timeout_s, _Deadline(timeout_s))
        deadline.start(exchange)
        session = self._any if addresses == "any" else self._public
        try:
            response = await session.request(
                request.method,
                url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=_timeout(timeout_s),
            )
            try:
                body = await _read(response, limit_bytes)
            except BaseException:
                response.close()
                raise
        except asyncio.CancelledError:
            if not exchange.overdue or task.uncancel():
                raise  # somebody else wants the task to end
            text = f"{url.host}: {_explain(TimeoutError(), exchange, timeout_s)}"
            raise TransportError(text, sent=exchange.connected) from None
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError) as error:
            # The cause is dropped: its text may hold the URL, and with it a secret.
            text = f"{url.host}: {_explain(error, exchange, timeout_s)}"
            raise TransportError(text, sent=exchange.connected) from None
        finally:
            deadline.end(exchange)
            _exchange.reset(token)
        return Response(status=response.status, headers=response.headers, body=body)


class Line:
    """Requests to one provider, which get their answers from wherever they come: the provider itself where it needs no
    network, else from its API, with a token where it asks for one.

    A token is fetched when it is first needed and kept until shortly before it expires; a 401 costs it its place, and
    the request is made once more with a new one.
    """

    def __init__(self, transport: Transport, provider: Provider) -> None:
        self.provider = provider
        self._transport = transport
        self._timeout_s: float = provider.settings.timeout
        self._by_token = provider.login() is not None
        self._token: Token | None = None
        self._token_until = 0.0  # by the loop's clock
        self._fetching = asyncio.Lock()

    async def ask(self, request: Request, *, limit_bytes: int = MIB) -> Response:
        """The answer to one request; a 401 of our own where no token is to be had. Raises TransportError."""
        response = self.provider.answer(request)
        if response is not None:
            return response
        if not self._by_token:
            return await self._transport.send(request, timeout_s=self._timeout_s, limit_bytes=limit_bytes)
        response, token = await self._ask_with_token(request, limit_bytes)
        if response.status == 401 and token is not None:
            if self._token is token:
                self._token = None
            response, _ = await self._ask_with_token(request, limit_bytes)
        return response

    async def _ask_with_token(self, request: Request, limit_bytes: int) -> tuple[Response, Token | None]:
        token = await self._valid_token()
        if token is None:
            return Response(status=401), None
        authorised = self.provider.authorise(request, token)
        return await self._transport.send(authorised, timeout_s=self._timeout_s, limit_bytes=limit_bytes), token

    async def _valid_token(self) -> Token | None:
        """The token; None: our credentials are refused. Raises TransportError when nobody can say."""
        clock = asyncio.get_running_loop().time
        async with self._fetching:
            if self._token is not None and clock() < self._token_until:
                return self._token
            login = self.provider.login()
            if login is None:
                return None
            try:
                response = await self._transport.send(login, timeout_s=self._timeout_s)
            except TransportError as error:
                # What was sent is the login: of the request itself the provider knows nothing.
                raise TransportError(f"login: {error}", sent=False) from None
            token = self.provider.token_of(response)
            if token is None and not refuses_login(response.status):
                raise TransportError(f"login: no token in an answer with HTTP {response.status}", sent=False)
            self._token = token
            self._token_until = inf if token is None else clock() + kept_s(token)
            return token


def refuses_login(status: int) -> bool:
    """True for an answer to a login which says that the credentials are wrong, and asking again will not help."""
    return 400 <= status < 500 and status not in (408, 425, 429)


def kept_s(token: Token) -> float:
    """Seconds for which a new token is used: a tenth less than it lives, so that none expires on its way."""
    return inf if token.lifetime_s is None else 0.9 * token.lifetime_s


def _session(**options: Any) -> aiohttp.ClientSession:
    # limit=0: the lanes bound how much is under way. Certificates are verified and proxies of the environment ignored
    # by default; the DNS cache is bounded (1000 names) since aiohttp 3.14.1.
    connector = _Connector(limit=0, ttl_dns_cache=DNS_S, keepalive_timeout=KEEPALIVE_S, **options)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"smsbridge/{__version__}"},
    )


async def _read(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    content = response.content
    body = await content.readany()
    if not content.at_eof() and len(body) <= limit_bytes:
        gathered = bytearray(body)
        while len(gathered) <= limit_bytes and (chunk := await content.readany()):
            gathered += chunk
        body = bytes(gathered)
    if len(body) > limit_bytes:
        raise TransportError(f"{response.url.host}: the answer is longer than {limit_bytes} bytes", sent=True)
    return body


def _explain(error: BaseException, exchange: _Exchange, timeout_s: float) -> str:
    if exchange.refused is not None and not exchange.connected:
        return f"{exchange.refused} is not a public address"
    if isinstance(error, TimeoutError):
        if exchange.connected:
            return f"no answer within {timeout_s:g} s"
        return f"no connection within {min(timeout_s, CONNECT_S):g} s"
    text = next((text for kind, text in _FAILURES if isinstance(error, kind)), type(error).__name__)
    code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{text} ({code})" if code else text


@lru_cache(maxsize=256)
def _timeout(timeout_s: float) -> ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=min(timeout_s, CONNECT_S))


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[URL, bool]:
    """The URL, and whether it names this machine. Raises ValueError."""
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an http URL")
    return url, _names_loopback(url.host)


def _names_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def _public_socket(info: AddrInfoType) -> socket.socket:
    """The socket for one address, at the last moment before it is connected to. Raises PermissionError."""
    family, kind, protocol, _, address = info
    exchange = _exchange.get()
    if not permitted(str(address[0]), loopback=exchange.loopback):
        exchange.refused = str(address[0])
        raise PermissionError(errno.EACCES, "not a public address")
    return socket.socket(family, kind, protocol)


def permitted(address: str, *, loopback: bool) -> bool:
    """True for an address that an account's callback may reach; an IPv4 address inside an IPv6 one counts itself."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is not None:
            ip = inner
        elif ip.is_site_local:
            return False
    if ip.is_loopback:
        return loopback
    return ip.is_global and not ip.is_multicast and ip not in _METADATA
