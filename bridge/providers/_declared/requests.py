"""Requests of a declaration: for sends, for polls, and for a token."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bridge.message import Message
from bridge.problems import KeyPath
from bridge.providers._contract import Attempt, Reference, Request, Response, Token, decode
from bridge.providers._declared import render, schema
from bridge.providers._declared.render import Fixed, Node
from bridge.providers._declared.template import Names, Template, TemplateError
from bridge.sms import gsm7

Head = tuple[str, dict[str, str]]  # a URL and header fields
Make = Callable[[str, KeyPath], Template]  # a template at a place; what is wrong with it is noted there

_BODIES: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "form": (render.fields, "application/x-www-form-urlencoded"),
    "json": (render.json, "application/json"),
    "xml": (render.xml, "text/xml; charset=utf-8"),
    "text": (lambda text: str(text or "").encode("utf-8", "replace"), "text/plain; charset=utf-8"),
}
_LIFETIME_MAX_S = 30 * 86400.0


class Sending:
    """What templates of a send look at: one message, and the settings."""

    __slots__ = ("attempt", "callback_url", "message", "settings")

    def __init__(self, attempt: Attempt, settings: Mapping[str, Any], callback_url: str | None) -> None:
        self.attempt = attempt
        self.message: Message = attempt.message
        self.settings = settings
        self.callback_url = callback_url

    @property
    def unicode(self) -> bool:
        """True when the GSM alphabet lacks a character of the text."""
        return not gsm7.fits(self.message.text or "")

    @property
    def validity_s(self) -> int:
        """Whole seconds from when the message may leave until it expires, at least 1."""
        message = self.message
        return max(1, round(message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)))


# What each is, is a line of the reference.
SEND_NAMES: Names = {
    "to": lambda scope: scope.message.destination,  # the number, digits without +
    "from": lambda scope: scope.message.source,  # the sender, when the message has one; see the filter or
    "text": lambda scope: scope.message.text,  # the text, when it has one
    "text_gsm": lambda scope: None if scope.unicode else scope.message.text,  # the text, when it fits the GSM alphabet
    "text_ucs2": lambda scope: scope.message.text if scope.unicode else None,  # the text, when it is not
    "reference": lambda scope: scope.attempt.reference,  # ours: 13 to 28 characters of 0-9a-f, the same when repeated
    "unicode": lambda scope: scope.unicode,  # true when the GSM alphabet lacks a character
    "flash": lambda scope: scope.message.flash or None,  # true when it is to be shown at once
    "binary": lambda scope: scope.message.binary,  # user data that is no text; needs hex or base64
    "udh": lambda scope: scope.message.udh,  # the header of binary, length octet included; needs hex or base64
    "validity_s": lambda scope: scope.validity_s,  # how long it is valid, in seconds
    "expires_at": lambda scope: scope.message.expires_at,  # until when it is valid; see the filters iso and time
    "deliver_at": lambda scope: scope.message.deliver_at,  # when it may leave, if its sender asked for a time
    "callback_url": lambda scope: scope.callback_url,  # where reports are called back, if public_url is configured
}
OF_ONE = frozenset(SEND_NAMES) - {"callback_url"}  # what may differ from message to message
UNIQUE = frozenset({"to", "reference"})  # what cannot be shared

POLL_NAMES: Names = {
    "reference": lambda scope: scope.reference.reference,  # ours
    "provider_ref": lambda scope: scope.reference.provider_ref,  # theirs, if an answer named it
}


class Asking:
    """What templates of a poll look at."""

    __slots__ = ("reference", "settings")

    def __init__(self, reference: Reference, settings: Mapping[str, Any]) -> None:
        self.reference = reference
        self.settings = settings


class Own:
    """What templates of a login look at: the settings."""

    __slots__ = ("settings",)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings


class Plan:
    """A declared request, ready to be made."""

    def __init__(
        self, declared: schema.Call, path: KeyPath, auth: schema.Auth, make: Make, url_settings: frozenset[str]
    ) -> None:
        """`url_settings` are put into the URL as they are. Raises TemplateError."""
        self._method = declared.method
        self._url = make(declared.url, (*path, "url"))
        self._url_settings = url_settings
        self._query = render.compiled(declared.query, (*path, "query"), make)
        self._headers = [(name, make(text, (*path, "headers", name))) for name, text in declared.headers.items()]
        if auth.bearer is not None:
            self._headers.append(("Authorization", make(f"Bearer {auth.bearer}", ("auth", "bearer"))))
        self._basic = [make(text, ("auth", "basic", number)) for number, text in enumerate(auth.basic or ())]
        bodies = {name: getattr(declared, "json_" if name == "json" else name) for name in _BODIES}
        given = [name for name, body in bodies.items() if body is not None]
        if len(given) > 1:
            raise TemplateError(f"one body is enough: {', '.join(given)}")
        self._body: Node = Fixed(None)
        self._encode: Callable[[Any], bytes] | None = None
        self._content_type: str | None = None
        for name in given:
            self._body = render.compiled(bodies[name], (*path, name), make)
            self._encode, content_type = _BODIES[name]
            self._content_type = declared.content_type or content_type
            if name == "xml" and (told := render.xml_problem(bodies[name])):
                raise TemplateError(told)
        heads = [self._url, *self._basic, *(each for _, each in self._headers)]
        # Then it is made once, and not for every message.
        self.one_head = all(name.startswith("settings.") for each in heads for name in each.names)
        nodes = [self._query, self._body]
        of_each = [each for node in nodes for each in render.templates_in(node, of_each=True)]
        outside = heads + [each for node in nodes for each in render.templates_in(node, of_each=False)]
        self.names = {name for each in (*of_each, *outside) for name in each.names}
        self.shared = [each for each in outside if each.names & (OF_ONE | POLL_NAMES.keys())]
        if declared.max > 1:
            self._fits_many(of_each)

    def _fits_many(self, of_each: list[Template]) -> None:
        """Raises TemplateError when a request cannot hold more than one message."""
        if not of_each:
            raise TemplateError("more than one message in a request needs an `each`, where they are listed")
        alone = {name for template in self.shared for name in template.names} & (UNIQUE | POLL_NAMES.keys())
        if alone:
            words = ", ".join(f"{{{name}}}" for name in sorted(alone))
            raise TemplateError(f"{words} outside of `each` would be that of one message only")

    def make(self, scopes: Sequence[Any], head: Head | None = None) -> Request:
        """The request for some messages. Raises ValueError where the URL lacks a value.

        `head` is what `head` gave, where that is the same for all messages.
        """
        url, fields = head or self.head(scopes[0])
        if query := self._query.make(scopes):
            url = f"{url}?{render.fields(query).decode()}"
        body = self._encode(self._body.make(scopes)) if self._encode is not None else None
        return Request(method=self._method, url=url, headers=fields.copy(), body=body)

    def head(self, scope: Any) -> Head:
        """The URL without its query, and the header fields. Raises ValueError where the URL lacks a value."""
        url = self._url.quoted(scope, self._quote)
        if url is None:
            raise ValueError("a value in the URL is missing")
        headers = {}
        for name, template in self._headers:
            if (text := template.text(scope)) is not None:
                headers[name] = render.header(text)
        if self._basic:
            pair = ":".join(each.text(scope) or "" for each in self._basic)
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self._encode is not None:
            headers["Content-Type"] = self._content_type or ""
        return url, headers

    def key(self, scope: Any) -> object:
        """What must be equal for messages to share a request."""
        return tuple([each.value(scope) for each in self.shared])

    def _quote(self, text: str, name: str) -> str:
        return text if name in self._url_settings else quote(text, safe="")


class Login:
    """A token by client credentials (RFC 6749 §4.4)."""

    def __init__(self, declared: schema.OAuth2, make: Make) -> None:
        """Raises TemplateError."""
        place: KeyPath = ("auth", "oauth2")
        self._url, self._id, self._secret = (
            make(text, (*place, key))
            for key, text in (("url", declared.url), ("id", declared.id), ("secret", declared.secret))
        )
        self._scope = make(declared.scope, (*place, "scope")) if declared.scope else None
        self._in_form = declared.credentials == "form"

    def request(self, scope: Any) -> Request:
        """Asks for the token; id and secret are form-encoded within Basic too (§2.3.1)."""
        fields = {"grant_type": "client_credentials"}
        if self._scope and (wanted := self._scope.text(scope)):
            fields["scope"] = wanted
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        name, secret = self._id.text(scope) or "", self._secret.text(scope) or ""
        if self._in_form:
            fields |= {"client_id": name, "client_secret": secret}
        else:
            pair = f"{quote(name, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return Request(method="POST", url=self._url.text(scope) or "", headers=headers, body=render.fields(fields))


def token_of(response: Response) -> Token | None:
    """The token of an answer (RFC 6749 §5.1); None: there is none."""
    said = decode(response.body, dict[str, Any]) or {}
    value, lifetime = said.get("access_token"), said.get("expires_in")
    if not 200 <= response.status < 300 or not isinstance(value, str) or not value:
        return None
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = float(lifetime[:9])
    known = isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and lifetime > 0
    return Token(
        render.header(value), min(float(lifetime), _LIFETIME_MAX_S) if known and lifetime is not None else None
    )
