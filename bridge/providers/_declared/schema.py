"""What a declaration may hold: every key, and what stands there. The reference of the documentation is made of this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from bridge.providers._declared.paths import Format
from bridge.values import Duration, Settings


class Group(Settings):
    """A group of keys."""


Kind = Literal["text", "secret", "url", "number", "flag", "choice", "networks"]


class Setting(Group):
    """One setting of the provider, as it stands in the configuration; `NAME: secret` is short for `{kind: secret}`."""

    kind: Kind = "text"  # what it is; a secret is never shown, a URL is put into another one as it is
    default: Any = None  # what stands in for it
    optional: bool = False  # it may be left out, and has then no value
    choices: list[str] = []  # the words that a choice may be
    least: int | None = None  # the smallest a number may be
    most: int | None = None  # the largest a number may be
    about: str = ""  # what it is, for the reference


class OAuth2(Group):
    """A login by client credentials (RFC 6749 §4.4), whose token goes with every request."""

    url: str  # where a token is asked for
    id: str  # the client's id
    secret: str  # the client's secret
    scope: str | None = None  # what the token is for
    credentials: Literal["basic", "form"] = "basic"  # how id and secret are sent


Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Auth(Group):
    """How a request shows who we are; keys in a header or a query are written in `headers` and `query`."""

    basic: Pair | None = None  # user and password
    bearer: str | None = None  # a token, in `Authorization: Bearer`
    oauth2: OAuth2 | None = None  # a token that is asked for first


class Call(Group):
    """A request. Texts in it are templates; a body is one of form, json, xml and text."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"  # how it is sent
    url: str  # values in it are percent-encoded, other than settings that are URLs
    query: dict[str, Any] = {}  # what follows the ?; what has no value is left out, as everywhere
    headers: dict[str, str] = {}  # header fields
    form: dict[str, Any] | None = None  # a body of fields; a list repeats its field
    json_: Any = Field(default=None, alias="json")  # a body of JSON; a single placeholder keeps its kind
    xml: dict[str, Any] | None = None  # a body of XML: one root; `@name` is an attribute, `#text` the text beside it
    text: str | None = None  # a body of text
    content_type: str | None = None  # instead of the one that belongs to the body
    max: int = Field(default=1, ge=1, le=10_000)  # messages in one request; more than one need an `each` in it


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


Texts = Annotated[list[str], BeforeValidator(_listed)]
# Paths, and what is there: a value, a list of them, /a pattern/, true (anything) or false (nothing).
Where = dict[str, Any]


class Rule(Group):
    """What an answer means where everything in the rule is so."""

    status: Texts = []  # 200, 2xx or 400-404; without it, any status that decides nothing by itself
    where: Where = {}  # paths, and what is there: a value, some values, /a pattern/, true (anything), false (nothing)
    text: str | None = None  # a pattern in the body, whatever the body is
    then: str  # accepted, refused REASON, retry REASON, pause REASON, or unsure


class Verdict(Group):
    """How an answer, or one item of it, is understood: the first rule that fits, then the code, then the reference."""

    ref: str | None = None  # the provider's own id of the message; without a rule that accepts, finding it does
    code: str | None = None  # what is looked up in `codes`
    message: str | None = None  # what is said to people, kept for the log
    rules: list[Rule] = []  # the first that fits counts


class Items(Verdict):
    """What the answer says of each message; paths begin at the item."""

    at: str  # where the items are
    by: dict[str, str] = {}  # a path in the item and a template: what is equal belongs together; without it, by place


class Answer(Verdict):
    """How the answer to a send is understood. 429, 5xx, 401 and 403 mean the same everywhere."""

    as_: Format = Field(default="json", alias="as")  # what it is: json, xml, form or text; paths are of that kind
    items: Items | None = None  # where there is something for each message


class Moment(Group):
    """A time; `at: PATH` is short for `{path: PATH}`."""

    path: str  # where it is
    format: str = "auto"  # auto is ISO 8601 or Unix seconds or milliseconds; or a pattern of strptime
    timezone: str = "UTC"  # where a time without a zone is of


