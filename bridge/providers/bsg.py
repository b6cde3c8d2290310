"""BSG (bsg.world, formerly app.bsg.hk): SMS, Viber with an SMS in its place, and what is known of a number (HLR).

Documents: https://bsg.world/documentations/rest-api/ and https://bsg.world/developers/rest-api/. There are two
generations of the API. The first takes 50 messages in a request of `/sms/create`, `/viber/create` or `/hlr/create`; the
second, "One API", takes one in a request of `/api/messages/send`, and knows no HLR. Their HTTP statuses are not
documented: an `error` in the body is believed before them. A reference is unique in the account, so one repeated is
refused as known and not sent twice. Reports are asked for, and taken when BSG calls back; of Viber, HLR and the second
generation each request says where, of SMS the account does. Nothing is signed, and times are taken as UTC.

With `fallback_sender` it is BSG that sends an SMS where Viber fails. One delivered is a delivery; while it is under way
the failure of Viber is none. To the channel `hlr` a message is a question about its number, and its text stays here:
`active` counts as delivered, `absent` as undeliverable, with the network in the report's native word.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from pydantic import Field, model_validator

from bridge.message import Message, Outcome
from bridge.providers import _contract
from bridge.providers._bsg_first import FORMS, First, Viber
from bridge.providers._bsg_one import One
from bridge.providers._bsg_said import CODES, STATES, Said, code_of, last_of, reports_of, said_in
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Heard,
    Money,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    Token,
    decode,
)
from bridge.providers._reading import money_of, objects_of, text_of
from bridge.values import BaseUrl, Duration, Secret

__all__ = ["CODES", "STATES", "Provider", "Settings"]

_OBJECT = dict[str, Any]
_ONE_API = "https://one-api.bsg.world"
_TARIFF_MAX = 9  # of the first generation


class Settings(ProviderSettings):
    """How BSG is configured: the key, and which of their channels and generations it is for."""

    type: Literal["bsg"]
    base_url: BaseUrl = "https://app.bsg.hk/rest"  # of generation 2 https://one-api.bsg.world
    api_key: Secret
    channel: Literal["sms", "viber", "hlr"] = "sms"
    generation: Literal[1, 2] = 1  # of the API; the second has no hlr
    sender: str | None = Field(default=None, min_length=1, max_length=40)  # of messages that have none
    tariff: int | None = Field(default=None, ge=0)  # the number of the price plan; of generation 1, 0 to 9
    promotional: bool = False  # Viber messages of generation 1 are advertising
    validity_unit: Literal["seconds", "hours"] = "seconds"  # of Viber in generation 1, as the account takes it
    fallback_sender: str | None = Field(default=None, min_length=1, max_length=15)  # of the SMS where Viber fails
    fallback_after: Duration | None = None  # how long Viber is tried at most before that SMS

    @model_validator(mode="before")
    @classmethod
    def _with_base_url(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("generation") == 2:
            return {"base_url": _ONE_API, **given}
        return given

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        first = self.generation == 1
        if self.channel == "hlr" and not first:
            raise ValueError("generation 2 has no channel hlr")
        if first and (self.tariff or 0) > _TARIFF_MAX:
            raise ValueError("a tariff of generation 1 is 0 to 9")
        longest = 14 if first else 40 if self.channel == "viber" else 15
        if len(self.sender or "") > longest or (first and len(self.fallback_sender or "") > longest):
            raise ValueError(f"a sender has at most {longest} characters here")
        if self.fallback_sender is not None and self.channel != "viber":
            raise ValueError("a fallback_sender belongs to the channel viber")
        if self.fallback_after is not None and self.fallback_sender is None:
            raise ValueError("fallback_after needs a fallback_sender")
        if not (first and self.channel == "viber") and (self.promotional or self.validity_unit != "seconds"):
            raise ValueError("promotional and validity_unit belong to the channel viber of generation 1")
        return self


class Provider(_contract.Provider):
    """One channel of one generation; what a request looks like is its form's."""

    capabilities = Viber.capabilities
    settings: Settings

    def __init__(self, name: str, settings: Settings, references: References) -> None:
        super().__init__(name, settings, references)
        self._form: First | One = One(settings) if settings.generation == 2 else FORMS[settings.channel](settings)
        self.capabilities = self._form.capabilities
        self._falls_back = settings.fallback_sender is not None

    def batch_key(self, message: Message) -> object:
        """The validity, which is one for the whole request."""
        return self._form.key(message)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """As the form has it."""
        return self._form.build(attempts, self.callback_url)

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """By codes in the body, and the HTTP status where there are none."""
        return self._form.interpret(response, attempts)

    def reports(self, callback: Callback) -> Heard:
        """A report, or several of them in a list or a `result`; BSG documents the body and not the method."""
        if callback.method == "GET":
            found: Sequence[Said] = [msgspec.convert(dict(callback.query), Said)]
        elif callback.method in ("POST", "PUT"):
            found = said_in(callback.body)
        else:
            raise BadCallback("a report comes by POST, PUT or GET", status=405)
        # Of Viber alone it is said that it failed, and of the SMS nothing yet: the answer to a poll tells of both.
        reports = list(reports_of(found, self.references, holds=self._falls_back))
        if not reports:
            raise BadCallback("a report has a status, and a reference or an id")
        return Heard(items=reports)

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """One request a message."""
        return [self._form.status(reference) for reference in wanted]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """The status of one message; an error, such as 20 for one that is not known, says nothing."""
        if not 200 <= response.status < 300:
            return Heard()
        known = [said for said in said_in(response.body) if code_of(said.error) in (None, 0)]
        if len(known) > 1:  # the SMS is among them, and speaks for itself
            known = [replace(said, alternative_channels=None) for said in known]
        return Heard(items=last_of(reports_of(known, self.references, holds=False)))

    def balance(self) -> Request | None:
        """Without the credit limit."""
        return self._form.balance()

    def balance_of(self, response: Response) -> Money | None:
        """`amount`, or `balance` in generation 2."""
        answer = _answer_in(response)
        data = answer.get("data")
        said = data if isinstance(data, dict) else answer
        return money_of(said.get("amount", said.get("balance")), said.get("currency"))

    def price(self, attempts: Sequence[Attempt]) -> Request | None:
        """Not of HLR, nor of Viber in generation 2."""
        return self._form.price(attempts)

    def price_of(self, response: Response) -> Money | None:
        """The total, or the sum where there is none; none when one of them cannot be sent."""
        answer = _answer_in(response)
        items = objects_of(answer.get("result", answer))
        if any(code_of(item.get("error")) for item in items):
            return None
        prices = [money_of(item.get("price"), item.get("currency")) for item in items]
        total = money_of(answer.get("total_price", answer.get("totalprice")), answer.get("currency"))
        if total is not None or not prices:
            return total
        amounts = [price.amount for price in prices if price is not None]
        return Money(sum(amounts, Decimal()), prices[0].currency) if prices[0] and len(amounts) == len(prices) else None

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        """By hand, where a request does not say it."""
        if isinstance(self._form, One) or self.settings.channel != "sms":
            return "nothing to do: each request says where its reports go"
        return f"enter {callback_url} as the callback URL in the account's settings for the API"

    def login(self) -> Request | None:
        """Generation 2 only."""
        return self._form.login()

    def token_of(self, response: Response) -> Token | None:
        """`bearer`; how long it lives is not said."""
        bearer = text_of(_answer_in(response).get("bearer"))
        return Token(bearer) if bearer else None


def _answer_in(response: Response) -> dict[str, Any]:
    """The object of an answer that succeeded and has no error; else an empty one."""
    answer = decode(response.body, _OBJECT) if 200 <= response.status < 300 else None
    return {} if answer is None or code_of(answer.get("error")) else answer
