"""What an outcome means for a message: one pure decision, a row for each of the four values.

=========  ==========================================================================================================
outcome    what becomes of the message
=========  ==========================================================================================================
Accepted   it is with the provider; asked about after `poll_s`, given up after `report_timeout_s`
Refused    the plan's next provider, else final: the reason says which state
Retry      again after `after_s` or a growing delay with jitter, while it is valid; after `MOVE_AFTER` attempts, or at
           once when the provider is paused, the plan's next provider if there is one: it was certainly not taken
Unsure     `retry`: again at the same provider, which knows the reference, and never at another one;
           `hold`: wait for a report as if accepted; `fail`: final. A valid time that runs out becomes `hold`.
=========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from bridge.message import Accepted, Outcome, Owed, Reason, Refused, Report, Retry, State, Unsure, owed_for
from bridge.store import Event, Queued, Settlement, Stage

MOVE_AFTER = 3
_FIRST_DELAY_S = 1.0
_MAX_DELAY_S = 600.0

OnUnsure = Literal["retry", "fail", "hold"]

_STATES: dict[Reason, State] = {
    Reason.VALIDITY_ELAPSED: State.EXPIRED,
    Reason.INVALID_DESTINATION: State.UNDELIVERABLE,
    Reason.UNKNOWN_SUBSCRIBER: State.UNDELIVERABLE,
    Reason.ABSENT_SUBSCRIBER: State.UNDELIVERABLE,
    Reason.HANDSET_ERROR: State.UNDELIVERABLE,
    Reason.NETWORK_ERROR: State.UNDELIVERABLE,
    Reason.PROVIDER_UNREACHABLE: State.UNDELIVERABLE,
    Reason.UNSURE: State.UNKNOWN,
    Reason.NO_REPORT: State.UNKNOWN,
}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How a lane treats outcomes."""

    on_unsure: OnUnsure
    poll_s: float | None  # None: the provider cannot be asked
    report_timeout_s: float


def failed_state(reason: Reason) -> State:
    """The final state of a message that failed for `reason`."""
    return _STATES.get(reason, State.REJECTED)


def delay_s(attempts: int, roll: float) -> float:
    """Seconds before the next attempt after `attempts` failed ones; `roll` in [0, 1) spreads them by a half."""
    return float(min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** min(attempts - 1, 20))) * (0.75 + roll / 2)


def set_apart(sent: Sequence[Queued], outcomes: Sequence[Outcome]) -> None:
    """Of messages that shared a request, those whose outcome may be another's fault go alone from now on."""
    for queued, outcome in zip(sent, outcomes, strict=True):
        if isinstance(outcome, Unsure) or (isinstance(outcome, Retry) and outcome.reason is Reason.PROVIDER_REFUSED):
            queued.alone = True


def settle(queued: Queued, outcome: Outcome, now: float, roll: float, policy: Policy) -> Settlement:
    """The settlement of an attempt that has been counted in `queued.attempts` (1 or more)."""
    event: Event = {"at": now, "provider": queued.plan[queued.step], "attempt": queued.attempts}
    if outcome.native:
        event["native"] = outcome.native[:200]
    if isinstance(outcome, Accepted):
        event["event"] = "sent"
        if outcome.provider_ref is not None:
            event["provider_ref"] = outcome.provider_ref
        return _sent(queued, outcome, now, policy, event, _told(queued, outcome, now))
    if isinstance(outcome, Refused):
        event |= {"event": "refused", "reason": outcome.reason}
        return _elsewhere(queued, now, event) or finish(queued, outcome.reason, now, event)
    if isinstance(outcome, Retry):
        event |= {"event": "retry", "reason": outcome.reason}
        if outcome.pause or queued.attempts >= MOVE_AFTER:
            moved = None if queued.begun else _elsewhere(queued, now, event)
            if moved is not None:
                return moved
        delay = delay_s(queued.attempts, roll) if outcome.after_s is None else outcome.after_s
        return _again(queued, now + delay, event, outcome.reason)
    event["event"] = "unsure"
    if policy.on_unsure == "fail":
        return finish(queued, Reason.UNSURE, now, event)
    if policy.on_unsure == "hold":
        if outcome.provider_ref is not None:
            event["provider_ref"] = outcome.provider_ref
        return _sent(queued, Accepted(provider_ref=outcome.provider_ref), now, policy, event)
    again = msgspec.structs.replace(queued, begun=queued.begun or queued.attempts)
    return _again(again, now + delay_s(queued.attempts, roll), event, Reason.UNSURE)


