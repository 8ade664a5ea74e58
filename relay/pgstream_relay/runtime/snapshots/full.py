"""The course of a full snapshot: the whole table at one point of the WAL, while the database's events wait there.

The point is that of a temporary slot: the snapshot that it exports sees every transaction whose commit lies before
it, and none behind it, so no key is needed to tell rows from changes. The table is locked (ACCESS SHARE) before the
point is found, for a TRUNCATE in between would leave nothing to read. A relay that starts again starts over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import psycopg

from pgstream_relay.event.values import TypeCatalog
from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.runtime.replication.connection import Connection, connect_walsender
from pgstream_relay.runtime.snapshots.catalog import Leaf, Table
from pgstream_relay.runtime.snapshots.course import Course, Stopped
from pgstream_relay.runtime.snapshots.emitter import Emission, NotPublished, RowCount, Standstill
from pgstream_relay.runtime.snapshots.failures import (
    SnapshotFailed,
    explain_read_failure,
    not_published,
    slot_in_danger,
    table_gone,
)
from pgstream_relay.runtime.snapshots.reader import ChunkReader
from pgstream_relay.snapshot.copy_text import split_line

READERS: Final = 2
RANGE_BLOCKS: Final = 2048
"""Heap blocks that a reader takes at once."""
POINT_SECONDS_MAX: Final = 5.0
"""So long events wait for the point to be found: it waits for every transaction that is open."""
POINT_RETRY_SECONDS: Final = 10.0
SAVE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
BATCH_ROWS: Final = 5000

SlotRoom = Callable[[], tuple[int, int] | None]
"""(bytes that the slot retains, bytes until it would be lost); None: no limit."""


class Interrupted(Exception):
    """A signal pauses the snapshot: the events must not wait for it to be resumed."""


@dataclass(slots=True)
class Notes:
    """`pgstream.snapshots.position` as JSON: where its end would be found in NATS."""

    stream: str | None = None
    subject: str = ""


class Lines:
    """Rows as COPY text, for the emitter."""

    stale = False

    def __init__(self, lines: list[bytes], columns: int) -> None:
        self._lines = deque(lines)
        self._columns = columns

    @property
    def exhausted(self) -> bool:
        return not self._lines

    def take(self, rows_max: int, bytes_max: int) -> list[list[bytes | None]]:
        """See RowSource."""
        rows: list[list[bytes | None]] = []
        size = 0
        while self._lines and len(rows) < rows_max and (not rows or size + len(self._lines[0]) <= bytes_max):
            line = self._lines.popleft()
            size += len(line)
            rows.append(split_line(line, self._columns))
        return rows


class FullSnapshot:
    """`run` returns when the snapshot has ended, well or not. Cancelled, it leaves all for the next relay."""

    unsaved = False
    """It needs no WAL of before its point."""

    def __init__(self, course: Course, dsn: str, slot_room: SlotRoom) -> None:
        self._course = course
        self._row = course.row
        self._dsn = dsn
        self._slot_room = slot_room
        self._notes = Notes(**course.row.position)
        self._count = RowCount()
        self._table: Table | None = None
        self._begun = False
        self._saved_at = 0.0

    async def save_keys(self) -> None:
        """There are none."""

    async def run(self) -> None:
        """Raises RelayError where the session must end."""
        course = self._course
        try:
            while True:
                await course.obey()
                if await self._is_written() or await self._attempt():
                    break
            await self._end("completed")
        except Stopped:
            await self._end("stopped", mark=True)
        except NotPublished:
            await self._end("failed", not_published(course.name))
        except SnapshotFailed as failure:
            await self._end("failed", failure, mark=True)

    async def _is_written(self) -> bool:
        """Whether a relay before this one came to the end, and could not note it."""
        notes = self._notes
        rows = None
        if notes.stream is not None:
            rows = await self._course.read_end(notes.stream, notes.subject)
        if rows is not None:
            self._count.value = rows
        return rows is not None

    async def _attempt(self) -> bool:
        """From the lock on the table to the mark `end`; False where it must be tried again."""
        emitter = self._course.emitter
        async with emitter.full_turn, contextlib.AsyncExitStack() as stack:
            holder, *readers = [await self._connect(stack) for _ in range(1 + READERS)]
            try:
                leaves = await self._lock(holder)
                standstill = emitter.stand_still()
                stack.callback(emitter.go_on)
                snapshot = await self._find_point(stack, standstill)
                if snapshot is None:
                    return False
                await self._read_all(readers, snapshot, leaves)
            except Interrupted:
                return False
            except psycopg.errors.LockNotAvailable:
                waits = "waits for a lock on the table"
            except psycopg.Error as error:
                if not any(reader.broken for reader in (holder, *readers)):
                    raise explain_read_failure(error, self._course.name, holder.role) from None
                waits = "a connection to Postgres broke: begins again"
            else:
                return True
        await self._course.note(waits, "another session alters the table, or ended this one: see pg_stat_activity")
        await self._course.wait(RETRY_SECONDS)
        return False

    async def _connect(self, stack: contextlib.AsyncExitStack) -> ChunkReader:
        reader = await ChunkReader.connect(self._dsn)
        stack.push_async_callback(reader.close)
        return reader

    async def _lock(self, holder: ChunkReader) -> list[Leaf]:
        """The heaps of the table, locked against whatever would rewrite them."""
        leaves = await holder.leaves(self._row.relid)
        if not leaves and await holder.table(self._row.relid) is None:
            raise table_gone(self._course.name)
        await holder.hold([leaf.name for leaf in leaves])
        return leaves

    async def _find_point(self, stack: contextlib.AsyncExitStack, standstill: Standstill) -> str | None:
        """The name of the exported snapshot, once the stream stands at its point; None: not now."""
        walsender = await connect_walsender(self._dsn)
        stack.push_async_callback(walsender.close)
        try:
            async with asyncio.timeout(POINT_SECONDS_MAX):
                lsn, snapshot = await _create_slot(walsender, self._row.id)
        except TimeoutError:
            self._course.emitter.go_on()
            await self._course.note(
                "waits for transactions that are open, before a consistent point can be found",
                "look for the oldest ones in pg_stat_activity and pg_prepared_xacts; it is tried again",
            )
            await self._course.wait(POINT_RETRY_SECONDS)
            return None
        except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.ConfigurationLimitExceeded) as error:
            raise SnapshotFailed(
                f"no temporary replication slot could be made: {error.diag.message_primary}",
                hint="raise max_replication_slots and max_wal_senders by one, then insert the signal again",
            ) from None
        self._course.emitter.until(lsn)
        await self._nudge()
        await standstill.reached.wait()
        await self._course.note(None, None)
        return snapshot

    async def _nudge(self) -> None:
        await self._course.read(lambda reader: reader.nudge())

    # Rows.

    async def _read_all(self, readers: list[ChunkReader], snapshot: str, leaves: list[Leaf]) -> None:
        for reader in readers:
            await reader.adopt(snapshot)
        table = await readers[0].table(self._row.relid)
        if table is None:
            raise table_gone(self._course.name)
        self._table = table
        types = await readers[0].types(table.relation)
        row = self._row
        self._count.value = row.blocks_done = 0
        row.blocks_total, row.state = sum(leaf.blocks for leaf in leaves), "running"
        # A table that grew since its blocks were counted: the last range of each heap is open.
        ranges = deque(
            (leaf, first, None if first + RANGE_BLOCKS >= leaf.blocks else first + RANGE_BLOCKS)
            for leaf in leaves
            for first in range(0, max(leaf.blocks, 1), RANGE_BLOCKS)
        )
        await self._mark("begin", table, types)
        self._begun = True
        await self._save()
        await _all([self._read_ranges(reader, table, types, ranges) for reader in readers])
        await self._mark("end", table, types)

    async def _read_ranges(
        self, reader: ChunkReader, table: Table, types: TypeCatalog, ranges: deque[tuple[Leaf, int, int | None]]
    ) -> None:
        filter_id = self._row.id if self._row.filtered else None
        while ranges:
            leaf, first, end = ranges.popleft()
            condition = f"ctid >= '({first},0)'" + ("" if end is None else f" and ctid < '({end},0)'")
            query = await reader.rows_query(table, f"only {leaf.name}", condition, filter_id)
            read_at_us = (await reader.position()).time_us
            batch: list[bytes] = []
            async for lines in reader.stream(query):
                batch += lines
                if len(batch) >= BATCH_ROWS:
                    await self._publish(table, types, batch, read_at_us)
                    batch = []
            if batch:
                await self._publish(table, types, batch, read_at_us)
            self._row.blocks_done += (leaf.blocks if end is None else end) - first
            await self._progress()

    async def _publish(self, table: Table, types: TypeCatalog, lines: list[bytes], read_at_us: int) -> None:
        emission = self._emission(table, types, read_at_us)
        emission.rows = Lines(lines, len(table.relation.columns))
        await self._course.emitter.publish(emission)
        await self._progress()

    async def _progress(self) -> None:
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            await self._save()
        room = self._slot_room()
        if room is not None and room[1] < sum(room) // 4:
            raise slot_in_danger(self._course.name)
        if self._course.commanded:
            raise Interrupted

    # Marks and notes.

    def _emission(self, table: Table, types: TypeCatalog, read_at_us: int) -> Emission:
        # The pump stands at the point: whatever is emitted comes there.
        return Emission(self._row.id, table, types, 0, read_at_us, self._count)

    async def _mark(self, mark: str, table: Table, types: TypeCatalog) -> None:
        now = await self._course.read(lambda reader: reader.position())
        emission = self._emission(table, types, now.time_us)
        emission.mark = mark
        await self._course.emitter.publish(emission)
        self._notes.stream, self._notes.subject = emission.stream, emission.subject

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        row = self._row
        row.rows_done, row.position = self._count.value, asdict(self._notes)
        await self._course.store.save(row)

    async def _end(self, state: str, failure: SnapshotFailed | None = None, *, mark: bool = False) -> None:
        row = self._row
        if mark and self._begun and self._table is not None:
            # Nobody can be told where the table has no subject any more.
            with contextlib.suppress(NotPublished):
                await self._mark(state, self._table, {})
        row.state = state
        if state == "completed":
            row.blocks_done = row.blocks_total or 0
        row.error, row.hint = (failure.message, failure.hint) if failure is not None else (None, None)
        await self._save()


async def _all(readers: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs them side by side; the first failure ends all, and is raised as it is."""
    tasks = [asyncio.create_task(reader) for reader in readers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _create_slot(walsender: Connection, snapshot_id: int) -> tuple[int, str]:
    """The consistent point, and the name of the snapshot that sees what was committed before it."""
    name = f"pgstream_snapshot_{snapshot_id}_{walsender.info.backend_pid}"
    cursor = await walsender.execute(
        f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')".encode()
    )
    row: Any = await cursor.fetchone()
    assert row is not None
    return parse_lsn(row[1]), row[2]
