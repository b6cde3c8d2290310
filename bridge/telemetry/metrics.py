"""Prometheus metrics, named `smsbridge_<noun>_<unit>`.

Counting happens on the hot path of every message, so a count is a plain integer in a dict; it becomes a metric when
somebody asks for the exposition.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Count(Collector):
    """Counts by label values, since the process started."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def add(self, *labels: str, count: int = 1) -> None:
        """Counts `count` more."""
        values = self._values
        values[labels] = values.get(labels, 0) + count

    def value(self, *labels: str) -> int:
        """The count so far."""
        return self._values.get(labels, 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """All counts, for the exposition."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


registry = CollectorRegistry()

accepted = Count("smsbridge_accepted_messages", "Messages taken, durable.", ("listener", "account"))
refused = Count("smsbridge_refused_messages", "Messages refused.", ("listener", "account", "reason"))
attempts = Count("smsbridge_attempts", "Sends, by what came of them.", ("provider", "outcome"))
repeated = Count(
    "smsbridge_repeated_messages",
    "Messages sent again to a provider that may have them, and would not know them again: possible doubles.",
    ("provider",),
)
reports = Count("smsbridge_reports", "Reports heard, by state.", ("provider", "state"))
handed = Count("smsbridge_handed", "Reports and inbound messages confirmed.", ("listener",))
smpp_responses = Count(
    "smsbridge_smpp_responses",
    "SMPP responses by status; `out`: ours to the client, `in`: the client's to us. No account: before a bind.",
    ("account", "direction", "command", "status"),
)
smpp_binds = Gauge("smsbridge_smpp_binds", "SMPP clients bound now.", ("account",), registry=registry)
given_up = Count("smsbridge_given_up", "Reports and inbound messages given up.", ("listener", "account"))
queued = Gauge("smsbridge_queued_messages", "Messages not yet with a provider.", registry=registry)
owed = Gauge("smsbridge_owed_reports", "Reports waiting in memory to be handed over.", registry=registry)
commits = Gauge("smsbridge_store_commits", "Commits since start.", registry=registry)


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(registry)
