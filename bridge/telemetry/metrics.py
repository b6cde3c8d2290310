"""Prometheus metrics, named `smsbridge_<noun>_<unit>`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

registry = CollectorRegistry()

accepted = Counter(
    "smsbridge_accepted_messages", "Messages taken, durable.", ["listener", "account"], registry=registry
)
refused = Counter(
    "smsbridge_refused_messages", "Messages refused.", ["listener", "account", "reason"], registry=registry
)
attempts = Counter(
    "smsbridge_attempts_total", "Sends, by what came of them.", ["provider", "outcome"], registry=registry
)
reports = Counter("smsbridge_reports_total", "Reports heard, by state.", ["provider", "state"], registry=registry)
handed = Counter("smsbridge_handed_total", "Reports and inbound messages confirmed.", ["listener"], registry=registry)
queued = Gauge("smsbridge_queued_messages", "Messages not yet with a provider.", registry=registry)
owed = Gauge("smsbridge_owed_reports", "Reports waiting in memory to be handed over.", registry=registry)
commits = Gauge("smsbridge_store_commits", "Commits since start.", registry=registry)


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(registry)
