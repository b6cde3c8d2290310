"""What a provider is: pure functions between our words and one provider's HTTP API.

A provider is one file `bridge/providers/NAME.py` with two names, `Settings` and `Provider`, plus one file of cases
`tests/providers/NAME.yaml`. The folder is the registry. Nothing here opens a socket, reads a clock or logs: `build`
turns attempts into a request, `interpret` turns the answer into outcomes, `reports` turns a callback into reports.
The other verbs are for APIs that have more; most come in pairs, `x` for the request and `x_of` for its answer, and a
provider without them inherits that it has none. What every provider shares (429, 5xx, 401/403, timeouts) is decided
once, in `shared_outcome`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from pydantic import Field

from bridge.errors import BridgeError
from bridge.message import Inbound, Message, Outcome, Reason, Report, Retry, Unsure
from bridge.values import Duration, Rate, Secret, Settings

if TYPE_CHECKING:
    from bridge.providers._exports import Exports

T = TypeVar("T")


class ProviderSettings(Settings):
    """Settings every provider has; a provider's own `Settings` adds to them."""

    type: str
    rate: Rate | None = None  # messages a second; None: no limit
    concurrency: int = Field(default=8, ge=1, le=1000)  # requests under way at once
    timeout: Duration = 30.0
    callback_token: Secret | None = None  # the last segment of the callback's path
    on_unsure: Literal["retry", "fail", "hold"] | None = None  # None: retry where repeating is harmless, else hold
    report_timeout: Duration = 3 * 86400.0  # after which a message without a final report becomes `unknown`
    inbox_poll: Duration = 60.0  # between questions for inbound messages, where they are asked for
    poll: Duration = 15.0  # from sending to the first question for a missing report; then ever longer
    batch: int | None = Field(default=None, ge=1)  # messages in one request; None: all the API takes


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the API can carry; the rest is refused or degraded before `build`."""

    batch_size: int = 1
    idempotent: bool = False  # a repeated reference is recognised and not sent twice
    lookup: bool = False  # `poll` tells what became of a reference, also of one never answered
    binary: bool = False  # octets, and user data headers beside them or beside a text
    flash: bool = False
    alphanumeric_source: bool = True
    source_max: int = 20
    alphanumeric_max: int | None = None  # of a sender that is no number, where that is less than `source_max`
    text_max: int | None = None  # characters
    validity: bool = False
    schedule: bool = False
    push_reports: bool = False
    poll_reports: bool = False
    inbound: bool = False
    content: frozenset[str] = frozenset()  # kinds of `Content`
    poll_size: int = 1  # references in one request of `poll`
    poll_rate: float | None = None  # requests of `poll` a second; None: no limit


class Attempt(msgspec.Struct, frozen=True):
    """One send of one message."""

    message: Message
    reference: str  # [0-9a-f]{1,32}, the same for every attempt of a message at one step of its plan
    number: int = 1  # 1-based
    turn: int = 1  # equal for attempts of which only one may be taken: the first that may have been, else its own


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request to make; the header values may hold secrets, so `repr` shows names only."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url.partition('?')[0]}, headers={sorted(self.headers)})"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer; headers are asked for by their lower-case names."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a provider makes to us; headers are asked for by their lower-case names.

    `path` is what follows the provider's own prefix, without the token; `remote` the address it came from.
    """

    method: str
    path: str = ""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    remote: str | None = None
    received_at: float | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback or a poll says: reports, inbound messages, and the answer the provider expects."""

    items: Sequence[Report | Inbound] = ()
    status: int = 200
    body: bytes = b"ok"
    content_type: str = "text/plain"


class BadCallback(BridgeError):
    """A callback that cannot be taken: `status` 400 (not understood), 401 (not authentic), 405 (method)."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Reference(msgspec.Struct, frozen=True):
    """A message whose fate is asked of the provider."""

    message_id: int
    reference: str
    provider_ref: str | None = None


