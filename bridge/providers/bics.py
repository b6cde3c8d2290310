"""BICS CPaaS (eu.cpaas.bics.com, a white label of MOBtexting): SMS, and Viber, WhatsApp and RCS as channels.

Documents: https://eu.cpaas.bics.com/docs/v2. One message goes to `sms/send`, many to `sms/send/json`. A message sent
twice is two messages, so one never answered is looked for by our own id, and not sent again; a channel can only be
asked by its id. All numbers of a request may get one id, so a message is known as `id:number`. Reports and inbound
messages come by webhook (`smsbridge provider setup`); asking is limited to 1000 GETs a minute, of which 900 are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace
from pydantic import Field, model_validator

from bridge.message import Accepted, Inbound, Message, Outcome, Reason, Refused, Report, Retry, State, Unsure
from bridge.providers import _contract
from bridge.providers._bics_channels import KINDS, TEXT_MAX, body_of
from bridge.providers._bics_said import (
    CODES,
    STATES,
    data_of,
    digits_of,
    inbound_of,
    is_duplicate,
    refusal_of,
    refusal_of_word,
    time_of,
)
from bridge.providers._bics_webhook import is_signed, set_up
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    Money,
    ProviderSettings,
    Reference,
    References,
    Request,
    Response,
    decode,
    form,
    status_outcome,
)
from bridge.providers._reading import money_of, objects_of, text_of
from bridge.values import BaseUrl, Secret

__all__ = ["CODES", "STATES", "Provider", "Settings"]

_Name = Literal["id", "mobile", "status", "custom"]
_OBJECT = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_CAN = Capabilities(
    batch_size=100,
    lookup=True,
    flash=True,
    source_max=15,
    alphanumeric_max=11,
    push_reports=True,
    poll_reports=True,
    poll_rate=15.0,
    inbound=True,
)
_PRODUCTS = {"viber": "VBR", "whatsapp": "WAP", "rcs": "RCS"}
# What the fields of a report may be called.
_NAMES: dict[_Name, tuple[str, ...]] = {
    "id": ("id", "message_id"),
    "mobile": ("mobile", "to", "mobile_number"),
    "status": ("status", "message_status"),
    "custom": ("custom", "cid", "customid", "foreign_id"),
}


class Settings(ProviderSettings):
    """How BICS is configured.

    `auth` says where the token goes: into a header, or into the query as `access_token`. With `get_only`, each request
    is a GET that tells its method as `_method`, and sends count among the 1000 a minute. `service` is the product code
    of SMS. `sender` stands in for messages that have none; of a channel it is the account that writes. `webhook_secret`
    is asked of whoever calls us. `webhook_id` names a webhook for reports where nothing is subscribed; it may sign the
    calls of channels. `fields`: what a composed webhook calls them. `timeout_dlr`: what a message ends as whose
    operator never told.
    """

    type: Literal["bics"]
    base_url: BaseUrl = "https://eu.cpaas.bics.com/api/v2"
    token: Secret
    auth: Literal["header", "query"] = "header"
    get_only: bool = False
    channel: Literal["sms", "viber", "whatsapp", "rcs"] = "sms"
    service: str = Field(default="ENT", pattern=r"^[A-Z0-9]{1,8}$")
    sender: str | None = Field(default=None, min_length=1, max_length=64)
    webhook_id: Secret | None = None
    webhook_secret: Secret | None = None
    fields: dict[_Name, str] = Field(default={})
    timeout_dlr: Literal["unknown", "expired"] = "unknown"

    @model_validator(mode="after")
    def _channel_has_a_sender(self) -> Settings:
        if self.channel != "sms" and self.sender is None:
            raise ValueError(f"the channel {self.channel} needs a sender: the account that writes there")
        return self


class Provider(_contract.Provider):
    """Up to 100 SMS in a request; or messages of one channel, one in a request."""

    capabilities = _CAN
    settings: Settings

    def __init__(self, name: str, settings: Settings, references: References) -> None:
        super().__init__(name, settings, references)
        self._channel = channel = settings.channel
        self._sms, self._sender = channel == "sms", settings.sender
        self._place = "sms" if self._sms else f"{channel}/message"
        if not self._sms:
            can = replace(_CAN, batch_size=1, lookup=False, flash=False, text_max=TEXT_MAX[channel])
            self.capabilities = replace(can, validity=channel == "viber", content=frozenset(KINDS[channel]))
        elif settings.get_only:
            self.capabilities = replace(_CAN, batch_size=1)  # which an address can hold
        self._names = {key: (settings.fields.get(key, names[0]), *names) for key, names in _NAMES.items()}
        token = settings.token.get_secret_value()
        by_header = settings.auth == "header"
        self._query = {} if by_header else {"access_token": token}
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if by_header else {})
        self._sent_headers = self._headers | {"Content-Type": "application/json"}
        self._root: dict[str, Any] = {"service": settings.service, "type": "A"}
        if settings.webhook_id is not None:
            self._root["webhook_id"] = settings.webhook_id.get_secret_value()

    def batch_key(self, message: Message) -> object:
        """What `root` says for all; no node can be without a sender that `root` has."""
        return (message.flash, (message.source or self._sender) is None)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """`root` says what the first message does, and a node what another says differently."""
        first = attempts[0]
        if not self._sms:
            return self._request("POST", f"{self._place}/send", body=body_of(self._channel, self._sender, first))
        root = self._root | self._said(first.message)
        nodes = [{"to": each.message.destination, "custom": each.reference} for each in attempts]
        if len(nodes) == 1:
            return self._request("POST", "sms/send", body=root | nodes[0])
        for node, each in zip(nodes, attempts, strict=True):
            node |= {key: value for key, value in self._said(each.message).items() if value != root[key]}
        return self._request("POST", "sms/send/json", body={"root": root, "nodes": nodes})

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """A refusal is everybody's; an item is found by our id, or by its number when it has none."""
        answer = decode(response.body, _OBJECT)
        if answer is None:
            return [status_outcome(response)] * len(attempts)
        refusal = refusal_of(response, answer)
        if refusal is not None:
            return [_judged(refusal, each, alone=len(attempts) == 1) for each in attempts]
        items: dict[str, list[dict[str, Any]]] = {}
        for item in objects_of(answer.get("data")):
            items.setdefault(self._of(item, "custom").lower() or digits_of(self._of(item, "mobile")), []).append(item)
        outcomes = []
        for each in attempts:
            found = items.get(each.reference) or items.get(each.message.destination)
            outcome = self._outcome(found.pop(0), each) if found else None
            outcomes.append(_judged(outcome or status_outcome(response), each, alone=True))
        return outcomes

    def reports(self, callback: Callback) -> Heard:
        """A report, or an event that holds one or an inbound message. The challenge to a new webhook proves nothing
        and changes nothing, so it is answered whoever asks.
        """
        if callback.method not in ("GET", "POST", "PUT"):
            raise BadCallback("a webhook calls by POST, or as it was composed by GET or PUT", status=405)
        said, secret = decode(callback.body, object), self.settings.webhook_secret
        if isinstance(said, dict) and isinstance(challenge := said.get("challenge"), str | int):
            return Heard(body=_encode({"challenge": challenge}), content_type="application/json")
        keys = [each.get_secret_value() for each in (self.settings.webhook_id, secret) if each is not None]
        if secret is not None and not is_signed(callback, secret.get_secret_value(), keys):
            raise BadCallback("the bearer token or the signature is missing or wrong", status=401)
        if not isinstance(said, list):
            said = {**callback.query, **(said if isinstance(said, dict) else form(callback.body))}
        items = objects_of(said)
        heard: list[Report | Inbound] = []
        for item in items:
            event = text_of(item.get("event"))
            if event.endswith(":message:in"):
                heard += inbound_of(item.get("payload"))
            elif event.endswith(":message:status") or not (event or "receiver" in item):
                heard += self._reports(item.get("payload") if event else item)
        if not heard and not any("event" in item or "receiver" in item for item in items):  # others say nothing to us
            raise BadCallback("a report has a status, and an id or a custom")
        return Heard(items=heard)

    def poll(self, wanted: Sequence[Reference]) -> list[Request]:
        """By their id; an SMS that has none yet by ours, which channels cannot be asked by."""
        queries = []
        for each in wanted:
            if each.provider_ref:
                their_id = each.provider_ref.rpartition(":")[0] if self._sms else ""
                queries.append({"id": their_id or each.provider_ref})
            elif self._sms:
                queries.append({"cid": each.reference})
        return [self._request("GET", f"{self._place}/status", query) for query in queries]

    def heard(self, response: Response, wanted: Sequence[Reference]) -> Heard:
        """Whatever messages have that id."""
        return Heard(items=list(self._reports(data_of(response))))

    def balance(self) -> Request | None:
        """Of all the account's products."""
        return self._request("GET", "finance/balance")

    def balance_of(self, response: Response) -> Money | None:
        """The credits of the one that is used."""
        credits = {text_of(item.get("service")): item.get("credits") for item in objects_of(data_of(response))}
        return money_of(credits.get(_PRODUCTS.get(self._channel, self.settings.service)))

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        """A webhook for us, and what it is told of; what is there already is kept, or changed where it differs."""
        if self.settings.webhook_secret is None:
            return "give a webhook_secret first: by it BICS is known when it calls"
        secret, inbound = self.settings.webhook_secret.get_secret_value(), "vmn" if self._sms else self._channel
        events = (f"{self._channel}:message:status", f"{inbound}:message:in")
        steps = set_up(self._request, f"smsbridge {self.name}", callback_url, secret, events)
        try:
            step = next(steps)
            for answer in answers:
                step = steps.send(answer)
        except StopIteration as done:
            return str(done.value)
        return step

    def _request(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None) -> Request:
        fields = {**(query or {}), **self._query}
        if self.settings.get_only and method != "GET":
            fields |= dict(_flat("", body)) | {"_method": method}
            method, body = "GET", None
        url = f"{self.settings.base_url}/{path}" + (f"?{urlencode(fields)}" if fields else "")
        if body is None:
            return Request(method=method, url=url, headers=self._headers)
        return Request(method=method, url=url, headers=self._sent_headers, body=_encode(body))

    def _said(self, message: Message) -> dict[str, Any]:
        said: dict[str, Any] = {"message": message.text or ""}
        if sender := message.source or self._sender:
            said["sender"] = sender
        return said | {"flash": 1} if message.flash else said

    def _of(self, item: Mapping[str, Any], name: _Name) -> str:
        """The first of a field's names that has something."""
        return next((value for key in self._names[name] if (value := text_of(item.get(key)))), "")

    def _ref(self, item: Mapping[str, Any], number: str) -> str | None:
        their_id = self._of(item, "id")
        return f"{their_id}:{number}" if their_id and number and self._sms else their_id or None

    def _outcome(self, item: Mapping[str, Any], attempt: Attempt) -> Outcome | None:
        refusal, ref = refusal_of_word(self._of(item, "status")), self._ref(item, attempt.message.destination)
        return refusal or (Accepted(provider_ref=ref) if ref else None)

    def _reports(self, payload: object) -> Iterator[Report]:
        for item in objects_of(payload):
            native, ref = self._of(item, "status"), self._ref(item, digits_of(self._of(item, "mobile")))
            ours = (self.references.message_id(text_of(item.get(key))) for key in self._names["custom"])
            message_id = next((each for each in ours if each is not None), None)
            if not native or (ref is None and message_id is None):
                continue
            state, reason = STATES.get(native.upper(), (State.UNKNOWN, None))
            if reason is Reason.NO_REPORT and self.settings.timeout_dlr == "expired":
                state, reason = State.EXPIRED, Reason.VALIDITY_ELAPSED
            times = (time_of(item.get(key)) for key in ("deliv_at", "delivered_at", "timestamp"))
            at = next((each for each in times if each is not None), None)
            yield Report(state=state, reason=reason, message_id=message_id, provider_ref=ref, at=at, native=native)


def _judged(outcome: Outcome, attempt: Attempt, *, alone: bool) -> Outcome:
    """The outcome for one of those that share it."""
    if is_duplicate(outcome) and attempt.number > 1:
        return Unsure(native=outcome.native)  # of its own first attempt, perhaps
    if isinstance(outcome, Refused) and not alone:
        # One of them is at fault, and nobody says which; they come again, and not all together.
        return Retry(reason=Reason.PROVIDER_REFUSED, native=outcome.native)
    return outcome


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """A body as fields of a query, in the way that PHP reads: `nodes[0][to]`."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{name}[{key}]" if name else key, each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flat(f"{name}[{number}]", each)
    else:
        yield name, str(value)
