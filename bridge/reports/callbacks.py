"""Callbacks of providers: authenticated, understood by the provider's code, and on disk before they are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog
from msgspec.structs import replace

from bridge.message import Inbound, Owed, Report
from bridge.providers._contract import BadCallback, Callback, Heard, Provider
from bridge.routing.rules import InboundRouter
from bridge.store import Store
from bridge.telemetry import metrics
from bridge.values import same_secret

log = structlog.get_logger("bridge.reports")


class Hearing:
    """Takes what providers say, by callback or as the answer to a poll, to the store, and on to whom it concerns."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        inbound: InboundRouter,
        listener_of: Callable[[str], str | None],
        *,
        clock: Callable[[], float],
        on_owed: Callable[[Sequence[Owed]], None],
        on_went_on: Callable[[Sequence[str]], None],
    ) -> None:
        """`listener_of` names the listener by which an account gets inbound messages, None when it has none.

        `on_went_on` is told the lanes that have messages now which their provider failed.
        """
        self._store = store
        self._providers = providers
        self._inbound = inbound
        self._listener_of = listener_of
        self._clock = clock
        self._on_owed = on_owed
        self.on_went_on = on_went_on

    def configure(self, inbound: InboundRouter) -> None:
        """Takes over new inbound rules."""
        self._inbound = inbound

    async def hear(self, name: str, token: str | None, callback: Callback) -> Heard:
        """The answer to a provider's callback, once what it says is on disk.

        Raises LookupError for an unknown provider, BadCallback, StoreUnavailable.
        """
        provider = self._providers.get(name)
        if provider is None:
            raise LookupError(name)
        heard = provider.reports(_authentic(provider, token, callback))
        await self.keep(name, heard)
        return heard

    async def keep(self, name: str, heard: Heard) -> None:
        """Keeps reports and inbound messages of a provider. Raises StoreUnavailable."""
        reports = [item for item in heard.items if isinstance(item, Report)]
        if reports:
            recorded = await self._store.record(name, reports, self._clock())
            for report in reports:
                metrics.reports.add(name, report.state.word)
            if recorded.parked:
                log.info("reports_parked", provider=name, reports=recorded.parked)
            if recorded.stray:
                log.warning("stray_reports", provider=name, reports=recorded.stray)
            if recorded.owed:
                self._on_owed(recorded.owed)
            if recorded.went_on:
                self.on_went_on(recorded.went_on)
        if len(reports) < len(heard.items):
            await self._receive(name, [item for item in heard.items if isinstance(item, Inbound)])

    async def _receive(self, name: str, items: Sequence[Inbound]) -> None:
        now = self._clock()
        rows = []
        for item in items:
            account = self._inbound.account_of(item)
            listener = self._listener_of(account) if account else None
            owed: list[Owed] = []
            if account is None or listener is None:
                log.warning("inbound_without_account", provider=name)
            else:
                owed = [
                    Owed(
                        account=account,
                        listener=listener,
                        created_at=now,
                        due_at=now,
                        known_id=self._store.next_id(),
                        inbound=item,
                    )
                ]
            rows.append((item, owed))
        new = await self._store.receive(name, rows, now)
        if new:
            self._on_owed(new)


def _authentic(provider: Provider, token: str | None, callback: Callback) -> Callback:
    """The callback with all of its path but the token, which is its last segment, or its first at a provider that adds
    to the address it was given. Raises BadCallback.
    """
    expected = provider.settings.callback_token
    if token is None and expected is None:
        return callback
    if expected is not None and same_secret(token or "", expected.get_secret_value()):
        return callback
    segments = [segment for segment in (*callback.path.split("/"), token or "") if segment]
    if expected is not None and not (segments and same_secret(segments.pop(0), expected.get_secret_value())):
        raise BadCallback("the callback token is wrong", status=401)
    return replace(callback, path="/".join(segments))