class Money(msgspec.Struct, frozen=True):
    """An amount as the provider says it: a balance, or a price."""

    amount: Decimal
    currency: str | None = None  # ISO 4217, None where the provider does not say


class Token(msgspec.Struct, frozen=True):
    """What `login` gives, and requests carry from then on; `repr` does not show it."""

    value: str
    lifetime_s: float | None = None  # from the answer on; None: until it is refused

    def __repr__(self) -> str:
        return f"Token(lifetime_s={self.lifetime_s})"


class NotSetUp(BridgeError):
    """The provider refuses what `setup` asks for; the text says why, without secrets."""


class Provider(ABC):
    """The contract. One object per configured provider, made once, without state that a call changes."""

    capabilities: Capabilities  # of the class: with the settings that allow most; of an object: with its own
    callback_url: str | None = None  # where it calls us, token included; set once, before the first call; None: nowhere

    def __init__(self, name: str, settings: Any, references: References) -> None:
        self.name = name
        self.settings = settings
        self.references = references

    @cached_property
    def batch_size(self) -> int:
        """Messages that one request may hold here."""
        return min(self.capabilities.batch_size, self.settings.batch or self.capabilities.batch_size)

    def batch_key(self, message: Message) -> object:
        """Messages with equal keys may share a request; default: any two may."""
        return None

    @abstractmethod
    def build(self, attempts: Sequence[Attempt]) -> Request:
        """The request that sends `attempts` (1..batch_size, equal batch_key)."""

    @abstractmethod
    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """One outcome per attempt, in their order, whatever the bytes are."""

    def provider_refs(self, attempts: Sequence[Attempt]) -> Sequence[str | None]:
        """One per attempt: what the provider will call it, where we choose that; so one never answered can be found."""
        return [None] * len(attempts)

    def reports(self, callback: Callback) -> Heard:
        """What a callback says. Raises BadCallback."""
        raise BadCallback(f"{self.name} takes no callbacks", status=404)

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """Requests that ask for the fate of `wanted` (1..poll_size); only with `poll_reports` or `lookup`."""
        return []

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """What the answer to one request of `poll` says; unknown messages give no report. `wanted` as for `poll`."""
        return Heard()

    def inbox(self, since: float, now: float) -> Request | None:
        """The request for inbound messages and reports that came between `since` and `now` (Unix seconds); None: they
        cannot be asked for. The same may be asked, and come, again: inbound messages need a `provider_ref`.
        """
        return None

    def inbox_of(self, response: Response) -> Heard | None:
        """What came; None: the answer is no answer, and the same time is asked for again."""
        return None

    def balance(self) -> Request | None:
        """The request for the account's balance; None: it cannot be asked for."""
        return None

    def balance_of(self, response: Response) -> Money | None:
        """The balance; None: the answer does not say it."""
        return None

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        """The request for what `attempts` would cost, which sends nothing; None: it cannot be asked for."""
        return None

    def price_of(self, response: Response) -> Money | None:
        """What all of them cost; None: the answer does not say it."""
        return None

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        """The next request that has the provider call `callback_url`, after the `answers` to those before; or, with
        nothing left to ask, a sentence: what is set up, or what a person has to do. Raises NotSetUp.
        """
        return f"nothing to do over the API; where callbacks are taken, enter {callback_url} with the provider"

    def exports(self) -> Exports | None:
        """The files that the provider makes ready for download; None: it does not, or not over its API."""
        return None

    def login(self) -> Request | None:
        """The request for a token; None: requests need none."""
        return None

    def token_of(self, response: Response) -> Token | None:
        """The token; None: it was refused, or the answer does not hold one."""
        return None

    def authorise(self, request: Request, token: Token) -> Request:
        """The request with the token, for a provider that has `login`: as a bearer token, unless overridden."""
        return msgspec.structs.replace(request, headers=request.headers | {"Authorization": f"Bearer {token.value}"})

    def answer(self, request: Request) -> Response | None:
        """The answer itself, for a provider that needs no network (`virtual`); None: send it."""
        return None


