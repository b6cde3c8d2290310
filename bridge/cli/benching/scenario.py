"""The scenarios: how each puts load on a subject, and what is read off afterwards.

==========  =========================================================================================================
scenario    what is measured
==========  =========================================================================================================
`floor`     the bare relay: a request a message, reports at once
`single`    the daemon: a request a message, reports at once
`batch`     the daemon: up to 50 messages a request; a report comes `report_delay_s` after sending, as from handsets,
            so that sending is seen alone: what was sent until the first report was due counts for its rate
`backlog`   the daemon, batches as above, reports at once: first the whole loop as it normally goes; then the provider
            is away (it answers 503) while the backlog is accepted, and comes back
==========  =========================================================================================================

In `floor`, `single` and the normal part of `backlog` the client has a bounded number of messages on the way, from
submit_sm to receipt, so that what is accepted, sent and reported in a second is in balance.
"""

from __future__ import annotations

from array import array
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bridge.cli.benching.stage import Progress, Settings, Stage, Usage
from bridge.cli.benching.tally import Counts, Percentiles, rate, rates_of_tenths

WARM_UP = 1000
ON_THE_WAY = 1000
BATCH = 50
_STALLED_S = 30.0
_STALLED_AWAY_S = 90.0  # a provider that was away for long is tried once a minute
_MIB = 1024 * 1024


class Name(StrEnum):
    """What can be measured; the table above says how."""

    FLOOR = "floor"
    SINGLE = "single"
    BATCH = "batch"
    BACKLOG = "backlog"


