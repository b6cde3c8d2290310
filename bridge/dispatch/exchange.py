"""One request to a provider: made, sent, understood, and judged for what it says about the provider itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from bridge.dispatch.breaker import Breaker
from bridge.errors import StoreUnavailable, TransportError
from bridge.message import Accepted, Outcome, Reason, Refused, Retry, Unsure
from bridge.providers._contract import Attempt, Provider
from bridge.store import Queued, Store
from bridge.telemetry import metrics
from bridge.transport import Transport

log = structlog.get_logger("bridge.dispatch")

_KINDS = {kind: kind.__name__.lower() for kind in (Accepted, Refused, Retry, Unsure)}


class Exchange:
    """Requests to one provider, whose breaker it keeps."""

    def __init__(
        self,
        provider: Provider,
        store: Store,
        transport: Transport,
        breaker: Breaker,
        *,
        clock: Callable[[], float],
        on_works: Callable[[], None],
    ) -> None:
        """`on_works` is called when a provider that did not work works again."""
        self._provider = provider
        self._store = store
        self._line = transport.line(provider)
        self._breaker = breaker
        self._clock = clock
        self._on_works = on_works
        self.throttled_until = 0.0  # the provider asked for no more before that
        self.trouble: tuple[float, Outcome] | None = None  # the last that was not accepted, and when

    async def send(self, attempts: Sequence[Attempt], noted: Sequence[int], *, probe: bool) -> list[Outcome]:
        """The outcomes of one request; nothing that a provider or its code does gets past this as an exception.

        `noted`: messages to be marked on disk as begun first; `probe`: the breaker is open, this its one attempt.
        """
        provider, count = self._provider, len(attempts)
        try:
            request = provider.build(attempts)
        except Exception:
            log.exception("provider_build_failed", provider=provider.name)
            return [Refused(reason=Reason.UNSPECIFIED, native="this provider's code failed; see the log")] * count
        if noted:
            try:
                await self._store.begin(noted)
            except StoreUnavailable as error:
                return [Retry(reason=Reason.UNAVAILABLE, native=str(error))] * count
        outcomes: list[Outcome]
        try:
            outcomes = provider.interpret(await self._line.ask(request), attempts)
        except TransportError as error:
            unsent = Retry(reason=Reason.PROVIDER_UNREACHABLE, native=str(error))
            outcomes = [Unsure(native=str(error)) if error.sent else unsent] * count
        except Exception:
            # It may have been sent, so this is no refusal.
            log.exception("provider_interpret_failed", provider=provider.name)
            outcomes = [Unsure(native="not understood; see the log")] * count
        if len(outcomes) != count:
            log.error("provider_outcomes_wrong", provider=provider.name, messages=count, outcomes=len(outcomes))
            outcomes = [Unsure(native="not understood; see the log")] * count
        if any(isinstance(outcome, Unsure) for outcome in outcomes):
            outcomes = self._findable(outcomes, attempts)
        self._judge(outcomes, self._clock(), probe)
        return outcomes

    def count_repeats(self, sent: Sequence[Queued], outcomes: Sequence[Outcome]) -> None:
        """Counts what was sent again and taken, or perhaps so, by a provider that may have had it and forgets."""
        if self._provider.capabilities.idempotent:
            return
        count = sum(
            isinstance(outcome, (Accepted, Unsure))
            for queued, outcome in zip(sent, outcomes, strict=True)
            if queued.begun
        )
        if count:
            metrics.repeated.add(self._provider.name, count=count)

    def _findable(self, outcomes: Sequence[Outcome], attempts: Sequence[Attempt]) -> list[Outcome]:
        """The outcomes, the unsure ones with what the provider calls those messages if it has them."""
        try:
            refs = self._provider.provider_refs(attempts)
        except Exception:
            log.exception("provider_refs_failed", provider=self._provider.name)
            return list(outcomes)
        return [
            replace(outcome, provider_ref=ref)
            if isinstance(outcome, Unsure) and outcome.provider_ref is None
            else outcome
            for outcome, ref in zip(outcomes, refs, strict=True)
        ]

    def _judge(self, outcomes: Sequence[Outcome], now: float, probe: bool) -> None:
        """What the outcomes of a request say about the provider itself; one that works may still fail for some."""
        name = self._provider.name
        kinds = [type(outcome) for outcome in outcomes]
        accepted = kinds.count(Accepted)
        if accepted == len(kinds) and not self._breaker.open:
            metrics.attempts.add(name, "accepted", count=accepted)
            self._breaker.succeeded()
            return
        for kind in set(kinds):
            metrics.attempts.add(name, _KINDS[kind], count=kinds.count(kind))
        for outcome in outcomes:
            if not isinstance(outcome, Accepted):
                self.trouble = now, outcome
        retries = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        paused = next((retry for retry in retries if retry.pause), None)
        if paused is not None:
            if self._breaker.pause(now):
                hint = "the account with the provider is at fault: check its credentials and credit"
                log.error(
                    "provider_paused",
                    provider=name,
                    reason=paused.reason,
                    native=paused.native,
                    hint=hint,
                )
            return
        throttled = [retry.after_s or 1.0 for retry in retries if retry.reason is Reason.THROTTLED]
        if throttled:
            self.throttled_until = max(self.throttled_until, now + max(throttled))
        failures = sum(retry.reason is Reason.PROVIDER_UNREACHABLE for retry in retries)
        failures += sum(isinstance(outcome, Unsure) for outcome in outcomes)
        if failures == len(outcomes):
            if self._breaker.failed(now, probe=probe):
                log.warning("provider_unreachable", provider=name, native=outcomes[0].native)
        elif self._breaker.open:
            self._breaker.succeeded()
            log.info("provider_works_again", provider=name)
            self._on_works()
        else:
            self._breaker.succeeded()
