"""Reads chunks of a table, each in a short transaction of its own (notes on the rules: law 8, `snapshot.tracking`).

The order in a transaction matters: the lock first, for a snapshot that is older than a TRUNCATE or a rewriting ALTER
sees an empty table; then the snapshot S with the insert LSN L; then the rows. After the commit a message in the WAL
makes the server flush it up to L and send that position.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from pgstream_relay.dsn import parse_target
from pgstream_relay.event.values import OUTPUT_SETTINGS, TypeCatalog
from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.pgoutput.messages import Relation
from pgstream_relay.runtime.catalog import read_types
from pgstream_relay.runtime.postgres_connect import explain_connection_failure
from pgstream_relay.runtime.replication.connection import NETWORK_DEFAULTS
from pgstream_relay.runtime.replication.readiness import Readiness
from pgstream_relay.runtime.snapshots.catalog import (
    Leaf,
    Table,
    read_leaves,
    read_table,
    read_transactions,
    read_writers,
)
from pgstream_relay.runtime.snapshots.wal_message import message_call
from pgstream_relay.snapshot.visibility import XidSnapshot
from pgstream_relay.snapshot.window import ChunkRead

CHUNK_MILLISECONDS_MAX: Final = 800
"""No statement of a chunk takes longer, so that no transaction takes over a second."""
LINE_MILLISECONDS_MAX: Final = 60_000
"""But one row may be as large as it is."""
LOCK_MILLISECONDS_MAX: Final = 300
"""A lock on the table that is waited for is one that everybody else waits behind."""
SESSION_SETTINGS: Final = {
    **OUTPUT_SETTINGS,
    # An error, where a policy would leave rows out.
    "row_security": "off",
    "lock_timeout": str(LOCK_MILLISECONDS_MAX),
    "statement_timeout": "30s",
    "synchronous_commit": "local",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",
}
BATCH_BYTES: Final = 256 * 1024
"""So much text at most is handed out at once."""
CANCEL_SECONDS: Final = 5.0
TRANSACTION_TIMEOUT_VERSION: Final = 170000


class ChunkTooLarge(Exception):
    """More bytes or time than one chunk may take."""


class TableChanged(Exception):
    """The heap is not the one that was asked for: its name is another's by now."""


