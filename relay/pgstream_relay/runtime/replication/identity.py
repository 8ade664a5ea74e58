"""Which server, database and timeline a session reads: what makes its LSNs comparable with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.pgoutput.timeline import TimelineSwitch, parse_timeline_history
from pgstream_relay.runtime.replication.connection import Connection


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """`timeline` is the one being written, `switches` where its ancestors ended (the oldest first).

    `wal_lsn` was the end of the server's flushed WAL when the session began.
    """

    system_identifier: str
    database_oid: int
    database: str
    timeline: int
    wal_lsn: int
    switches: tuple[TimelineSwitch, ...] = ()


async def read_identity(connection: Connection) -> SystemIdentity:
    """Asks a walsender that does not stream yet. Raises psycopg.Error."""
    system_identifier, timeline, wal_lsn, database = await _read_row(connection, b"IDENTIFY_SYSTEM")
    (database_oid,) = await _read_row(
        connection, b"select oid::bigint from pg_database where datname = current_database()"
    )
    return SystemIdentity(
        system_identifier=system_identifier,
        database_oid=database_oid,
        database=database,
        timeline=timeline,
        wal_lsn=parse_lsn(wal_lsn),
        switches=await read_timeline_history(connection, timeline),
    )


async def read_timeline_history(connection: Connection, timeline: int) -> tuple[TimelineSwitch, ...]:
    """The ancestors of `timeline`, the oldest first; the first timeline has none, and no history file."""
    if timeline == 1:
        return ()
    _file_name, content = await _read_row(connection, f"TIMELINE_HISTORY {timeline}".encode())
    return parse_timeline_history(content if isinstance(content, bytes) else content.encode())


async def _read_row(connection: Connection, query: bytes) -> tuple[Any, ...]:
    cursor = await connection.execute(query)
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.DataError(f"no answer to {query.decode()}")
    return row