def expire(queued: Queued, now: float, policy: Policy) -> Settlement:
    """The settlement of a message whose validity is over: expired, unless it may be with the provider."""
    event: Event = {"at": now, "event": "expired", "provider": queued.plan[queued.step]}
    if queued.begun:
        return _sent(queued, Accepted(), now, policy, event)
    return finish(queued, Reason.VALIDITY_ELAPSED, now, event)


def finish(queued: Queued, reason: Reason, now: float, event: Event) -> Settlement:
    """The settlement that ends a message as failed."""
    state = failed_state(reason)
    report = Report(state=state, reason=reason, at=now, native=str(event.get("native", "")))
    return Settlement(
        message=queued.message,
        stage=Stage.FINAL,
        state=state,
        lane=queued.plan[queued.step],
        step=queued.step,
        attempts=queued.attempts,
        next_at=None,
        reason=reason,
        event=event,
        owed=owed_for(queued.message, report, now),
    )


def _told(queued: Queued, accepted: Accepted, now: float) -> Sequence[Owed]:
    """Who is to be told that the provider has it: all when that is its end, else whoever asked for such news."""
    if not (accepted.state.final or queued.message.intermediate):
        return ()
    report = Report(state=accepted.state, reason=accepted.reason, at=now, native=accepted.native)
    return owed_for(queued.message, report, now)


def _sent(
    queued: Queued, accepted: Accepted, now: float, policy: Policy, event: Event, owed: Sequence[Owed] = ()
) -> Settlement:
    wait_s = policy.report_timeout_s if policy.poll_s is None else min(policy.poll_s, policy.report_timeout_s)
    else_s = queued.plan.wait_s(queued.step)
    if accepted.state.final:
        if else_s is not None and accepted.state is not State.DELIVERED:
            moved = _elsewhere(queued, now, event)
            assert moved is not None
            return moved
        event["state"] = accepted.state.word
    return Settlement(
        message=queued.message,
        stage=Stage.FINAL if accepted.state.final else Stage.SENT,
        state=accepted.state,
        lane=queued.plan[queued.step],
        step=queued.step,
        attempts=queued.attempts,
        next_at=None if accepted.state.final else now + (wait_s if else_s is None else min(wait_s, else_s)),
        else_at=None if accepted.state.final or else_s is None else now + else_s,
        sent_at=now,
        provider_ref=accepted.provider_ref,
        reason=accepted.reason,
        event=event,
        owed=owed,
    )


def _again(queued: Queued, at: float, event: Event, reason: Reason) -> Settlement:
    at = min(at, queued.message.expires_at)
    event["next_at"] = at
    return Settlement(
        message=queued.message,
        stage=Stage.QUEUED,
        state=State.ACCEPTED,
        lane=queued.plan[queued.step],
        step=queued.step,
        attempts=queued.attempts,
        begun=queued.begun,
        alone=queued.alone,
        next_at=at,
        reason=reason,
        event=event,
    )


def _elsewhere(queued: Queued, now: float, event: Event) -> Settlement | None:
    step = queued.step + 1
    if step >= len(queued.plan):
        return None
    event["next"] = queued.plan[step]
    return Settlement(
        message=queued.message,
        stage=Stage.QUEUED,
        state=State.ACCEPTED,
        lane=queued.plan[step],
        step=step,
        attempts=0,
        next_at=now,
        event=event,
    )
