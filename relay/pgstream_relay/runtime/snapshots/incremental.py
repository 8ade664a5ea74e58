"""The course of one incremental snapshot: barrier, chunk after chunk, keys that must be read again, end.

A chunk's rows are published as law 8 says. The notes in `pgstream.snapshots` move only when NATS has a whole chunk;
a relay that starts again goes on from there, and leaves out what it finds in the stream behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pgstream_relay.runtime.snapshots.catalog import Leaf, Table
from pgstream_relay.runtime.snapshots.course import Course, Stopped
from pgstream_relay.runtime.snapshots.emitter import Emission, NotPublished, RowCount, StaleRows
from pgstream_relay.runtime.snapshots.failures import SnapshotFailed, key_gone, not_published, table_gone
from pgstream_relay.runtime.snapshots.notes import LeafPosition, Notes
from pgstream_relay.runtime.snapshots.reader import Chunk, ChunkTooLarge, TableChanged, quote_name, quote_text
from pgstream_relay.runtime.snapshots.recovery import Written
from pgstream_relay.runtime.snapshots.unwritten import Unwritten
from pgstream_relay.snapshot.chunks import ChunkPlan, Tid, TidRange
from pgstream_relay.snapshot.touch import Key
from pgstream_relay.snapshot.tracking import TableTrack
from pgstream_relay.snapshot.window import KeyMissing, Window

BLOCK_COUNT: Final = 32
BLOCK_COUNT_MAX: Final = 128
"""Heap blocks of a chunk, where the signal's options do not say."""
CHUNK_BYTES_MAX: Final = 8 * 1024 * 1024
REREAD_KEYS_MAX: Final = 500
BARRIER_POLL_SECONDS: Final = 0.05


@dataclass(slots=True)
class _Read:
    """A chunk, its window, and what it was of; `range` is None where keys were read again."""

    chunk: Chunk
    window: Window
    range: TidRange | None


