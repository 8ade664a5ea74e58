"""Publishes what snapshots have read, between two transactions, a few rows at a time: live events come first.

The session's pump calls `emit`, and nobody else publishes. Whoever has something to publish waits until NATS has all
of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from pgstream_relay.change.plan import RelationPlan
from pgstream_relay.control.tables import database_alias
from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.event.values import TypeCatalog
from pgstream_relay.pipeline import Pipeline
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.figures import SessionFigures
from pgstream_relay.runtime.metrics import DatabaseMetrics
from pgstream_relay.runtime.publisher.outlets import Outlets
from pgstream_relay.runtime.snapshots.catalog import Table
from pgstream_relay.runtime.snapshots.pace import Pace
from pgstream_relay.snapshot.events import SnapshotEvents
from pgstream_relay.source import Source

SLICE_ROWS_MAX: Final = 250
SLICE_BYTES_MAX: Final = 256 * 1024
"""What live events may have to wait for."""


class NotPublished(Exception):
    """The table is not streamed any more, or not its snapshots."""


class StaleRows(Exception):
    """Rows must be read again: their table was changed since."""


class Standstill:
    """What a full snapshot asks of the pump: read no more changes, or those of transactions before `lsn` alone.

    `begun` is set when no more are read, `reached` when there is nothing left of those before `lsn`.
    """

    def __init__(self) -> None:
        self.lsn: int | None = None
        self.begun = asyncio.Event()
        self.reached = asyncio.Event()


class RowSource(Protocol):
    """Rows that were read: a window, or what a full snapshot reads."""

    @property
    def stale(self) -> bool:
        """Whether what is left can't be emitted."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""

    def take(self, rows_max: int, bytes_max: int) -> list[list[bytes | None]]:
        """The next rows, to be emitted at once."""


@dataclass(slots=True)
class RowCount:
    """How many rows of a snapshot were published: the number of the last one."""

    value: int = 0


