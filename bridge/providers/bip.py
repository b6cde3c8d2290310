"""BiP (bip.com, of Turkcell): messages through the Discover API, TES.

Documents: https://bip.com/en/developers/ (Discover API: message sending, content types, reporting), with samples in
https://github.com/Turkcell/BiP.AI. `sendmsgserv` takes one message and answers what became of it; `sendmsgservlist`
takes one for many and `sendmultiusermulticontent` one for each, and what became of those is POSTed later to the
service's feedback URL + `/report`. A request has one `txnid`; one that comes again is refused as known (310), so it is
our reference, and where an attempt was certainly not taken the next one has another. Each message that was sent gets a
`reportid`, by which BiP tells that it was delivered and read. Nothing can be asked for.

Not documented, so settings or taken as they come: how many a list holds, what the notifications look like, whether a
list helps where `sendmsgserv` did not, and the fields of places, contacts and documents (those of public clients).
"""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from pydantic import Field, field_validator, model_validator

from bridge.message import Accepted, Content, Message, Outcome, Reason, Refused, Retry, State
from bridge.providers import _contract
from bridge.providers._bip_said import (
    CODES,
    LIST,
    STATES,
    Notices,
    NoticeState,
    inbound_of,
    outcome_of,
    receiver_of,
    reports_of,
)
from bridge.providers._contract import (
    Attempt,
    BadCallback,
    Callback,
    Capabilities,
    Heard,
    ProviderSettings,
    References,
    Request,
    Response,
    decode,
    retry_after_s,
    status_outcome,
)
from bridge.providers._declared.paths import Path
from bridge.providers._reading import int_of, objects_of, text_of
from bridge.values import BaseUrl, Secret

__all__ = ["CODES", "STATES", "Provider", "Settings"]

_OBJECT = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_LIST_SIZE = 100
_RECEIVERS = {"hashed": 0, "followers": 1, "number": 2}
_NO_SESSION = (302, 309)
_BY_LIST = Retry(reason=Reason.UNKNOWN_SUBSCRIBER, after_s=0.0)
_TEXT, _LOCATION, _CONTACT, _TEMPLATE, _DOCUMENT = 0, 7, 10, 13, 14
_MEDIA = {"photo": 2, "audio": 3, "video": 4}
_QUICK_REPLY = 3
_CAN = Capabilities(
    batch_size=_LIST_SIZE,
    idempotent=True,
    alphanumeric_source=False,
    text_max=2048,
    validity=True,
    push_reports=True,
    inbound=True,
    content=frozenset({"photo", "video", "audio", "document", "location", "contact", "buttons"}),
)


class Settings(ProviderSettings):
    """How BiP is configured.

    `method`: `single` sends each message by `sendmsgserv`, `list` as many as wait by `sendmsgservlist` or
    `sendmultiusermulticontent`, `auto` by `sendmsgserv` and, when that did not take it, by a list of one. Receivers are
    a `number`, a `hashed` id, or all `followers`, whatever the number of the message. `expire`: seconds that a message
    stays visible once it was opened. `reports`: the service may have them; without, what BiP takes counts as delivered.
    `service` is whom inbound messages are for; subscriptions are handed over as such unless `events: false`.
    `notice_id` and `notice_state` are JSONPaths of ids and words in the notifications, `notice_states` further words.
    """

    type: Literal["bip"]
    base_url: BaseUrl = "https://tims.turkcell.com.tr/tes/rest/spi"
    username: str = Field(min_length=1, pattern=r"^[^:]*$")
    password: Secret
    method: Literal["single", "list", "auto"] = "single"
    receiver: Literal["number", "hashed", "followers"] = "number"
    expire: Literal[3, 5, 10, 60] | None = None
    reports: bool = True
    service: str = Field(default="bip", min_length=1, max_length=20)
    events: bool = True
    notice_id: str | None = None
    notice_state: str | None = None
    notice_states: dict[str, NoticeState] = Field(default_factory=dict)

    @field_validator("notice_id", "notice_state")
    @classmethod
    def _is_path(cls, value: str | None) -> str | None:
        if value is not None:
            Path(value, "json")
        return value

    @model_validator(mode="after")
    def _all_at_once(self) -> Settings:
        if self.receiver == "followers" and self.method != "single":
            raise ValueError("all followers are reached by the method single alone")
        return self