class IncrementalSnapshot:
    """`run` returns when the snapshot has ended, well or not. Cancelled, it leaves all for the next relay."""

    def __init__(self, course: Course, track: TableTrack) -> None:
        self._course = course
        self._row = course.row
        self._track = track
        self._notes = Notes.parse(course.row.position)
        self._loaded: list[Key] = [tuple(part.encode() for part in key) for key in self._notes.reread]
        self._written = Written()
        self._emitted: set[Key] = set()
        """Keys of rows that were published from chunks that turned stale half-way."""
        self._count = RowCount(course.row.rows_done)
        self._table: Table | None = None
        self._reread_keys_max = REREAD_KEYS_MAX
        self._reread_saved: frozenset[Key] = frozenset(self._loaded)

    @property
    def unsaved(self) -> bool:
        """Whether keys must be read again that the notes do not hold: the WAL that said so must not be forgotten."""
        saved, track = self._reread_saved, self._track
        return track.overflowed or any(key not in saved for key in track.reread) or not saved.issuperset(track.taken)

    async def save_keys(self) -> None:
        """Writes the keys that must be read again; where they were too many, that all must."""
        if not await self._restart_if_due():
            await self._save()

    async def run(self) -> None:
        """Raises RelayError where the session must end."""
        try:
            await self._run()
        except Stopped:
            await self._end("stopped")
        except NotPublished:
            await self._end("failed", not_published(self._course.name))
        except KeyMissing:
            await self._end("failed", key_gone(self._course.name))
        except SnapshotFailed as failure:
            await self._end("failed", failure)

    async def _run(self) -> None:
        course = self._course
        if self._notes.stream is None:
            await course.obey()
        table = self._table = await self._read_table()
        await self._recover(table)
        if "end" in self._written.marks:
            # The relay died before it noted that; what must be read again since is no part of this snapshot.
            await self._finish()
            return
        # Only now, where something was written: a stop needs its mark.
        await course.obey()
        if not self._notes.begun:
            await self._begin(table)
        leaves = await course.read(lambda reader: reader.leaves(self._row.relid))
        await self._barrier([leaf.oid for leaf in leaves])
        while True:
            while (leaf := await self._next_leaf()) is not None:
                await self._scan(leaf)
            if not self._loaded:
                # Only then does the track know every key whose row readers may lack.
                self._track.drain()
                if not self._track.reread:
                    break
            await course.obey()
            await self._read_again()
            await self._restart_if_due()
        await self._mark("end")
        await self._finish()

    async def _finish(self) -> None:
        self._row.blocks_done = self._row.blocks_total or 0
        await self._end("completed", mark=False)

    async def _read_table(self) -> Table:
        relid = self._row.relid
        table = await self._course.read(lambda reader: reader.table(relid))
        if table is None:
            raise table_gone(self._course.name)
        if not table.key or table.key != self._track.key_columns:
            raise key_gone(self._course.name)
        return table

    async def _recover(self, table: Table) -> None:
        """What a relay before this one wrote behind the notes."""
        notes = self._notes
        if notes.stream is None:
            return
        written = self._written = await self._course.read_written(
            notes.stream, notes.subject, notes.sequence, table.key
        )
        if "failed" in written.marks:
            raise SnapshotFailed(
                "the snapshot had failed when the relay ended", hint="look into the relay's log for the reason"
            )
        self._count.value = max(self._count.value, written.last_number)
        notes.begun = notes.begun or "begin" in written.marks

    async def _begin(self, table: Table) -> None:
        course, row = self._course, self._row
        leaves = await course.read(lambda reader: reader.leaves(row.relid))
        row.blocks_total = sum(leaf.blocks for leaf in leaves)
        # Where the stream stands now is noted before anything is written to it.
        now = await course.read(lambda reader: reader.locate())
        place = self._emission(table, {}, now.lsn, now.time_us)
        await course.emitter.publish(place)
        self._note_place(place)
        row.state = "running"
        await self._save()
        await self._mark("begin")
        self._notes.begun = True
        await self._save()

    async def _barrier(self, oids: list[int]) -> None:
        """Waits for every transaction that was writing to the table when tracking had begun (notes 5.4): one of them
        may have been published before, and be invisible to a snapshot still."""
        course = self._course
        waiting, snapshot = await course.read(lambda reader: reader.writers(oids))
        polls = 0
        while waiting:
            await course.obey()
            await asyncio.sleep(BARRIER_POLL_SECONDS)
            polls += 1
            if polls == 20:
                await course.note(
                    "waits for transactions that write to the table",
                    "look for them in pg_stat_activity and pg_prepared_xacts; the snapshot goes on when they end",
                )
            present, snapshot = await course.read(lambda reader: reader.writers(oids))
            waiting &= present
        await course.note(None, None)
        self._track.seen(snapshot)

    # Chunks.

    async def _next_leaf(self) -> Leaf | None:
        """The heap to go on with, its place in the notes."""
        notes, row = self._notes, self._row
        leaves = await self._course.read(lambda reader: reader.leaves(row.relid))
        if not leaves and await self._course.read(lambda reader: reader.table(row.relid)) is None:
            raise table_gone(self._course.name)
        position = notes.leaf
        for leaf in leaves:
            if leaf.oid in notes.leaves_done:
                continue
            if position is None or position.oid != leaf.oid:
                position = notes.leaf = LeafPosition(leaf.oid, leaf.filenode, leaf.blocks)
            elif position.filenode != leaf.filenode:
                # Rewritten: its blocks are others now.
                notes.leaf = LeafPosition(leaf.oid, leaf.filenode, leaf.blocks)
            return leaf
        return None

    async def _scan(self, leaf: Leaf) -> None:
        """All chunks of one heap. Returns early where it was rewritten, or must be read again from its start."""
        position = self._notes.leaf
        assert position is not None, "_next_leaf has set it"
        plan = self._plan(position, leaf)
        ahead: asyncio.Task[_Read | None] | None = None
        try:
            while True:
                await self._course.obey()
                if ahead is None:
                    ahead = asyncio.create_task(self._read_chunk(plan, leaf, position.filenode))
                read = await ahead
                ahead = None
                if read is None:
                    break
                if read.range is not None and plan.next() is not None:
                    ahead = asyncio.create_task(self._read_chunk(plan, leaf, position.filenode))
                try:
                    await self._publish(read)
                    stale = False
                except StaleRows:
                    stale = True
                if await self._restart_if_due() or self._notes.leaf is not position:
                    await self._discard(ahead)
                    return
                if stale:
                    await self._discard(ahead)
                    ahead = None
                    plan = self._plan(position, leaf)
                    continue
                assert read.range is not None, "a chunk of a heap has one"
                position.block, position.offset = read.range.end
                await self._save()
                if self._track.reread_due:
                    await self._read_again()
        except asyncio.CancelledError:
            if ahead is not None:
                ahead.cancel()
            raise
        except BaseException:
            await self._discard(ahead)
            raise
        if plan.next() is None:
            self._notes.leaves_done.append(leaf.oid)
            self._notes.blocks_before += position.blocks
            self._notes.leaf = None
            await self._save()

    def _plan(self, position: LeafPosition, leaf: Leaf) -> ChunkPlan:
        chosen = self._row.block_count
        average = leaf.bytes // leaf.blocks if leaf.blocks else 0
        fitting = CHUNK_BYTES_MAX // 4 // average if average else BLOCK_COUNT
        count = chosen or max(1, min(BLOCK_COUNT, fitting))
        start = Tid(position.block, position.offset)
        return ChunkPlan(position.blocks, start, block_count=count, block_count_max=chosen or BLOCK_COUNT_MAX)

    async def _read_chunk(self, plan: ChunkPlan, leaf: Leaf, filenode: int) -> _Read | None:
        """None where the heap has no more, or is another than it was."""
        patient = False
        while (part := plan.next()) is not None:
            condition = f"ctid >= '{part.first}' and ctid < '{part.end}'"
            try:
                chunk = await self._course.read_chunk(
                    f"only {leaf.name}", condition, heap_oid=leaf.oid, size_max=CHUNK_BYTES_MAX, patient=patient
                )
            except ChunkTooLarge:
                patient = not plan.too_large(part)
                continue
            except TableChanged:
                return None
            if chunk is None:
                raise table_gone(self._course.name)
            if chunk.filenode != filenode:
                return None
            self._check_key(chunk.table)
            plan.done(part, seconds=chunk.seconds, size_bytes=chunk.size_bytes)
            return _Read(chunk, self._track.open_window(chunk.read), part)
        return None

    async def _discard(self, ahead: asyncio.Task[_Read | None] | None) -> None:
        """A chunk that is not wanted any more: waits for it, as its connection is in the middle of an answer."""
        if ahead is None:
            return
        read = await ahead
        if read is not None:
            self._track.close_window(read.window)

    async def _publish(self, read: _Read, *, skip: bool = True) -> None:
        """Raises StaleRows, NotPublished."""
        chunk = read.chunk
        emission = self._emission(chunk.table, chunk.types, chunk.read.lsn, chunk.read.read_at_us)
        emission.rows = rows = Unwritten(read.window, self._track, self._written.keys if skip else set(), self._emitted)
        emission.skip = rows.is_written if skip and self._written.keys else None
        try:
            await self._course.emitter.publish(emission)
        except StaleRows:
            self._emitted |= rows.taken()
            raise
        finally:
            self._track.close_window(read.window)
        self._note_place(emission)

    # Keys that must be read again.

    async def _read_again(self) -> None:
        """Some of them, those that the notes told of first."""
        keys, loaded = self._loaded[: self._reread_keys_max], True
        if not keys:
            keys, loaded = self._track.take_reread(self._reread_keys_max), False
        if not keys:
            return
        try:
            read = await self._read_keys(keys)
            await self._publish(read, skip=loaded)
        except ChunkTooLarge:
            self._reread_keys_max = max(1, len(keys) // 2)
            self._give_back(keys, loaded=loaded)
            return
        except (StaleRows, TableChanged):
            self._give_back(keys, loaded=loaded)
            return
        if loaded:
            del self._loaded[: len(keys)]
        else:
            self._track.take_reread(0)  # stored: they count as read
        await self._save()

    def _give_back(self, keys: list[Key], *, loaded: bool) -> None:
        if not loaded:
            self._track.give_back(keys)

    async def _read_keys(self, keys: list[Key]) -> _Read:
        table = await self._read_table()
        name = f"{quote_name(table.relation.schema)}.{quote_name(table.relation.name)}"
        heap = name if table.keys.partitioned else f"only {name}"
        size_max = CHUNK_BYTES_MAX if len(keys) > 1 else sys.maxsize
        chunk = await self._course.read_chunk(
            heap, _key_condition(table.key, keys), heap_oid=self._row.relid, size_max=size_max, patient=len(keys) == 1
        )
        if chunk is None:
            raise table_gone(self._course.name)
        self._check_key(chunk.table)
        return _Read(chunk, self._track.open_window(chunk.read), None)

    async def _restart_if_due(self) -> bool:
        """More keys would have to be read again than can be kept: then the whole table is."""
        if not self._track.overflowed:
            return False
        self._track.restart()
        self._loaded = []
        self._notes.leaf, self._notes.leaves_done, self._notes.blocks_before = None, [], 0
        self._written, self._emitted = Written(), set()
        await self._save()
        return True

    def _check_key(self, table: Table) -> None:
        if table.key != self._track.key_columns:
            raise key_gone(self._course.name)
        self._table = table

    # Marks and notes.

    def _emission(self, table: Table, types: Any, lsn: int, read_at_us: int) -> Emission:
        return Emission(self._row.id, table, types, lsn, read_at_us, self._count)

    async def _mark(self, mark: str) -> None:
        assert self._table is not None, "no mark without a table"
        now = await self._course.read(lambda reader: reader.locate())
        emission = self._emission(self._table, {}, now.lsn, now.time_us)
        emission.mark = mark
        await self._course.emitter.publish(emission)
        self._note_place(emission)

    def _note_place(self, emission: Emission) -> None:
        notes = self._notes
        notes.stream, notes.subject, notes.sequence = emission.stream, emission.subject, emission.sequence

    async def _save(self) -> None:
        notes, row = self._notes, self._row
        keys = {**dict.fromkeys(self._loaded), **self._track.reread, **dict.fromkeys(self._track.taken)}
        notes.reread = [[part.decode(errors="replace") for part in key] for key in keys]
        row.blocks_done = min(notes.blocks_before + (notes.leaf.block if notes.leaf else 0), row.blocks_total or 0)
        row.rows_done = self._count.value
        row.position = asdict(notes)
        await self._course.store.save(row)
        self._reread_saved = frozenset(keys)

    async def _end(self, state: str, failure: SnapshotFailed | None = None, *, mark: bool = True) -> None:
        row = self._row
        if mark and self._table is not None and self._notes.begun and state not in self._written.marks:
            # Nobody can be told where the table has no subject any more.
            with contextlib.suppress(NotPublished):
                await self._mark(state)
        row.state = state
        row.error, row.hint = (failure.message, failure.hint) if failure is not None else (None, None)
        await self._save()


def _key_condition(names: Sequence[str], keys: Sequence[Key]) -> str:
    """SQL that is true of the rows with these keys."""
    columns = ", ".join(quote_name(name) for name in names)
    rows = ", ".join("(" + ", ".join(quote_text(part.decode(errors="replace")) for part in key) + ")" for key in keys)
    return f"({columns}) in ({rows})"
