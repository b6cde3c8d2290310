"""What a request to a provider leaves behind in the figures."""

from __future__ import annotations

import pytest
from unit.dispatch.conftest import Dispatch
from unit.world import Api, Reply, Store, message_of, plain

from bridge.telemetry import metrics

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.mark.parametrize(("idempotent", "repeated"), [(False, 3), (True, 0)])
async def test_what_may_be_a_double_is_counted(
    dispatch: Dispatch, store: Store, api: Api, idempotent: bool, repeated: int
) -> None:
    answers = [None, None, Reply(status=503), None, Reply(body=["accepted"])]  # None: it hangs up

    async def answer(items: list[dict[str, str]]) -> Reply | None:
        return answers.pop(0)

    api.answer = answer
    name = f"repeating-{idempotent}"
    dispatch.lane(plain(api, name, on_unsure="retry", can={"idempotent": idempotent}))
    await dispatch.submit(message_of(1))
    await store.until_settled(5)
    assert not answers
    assert metrics.repeated.value(name) == repeated