class Position(NamedTuple):
    """The insert LSN and the server's time (Unix, µs) at one moment."""

    lsn: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction read: rows, and the table as it was in the same snapshot."""

    read: ChunkRead
    table: Table
    types: TypeCatalog
    filenode: int
    seconds: float
    size_bytes: int


class ChunkReader:
    """One connection, one chunk at a time: `lock` is for whoever uses it. Methods raise psycopg.Error."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.lock = asyncio.Lock()
        self.role = connection.info.user
        self._connection = connection
        self._pgconn = connection.pgconn
        self._readiness = Readiness(connection.pgconn.socket)
        self._limits_transactions = connection.info.server_version >= TRANSACTION_TIMEOUT_VERSION

    @classmethod
    async def connect(cls, dsn: str) -> ChunkReader:
        """Raises ServerUnavailable and its like."""
        target = parse_target(dsn, "the DSN")
        given = conninfo_to_dict(dsn)
        ours = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items() if name != "client_encoding")
        options = f"{given.pop('options', '') or ''} {ours}".strip()
        parameters: dict[str, Any] = {**NETWORK_DEFAULTS, **given, "options": options, "client_encoding": "UTF8"}
        try:
            connection = await psycopg.AsyncConnection.connect("", **parameters, autocommit=True)
            if connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
                # As the walsender: such a database holds any bytes.
                await connection.execute("set client_encoding to 'SQL_ASCII'")
        except psycopg.Error as error:
            raise explain_connection_failure(error, target) from None
        return cls(connection)

    async def close(self) -> None:
        self._readiness.close()
        await self._connection.close()

    @property
    def broken(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._connection.closed) or self._connection.broken

    async def position(self) -> Position:
        """Where the WAL ends, and what time it is."""
        cursor = await self._connection.execute(
            "select pg_current_wal_insert_lsn()::text, (extract(epoch from clock_timestamp()) * 1e6)::bigint"
        )
        row = await cursor.fetchone()
        assert row is not None
        return Position(parse_lsn(row[0]), row[1])

    async def locate(self) -> Position:
        """Like `position`, which is on its way to the stream then."""
        position = await self.position()
        await self.nudge()
        return position

    async def nudge(self) -> None:
        """Has the server flush its WAL and send the position: on a quiet server it would take its time."""
        await self._connection.execute(f"select {message_call(self._connection.info.server_version)}")

    async def table(self, oid: int) -> Table | None:
        """None where the table is gone."""
        return await read_table(self._connection, oid)

    async def leaves(self, oid: int) -> list[Leaf]:
        """The heaps of a table."""
        return await read_leaves(self._connection, oid)

    async def writers(self, oids: list[int]) -> tuple[set[str], XidSnapshot]:
        """The transactions that write to one of the heaps, and a snapshot."""
        transactions, snapshot = await read_writers(self._connection, oids)
        return transactions, XidSnapshot.parse(snapshot)

    async def read(
        self,
        table_oid: int,
        heap: str,
        condition: str,
        filter_id: int | None,
        *,
        heap_oid: int,
        size_max: int,
        patient: bool = False,
    ) -> Chunk | None:
        """The rows of `heap` (a quoted name, `only` before it where it is one leaf) that satisfy `condition`, SQL.

        `filter_id` is the snapshot whose row filter they must satisfy too. None where the table is gone. `patient`: it
        may take long. Raises ChunkTooLarge, TableChanged.
        """
        started = time.monotonic()
        async with self._transaction(heap):
            milliseconds = LINE_MILLISECONDS_MAX if patient else CHUNK_MILLISECONDS_MAX
            cursor = await self._connection.execute(
                "select pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text,"
                " (extract(epoch from clock_timestamp()) * 1e6)::bigint, to_regclass(%s)::oid::bigint,"
                " coalesce(pg_relation_filenode(%s::oid), 0)::bigint, set_config('statement_timeout', %s, true)",
                [heap.removeprefix("only "), heap_oid, str(milliseconds)],
            )
            row = await cursor.fetchone()
            assert row is not None
            if row[3] != heap_oid:
                raise TableChanged
            table = await self.table(table_oid)
            if table is None:
                return None
            types = await self.types(table.relation)
            lines = await self._copy(await self.rows_query(table, heap, condition, filter_id), size_max)
        read = ChunkRead(XidSnapshot.parse(row[0]), parse_lsn(row[1]), row[2], table.relation.columns, lines)
        seconds = time.monotonic() - started
        return Chunk(read, table, types, row[4], seconds, sum(map(len, lines)))

    async def types(self, relation: Relation) -> TypeCatalog:
        """Of the columns."""
        return await read_types(self._connection, [column.type_oid for column in relation.columns])

    async def rows_query(self, table: Table, heap: str, condition: str, filter_id: int | None) -> str:
        """The COPY statement for rows of a heap; see `read`."""
        if table.row_filter is not None:
            condition = f"({condition}) and ({table.row_filter})"
        if filter_id is not None:
            condition = f"({condition}) and ({await self._filter(filter_id)})"
        names = ", ".join(quote_name(column.name) for column in table.relation.columns)
        return f"copy (select {names} from {heap} where {condition}) to stdout"

    async def hold(self, names: list[str]) -> None:
        """Locks tables (quoted names) against being rewritten, in a transaction that lasts until `close`.

        It sees nothing yet: see `adopt`.
        """
        tables = "".join(f"; lock table only {name} in access share mode" for name in names)
        await self._connection.execute(
            "begin isolation level repeatable read read only; set local statement_timeout = 0;"
            " set local idle_in_transaction_session_timeout = 0"
            # In `options` the name would be fatal where the server does not know it.
            f"{'; set local transaction_timeout = 0' if self._limits_transactions else ''}{tables}"
        )

    async def adopt(self, snapshot: str) -> None:
        """The transaction that `hold` has begun sees what an exported snapshot sees."""
        await self._connection.execute(f"set transaction snapshot '{snapshot}'")

    async def snapshot(self) -> XidSnapshot:
        """What this connection sees."""
        cursor = await self._connection.execute(
            "select pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text, array(select pg_snapshot_xip(s)::text)"
            " from pg_current_snapshot() s"
        )
        row = await cursor.fetchone()
        assert row is not None
        xmin, xmax = int(row[0]), int(row[1])
        # One that a slot has exported ends at the last commit that it sees, be it below xmin.
        return XidSnapshot(xmin, max(xmin, xmax), frozenset(map(int, row[2])))

    async def transactions(self) -> set[str]:
        """The ids of all transactions that are open and have one, in any database, prepared ones among them."""
        return await read_transactions(self._connection)

    async def _filter(self, snapshot_id: int) -> str:
        """The proved text; an error where the table is not what it was proved for. Asked under the table's lock."""
        cursor = await self._connection.execute("select pgstream.snapshot_filter(%s)", [snapshot_id])
        row = await cursor.fetchone()
        assert row is not None
        text: str = row[0]
        return text

    @asynccontextmanager
    async def _transaction(self, heap: str) -> AsyncIterator[None]:
        try:
            await self._connection.execute(
                f"begin isolation level repeatable read read only; lock table {heap} in access share mode"
            )
            yield
            await self._connection.execute("commit")
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or self.broken:
                # In the middle of an answer: nothing else can be read from this connection.
                await self.close()
            else:
                await self._connection.execute("rollback")
            raise

    async def _copy(self, query: str, size_max: int) -> list[bytes]:
        """All lines of a COPY TO STDOUT. Raises ChunkTooLarge."""
        lines: list[bytes] = []
        size, cancelled = 0, False
        try:
            async for some in self.stream(query):
                if cancelled:
                    continue
                size += sum(map(len, some))
                lines += some
                if size > size_max and len(lines) > 1:
                    # What is on its way is thrown away; the server's error says that it was told to stop.
                    cancelled, lines = True, []
                    await self._connection.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.errors.QueryCanceled:
            raise ChunkTooLarge from None
        if cancelled:
            raise ChunkTooLarge
        return lines

    async def stream(self, query: str) -> AsyncIterator[list[bytes]]:
        """The lines of a COPY TO STDOUT as they arrive; who takes them slowly slows the server down.

        psycopg's own way costs more than everything else on the path of a row.
        """
        pgconn = self._pgconn
        pgconn.send_query(query.encode())
        while pgconn.flush() == 1:
            await self._readiness.wait_writable()
        result = await self._result()
        if result is None or result.status != pq.ExecStatus.COPY_OUT:
            await self._finish(result)
            raise AssertionError("COPY gave no rows and no error")
        get_copy_data = pgconn.get_copy_data
        lines: list[bytes] = []
        size, may_hold_more = 0, True
        while True:
            length, data = get_copy_data(1)
            if length > 0:
                lines.append(bytes(data))
                size += length
                may_hold_more = True
                if size < BATCH_BYTES:
                    continue
            elif length < 0:
                break
            elif may_hold_more:
                # As in ReplicationSession: what TLS has read already would wake nobody who waits for the socket.
                pgconn.consume_input()
                may_hold_more = False
                continue
            if lines:
                yield lines
                lines, size = [], 0
                await asyncio.sleep(0)
            if length == 0:
                await self._readiness.wait_readable()
                may_hold_more = True
        await self._finish(await self._result())
        if lines:
            yield lines

    async def _result(self) -> pq.abc.PGresult | None:
        while self._pgconn.is_busy():
            self._pgconn.consume_input()
            if self._pgconn.is_busy():
                await self._readiness.wait_readable()
        return self._pgconn.get_result()

    async def _finish(self, result: pq.abc.PGresult | None) -> None:
        """Takes the rest of the answer. Raises the error among it."""
        failed = None
        while result is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
            result = await self._result()
        if failed is not None:
            encoding = self._connection.info.encoding
            raise psycopg.errors.error_from_result(failed, encoding=encoding)


def quote_name(name: str) -> str:
    """As an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """As an SQL string, whatever standard_conforming_strings says."""
    return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
