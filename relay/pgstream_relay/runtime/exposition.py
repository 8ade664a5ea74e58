"""The metrics in Prometheus' text format: health and counters of every database, read at the moment of the scrape.

This module alone needs prometheus_client, which takes a tenth of a second to import: the HTTP server imports it at the
first scrape, in its thread: dictionaries are copied before they are walked through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pgstream_relay.runtime.health import STATES, DatabaseHealth, Health
from pgstream_relay.runtime.metrics import LATENCY_BUCKETS, DatabaseMetrics

Labelled = list[tuple[str, DatabaseHealth]]
LabelledMetrics = list[tuple[str, DatabaseMetrics]]

GAUGES: tuple[tuple[str, str, str], ...] = (
    ("pgstream_replication_lag_bytes", "lag_bytes", "WAL written and not yet confirmed"),
    ("pgstream_replication_lag_seconds", "lag_seconds", "Age of the oldest thing committed and not confirmed"),
    ("pgstream_slot_retained_bytes", "retained_bytes", "WAL that the replication slot keeps Postgres from removing"),
    ("pgstream_slot_safe_bytes", "safe_bytes", "WAL that may still be written before the slot is lost"),
    ("pgstream_in_flight_events", "in_flight_events", "Events handed to NATS and not yet acknowledged"),
)


class RelayCollector(Collector):
    """All metrics of one process. `metrics` is by database key, as in Health, and read anew at each scrape."""

    def __init__(self, health: Health, metrics: Mapping[str, DatabaseMetrics], *, table_metrics: bool) -> None:
        self._health = health
        self._metrics = metrics
        self._table_metrics = table_metrics

    def collect(self) -> Iterable[Metric]:
        """Called by the registry, once a scrape."""
        databases = self._health.labelled()
        counters = dict(self._metrics)
        metrics = [(label, counters[one.key]) for label, one in databases if one.key in counters]
        yield _build_info(databases, self._health.version)
        yield _states(databases)
        yield from _gauges(databases)
        yield _events(metrics, table_metrics=self._table_metrics)
        yield _event_bytes(metrics)
        yield _latency(metrics)
        yield _publish_errors(metrics)
        yield _snapshot_rows(metrics, table_metrics=self._table_metrics)
        yield _reconnects(metrics)


def _build_info(databases: Labelled, version: str) -> Metric:
    family = GaugeMetricFamily("pgstream_build_info", "Version of the relay", labels=["database", "version"])
    for label, _ in databases:
        family.add_metric([label, version], 1)
    return family


def _states(databases: Labelled) -> Metric:
    family = GaugeMetricFamily("pgstream_state", "1 for the state that holds, else 0", labels=["database", "state"])
    for label, database in databases:
        for state in STATES:
            family.add_metric([label, state], database.state == state)
    return family


def _gauges(databases: Labelled) -> Iterator[Metric]:
    for name, attribute, description in GAUGES:
        family = GaugeMetricFamily(name, description, labels=["database"])
        for label, database in databases:
            value = getattr(database, attribute)
            # What is not known is left out: a 0 would read as "no lag".
            if value is not None:
                family.add_metric([label], value)
        yield family


def _events(metrics: LabelledMetrics, *, table_metrics: bool) -> Metric:
    names = ["database", "schema", "table", "operation"] if table_metrics else ["database", "operation"]
    family = CounterMetricFamily("pgstream_events", "Events acknowledged by NATS", labels=names)
    for label, counters in metrics:
        if table_metrics:
            for key, count in counters.events.copy().items():
                family.add_metric([label, *key], count)
            continue
        sums: defaultdict[str, int] = defaultdict(int)
        for (_, _, operation), count in counters.events.copy().items():
            sums[operation] += count
        for operation, count in sums.items():
            family.add_metric([label, operation], count)
    return family


def _event_bytes(metrics: LabelledMetrics) -> Metric:
    family = CounterMetricFamily("pgstream_event_bytes", "Payload bytes acknowledged by NATS", labels=["database"])
    for label, counters in metrics:
        family.add_metric([label], counters.event_bytes)
    return family


def _latency(metrics: LabelledMetrics) -> Metric:
    family = HistogramMetricFamily(
        "pgstream_event_latency_seconds", "From commit to acknowledgement", labels=["database"]
    )
    bounds = [str(bound) for bound in LATENCY_BUCKETS] + ["+Inf"]
    for label, counters in metrics:
        total = 0
        buckets = []
        for bound, count in zip(bounds, counters.latency.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric([label], buckets, counters.latency.sum_seconds)
    return family


def _publish_errors(metrics: LabelledMetrics) -> Metric:
    family = CounterMetricFamily(
        "pgstream_publish_errors", "Times that NATS refused or lost a publish", labels=["database", "reason"]
    )
    for label, counters in metrics:
        for reason, count in counters.publish_errors.copy().items():
            family.add_metric([label, reason], count)
    return family


def _snapshot_rows(metrics: LabelledMetrics, *, table_metrics: bool) -> Metric:
    names = ["database", "schema", "table"] if table_metrics else ["database"]
    family = CounterMetricFamily("pgstream_snapshot_rows", "Rows that snapshots published", labels=names)
    for label, counters in metrics:
        if not table_metrics:
            family.add_metric([label], sum(counters.snapshot_rows.copy().values()))
            continue
        for table, count in counters.snapshot_rows.copy().items():
            family.add_metric([label, *table], count)
    return family


def _reconnects(metrics: LabelledMetrics) -> Metric:
    family = CounterMetricFamily(
        "pgstream_reconnects", "Connections made again after they were lost", labels=["database", "component"]
    )
    for label, counters in metrics:
        for component, count in counters.reconnects.copy().items():
            family.add_metric([label, component], count)
    return family


def render_metrics(health: Health, metrics: Mapping[str, DatabaseMetrics], *, table_metrics: bool) -> bytes:
    """The whole page, in the text format that every Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RelayCollector(health, metrics, table_metrics=table_metrics))
    return generate_latest(registry)