_BATCHES = {Name.FLOOR: 0, Name.SINGLE: 1, Name.BATCH: BATCH, Name.BACKLOG: BATCH}


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """What came of `floor`, `single` or `batch`, without the warm-up."""

    counts: Counts
    accepted_per_s: float
    sent_per_s: float
    reported_per_s: float  # from the first submit_sm, and the delay of reports, to the last receipt
    response_ms: Percentiles
    receipt_ms: Percentiles
    cpu_us_per_message: float  # of the subject alone
    busy: float  # share of one core that the subject used
    load_busy: float  # share of one core that the client and the simulated provider used together
    memory_mb: float  # the subject's peak
    messages_per_request: float
    repeated: int  # references that the provider had seen before, which it does not send again


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What came of `backlog`, without the warm-up."""

    counts: Counts
    normal_per_s: float  # the whole loop without a backlog, from the first submit_sm to the last receipt
    normal_cpu_us_per_message: float
    accepted_per_s: float  # while the provider is away
    accepted_first_tenth_per_s: float
    accepted_last_tenth_per_s: float
    accepted_cpu_us_per_message: float
    noticed_s: float  # from the provider's return until it gets the first message
    drained_per_s: float  # from then to the last receipt
    drained_slowest_tenth_per_s: float
    drained_cpu_us_per_message: float
    drained_to_normal: float
    memory_normal_mb: float  # the subject's peak before the backlog
    memory_mb: float  # and after all
    store_mb: float  # the files on disk, with the backlog in them
    repeated: int


async def run(name: Name, settings: Settings, progress: Progress) -> Loop | Backlog:
    """Runs one scenario in a folder of its own. Raises BenchError, LoadError, OSError."""
    progress(f"{name}: start", 0, 1)
    warm_up = range(min(WARM_UP, settings.messages))
    part = range(len(warm_up), len(warm_up) + settings.messages)
    backlog = range(part.stop, part.stop + (settings.backlog if name is Name.BACKLOG else 0))
    with TemporaryDirectory(prefix="smsbridge-bench-", dir=settings.directory) as folder:
        async with Stage(settings, Path(folder), backlog.stop, progress, batch=_BATCHES[name]) as stage:
            await _loop(stage, warm_up, f"{name}: warm-up", ON_THE_WAY)
            if name is Name.BACKLOG:
                return await _backlog(stage, part, backlog, Path(folder))
            return await _measured(stage, part, name, settings.report_delay_s if name is Name.BATCH else 0.0)


async def _loop(stage: Stage, part: range, what: str, on_the_way: int) -> Usage:
    return await stage.use(part, what, on_the_way=on_the_way, until="reported", stalled_s=_STALLED_S)


async def _measured(stage: Stage, part: range, name: Name, delay_s: float) -> Loop:
    tally, provider = stage.tally, stage.provider
    requests, repeated = provider.requests, provider.repeated
    provider.report_delay_s = delay_s
    stage.callbacks.rewind()
    usage = await _loop(stage, part, name, 0 if delay_s else ON_THE_WAY)
    start = tally.start(part)
    reports_at = stage.callbacks.first_at if delay_s else None
    alone = [at for at in _of(tally.sent_at, part) if reports_at is None or at <= reports_at]
    counts = tally.counts(part)
    return Loop(
        counts=counts,
        accepted_per_s=rate(_of(tally.accepted_at, part), start),
        sent_per_s=rate(alone, start),
        reported_per_s=rate(_of(tally.reported_at, part), start + delay_s),
        response_ms=tally.response_ms(part),
        receipt_ms=tally.receipt_ms(part),
        cpu_us_per_message=_cpu_us(usage, part),
        busy=usage.cpu_s / usage.elapsed_s,
        load_busy=usage.load_cpu_s / usage.elapsed_s,
        memory_mb=usage.memory_mb,
        messages_per_request=counts.sent / max(1, provider.requests - requests),
        repeated=provider.repeated - repeated,
    )


async def _backlog(stage: Stage, part: range, backlog: range, folder: Path) -> Backlog:
    tally, provider = stage.tally, stage.provider
    normal = await _loop(stage, part, "backlog: the loop without one", ON_THE_WAY)
    normal_per_s = rate(_of(tally.reported_at, part), tally.start(part))
    repeated, reported = provider.repeated, tally.reported
    provider.away = True
    accepted = await stage.use(backlog, "backlog: accepting", on_the_way=0, until="accepted", stalled_s=_STALLED_S)
    store_mb = _size_mb(folder)
    begun, returned_at = stage.begin(), stage.load.clock()
    provider.away = False
    await stage.follow("backlog: draining", "reported", reported, len(backlog), _STALLED_AWAY_S)
    drained = await stage.end(begun)
    start = tally.start(backlog)
    accepting = rates_of_tenths(_of(tally.accepted_at, backlog), start)
    sent_at = min((at for at in _of(tally.sent_at, backlog) if at), default=returned_at)
    drained_per_s = rate(_of(tally.reported_at, backlog), sent_at)
    return Backlog(
        counts=tally.counts(range(part.start, backlog.stop)),
        normal_per_s=normal_per_s,
        normal_cpu_us_per_message=_cpu_us(normal, part),
        accepted_per_s=rate(_of(tally.accepted_at, backlog), start),
        accepted_first_tenth_per_s=accepting[0],
        accepted_last_tenth_per_s=accepting[-1],
        accepted_cpu_us_per_message=_cpu_us(accepted, backlog),
        noticed_s=sent_at - returned_at,
        drained_per_s=drained_per_s,
        drained_slowest_tenth_per_s=min(rates_of_tenths(_of(tally.reported_at, backlog), sent_at)),
        drained_cpu_us_per_message=_cpu_us(drained, backlog),
        drained_to_normal=drained_per_s / normal_per_s if normal_per_s else 0.0,
        memory_normal_mb=normal.memory_mb,
        memory_mb=drained.memory_mb,
        store_mb=store_mb,
        repeated=provider.repeated - repeated,
    )


def _of(times: array[float], part: range) -> array[float]:
    return times[part.start : part.stop]


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("bridge.db*")) / _MIB


def _cpu_us(usage: Usage, part: range) -> float:
    return usage.cpu_s / len(part) * 1e6
