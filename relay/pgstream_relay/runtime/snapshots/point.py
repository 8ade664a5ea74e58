"""The point of the WAL at which a full snapshot sees the table: that of a temporary slot, which exports a snapshot that
sees every transaction whose commit lies before it, and none behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import psycopg

from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.runtime.postgres_errors import PostgresError
from pgstream_relay.runtime.replication.connection import Connection, connect_walsender
from pgstream_relay.runtime.snapshots.failures import NotNow, no_slot
from pgstream_relay.runtime.snapshots.reader import ChunkReader

POINT_SECONDS_MAX: Final = 5.0
"""So long events wait for the point to be found: it waits for every transaction that is open."""
POINT_RETRY_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
NOTE_SECONDS: Final = 1.0
CONNECT_RETRY_SECONDS: Final = 5.0

_OPEN_TRANSACTIONS: Final = (
    "waits for transactions that are open, before a consistent point can be found",
    "look for the oldest ones in pg_stat_activity and pg_prepared_xacts; it goes on when they end",
)


class Point(NamedTuple):
    """`snapshot` is the name under which others can adopt it, as long as the walsender does nothing else."""

    lsn: int
    snapshot: str


async def connect_for_slot(dsn: str) -> Connection:
    """A connection that can make a slot. Raises SnapshotFailed, NotNow."""
    try:
        return await connect_walsender(dsn)
    except PostgresError as error:
        # The name of a setting is the same in every language.
        if "max_wal_senders" in error.message:
            raise no_slot(error.message) from None
        raise not_connected(error) from None


def not_connected(error: PostgresError) -> NotNow:
    """A connection that a full snapshot needs can't be had; those of the session may be there still."""
    return NotNow(
        f"a connection for the full snapshot can't be had: {error.message}",
        "it needs four beside the relay's own: raise max_connections, or the role's CONNECTION LIMIT; it is tried"
        " again",
        CONNECT_RETRY_SECONDS,
    )


async def find_point(walsender: Connection, name: str) -> Point:
    """Makes a temporary slot. Raises NotNow, SnapshotFailed, psycopg.Error."""
    statement = f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')"
    try:
        async with asyncio.timeout(POINT_SECONDS_MAX):
            cursor = await walsender.execute(statement.encode())
            row: Any = await cursor.fetchone()
    except TimeoutError:
        raise NotNow(
            f"no consistent point was found within {POINT_SECONDS_MAX:g} s, for which events waited: transactions were"
            " open for longer",
            "keep transactions shorter for a while: see pg_stat_activity and pg_prepared_xacts; it is tried again",
            POINT_RETRY_SECONDS,
        ) from None
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.ConfigurationLimitExceeded) as error:
        raise no_slot(error.diag.message_primary or "") from None
    assert row is not None
    return Point(parse_lsn(row[1]), row[2])


async def await_transactions(
    reader: ChunkReader, check: Callable[[], None], note: Callable[[str | None, str | None], Awaitable[None]]
) -> None:
    """Waits until every transaction that is open now has ended: a slot would wait for them, and the events with it."""
    left = await reader.transactions()
    polls = 0
    while left:
        check()
        await asyncio.sleep(POLL_SECONDS)
        polls += 1
        if polls * POLL_SECONDS == NOTE_SECONDS:
            await note(*_OPEN_TRANSACTIONS)
        left &= await reader.transactions()


async def await_visibility(seeing: ChunkReader, other: ChunkReader) -> None:
    """Waits until `other`, which sees what anybody sees, sees all that `seeing` does.

    The exported snapshot comes from the WAL: where a commit is in it, and not yet noted as one by its backend, a
    reader would take it for a crash. Who waits for a synchronous standby has noted it long ago.
    """
    adopted = await seeing.snapshot()
    for _ in range(int(POINT_SECONDS_MAX / POLL_SECONDS)):
        if (await other.snapshot()).covers(adopted):
            return
        await asyncio.sleep(POLL_SECONDS)