# What a 63-bit positive integer looks like: `int` alone would also take signs, spaces, underscores and any length.
_WITH_STEP = 17  # digits
_MESSAGE_ID = re.compile(r"[1-7][0-9a-f]{15}|[1-9a-f][0-9a-f]{0,14}", re.IGNORECASE)


class References:
    """Turns our message ids into references and back; the prefix keeps two stores apart at the same provider."""

    def __init__(self, store_id: str) -> None:
        """`store_id`: 12 hex digits, made once with the store."""
        self._prefix = store_id

    def of(self, message_id: int, step: int = 0) -> str:
        """The reference of a message at a step (0 to 15) of its plan: lower-case hex, 13 to 28 characters, 29 behind
        the first step. Two steps may well be with one vendor, who would take the second for the first repeated.
        """
        return f"{self._prefix}{step:x}{message_id:016x}" if step else f"{self._prefix}{message_id:x}"

    def message_id(self, reference: str | None) -> int | None:
        """The message of a reference, or None when it is not ours."""
        if not reference or not reference.lower().startswith(self._prefix):
            return None
        digits = reference[len(self._prefix) :]
        if len(digits) == _WITH_STEP:
            digits = digits[1:].lstrip("0")
        return int(digits, 16) if _MESSAGE_ID.fullmatch(digits) else None


_MEANINGS: dict[int, Outcome] = {
    401: Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True),
    403: Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True),
    407: Retry(reason=Reason.PROVIDER_ACCOUNT, pause=True),
    408: Unsure(),
}


def shared_outcome(response: Response) -> Outcome | None:
    """What an HTTP status means at every provider; None: the body decides."""
    status = response.status
    native = f"HTTP {status}"
    if status in (429, 503):
        reason = Reason.THROTTLED if status == 429 else Reason.PROVIDER_UNREACHABLE
        return Retry(reason=reason, after_s=retry_after_s(response), native=native)
    meaning = _MEANINGS.get(status)
    if meaning is not None:
        return msgspec.structs.replace(meaning, native=native)
    if status >= 500:
        # The application may have failed half-way, or a proxy have passed the request on: nobody knows.
        return Unsure(native=native)
    return None


def status_outcome(response: Response) -> Outcome:
    """What an answer means whose body says nothing usable; a refusal by status alone is not the message's fault."""
    shared = shared_outcome(response)
    if shared is not None:
        return shared
    native = f"HTTP {response.status}"
    if 300 <= response.status < 500:
        return Retry(reason=Reason.PROVIDER_REFUSED, native=native)
    return Unsure(native=native)


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}  # by kind; making one costs more than using it


def decode(body: bytes, kind: type[T]) -> T | None:
    """The JSON of a foreign body as `kind`, None when it is anything else; never raises, whatever the bytes are."""
    try:
        decoder = _DECODERS.get(kind)
        if decoder is None:
            decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
        decoded: T = decoder.decode(body)
        return decoded
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def form(body: bytes, encoding: str = "utf-8") -> dict[str, str]:
    """The fields of a body that is application/x-www-form-urlencoded, the last of a name; none when it is not one.

    Raises LookupError for an unknown encoding, and nothing else; what `encoding` cannot hold is replaced.
    """
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding=encoding, max_num_fields=200))
    except ValueError:  # not ASCII, or too many fields
        return {}


def retry_after_s(response: Response) -> float | None:
    """Seconds of a `Retry-After` (RFC 9110 §10.2.3), at most a day; None without one.

    One that is a date counts from the answer's own `Date`: their clock is measured by their clock.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), 86400.0)
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, response.headers.get("date", "")))
        return min(max((until - now).total_seconds(), 0.0), 86400.0)
    except (ValueError, TypeError):
        return None
