"""Reading, clogging and the alarm of one connection."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bridge.listeners.smpp.flow import Alarm, Flow


class Transport:
    """Notes whether it is read."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


async def test_reading_is_changed_only_where_it_must() -> None:
    flow, transport = Flow(lambda: None), Transport()
    for wanted in (True, False, False, True, True):
        flow.steer(cast("Any", transport), wanted=wanted)
    assert transport.calls == ["pause", "resume"]
    transport.closing = True
    flow.steer(cast("Any", transport), wanted=False)
    flow.steer(None, wanted=False)
    assert len(transport.calls) == 2


async def test_a_client_that_does_not_read_is_not_read_and_given_up_in_the_end() -> None:
    given_up = asyncio.Event()
    flow, transport = Flow(given_up.set), Transport()
    flow.clog(0.01)
    flow.steer(cast("Any", transport), wanted=True)
    assert (flow.clogged, transport.calls) == (True, ["pause"])
    async with asyncio.timeout(5):
        await given_up.wait()


async def test_a_client_that_reads_again_is_not() -> None:
    given_up = asyncio.Event()
    flow, transport = Flow(given_up.set), Transport()
    flow.clog(0.01)
    flow.unclog()
    flow.steer(cast("Any", transport), wanted=True)
    flow.unclog()
    await asyncio.sleep(0.03)
    assert (flow.clogged, given_up.is_set(), transport.calls) == (False, False, [])


async def test_an_alarm_rings_once_and_only_for_the_earliest() -> None:
    rung: list[float] = []
    loop = asyncio.get_running_loop()
    start = loop.time()
    alarm = Alarm(lambda: rung.append(loop.time() - start))
    alarm.set(start + 30.0, start)
    alarm.set(start + 0.02, start)
    alarm.set(start + 0.01 + 5, start)
    alarm.set(None, start)
    await asyncio.sleep(0.06)
    assert len(rung) == 1
    alarm.set(start - 1.0, start)  # it was due already
    await asyncio.sleep(0.01)
    assert len(rung) == 2


async def test_an_alarm_that_was_stopped() -> None:
    rung: list[int] = []
    alarm = Alarm(lambda: rung.append(1))
    alarm.set(0.01, 0.0)
    alarm.stop()
    await asyncio.sleep(0.02)
    assert rung == []
    alarm.set(0.5, 0.5)
    await asyncio.sleep(0.01)
    assert rung == [1]
