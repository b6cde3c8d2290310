"""The webhook by which BICS calls us: what has it made and subscribed, and whether it is BICS that calls.

Documents: https://eu.cpaas.bics.com/docs/v2/webhook, /subscriptions, and "Signature" on the pages of the channels. They
do not say how that is made: it is taken for the HMAC-SHA256 of the body in hex, as the library that they describe does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator, Sequence
from typing import Any
from urllib.parse import quote

from bridge.providers._bics_said import refusal_of
from bridge.providers._contract import Callback, NotSetUp, Request, Response, decode
from bridge.providers._reading import int_of, objects_of, text_of
from bridge.values import same_secret

Ask = Callable[..., Request]  # method, path, and perhaps query and body
Steps = Generator[Request, Response, str]
_OBJECT = dict[str, Any]


def set_up(ask: Ask, name: str, callback_url: str, secret: str, events: Sequence[str]) -> Steps:
    """Gives each request, is sent its answer, and ends with a sentence. A webhook of that name or address is made ours;
    subscriptions that it has are kept. Without the first of `events` it fails, without others it says so. Raises
    NotSetUp.
    """
    _granted("the token", (yield ask("GET", "auth/me")))
    hook = {"name": name, "uri": callback_url, "status": 1, "secret": secret}
    known = yield from _all(ask, "developer/webhooks")
    mine = [text_of(each.get("id")) for each in known if each.get("uri") == callback_url or each.get("name") == name]
    if mine:
        hook_id = mine[0]
        _granted("the webhook", (yield ask("PUT", f"developer/webhooks/{quote(hook_id, safe='')}", body=hook)))
    else:
        token = hashlib.sha256(secret.encode()).hexdigest()[:16]  # comes with the challenge
        made = _granted("the webhook", (yield ask("POST", "developer/webhooks", body=hook | {"token": token})))
        hook_id = next((text_of(each.get("id")) for each in objects_of(made.get("data"))), "")
        if not hook_id:
            raise NotSetUp("the webhook is made, and nobody says what it is called")
    subscribed = yield from _all(ask, "developer/subscriptions")
    told = {each.get("event") for each in subscribed if text_of(each.get("webhook_id")) == hook_id}
    said = f"webhook {hook_id} calls {callback_url}"
    for event in events:
        if event not in told:
            answer = yield ask("POST", "developer/subscriptions", body=_subscription(event, hook_id))
            try:
                _granted(event, answer)
            except NotSetUp as error:
                if event == events[0]:
                    raise
                said += f"; but {error}"
                continue
        said += f", for {event}"
    return said


def _subscription(event: str, hook_id: str) -> dict[str, str]:
    return {"event": event, "identity": "all", "webhook_id": hook_id}


def _all(ask: Ask, path: str) -> Generator[Request, Response, list[dict[str, Any]]]:
    """The objects of all pages."""
    found: list[dict[str, Any]] = []
    page = last = 1
    while page <= last:
        answer = _granted(path, (yield ask("GET", path, {"page": str(page)} if page > 1 else {})))
        found += objects_of(answer.get("data"))
        last = next((int_of(meta.get("last_page")) or 1 for meta in objects_of(answer.get("meta"))), 1)
        page += 1
    return found


def _granted(what: str, response: Response) -> dict[str, Any]:
    """The answer, when it is none of a refusal. Raises NotSetUp."""
    answer = decode(response.body, _OBJECT) or {}
    refusal = refusal_of(response, answer)
    if refusal is not None:
        raise NotSetUp(f"{what} is refused: {refusal.native}")
    return answer


def is_signed(callback: Callback, secret: str, keys: Sequence[str]) -> bool:
    """Whether it has the bearer token, or is signed with one of the keys, as the calls of channels may be."""
    scheme, _, token = callback.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and same_secret(token.strip(), secret):
        return True
    signature = callback.headers.get("signature", "").lower()
    return any(same_secret(signature, hmac.new(key.encode(), callback.body, "sha256").hexdigest()) for key in keys)
