"""Outboxes under every order of events: by lot, what is owed comes, goes back, fails, is confirmed, in any sequence."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.reports.hands import Hand, on_disk, owe
from unit.world import Clock, Store, until

from bridge.reports.delivery import Delivery


@pytest.mark.parametrize("seed", range(6))
async def test_everything_is_confirmed_once_whatever_happens(
    seed: int, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll = random.Random(seed)
    for name, value in {
        "_IN_MEMORY": roll.choice((3, 10, 60)),
        "_LOAD": roll.choice((2, 7, 30)),
        "_DELAY_MIN_S": 0.005,
        "_DELAY_MAX_S": 0.02,
        "_LOOK_EVERY_S": 0.0,
        "_STORE_RETRY_S": 0.01,
    }.items():
        monkeypatch.setattr(f"bridge.reports.delivery.{name}", value)
    store = Store(tmp_path / "bridge.db", clock())
    delivery = Delivery(store, lambda account: 86400.0, clock)
    outbox = delivery.outbox("smpp", "acme")
    hand = Hand(outbox, window=roll.choice((1, 5, 20)))
    confirmed: Counter[int] = Counter()
    last = 0
    with capture_logs():
        for _ in range(400):
            action = roll.random()
            if action < 0.3:
                count = roll.choice((1, 3, 12))
                items = await owe(store, clock, range(last + 1, last + 1 + count))
                last += count
                if len(items) > 1 and roll.random() < 0.3:  # the news of two commits come the wrong way round
                    outbox.offer(items[1:])
                    await asyncio.sleep(0)
                    outbox.offer(items[:1])
                else:
                    outbox.offer(items)
            elif action < 0.35:
                outbox.look()
            elif action < 0.4:
                outbox.pump()
            elif action < 0.5:
                await asyncio.sleep(roll.random() * 0.004)
            elif hand.under_way:
                which = roll.randrange(len(hand.under_way))
                hand.under_way.insert(0, hand.under_way.pop(which))
                if roll.random() < 0.6:
                    confirmed[hand.under_way[0].known_id] += 1
                    hand.confirm()
                elif roll.random() < 0.5:
                    hand.fail()
                else:
                    hand.put_back()
                    outbox.pump()
        while len(confirmed) < last:
            outbox.pump()
            await until(lambda: hand.under_way)
            confirmed[hand.under_way[0].known_id] += 1
            hand.confirm()
    assert set(confirmed) == set(range(1, last + 1))
    assert not [number for number, count in confirmed.items() if count > 1]
    delivery.stop()
    await store.close()

    store = Store(tmp_path / "bridge.db", clock())
    assert await on_disk(store) == []
    await store.close()


@pytest.mark.parametrize("seed", range(4))
async def test_restarts_lose_nothing_and_forget_what_was_confirmed(
    seed: int, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll = random.Random(seed)
    monkeypatch.setattr("bridge.reports.delivery._IN_MEMORY", 10)
    monkeypatch.setattr("bridge.reports.delivery._LOAD", 4)
    confirmed: Counter[int] = Counter()
    last = 0
    for _ in range(6):
        store = Store(tmp_path / "bridge.db", clock())
        delivery = Delivery(store, lambda account: 86400.0, clock)
        hand = Hand(delivery.outbox("smpp", "acme"), window=roll.choice((1, 8)))
        await delivery.recover()
        delivery.offer(await owe(store, clock, range(last + 1, last + 21)))
        last += 20
        for _ in range(roll.randrange(5, 18)):
            await until(lambda hand=hand: hand.under_way)
            confirmed[hand.under_way[0].known_id] += 1
            hand.confirm()
        delivery.stop()
        await store.close()
    store = Store(tmp_path / "bridge.db", clock())
    assert sorted([*confirmed, *await on_disk(store)]) == list(range(1, last + 1))
    assert set(confirmed.values()) == {1}
    await store.close()
