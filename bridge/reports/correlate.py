"""What a report changes: one pure function, decided by `merge` (final never moves) and by who speaks.

A message whose plan has gone on to another provider is no longer the first one's to fail: a late failure from there
is only noted, a late delivery counts. Where the plan says so, a failure is no end but the next provider's turn.

News that is not final, the message is now with the provider or meets another difficulty there, is owed to whoever asked
for intermediate notifications.
"""

from __future__ import annotations

import msgspec

from bridge.message import FINAL, Reason, Report, State, merge, owed_for
from bridge.store import Standing, Verdict

_NOTHING = Verdict(None)
_GOES_ON = Verdict(None, goes_on=True)


def decide(standing: Standing, provider: str, report: Report, now: float) -> Verdict:
    """The verdict on `report`, which `provider` (its configured name) gives at `now`."""
    if provider != standing.lane and report.state is not State.DELIVERED:
        return _NOTHING
    if report.reason is Reason.NO_REPORT and standing.state not in FINAL:
        state = State.UNKNOWN  # nobody will tell any more: our own last word
    else:
        state = merge(standing.state, report.state)
    if state is standing.state and (
        state in FINAL or report.state is not state or report.reason in (None, standing.reason)
    ):
        return _NOTHING
    if state not in FINAL:
        message = standing.decode()
        return Verdict(state, report.reason, owed_for(message, report, now) if message.intermediate else ())
    if standing.goes_on and state is not State.DELIVERED and now < standing.decode().expires_at:
        return _GOES_ON
    if state is not State.DELIVERED and report.reason is None:
        report = msgspec.structs.replace(report, reason=Reason.UNSPECIFIED)
    return Verdict(state, report.reason, owed_for(standing.decode(), report, now))