class Provider(_contract.Provider):
    """One message in a request, or up to 100 which may differ in everything."""

    capabilities = _CAN
    settings: Settings

    def __init__(self, name: str, settings: Settings, references: References) -> None:
        super().__init__(name, settings, references)
        by_list = settings.method == "list"
        size = _LIST_SIZE if by_list else 1
        # A list that comes again in another company is another one to BiP.
        alone = min(size, settings.batch or size) == 1
        self.capabilities = replace(_CAN, batch_size=size, idempotent=alone, validity=not by_list)
        who = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        self._headers = {"Authorization": f"Basic {b64encode(who).decode()}", "Content-Type": "application/json"}
        self._notices = Notices(settings.notice_id, settings.notice_state, settings.notice_states)
        self._accepted = Accepted() if settings.reports else Accepted(state=State.DELIVERED)

    def build(self, attempts: Sequence[Attempt]) -> Request:
        """By the method that fits."""
        first = attempts[0].message
        body: dict[str, Any] = {"txnid": _txnid(attempts)}
        contents = [{"composition": {"list": _items(attempt.message)}, **self._expire()} for attempt in attempts]
        if not self._by_list(attempts[0]):
            method = "sendmsgserv"
            body |= {"receiver": self._receiver(first), **contents[0], "ttl": _ttl_s(first)}
        elif all(content == contents[0] for content in contents):
            method = "sendmsgservlist"
            body |= {"receivers": [self._receiver(attempt.message) for attempt in attempts], **contents[0]}
        else:
            method = "sendmultiusermulticontent"
            receivers = [{"receiver": self._receiver(attempt.message)} for attempt in attempts]
            body["receivercontentlist"] = [one | content for one, content in zip(receivers, contents, strict=True)]
        url = f"{self.settings.base_url}/{method}"
        return Request(method="POST", url=url, headers=self._headers, body=_encode(body))

    def interpret(self, response: Response, attempts: Sequence[Attempt]) -> list[Outcome]:
        """An entry of `list` is about one receiver, the `resultcode` beside it about all others.

        Of what goes on later, HTTP 200 is all that there is to be said.
        """
        answer = decode(response.body, _OBJECT)
        fine = 200 <= response.status < 300
        later = self._by_list(attempts[0]) or self.settings.receiver == "followers"
        if answer is None and fine and later and not response.body.strip():
            answer = {}
        if answer is None:
            return [status_outcome(response)] * len(attempts)
        code = int_of(answer.get("resultcode"))
        if code is None and fine and later:
            code = 0
        items = objects_of(answer.get("list"))
        by_receiver: dict[str, list[dict[str, Any]]] = {}
        for item in items:
            by_receiver.setdefault(receiver_of(item), []).append(item)
        outcomes: list[Outcome] = []
        for attempt, ref in zip(attempts, self.provider_refs(attempts), strict=True):
            mine = items if len(attempts) == 1 else by_receiver.get(attempt.message.destination)
            if not fine and not code:
                outcomes.append(status_outcome(response))
            elif mine:
                outcomes.append(self._outcome_of(mine, ref, attempt, response))
            elif code == 0:
                outcomes.append(replace(self._accepted, provider_ref=ref))
            elif code is not None:
                outcomes.append(self._refusal(code, ref, attempt, response, alone=len(attempts) == 1))
            else:
                outcomes.append(status_outcome(response))
        return outcomes

    def provider_refs(self, attempts: Sequence[Attempt]) -> Sequence[str | None]:
        """Of a list, the list and the receiver; a single one is found by its txnid."""
        if len(attempts) == 1:
            return [None]
        txnid = _txnid(attempts)
        return [f"{txnid}:{attempt.message.destination}" for attempt in attempts]

    def reports(self, callback: Callback) -> Heard:
        """What became of a request (it has a txnid), what a handset said (it has a sender), or a notification."""
        if callback.method != "POST":
            raise BadCallback("everything comes by POST", status=405)
        said = decode(callback.body, object)
        if isinstance(said, dict) and "txnid" in said and ("list" in said or "resultcode" in said):
            return Heard(items=list(reports_of(said, self.references)))
        if isinstance(said, dict) and "sender" in said and text_of(said.get("type")) in ("M", "E"):
            inbound = inbound_of(said, self.settings.service, events=self.settings.events)
            return Heard(items=[] if inbound is None else [inbound])
        reports = list(self._notices.reports_of(said, callback.path))
        if not reports:
            raise BadCallback("neither a report with its txnid, nor a sender's message, nor a reportid and a status")
        return Heard(items=reports)

    def setup(self, callback_url: str, answers: Sequence[Response]) -> Request | str:
        """By hand: the address belongs to the service."""
        return f"enter {callback_url} as the feedback URL of the service in the panel, and ask BiP for its reports"

    def _by_list(self, attempt: Attempt) -> bool:
        return self.settings.method == "list" or (self.settings.method == "auto" and attempt.turn > 1)

    def _receiver(self, message: Message) -> dict[str, Any]:
        kind = self.settings.receiver
        address = {} if kind == "followers" else {"address": message.destination}
        return {"type": _RECEIVERS[kind], **address}

    def _expire(self) -> dict[str, int]:
        return {} if self.settings.expire is None else {"expire": self.settings.expire}

    def _outcome_of(
        self, items: Sequence[Mapping[str, Any]], ref: str | None, attempt: Attempt, response: Response
    ) -> Outcome:
        """What the entries of one receiver say, one for each thing that it was sent: one that arrives is enough."""
        codes = [int_of(item.get("resultcode")) for item in items]
        if 0 in codes:
            return replace(self._accepted, provider_ref=text_of(items[codes.index(0)].get("reportid")) or ref)
        code = next((code for code in codes if code is not None), None)
        if code is None:
            return status_outcome(response)
        return self._refusal(code, ref, attempt, response, alone=True)

    def _refusal(self, code: int, ref: str | None, attempt: Attempt, response: Response, *, alone: bool) -> Outcome:
        """What a code says that is no success; `alone`: of one message."""
        outcome = outcome_of(code)
        if isinstance(outcome, Accepted):
            return replace(self._accepted, provider_ref=ref, native=str(code))
        if self.settings.method == "auto" and code in _NO_SESSION and attempt.number == attempt.turn == 1:
            outcome = _BY_LIST
        elif isinstance(outcome, Refused) and not alone:
            outcome = outcome_of(None)  # one of them is at fault, and nobody says which; not all come again together
        elif isinstance(outcome, Retry):
            outcome = replace(outcome, after_s=retry_after_s(response))
        return replace(outcome, native=str(code))


