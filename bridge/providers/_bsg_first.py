"""The first generation of BSG's REST API: SMS, Viber and HLR, each with its form of a request."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from bridge.message import Content, Message, Outcome
from bridge.providers._bsg_said import outcomes_of
from bridge.providers._contract import Attempt, Capabilities, Reference, Request, Response

if TYPE_CHECKING:
    from bridge.providers.bsg import Settings

_encode = msgspec.json.Encoder().encode
_SMS_H = 72  # the longest validity, and the default
_VIBER_S = (15, 86400)  # the shortest and the longest validity, and the default
CAN = Capabilities(
    batch_size=50,
    idempotent=True,
    lookup=True,
    source_max=14,
    validity=True,
    push_reports=True,
    poll_reports=True,
)


class First(ABC):
    """What the three have in common: `/{channel}/create`, and what it answers."""

    capabilities = CAN

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._url = f"{settings.base_url}/{settings.channel}"
        self._asking = {"X-API-KEY": settings.api_key.get_secret_value()}
        self._sending = {**self._asking, "Content-Type": "application/json"}
        self._create = f"{self._url}/create"
        self._tariff = str(settings.tariff or 0)

    @abstractmethod
    def key(self, message: Message) -> object:
        """What must be the same for all messages of a request."""

    @abstractmethod
    def body(self, attempts: Sequence[Attempt], callback_url: str | None) -> object:
        """What is sent, as JSON."""

    def build(self, attempts: Sequence[Attempt], callback_url: str | None) -> Request:
        """`callback_url`: where the reports go, for those who let a request say so."""
        body = _encode(self.body(attempts, callback_url))
        return Request(method="POST", url=self._create, headers=self._sending, body=body)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """By the codes of `error`."""
        return outcomes_of(response, attempts)

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        """The same body as for sending, elsewhere."""
        body = _encode(self.body(attempts, None))
        return Request(method="POST", url=f"{self._url}/price", headers=self._sending, body=body)

    def status(self, reference: Reference) -> Request:
        """By id, or by reference where no id was heard of."""
        what = reference.provider_ref or f"reference/{reference.reference}"
        return Request(method="GET", url=f"{self._url}/{what}", headers=self._asking)

    def balance(self) -> Request:
        """What is left in the account."""
        return Request(method="GET", url=f"{self.settings.base_url}/common/balance", headers=self._asking)

    def login(self) -> Request | None:
        """The key goes with every request."""
        return None


class Sms(First):
    """`/sms/create`: one message, one text for many, or a text each; only their validity is for all."""

    def key(self, message: Message) -> object:
        """The validity in hours."""
        return _validity_h(message)

    def body(self, attempts: Sequence[Attempt], callback_url: str | None) -> dict[str, Any]:
        """The shortest of the three forms that says it."""
        first = attempts[0].message
        shared = {"validity": _validity_h(first), "tariff": self._tariff}
        if len(attempts) == 1:
            return {"destination": "phone", **_phone(attempts[0]), **self._content(first), **shared}
        if all((each.message.text, each.message.source) == (first.text, first.source) for each in attempts):
            phones = [_phone(each) for each in attempts]
            return {"destination": "phones", "phones": phones, **self._content(first), **shared}
        texts = [_phone(each) | self._content(each.message) for each in attempts]
        return {"destination": "individual", "phones": texts, **shared}

    def status(self, reference: Reference) -> Request:
        """By reference, always: it is ours, and no number that could be taken for another message's id."""
        return super().status(replace(reference, provider_ref=None))

    def _content(self, message: Message) -> dict[str, str]:
        content = {"body": message.text or ""}
        if sender := message.source or self.settings.sender:
            content["originator"] = sender
        return content


class Viber(First):
    """`/viber/create`: messages with a picture or a button, and perhaps an SMS in place of those that fail."""

    capabilities = replace(CAN, content=frozenset({"photo", "buttons"}))

    def key(self, message: Message) -> object:
        """The validity."""
        return self._validity(message)

    def body(self, attempts: Sequence[Attempt], callback_url: str | None) -> dict[str, Any]:
        """One entry of `messages` for all neighbours that say the same."""
        messages: list[dict[str, Any]] = []
        said: dict[str, Any] = {}
        for attempt in attempts:
            says = self._says(attempt.message)
            if says != said:
                said = says
                messages.append({"to": [], **says})
                if callback_url is not None:
                    messages[-1]["callback_url"] = callback_url
            messages[-1]["to"].append(_phone(attempt))
        return {"tariff": self._tariff, "validity": self._validity(attempts[0].message), "messages": messages}

    def _validity(self, message: Message) -> str:
        """Seconds or hours, as the account takes them."""
        shortest, longest = _VIBER_S
        seconds = min(_validity_s(message), self.settings.fallback_after or longest)
        seconds = min(max(math.ceil(seconds), shortest), longest)
        return str(seconds if self.settings.validity_unit == "seconds" else math.ceil(seconds / 3600))

    def _says(self, message: Message) -> dict[str, Any]:
        content = message.content
        text = message.text or (content.caption if content is not None and content.kind == "photo" else None) or ""
        says: dict[str, Any] = {"text": text, "is_promotional": self.settings.promotional}
        if sender := message.source or self.settings.sender:
            says["alpha_name"] = sender
        options = {} if content is None else _options(content)
        if self.settings.fallback_sender is not None and text:
            options["alt_route"] = {"originator": self.settings.fallback_sender, "text": text}
        if options:
            says["options"] = {"viber": options}
        return says


class Hlr(First):
    """`/hlr/create`: what becomes of a message is what is known of its number; its text stays here."""

    def key(self, message: Message) -> object:
        """Any numbers may be looked at together."""
        return None

    def body(self, attempts: Sequence[Attempt], callback_url: str | None) -> list[dict[str, str]]:
        """A list of numbers."""
        shared = {"tariff": self._tariff} | ({} if callback_url is None else {"callback_url": callback_url})
        return [_phone(attempt) | shared for attempt in attempts]

    def price(self, attempts: Sequence[Attempt]) -> None:
        """There is a list of prices, and no question for a number's."""


FORMS: dict[str, type[First]] = {"sms": Sms, "viber": Viber, "hlr": Hlr}


def _validity_s(message: Message) -> float:
    """Seconds from when the message may leave until it expires."""
    return message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)


def _validity_h(message: Message) -> int:
    """Hours, rounded up, 1 to 72."""
    return min(max(math.ceil(_validity_s(message) / 3600), 1), _SMS_H)


def _phone(attempt: Attempt) -> dict[str, str]:
    return {"msisdn": attempt.message.destination, "reference": attempt.reference}


def _options(content: Content) -> dict[str, Any]:
    """A picture, or a button with its caption and where it leads."""
    photo = content.kind == "photo"
    options = {"img": content.url} if photo else {"caption": content.caption, "action": content.url}
    return {**content.native, **{name: value for name, value in options.items() if value is not None}}
