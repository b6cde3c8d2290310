"""Callbacks of providers: `/callbacks/{provider name}[/{callback_token}]`."""

from __future__ import annotations

import time
from urllib.parse import unquote

from aiohttp import web

from bridge.listeners.http.incoming import Incoming
from bridge.listeners.http.ports import Hear
from bridge.listeners.http.replies import HttpError, reply
from bridge.listeners.http.routes import Routes
from bridge.providers._contract import BadCallback, Callback

_METHODS = ("GET", "HEAD", "POST", "PUT")  # the provider knows which of them it uses


class Callbacks:
    """Hands to `hear` whatever a provider says, and gives back the answer that the provider expects."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear

    def add_to(self, routes: Routes) -> None:
        """Adds its paths."""
        for method in _METHODS:
            routes.add(method, "/callbacks/", self.take)

    async def take(self, incoming: Incoming) -> web.Response:
        """Answers once what was said is on disk (promise 1).

        The last segment after the name is the token, what stands between them is `Callback.path`.
        """
        name, *segments = incoming.rest.rstrip("/").split("/")
        if "%" in incoming.rest:
            name, *segments = map(unquote, (name, *segments))
        token = segments.pop() if segments else None
        callback = Callback(
            method=incoming.method,
            path="/".join(segments),
            query=dict(incoming.query) if incoming.query else {},
            headers=incoming.headers,
            body=await incoming.read(),
            remote=incoming.remote,
            received_at=time.time(),
        )
        try:
            heard = await self._hear(name, token, callback)
        except BadCallback as error:
            raise HttpError(error.status, str(error)) from None
        except LookupError as error:
            # Its subclasses are programming errors: answered by 500, so that the provider comes again.
            if type(error) is not LookupError:
                raise
            raise HttpError(404, "There is no such provider.") from None
        return reply(heard.status, heard.body, heard.content_type)
