"""The snapshots of one session: begins those that are due, passes commands on, and says what WAL they still need."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog

from pgstream_relay.errors import RelayError
from pgstream_relay.pipeline import Pipeline
from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.health import DatabaseHealth
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.snapshots.course import Course, SharedReader
from pgstream_relay.runtime.snapshots.emitter import SnapshotEmitter
from pgstream_relay.runtime.snapshots.full import FullSnapshot
from pgstream_relay.runtime.snapshots.incremental import IncrementalSnapshot
from pgstream_relay.runtime.snapshots.store import SnapshotRow, SnapshotStore
from pgstream_relay.snapshot.tracking import TableTrack

RUNNING_MAX: Final = 8
"""Snapshots that are under way at once, each of another table; they take turns chunk by chunk."""

VISIBLE_POLL_SECONDS: Final = 0.02
"""A signal is read from the WAL before its transaction is visible: much before, where that waits for a standby."""
LOOK_SECONDS: Final = 10.0
"""For a signal that was invisible when the session began, and whose WAL the one before it had confirmed."""

log = structlog.get_logger()


class SnapshotRunner:
    """Made for a session, before it reads its first change; `run` ends by being cancelled, or by an error."""

    def __init__(
        self,
        dsn: str,
        store: SnapshotStore,
        pipeline: Pipeline,
        ledger: Ledger,
        emitter: SnapshotEmitter,
        nats: NatsConnection,
        health: DatabaseHealth,
    ) -> None:
        self._dsn = dsn
        self._health = health
        self._store = store
        self._pipeline = pipeline
        self._ledger = ledger
        self._emitter = emitter
        self._nats = nats
        self._reader = SharedReader(dsn)
        self._courses: dict[int, Course] = {}
        self._snapshots: dict[int, IncrementalSnapshot | FullSnapshot] = {}
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._changed = asyncio.Event()
        self._unseen: set[int] = set()
        self._saving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Tracks the tables of snapshots under way: from the first change that the session reads."""
        await self._look()

    async def run(self) -> None:
        """Raises RelayError where the session must end."""
        while True:
            changed = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait({changed, *self._tasks}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            for task in [task for task in self._tasks if task.done()]:
                self._ended(self._tasks.pop(task))
                task.result()
            self._changed.clear()
            await self._look()

    async def close(self) -> None:
        """Leaves what is under way for the next session."""
        tasks = [*self._tasks, *([self._saving] if self._saving is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._reader.close()

    def signalled(self, xids: set[int]) -> None:
        """`pgstream.signals` has new rows, of these transactions (32 bits): they may be invisible still."""
        self._unseen |= xids
        self._changed.set()

    def limit_confirmation(self) -> None:
        """Keeps the WAL that a relay after this one would need: what says which keys must be read again, until the
        notes hold those keys."""
        if not self._snapshots:
            self._ledger.limit = None
        elif any(snapshot.unsaved for snapshot in self._snapshots.values()):
            if self._ledger.limit is None:
                self._ledger.limit = self._ledger.confirmed_lsn
            if self._saving is None or self._saving.done():
                self._saving = asyncio.create_task(self._save_keys())
        else:
            self._ledger.limit = self._ledger.received_lsn

    async def _save_keys(self) -> None:
        with contextlib.suppress(RelayError):  # whoever uses the connection next is told
            for snapshot in list(self._snapshots.values()):
                if snapshot.unsaved:
                    await snapshot.save_keys()

    async def _look(self) -> None:
        """Begins what is due, and passes on commands."""
        if self._unseen:
            visible = await self._store.read_visible()
            self._unseen = {xid for xid in self._unseen if not visible.sees(xid)}
        busy = {course.row.relid for course in self._courses.values()}
        for row, command in await self._store.read_open():
            course = self._courses.get(row.id)
            # One that had begun is tracked from the session's first change on, whatever it waits for.
            if course is None and row.relid not in busy and (row.state != "pending" or self._has_room()):
                course = await self._begin(row)
            if course is not None:
                course.tell(command)
            busy.add(row.relid)
        if self._unseen:
            asyncio.get_running_loop().call_later(VISIBLE_POLL_SECONDS, self._changed.set)

    def _has_room(self) -> bool:
        return sum(course.row.state != "paused" for course in self._courses.values()) < RUNNING_MAX

    async def _begin(self, row: SnapshotRow) -> Course:
        course = self._courses[row.id] = Course(row, self._store, self._reader, self._emitter, self._nats)
        log.info("snapshot begins or goes on", snapshot=row.id, table=course.name, rows_done=row.rows_done)
        snapshot: IncrementalSnapshot | FullSnapshot
        if row.method == "full":
            snapshot = FullSnapshot(course, self._dsn, self._slot_room, self._changed.set)
        else:
            table = await course.read(lambda reader: reader.table(row.relid))
            track = TableTrack(table.key if table is not None else ())
            self._pipeline.track(row.relid, track)
            snapshot = IncrementalSnapshot(course, track)
        self._snapshots[row.id] = snapshot
        self._tasks[asyncio.create_task(snapshot.run())] = row.id
        return course

    def _slot_room(self) -> tuple[int, int] | None:
        retained, safe = self._health.retained_bytes, self._health.safe_bytes
        return None if retained is None or safe is None else (retained, safe)

    def _ended(self, snapshot_id: int) -> None:
        course = self._courses.pop(snapshot_id)
        del self._snapshots[snapshot_id]
        self._pipeline.track(course.row.relid, None)
        log.info("snapshot has ended", snapshot=snapshot_id, table=course.name, state=course.row.state)