def _moment(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class Heading(Group):
    """What a callback or the answer to a poll is made of."""

    as_: Format = Field(default="json", alias="as")  # what it is: json, xml, form (also a query) or text
    items: str | None = None  # where the items are; without it, the whole is one
    where: Where = {}  # what must be so for it to be this, as in a rule
    id: str | None = None  # the provider's own id of the message
    at: Annotated[Moment, BeforeValidator(_moment)] | None = None  # when it was


class Saying(Heading):
    """A report: what became of a message."""

    reference: str | None = None  # the reference that we gave the message
    status: str  # the word that is looked up in `states`
    reason: str | None = None  # the code that is looked up in `reasons`


Method = Literal["GET", "POST", "PUT"]
Methods = Annotated[list[Method], BeforeValidator(_listed)]


class Told(Saying):
    """A report that is called back."""

    method: Methods = ["POST"]  # how it comes: POST, GET, PUT, or a list of them


class Heard(Heading):
    """A message from a handset that is called back."""

    method: Methods = ["POST"]  # how it comes: POST, GET, PUT, or a list of them
    from_: str = Field(alias="from")  # the handset
    to: str  # the number it was sent to
    text: str  # the text
    encoding: Literal["plain", "hex", "ucs2hex", "base64"] = "plain"  # how the text is written


class Poll(Call, Saying):
    """A request that asks what became of messages; it knows {reference} and {provider_ref}."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "GET"  # how it is sent


class Reply(Group):
    """What a callback is answered with."""

    status: int = Field(default=200, ge=200, le=299)  # the HTTP status
    body: str = "ok"  # the body
    type: str = "text/plain"  # the content type of the body


class Signature(Group):
    """What a signature is made of, and where it stands."""

    given: str  # the signature that came, such as {header.x-signature}; several may stand there
    over: Texts  # what was signed; of several, one must fit
    prefix: str = ""  # what stands before the signature
    encoding: Literal["hex", "base64"] = "hex"  # how it is written
    at: str | None = None  # when it was signed, in Unix seconds, so that nobody repeats what he overheard
    within: Duration = 300.0  # how long ago that may be


class Hmac(Signature):
    """A digest with a key (RFC 2104)."""

    key: str  # the key
    algorithm: Literal["md5", "sha1", "sha256", "sha384", "sha512"] = "sha256"  # the digest
    key_encoding: Literal["text", "hex", "base64"] = "text"  # how the key is written


class Hash(Signature):
    """A digest of what holds a secret."""

    algorithm: Literal["md5", "sha1", "sha256", "sha384", "sha512"] = "sha256"  # the digest


class Ed25519(Signature):
    """A signature by a public key (RFC 8032)."""

    key: str  # the public key, 32 bytes
    key_encoding: Literal["hex", "base64"] = "base64"  # how the key is written
    encoding: Literal["hex", "base64"] = "base64"  # how the signature is written


class Jwt(Group):
    """A signed token (RFC 7519)."""

    given: str  # the token that came
    prefix: str = ""  # what stands before it
    key: str  # the secret, or the public key as PEM
    algorithms: list[str] = ["HS256"]  # those that are taken
    claims: dict[str, str] = {}  # what must stand in it, such as payload_hash: "{body|sha256}"


class Secret(Group):
    """Something that only the provider knows."""

    given: str  # what came
    expected: str  # what it must be


class Check(Group):
    """One way to know that a callback is the provider's; it counts where its settings have values."""

    secret: Secret | None = None  # something that only the provider knows
    basic: Pair | None = None  # user and password
    hmac: Hmac | None = None  # a digest with a key
    hash: Hash | None = None  # a digest of what holds a secret
    ed25519: Ed25519 | None = None  # a signature by a public key
    jwt: Jwt | None = None  # a signed token
    networks: list[str] | str | None = None  # addresses that may call: a list, or settings.NAME of kind networks


class Able(Group):
    """What the API can carry, as far as the rest of the declaration does not show it."""

    idempotent: bool = False  # a repeated reference is recognised and not sent twice
    alphanumeric_source: bool = True  # a sender may have letters
    alphanumeric_max: int | None = Field(default=None, ge=1)  # characters of a sender with letters
    source_max: int = Field(default=20, ge=1)  # characters of a sender
    text_max: int | None = Field(default=None, ge=1)  # characters of a text
    poll_rate: float | None = Field(default=None, gt=0)  # requests of `poll` a second


def _setting(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


SettingShort = Annotated[Setting, BeforeValidator(_setting)]
SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Declaration(Group):
    """A provider. A file without Python."""

    about: str  # what it is, in a sentence
    documents: str  # the address of the API's documents
    settings: dict[SettingName, SettingShort] = {}  # what an administrator sets, by name
    capabilities: Able = Able()  # what the API can carry, where the rest does not show it
    auth: Auth = Auth()  # how requests show who we are
    send: Call  # the request that sends
    answer: Answer  # what its answer means
    codes: dict[str, str] = {}  # codes of an answer: accepted, refused REASON, retry REASON, pause REASON, unsure
    report: Told | None = None  # reports that are called back
    inbound: Heard | None = None  # messages from handsets that are called back
    states: dict[str, str] = {}  # status words: STATE, or STATE REASON; the case of letters does not count
    reasons: dict[str, str] = {}  # error codes of reports: REASON
    ignore: list[Where] = []  # callbacks that are answered, and say nothing: paths, as in a rule
    reply: Reply = Reply()  # what callbacks are answered with
    verify: list[Check] = []  # what a callback has to pass
    poll: Poll | None = None  # the request that asks for reports
