"""The course of a full snapshot: the whole table at one point of the WAL, while the database's events wait there.

No key is needed to tell rows from changes: see `point`. The table is locked (ACCESS SHARE) before the point is found,
for a TRUNCATE in between would leave nothing to read. A relay that starts again starts over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import psycopg

from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.event.values import TypeCatalog
from pgstream_relay.pgoutput.messages import Relation
from pgstream_relay.runtime.postgres_errors import PostgresError
from pgstream_relay.runtime.snapshots.catalog import Leaf, Table
from pgstream_relay.runtime.snapshots.course import Course, Stopped
from pgstream_relay.runtime.snapshots.emitter import Emission, NotPublished, RowCount
from pgstream_relay.runtime.snapshots.failures import (
    NotNow,
    SnapshotFailed,
    broken_off,
    explain_full_failure,
    not_published,
    slot_in_danger,
    table_gone,
)
from pgstream_relay.runtime.snapshots.point import (
    Point,
    await_transactions,
    await_visibility,
    connect_for_slot,
    find_point,
    not_connected,
)
from pgstream_relay.runtime.snapshots.reader import ChunkReader
from pgstream_relay.snapshot.copy_text import split_line

READERS: Final = 2
RANGE_BLOCKS: Final = 2048
"""Heap blocks that a reader takes at once."""
SAVE_SECONDS: Final = 1.0
CHECK_SECONDS: Final = 0.25
"""How often it is asked whether to go on."""
BATCH_ROWS: Final = 5000
BATCH_BYTES: Final = 1024 * 1024

SlotRoom = Callable[[], tuple[int, int] | None]
"""(bytes that the slot retains, bytes until it would be lost); None: no limit."""


class Interrupted(Exception):
    """A signal pauses or stops the snapshot: the events must not wait meanwhile."""


@dataclass(slots=True)
class Notes:
    """`pgstream.snapshots.position` as JSON: whether somebody waits for a last mark; where `end` would be found.

    `sequence` is the stream's last one before `end`; None: there is none yet.
    """

    begun: bool = False
    stream: str | None = None
    subject: str = ""
    sequence: int | None = None


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
    """`run` returns when the snapshot has ended, well or not. Cancelled, it leaves all for the next relay.

    `look` has somebody look for commands: no signal is met in the WAL while nobody reads it.
    """

    unsaved = False
    """It needs no WAL of before its point."""

    def __init__(self, course: Course, dsn: str, slot_room: SlotRoom, look: Callable[[], None]) -> None:
        self._course = course
        self._row = course.row
        self._dsn = dsn
        self._slot_room = slot_room
        self._look_for_commands = look
        self._notes = Notes(**course.row.position)
        self._count = RowCount()
        self._sequence = 0
        self._saved_at = 0.0

    async def save_keys(self) -> None:
        """There are none."""

    async def run(self) -> None:
        """Raises RelayError where the session must end."""
        course = self._course
        try:
            ended = await self._is_written()
            while not ended:
                await course.obey()
                ended = await self._attempt()
            await self._end("completed")
        except Stopped:
            await self._end("stopped")
        except NotPublished:
            await self._end("failed", not_published(course.name))
        except SnapshotFailed as failure:
            await self._end("failed", failure)

    async def _is_written(self) -> bool:
        """Whether a relay before this one came to the end, and could not note it."""
        notes = self._notes
        if notes.stream is None or notes.sequence is None:
            return False
        rows = await self._course.read_end(notes.stream, notes.subject, notes.sequence)
        if rows is None:
            return False
        self._count.value = rows
        return True

    async def _attempt(self) -> bool:
        """From the lock on the table to the mark `end`; False where it must be tried again."""
        try:
            async with self._turn(), contextlib.AsyncExitStack() as stack:
                await self._run(stack)
        except Interrupted:
            await self._course.note(None, None)
            return False
        except NotNow as obstacle:
            await self._course.note(obstacle.message, obstacle.hint)
            await self._course.wait(obstacle.seconds)
            return False
        return True

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Raises Interrupted."""
        lock = self._course.emitter.full_turn
        turn = asyncio.create_task(lock.acquire())
        try:
            while not turn.done():
                await asyncio.wait([turn], timeout=CHECK_SECONDS)
                self._obey()
            yield
        finally:
            if not turn.cancel():
                lock.release()

    async def _run(self, stack: contextlib.AsyncExitStack) -> None:
        """Raises NotNow, Interrupted, NotPublished, SnapshotFailed."""
        role = ""
        try:
            aide, *readers = [await self._connect(stack) for _ in range(1 + READERS)]
            role = aide.role
            await await_transactions(aide, self._obey, self._course.note)
            leaves = await self._lock(aide, readers)
            # The callback runs before the connections are closed: nobody has to wait for that.
            stack.callback(self._course.emitter.go_on)
            await self._guard(self._run_locked(aide, readers, leaves))
        except psycopg.Error as error:
            raise explain_full_failure(error, self._course.name, role) from None

    async def _connect(self, stack: contextlib.AsyncExitStack) -> ChunkReader:
        try:
            reader = await ChunkReader.connect(self._dsn)
        except PostgresError as error:
            raise not_connected(error) from None
        stack.push_async_callback(reader.close)
        return reader

    async def _lock(self, aide: ChunkReader, readers: list[ChunkReader]) -> list[Leaf]:
        """The heaps of the table, locked against whatever would rewrite them: by each reader, for any may be ended."""
        leaves = await aide.leaves(self._row.relid)
        if not leaves and await aide.table(self._row.relid) is None:
            raise table_gone(self._course.name)
        for reader in readers:
            await reader.hold([leaf.name for leaf in leaves])
        return leaves

    async def _run_locked(self, aide: ChunkReader, readers: list[ChunkReader], leaves: list[Leaf]) -> None:
        await self._stand_at_point(aide, readers)
        if {leaf.oid for leaf in await aide.leaves(self._row.relid)} != {leaf.oid for leaf in leaves}:
            raise NotNow("partitions have come or gone: begins again", "nothing to do", 0)
        await self._course.note(None, None)
        await self._read_all(aide, readers, leaves)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Whatever the work waits for: a command, or a slot in danger, ends it."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=CHECK_SECONDS)
                if time.monotonic() - self._saved_at > SAVE_SECONDS and not task.done():
                    self._look_for_commands()
                    await self._save()
                if not task.done():
                    self._check()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        task.result()

    async def _stand_at_point(self, aide: ChunkReader, readers: list[ChunkReader]) -> None:
        """Until the stream stands at a point, and the readers see the table as it was there."""
        emitter = self._course.emitter
        walsender = await connect_for_slot(self._dsn)
        try:
            standstill = emitter.stand_still()
            await standstill.begun.wait()
            point = await self._find_point(aide, walsender)
            emitter.until(point.lsn)
            await aide.nudge()
            await standstill.reached.wait()
            for reader in readers:
                await self._adopt(reader, point)
        finally:
            await walsender.close()
        await await_visibility(readers[0], aide)

    async def _find_point(self, aide: ChunkReader, walsender: psycopg.AsyncConnection[Any]) -> Point:
        name = f"pgstream_snapshot_{self._row.id}_{walsender.info.backend_pid}"
        return await find_point(walsender, name)

    async def _adopt(self, reader: ChunkReader, point: Point) -> None:
        try:
            await reader.adopt(point.snapshot)
        except psycopg.Error:
            # The walsender is gone, or the reader.
            raise broken_off() from None

    def _obey(self) -> None:
        """Raises Interrupted."""
        if self._course.commanded:
            raise Interrupted

    def _check(self) -> None:
        """While events wait. Raises Interrupted, and SnapshotFailed where the slot would soon be lost."""
        self._obey()
        room = self._slot_room()
        if room is not None and room[1] < sum(room) // 4:
            raise slot_in_danger(self._course.name)

    # Rows.

    async def _read_all(self, aide: ChunkReader, readers: list[ChunkReader], leaves: list[Leaf]) -> None:
        table = await readers[0].table(self._row.relid)
        if table is None:
            raise table_gone(self._course.name)
        types = await readers[0].types(table.relation)
        row, notes = self._row, self._notes
        self._count.value = row.blocks_done = 0
        row.blocks_total, row.state = sum(leaf.blocks for leaf in leaves), "running"
        # A table that grew since its blocks were counted: the last range of each heap is open.
        ranges = deque(
            (leaf, first, None if first + RANGE_BLOCKS >= leaf.blocks else first + RANGE_BLOCKS)
            for leaf in leaves
            for first in range(0, max(leaf.blocks, 1), RANGE_BLOCKS)
        )
        notes.begun, notes.sequence = True, None
        await self._save()
        await self._mark("begin", table, types, (await aide.position()).time_us)
        await _all([self._read_ranges(reader, table, types, ranges) for reader in readers])
        notes.sequence = self._sequence
        await self._save()
        await self._mark("end", table, types, (await readers[0].position()).time_us)

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
            size = 0
            async for lines in reader.stream(query):
                batch += lines
                size += sum(map(len, lines))
                if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                    await self._publish(table, types, batch, read_at_us)
                    batch, size = [], 0
            if batch:
                await self._publish(table, types, batch, read_at_us)
            self._row.blocks_done += (leaf.blocks if end is None else end) - first

    async def _publish(self, table: Table, types: TypeCatalog, lines: list[bytes], read_at_us: int) -> None:
        emission = self._emission(table, types, read_at_us)
        emission.rows = Lines(lines, len(table.relation.columns))
        await self._course.emitter.publish(emission)
        self._note_place(emission)

    # Marks and notes.

    def _emission(self, table: Table, types: TypeCatalog, read_at_us: int) -> Emission:
        # The pump stands at the point: whatever is emitted comes there.
        return Emission(self._row.id, table, types, 0, read_at_us, self._count)

    async def _mark(self, mark: str, table: Table, types: TypeCatalog, read_at_us: int) -> None:
        emission = self._emission(table, types, read_at_us)
        emission.mark = mark
        await self._course.emitter.publish(emission)
        self._note_place(emission)

    def _note_place(self, emission: Emission) -> None:
        self._notes.stream, self._notes.subject = emission.stream, emission.subject
        self._sequence = max(self._sequence, emission.sequence)

    async def _save(self) -> None:
        self._saved_at = time.monotonic()
        row = self._row
        row.rows_done, row.position = self._count.value, asdict(self._notes)
        await self._course.store.save(row)

    async def _end(self, state: str, failure: SnapshotFailed | None = None) -> None:
        row = self._row
        if state == "completed":
            row.blocks_done = row.blocks_total or 0
        elif self._notes.begun:
            table, now_us = await self._look()
            # Nobody can be told where the table has no subject any more.
            with contextlib.suppress(NotPublished):
                await self._mark(state, table, {}, now_us)
        row.state = state
        row.error, row.hint = (failure.message, failure.hint) if failure is not None else (None, None)
        await self._save()

    async def _look(self) -> tuple[Table, int]:
        """What a last mark needs: the table, as far as it is there, and the time."""
        row = self._row
        gone = Table(Relation(row.relid, row.table_schema, row.table_name, "n", ()), RelationKeys(), (), None)
        with contextlib.suppress(psycopg.Error, PostgresError):
            reader = await ChunkReader.connect(self._dsn)
            try:
                return await reader.table(row.relid) or gone, (await reader.position()).time_us
            finally:
                await reader.close()
        return gone, time.time_ns() // 1000


async def _all(readers: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs them side by side; the first failure ends all, and is raised as it is."""
    tasks = [asyncio.create_task(reader) for reader in readers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
