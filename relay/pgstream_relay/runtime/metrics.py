"""Counters of one database, as plain numbers: the hot path adds to integers; `exposition.py` renders them when scraped.

prometheus_client's own Counter takes a lock and a label lookup at each increment, can't add n to a histogram at once,
and can't follow a database that gets an alias; its collector interface can, and costs nothing until somebody scrapes.
Gauges are not here: they are read from DatabaseHealth.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

TableOperation = tuple[str, str, str]

# Seconds from commit to acknowledgement: milliseconds when all is well, hours after an outage.
LATENCY_BUCKETS: tuple[float, ...] = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
)  # fmt: skip


# What PublishInterrupted gives; a counter that begins at 0 shows its first increment.
PUBLISH_ERROR_REASONS: tuple[str, ...] = (
    "lost", "timeout", "denied", "fenced", "full", "missing", "duplicate", "expired", "too-large", "refused",
)  # fmt: skip


class LatencyHistogram:
    """Counts by bucket; the last one is everything slower than LATENCY_BUCKETS."""

    __slots__ = ("counts", "sum_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self.sum_seconds = 0.0

    def observe(self, seconds: float, events: int) -> None:
        """Adds `events` events that all took `seconds`; a clock that runs behind the server's counts as 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(LATENCY_BUCKETS, seconds)] += events
        self.sum_seconds += seconds * events


class DatabaseMetrics:
    """Call each method once a batch, never once an event."""

    __slots__ = ("event_bytes", "events", "latency", "publish_errors", "reconnects", "snapshot_rows")

    def __init__(self) -> None:
        self.events: defaultdict[TableOperation, int] = defaultdict(int)
        self.event_bytes = 0
        self.latency = LatencyHistogram()
        self.publish_errors: defaultdict[str, int] = defaultdict(int, dict.fromkeys(PUBLISH_ERROR_REASONS, 0))
        self.snapshot_rows: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.reconnects: defaultdict[str, int] = defaultdict(int, postgres=0, nats=0)

    def count_events(self, key: TableOperation, events: int, size: int) -> None:
        """Events that NATS has acknowledged: `key` is (schema, table, operation), `size` their payloads in bytes."""
        self.events[key] += events
        self.event_bytes += size

    def observe_latency(self, seconds: float, events: int = 1) -> None:
        """From the commit of a transaction to the acknowledgement of its `events` events."""
        self.latency.observe(seconds, events)

    def count_publish_error(self, reason: str) -> None:
        """`reason` is one of a few fixed words, never a server's text: it becomes a label."""
        self.publish_errors[reason] += 1

    def count_snapshot_rows(self, schema: str, table: str, rows: int) -> None:
        """Rows that a snapshot published."""
        self.snapshot_rows[(schema, table)] += rows

    def count_reconnect(self, component: str) -> None:
        """`component` is `postgres` or `nats`."""
        self.reconnects[component] += 1
