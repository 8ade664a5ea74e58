"""What every snapshot needs on its way: its row, the commands of people, and questions to Postgres that heal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg

from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.postgres_errors import ServerUnavailable
from pgstream_relay.runtime.snapshots.emitter import SnapshotEmitter
from pgstream_relay.runtime.snapshots.failures import explain_read_failure
from pgstream_relay.runtime.snapshots.reader import Chunk, ChunkReader, TableChanged
from pgstream_relay.runtime.snapshots.recovery import Written, read_end, read_written
from pgstream_relay.runtime.snapshots.store import Command, SnapshotRow, SnapshotStore
from pgstream_relay.snapshot.lifecycle import State, Transition, after

RETRY_SECONDS: Final = 0.5
BROKEN_MAX: Final = 5
"""Connections lost in a row, before the session begins anew."""

_TRANSITION: Final[dict[str, Transition]] = {
    "pause-snapshot": "pause",
    "resume-snapshot": "resume",
    "stop-snapshot": "stop",
}

Answer = TypeVar("Answer")


class Stopped(Exception):
    """A signal stops the snapshot."""


class SharedReader:
    """The connection that all snapshots of a session read their chunks on, in turns."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = asyncio.Lock()
        self._reader: ChunkReader | None = None

    async def get(self) -> ChunkReader:
        """Connects where there is no connection, or it is gone. Raises ServerUnavailable and its like."""
        async with self._lock:
            if self._reader is None or self._reader.broken:
                self._reader = await ChunkReader.connect(self._dsn)
            return self._reader

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()


class Course:
    """One snapshot's. `row` is written by whoever runs the snapshot; `tell` passes on the newest command."""

    def __init__(
        self,
        row: SnapshotRow,
        store: SnapshotStore,
        reader: SharedReader,
        emitter: SnapshotEmitter,
        nats: NatsConnection,
    ) -> None:
        self.row = row
        self.store = store
        self.emitter = emitter
        self._reader = reader
        self._nats = nats
        self._command: Command | None = None
        self._told = asyncio.Event()

    @property
    def name(self) -> str:
        """Of the table, for people."""
        return f"{self.row.table_schema}.{self.row.table_name}"

    def tell(self, command: Command | None) -> None:
        """The newest command that is not carried out yet."""
        if command is not None:
            self._command = command
            self._told.set()

    async def obey(self) -> None:
        """Carries out the command, if there is one; waits while the snapshot is paused. Raises Stopped."""
        row = self.row
        while True:
            command, self._command = self._command, None
            self._told.clear()
            if command is not None and command.id > row.command_id:
                row.command_id = command.id
                state = after(_state(row), _TRANSITION[command.type])
                if state == "stopped":
                    raise Stopped
                row.state = state or row.state
                await self.store.save(row)
            if row.state != "paused":
                return
            await self._told.wait()

    @property
    def commanded(self) -> bool:
        """Whether a command to pause or to stop waits for `obey`."""
        command = self._command
        return command is not None and command.id > self.row.command_id and command.type != "resume-snapshot"

    async def wait(self, seconds: float) -> None:
        """Returns earlier where there is a command."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()

    async def note(self, error: str | None, hint: str | None) -> None:
        """What the snapshot waits for, in its row; None: nothing."""
        row = self.row
        if (row.error, row.hint) != (error, hint):
            row.error, row.hint = error, hint
            await self.store.save(row)

    async def read(self, ask: Callable[[ChunkReader], Awaitable[Answer]], heap: str | None = None) -> Answer:
        """Asks Postgres in this snapshot's turn. Raises SnapshotFailed, TableChanged, or a RelayError.

        `heap` is what the error names: a partition has rights of its own.
        """
        broken = 0
        noted = False
        while True:
            reader = await self._reader.get()
            async with reader.lock:
                try:
                    answer = await ask(reader)
                except psycopg.errors.UndefinedTable:
                    raise TableChanged from None
                except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                    waits = "waits for a lock on the table"
                except psycopg.errors.QueryCanceled:
                    waits = "the server is too slow for a query of the catalog"
                except psycopg.Error as error:
                    if not reader.broken:
                        raise explain_read_failure(error, heap or self.name, reader.role) from None
                    broken, waits = broken + 1, ""
                    if broken > BROKEN_MAX:
                        raise ServerUnavailable(
                            f"the connection that reads the snapshot of {self.name} broke {broken} times",
                            hint="nothing to do: the relay connects again",
                        ) from None
                else:
                    break
            if waits:
                noted = True
                await self.note(waits, "look for whoever alters the table, or waits to, in pg_stat_activity")
            await self.obey()
            await asyncio.sleep(RETRY_SECONDS)
        if noted:
            await self.note(None, None)
        return answer

    async def read_chunk(
        self, heap: str, condition: str, *, heap_oid: int, size_max: int, patient: bool = False
    ) -> Chunk | None:
        """See ChunkReader.read. The position of what was read is on its way to the stream then."""
        row = self.row
        filter_id = row.id if row.filtered else None

        async def ask(reader: ChunkReader) -> Chunk | None:
            chunk = await reader.read(
                row.relid, heap, condition, filter_id, heap_oid=heap_oid, size_max=size_max, patient=patient
            )
            await reader.nudge()
            return chunk

        return await self.read(ask, heap.removeprefix("only "))

    async def read_written(self, stream: str, subject: str, behind: int, key: tuple[str, ...]) -> Written:
        """What the stream holds of this snapshot behind a sequence. Raises NatsError."""
        return await read_written(self._nats, stream, subject, behind, self.row.id, key)

    async def read_end(self, stream: str, subject: str, behind: int) -> int | None:
        """The rows that mark `end` of this snapshot tells, where it comes first behind a sequence. Raises NatsError."""
        return await read_end(self._nats, stream, subject, behind, self.row.id)


def _state(row: SnapshotRow) -> State:
    state: State = row.state  # type: ignore[assignment]
    return state
