"""One session's figures for health and metrics: taken once a second, never once an event."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from pgstream_relay.control.state import ControlState
from pgstream_relay.pipeline import Pipeline
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.health import DatabaseHealth
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.publisher.outlets import Outlets


class _Published(NamedTuple):
    """Events of one second, due once everything in `handed` is acknowledged."""

    handed: tuple[int, ...]
    events: list[tuple[str, str, dict[str, int]]]
    size: int


class SessionFigures:
    """Counts an event when NATS has acknowledged it, so that one that is sent again after an outage counts once.

    Those that were acknowledged in the last second before a connection broke may be missing from the counters.
    """

    def __init__(
        self,
        control: ControlState,
        pipeline: Pipeline,
        ledger: Ledger,
        outlets: Outlets,
        health: DatabaseHealth,
        metrics: DatabaseMetrics,
    ) -> None:
        self._control = control
        self._pipeline = pipeline
        self._ledger = ledger
        self._outlets = outlets
        self._health = health
        self._metrics = metrics
        self._size = 0
        self._published: deque[_Published] = deque()

    def add_size(self, size: int) -> None:
        """Payload bytes that were handed over."""
        self._size += size

    def measure(self) -> None:
        """After `Outlets.report`."""
        health, ledger = self._health, self._ledger
        health.beat()
        health.received_lsn, health.confirmed_lsn = ledger.received_lsn, ledger.confirmed_lsn
        health.in_flight_events, health.in_flight_bytes = ledger.in_flight_events, self._outlets.in_flight_bytes
        health.tables = sum(row["enabled"] for row in self._control.tables.values())
        oldest_us = ledger.oldest_commit_us or self._pipeline.open_commit_us
        health.oldest_commit_at = oldest_us / 1e6 if oldest_us else None
        self.count()

    def count(self) -> None:
        """Counts what is acknowledged by now."""
        events = self._pipeline.take_published()
        if events:
            self._published.append(_Published(self._ledger.handed_over, events, self._size))
            self._size = 0
        while self._published and self._ledger.is_acknowledged(self._published[0].handed):
            self._count(self._published.popleft())

    def observe_latency(self) -> None:
        """Of the transactions that were stored since the last call: call it soon after `Outlets.report`."""
        stored = self._ledger.stored_commits_us
        if stored:
            now = time.time()
            for committed_us in stored:
                self._metrics.observe_latency(now - committed_us / 1e6)
            stored.clear()

    def close(self) -> None:
        """The session ends, well or not: nothing is in flight any more."""
        self.count()
        self._health.in_flight_events = self._health.in_flight_bytes = 0

    def _count(self, published: _Published) -> None:
        self._health.last_event_at = time.time()
        self._metrics.event_bytes += published.size
        for schema, table, counts in published.events:
            for operation, count in counts.items():
                self._metrics.events[schema, table, operation] += count