def _txnid(attempts: Sequence[Attempt]) -> str:
    """The reference of one message, with its turn when that is not the first; of a list, what only this list has."""
    names = [each.reference if each.turn == 1 else f"{each.reference}-{each.turn}" for each in attempts]
    if len(names) == 1:
        return names[0]
    return f"{LIST}{hashlib.blake2b(' '.join(names).encode(), digest_size=16).hexdigest()}"


def _ttl_s(message: Message) -> int:
    """Seconds from when the message may leave until it expires, rounded up."""
    return max(math.ceil(message.expires_at - max(message.accepted_at, message.deliver_at or 0.0)), 1)


def _items(message: Message) -> list[dict[str, Any]]:
    """What a message consists of; what stands beside a picture comes after it, and before buttons."""
    content = message.content
    if content is None:
        return [{"type": _TEXT, "message": message.text or ""}]
    words = message.text or content.caption
    text = [{"type": _TEXT, "message": words}] if words else []
    item = _item(content) | content.native
    return [*text, item] if content.kind == "buttons" else [item, *text]


def _item(content: Content) -> dict[str, Any]:
    if content.kind in _MEDIA:
        return {"type": _MEDIA[content.kind], "message": content.url}
    if content.kind == "location":
        place = {"lat": content.latitude, "lon": content.longitude}
        return {"type": _LOCATION, "location": place | ({"title": content.name} if content.name else {})}
    if content.kind == "contact":
        return {"type": _CONTACT, "name": content.name, "phonenumbers": [content.number]}
    if content.kind == "document":
        name = content.name or (content.url or "").rpartition("/")[2]
        return {"type": _DOCUMENT, "document": {"filename": name, "filepath": content.url}}
    return {"type": _TEMPLATE, "tmmtype": _QUICK_REPLY}
