"""Counts become metrics of the Prometheus text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from bridge.telemetry import metrics


def _samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_counts_add_up_by_label() -> None:
    before = metrics.attempts.value("test-a", "accepted")
    metrics.attempts.add("test-a", "accepted")
    metrics.attempts.add("test-a", "accepted", count=4)
    metrics.attempts.add("test-a", "refused")
    assert metrics.attempts.value("test-a", "accepted") == before + 5
    samples = _samples()
    assert samples["smsbridge_attempts_total", (("outcome", "accepted"), ("provider", "test-a"))] == before + 5
    assert samples["smsbridge_attempts_total", (("outcome", "refused"), ("provider", "test-a"))] >= 1


def test_every_metric_is_ours_and_explained() -> None:
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    assert {family.name.split("_")[0] for family in families} == {"smsbridge"}
    assert all(family.documentation for family in families)


def test_gauges_show_what_they_were_set_to() -> None:
    metrics.queued.set(7)
    assert _samples()["smsbridge_queued_messages", ()] == 7
