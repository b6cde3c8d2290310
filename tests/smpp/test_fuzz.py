"""Sessions under hostile streams, for as long as one likes::

    pytest tests/smpp/test_fuzz.py --fuzz-seconds 36000

Each trial comes from one number, and a failure names it; `--fuzz-seed NUMBER --fuzz-seconds 0` is that trial again.
"""

from __future__ import annotations

import random
import tracemalloc
from time import monotonic

import pytest
from smpp.streams import Trial, is_read_by_others, mutated, sensible

from bridge.smpp.codec import encode
from bridge.smpp.pdus import DeliverSm, SubmitSmResp

_TRIALS = 1 << 32  # numbers to draw the first from


def attempt(number: int) -> int:
    """One trial; whatever it raises says how to have it again."""
    try:
        return Trial(number).run()
    except Exception as problem:
        again = f"pytest tests/smpp/test_fuzz.py --fuzz-seed {number} --fuzz-seconds 0"
        raise AssertionError(f"{type(problem).__name__}: {problem}\nagain with: {again}") from problem


def test_no_stream_brings_a_session_out_of_order(pytestconfig: pytest.Config) -> None:
    seconds = float(pytestconfig.getoption("--fuzz-seconds"))
    seed = pytestconfig.getoption("--fuzz-seed")
    number = random.SystemRandom().randrange(_TRIALS) if seed is None else int(seed)
    print(f"the first trial is {number}")
    end, trials, answers = monotonic() + seconds, 0, 0
    while not trials or monotonic() < end:
        answers += attempt(number + trials)
        trials += 1
    print(f"{trials} trials, {answers} answers")


def test_trials_leave_nothing_behind() -> None:
    attempt(0)
    tracemalloc.start()
    try:
        for number in range(20):
            attempt(number)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20, 120):
            attempt(number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000


def test_a_number_is_always_the_same_trial() -> None:
    for number in range(20):
        assert Trial(number).run() == Trial(number).run()
    assert mutated(random.Random(1)) == mutated(random.Random(1)) != mutated(random.Random(2))


def test_trials_reach_what_they_are_for() -> None:
    trials = [Trial(number) for number in range(300)]
    written = {octets[4:8].hex() for trial in trials if trial.run() for octets in trial.written}
    # bind_resp, submit_sm_resp, deliver_sm, unbind_resp, enquire_link_resp, query_sm_resp, generic_nack
    assert written >= {"80000009", "80000004", "00000005", "80000006", "80000015", "80000003", "80000000"}
    assert any(trial.settled for trial in trials)


@pytest.mark.parametrize("spoiled", [b"\0\0\0\x11", b"\0\0\0\x0f"])
def test_what_others_cannot_read_would_be_found(spoiled: bytes) -> None:
    is_read_by_others(encode(SubmitSmResp(sequence=3, message_id="7")))
    is_read_by_others(encode(DeliverSm(sequence=3, source_addr="1", short_message=b"x")))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever decoder is first
        is_read_by_others(spoiled + encode(SubmitSmResp(sequence=3, message_id="7"))[4:])


def test_a_defect_in_a_session_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.smpp.session.header_only", lambda *_: b"")
    with pytest.raises(AssertionError, match="--fuzz-seed"):
        list(map(attempt, range(50)))


def test_sensible_streams_are_sensible() -> None:
    chance = random.Random(0)
    for _ in range(200):
        octets = sensible(chance)
        assert len(octets) == int.from_bytes(octets[:4], "big")