@dataclass(slots=True)
class Emission:
    """Rows, or a mark, of one snapshot, or neither: that asks for the place where they would go.

    `lsn` is the position that the stream must have passed.

    `count` grows with each row that is emitted. `skip` says of a row and its event that it was published before.
    """

    snapshot_id: int
    table: Table
    types: TypeCatalog
    lsn: int
    read_at_us: int
    count: RowCount
    rows: RowSource | None = None
    mark: str | None = None
    skip: Callable[[list[bytes | None], EncodedEvent], bool] | None = None
    stream: str | None = None
    """The stream that took it, with the subject and the stream's last sequence; None: plain NATS."""
    subject: str = ""
    sequence: int = 0
    id_ms: int = 0
    handed: tuple[int, ...] = ()
    plan: RelationPlan | None = None
    plan_version: int = -1
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SnapshotEmitter:
    """`wake` is called when there is something to emit; `align` brings the streams in line with the settings."""

    def __init__(
        self,
        pipeline: Pipeline,
        ledger: Ledger,
        outlets: Outlets,
        source: Source,
        metrics: DatabaseMetrics,
        figures: SessionFigures,
        pace: Pace,
        *,
        event_bytes_max: int,
        wake: Callable[[], None],
        align: Callable[[], Awaitable[None]],
    ) -> None:
        self.full_turn = asyncio.Lock()
        """One full snapshot at a time."""
        self.standstill: Standstill | None = None
        self._pipeline = pipeline
        self._ledger = ledger
        self._outlets = outlets
        self._source = source
        self._metrics = metrics
        self._figures = figures
        self._pace = pace
        self._event_bytes_max = event_bytes_max
        self._wake_pump = wake
        self._news = asyncio.Event()
        self._align = align
        self._waiting: deque[Emission] = deque()
        self._unacknowledged: list[Emission] = []
        self._last_id_ms = 0

    async def publish(self, emission: Emission) -> None:
        """Returns when NATS has all of it. Raises NotPublished, StaleRows."""
        emission.id_ms = self._last_id_ms = max(emission.read_at_us // 1000, self._last_id_ms + 1)
        self._waiting.append(emission)
        self._set_pace()
        self._wake()
        try:
            await emission.done
        finally:
            if emission in self._waiting:
                self._waiting.remove(emission)
            self._set_pace()

    def stand_still(self) -> Standstill:
        """The database's events wait from `begun` on, until `go_on`. For whoever has `full_turn`."""
        self.standstill = Standstill()
        self._wake()
        return self.standstill

    def until(self, lsn: int) -> None:
        """Everything that was committed before `lsn` comes first."""
        assert self.standstill is not None, "stand_still comes first"
        self.standstill.lsn = lsn
        self._wake()

    def go_on(self) -> None:
        """Ends the standstill."""
        self.standstill = None
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._wake_pump()

    # What the pump calls.

    async def changed(self) -> None:
        """Returns when there is something new to emit, or a standstill begins, moves or ends."""
        await self._news.wait()
        self._news.clear()

    @property
    def due(self) -> bool:
        """Whether something may be emitted now."""
        if self._pipeline.in_transaction or self._pause_seconds:
            return False
        received = self._ledger.received_lsn
        return any(emission.lsn <= received for emission in self._waiting)

    @property
    def patience_seconds(self) -> float | None:
        """How long the pump may wait for changes alone."""
        return (self._pause_seconds or None) if self._waiting else None

    def wake_lsn(self) -> int | None:
        """Where the pipeline should stop for `emit` while live events keep coming; None: not soon."""
        if not self._waiting or self._pause_seconds:
            return None
        return min(emission.lsn for emission in self._waiting)

    @property
    def _pause_seconds(self) -> float:
        # During a standstill no message would come, and live events wait in any case.
        return self._pace.pause_seconds if self.standstill is None else 0.0

    def _set_pace(self) -> None:
        if self._waiting and self.standstill is None:
            self._pace.active.set()
        else:
            self._pace.active.clear()

    async def emit(self) -> None:
        """One slice of what waits longest and may come here. Raises RelayError."""
        received = self._ledger.received_lsn
        emission = next((waiting for waiting in self._waiting if waiting.lsn <= received), None)
        if emission is None:
            return
        if self._pipeline.streams_outdated:
            await self._align()
        self._waiting.remove(emission)
        if emission.rows is not None and emission.rows.stale:
            _fail(emission, StaleRows())
            return
        plan = self._plan(emission)
        if plan is None:
            _fail(emission, NotPublished())
            return
        started = time.monotonic()
        await self._emit_slice(emission, plan)
        self._pace.emitted(time.monotonic() - started, self._pipeline.last_commit_lsn)
        if emission.done.done():
            # Whoever asked for it has gone meanwhile: the rest must not follow, behind other events.
            return
        if emission.rows is not None and emission.rows.stale:
            _fail(emission, StaleRows())
        elif emission.rows is not None and not emission.rows.exhausted:
            # Behind the others: each snapshot gets its turn.
            self._waiting.append(emission)
        else:
            emission.handed = self._ledger.handed_over
            self._unacknowledged.append(emission)

    def observe_acknowledgements(self) -> None:
        """After `Outlets.report`: ends the wait of those whose events are all stored."""
        if not self._unacknowledged:
            return
        left = []
        for emission in self._unacknowledged:
            if self._ledger.is_acknowledged(emission.handed):
                sequences = self._outlets.last_sequences()
                emission.sequence = sequences[emission.stream][1] if emission.stream in sequences else 0
                if not emission.done.done():
                    emission.done.set_result(None)
            else:
                left.append(emission)
        self._unacknowledged = left

    def _plan(self, emission: Emission) -> RelationPlan | None:
        """Made anew where the settings or the streams have changed."""
        version = self._pipeline.plans_version
        if emission.plan_version != version:
            table = emission.table
            emission.plan = self._pipeline.snapshot_plan(table.relation, table.keys, emission.types)
            emission.plan_version = version
            if emission.plan is not None:
                emission.stream = self._outlets.stream_of(emission.plan.target)
                emission.subject = emission.plan.subjects["snapshot"].decode()
        return emission.plan

    async def _emit_slice(self, emission: Emission, plan: RelationPlan) -> None:
        events = SnapshotEvents(
            plan,
            self._source,
            database_alias(self._pipeline.settings),
            emission.snapshot_id,
            lsn=self._pipeline.last_commit_lsn,
            read_at_us=emission.read_at_us,
            id_ms=emission.id_ms,
            event_bytes_max=self._event_bytes_max,
        )
        if emission.rows is None:
            if emission.mark is None:
                return
            count = emission.count.value
            number = 0 if emission.mark == "begin" else count + 1
            encoded = [events.mark(emission.mark, number, rows=count if emission.mark == "end" else None)]
        else:
            rows = emission.rows.take(SLICE_ROWS_MAX, SLICE_BYTES_MAX)
            encoded = self._encode(emission, events, rows)
            emission.count.value += len(encoded)
            self._metrics.count_snapshot_rows(plan.relation.schema, plan.relation.name, len(encoded))
        self._pipeline.unknown_rows += events.unknown
        if not encoded:
            return
        for stored in events.objects:
            await self._outlets.store_object(stored)
        self._ledger.hand_over(plan.target, len(encoded))
        self._ledger.commit(self._ledger.received_lsn)
        await self._outlets.publish(plan.target, encoded)
        self._figures.add_size(sum([len(payload) for _, _, payload in encoded]))

    def _encode(self, emission: Emission, events: SnapshotEvents, rows: list[list[bytes | None]]) -> list[EncodedEvent]:
        if emission.skip is None:
            return events.rows(rows, emission.count.value + 1)
        encoded: list[EncodedEvent] = []
        for row in rows:
            (event,) = events.rows([row], emission.count.value + 1 + len(encoded))
            if not emission.skip(row, event):
                encoded.append(event)
        return encoded


def _fail(emission: Emission, failure: Exception) -> None:
    if not emission.done.done():
        emission.done.set_exception(failure)
