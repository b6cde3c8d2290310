"""A request as endpoints see it: what it asks for, and its body, read no further than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import HttpVersion11, web

from bridge.listeners.http.replies import HttpError


class ClientGone(ConnectionError):
    """The client closed the connection before its request was complete."""


class Incoming:
    """One request; `rest` is what follows the prefix of its route, still percent-encoded."""

    __slots__ = ("_body_timeout_s", "_max_body", "_request", "rest")

    def __init__(self, request: web.BaseRequest, rest: str, *, max_body: int, body_timeout_s: float) -> None:
        """`max_body`: bytes."""
        self._request = request
        self.rest = rest
        self._max_body = max_body
        self._body_timeout_s = body_timeout_s

    @property
    def method(self) -> str:
        """The method, upper case."""
        return self._request.method

    @property
    def query(self) -> Mapping[str, str]:
        """The query, decoded; of a repeated name the first value."""
        return self._request.rel_url.query

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, whatever the case of their names."""
        return self._request.headers

    @property
    def remote(self) -> str | None:
        """The address of the other side."""
        return self._request.remote

    async def read(self) -> bytes:
        """The body. Raises HttpError 408, 413, 415 or 417; ClientGone."""
        request = self._request
        if (request.content_length or 0) > self._max_body:
            raise self._too_large()
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            # Nothing is unpacked before it is known who sends it: a small body could become a huge one.
            raise HttpError(415, "Send the body without Content-Encoding.", headers={"Accept-Encoding": "identity"})
        await self._continue()
        try:
            if request.content.is_eof():
                # It came together with its header: nothing to wait for, no timer.
                body = request.content.read_nowait()
                if len(body) > self._max_body:
                    raise self._too_large()
                return body
            async with asyncio.timeout(self._body_timeout_s):
                return await self._read_all()
        except TimeoutError:
            raise HttpError(
                408, f"The body did not come within {self._body_timeout_s:g} seconds.", close=True
            ) from None
        except ConnectionError as error:
            raise ClientGone from error

    async def _read_all(self) -> bytes:
        chunks, size = [], 0
        while chunk := await self._request.content.readany():
            size += len(chunk)
            if size > self._max_body:
                raise self._too_large()
            chunks.append(chunk)
        return b"".join(chunks)

    async def _continue(self) -> None:
        """Says that the body may come, where the client waits for that (RFC 9110 §10.1.1); aiohttp leaves it to us."""
        expect = self._request.headers.get("Expect")
        if expect is None or self._request.version < HttpVersion11:
            return
        if expect.lower() != "100-continue":
            raise HttpError(417, "The only expectation known here is 100-continue.")
        writer = self._request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.output_size = 0  # the answer itself has not begun

    def _too_large(self) -> HttpError:
        return HttpError(413, f"A body has at most {self._max_body} bytes.", close=True)
