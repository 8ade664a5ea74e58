"""Whether a slot can be streamed from, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgstream_relay.pgoutput.lsn import format_lsn, parse_lsn
from pgstream_relay.runtime.postgres_errors import (
    PositionAhead,
    PostgresError,
    PublicationMissing,
    ServerUnsuitable,
    SlotActive,
    SlotLost,
    SlotMissing,
    SlotUnsuitable,
    StreamEnded,
    describe_server_error,
)
from pgstream_relay.runtime.replication.connection import Connection
from pgstream_relay.runtime.replication.identity import SystemIdentity

PLUGIN = "pgoutput"
OBJECT_NOT_IN_PREREQUISITE_STATE = "55000"
OBJECT_IN_USE = "55006"
UNDEFINED_OBJECT = "42704"
WAL_LEVEL_FOLLOWS_SLOTS_SINCE = 190000

_NEW_SLOT = "run `pgstream install --new-slot`: it records the gap and goes on from now"


@dataclass(frozen=True, slots=True)
class Slot:
    """What pg_replication_slots says of a slot; columns that a version lacks count as unset."""

    name: str
    plugin: str | None
    database: str | None
    active_pid: int | None
    two_phase: bool
    lost_because: str | None
    confirmed_flush_lsn: int


async def read_slot(connection: Connection, name: str) -> Slot:
    """Raises SlotMissing, ServerUnsuitable, or psycopg.Error."""
    # As JSON, for versions differ in their columns. Client-side quoting: walsender takes no parameters.
    query = sql.SQL("select to_jsonb(slots) from pg_replication_slots slots where slot_name = {}")
    row = await (await connection.execute(query.format(sql.Literal(name)))).fetchone()
    if row is None:
        await _require_logical_wal(connection)
        raise slot_missing(name)
    column: dict[str, Any] = row[0]
    lost_because = column.get("invalidation_reason")
    if lost_because is None and column.get("wal_status") == "lost":
        lost_because = "its WAL was removed: max_slot_wal_keep_size"
    if lost_because is None and column.get("conflicting"):
        lost_because = "it conflicted with recovery"
    return Slot(
        name=name,
        plugin=column["plugin"],
        database=column["database"],
        active_pid=column["active_pid"],
        two_phase=bool(column.get("two_phase")),
        lost_because=lost_because,
        confirmed_flush_lsn=parse_lsn(column["confirmed_flush_lsn"] or "0/0"),
    )


async def _require_logical_wal(connection: Connection) -> None:
    # A server that has logical slots does not start with less, so this is asked only where there is none.
    row = await (await connection.execute(b"show wal_level")).fetchone()
    if row != ("logical",) and connection.info.server_version < WAL_LEVEL_FOLLOWS_SLOTS_SINCE:
        raise ServerUnsuitable(
            f"Postgres has wal_level = {row and row[0]}, so it writes no WAL that changes can be read from",
            hint="ALTER SYSTEM SET wal_level = logical, restart Postgres, then run `pgstream install`",
        )


def require_usable(slot: Slot, identity: SystemIdentity, start_lsn: int) -> None:
    """Raises SlotLost, SlotUnsuitable or PositionAhead where streaming could not start, or would lose changes."""
    if slot.lost_because is not None:
        raise slot_lost(slot.name, slot.lost_because)
    if slot.database != identity.database:
        raise SlotUnsuitable(
            f"replication slot {slot.name} belongs to database {slot.database}, not to {identity.database}",
            hint="set pgstream.settings.slot_name to a slot of this database, or run `pgstream install` here",
        )
    if slot.plugin != PLUGIN:
        raise SlotUnsuitable(
            f"replication slot {slot.name} uses the plugin {slot.plugin}, pgstream reads {PLUGIN}", hint=_NEW_SLOT
        )
    if slot.two_phase:
        raise SlotUnsuitable(
            f"replication slot {slot.name} was created with two_phase = true, which pgstream does not read",
            hint=_NEW_SLOT,
        )
    if start_lsn > identity.wal_lsn:
        raise PositionAhead(
            f"the relay published up to {format_lsn(start_lsn)}, but this server's WAL ends at"
            f" {format_lsn(identity.wal_lsn)}: it was restored from a backup, or promoted without its latest WAL."
            " To go on would skip its next changes",
            hint=_NEW_SLOT,
        )


def slot_missing(name: str) -> SlotMissing:
    return SlotMissing(
        f"replication slot {name} does not exist, so the changes since it was last confirmed can't be read",
        hint=f"if it never existed, run `pgstream install`; else {_NEW_SLOT}",
    )


def slot_lost(name: str, reason: str) -> SlotLost:
    return SlotLost(
        f"replication slot {name} is lost ({reason}): the WAL that was not yet published is gone", hint=_NEW_SLOT
    )


def publication_missing(name: str) -> PublicationMissing:
    return PublicationMissing(
        f"publication {name} does not exist at the slot's position: Postgres can't tell which changes belong to it,"
        " so nothing is published until this is mended",
        hint="the changes since it was dropped are not to be had from this slot, also once it is there again:"
        " `pgstream install --new-slot --snapshot` makes both anew, records the gap and reads the tables again;"
        " pgstream.table_status names the tables that have to be added again",
    )


async def explain_start_failure(error: psycopg.Error, connection: Connection, name: str) -> PostgresError:
    """Why START_REPLICATION was refused, though `require_usable` had nothing against it a moment ago."""
    if error.sqlstate == UNDEFINED_OBJECT:
        return slot_missing(name)
    if error.sqlstate == OBJECT_IN_USE:
        pid = (await read_slot(connection, name)).active_pid
        return SlotActive(
            f"replication slot {name} is in use by another session (pid {pid})",
            pid=pid,
            hint="this relay waits as a standby, and takes over when that session ends",
        )
    reason = describe_server_error(error.sqlstate, error.diag.message_primary or str(error))
    if error.sqlstate == OBJECT_NOT_IN_PREREQUISITE_STATE:
        if (await read_slot(connection, name)).lost_because is None:
            return ServerUnsuitable(
                f"Postgres can't stream from slot {name}: {reason}", hint="look at wal_level and the server's log"
            )
        return slot_lost(name, reason)
    return StreamEnded(f"Postgres did not start to stream from slot {name}: {reason}", sqlstate=error.sqlstate)


def explain_stream_end(sqlstate: str | None, message_primary: str, publication: str) -> PostgresError:
    """Why a running stream is over."""
    if sqlstate == UNDEFINED_OBJECT:
        return publication_missing(publication)
    # libpq's own messages go on for lines about what this probably means.
    reason = describe_server_error(sqlstate, message_primary.partition("\n")[0])
    return StreamEnded(
        f"the replication stream ended: {reason}",
        sqlstate=sqlstate,
        hint="the relay connects again; the server's log has the whole text",
    )
