"""Why a snapshot can't go on: what `pgstream.snapshots.error` and `hint` say."""

from __future__ import annotations

from typing import Final

import psycopg

from pgstream_relay.runtime.postgres_errors import describe_server_error

LOCK_RETRY_SECONDS: Final = 1.0
BROKEN_RETRY_SECONDS: Final = 2.0
_LOCKED: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    # Renamed since it was looked up.
    psycopg.errors.UndefinedTable,
)
_ENDED: Final = ("08", "57P", "25P03", "25P04")
"""SQLSTATEs of connections that are gone: broken, terminated, ended by a timeout."""


class SnapshotFailed(Exception):
    """For good: the snapshot ends with mark and state `failed`. Neither text holds a row value."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotNow(Exception):
    """What keeps a full snapshot from going on, for the row and for people; it is tried again after `seconds`."""

    def __init__(self, message: str, hint: str, seconds: float) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.seconds = seconds


def table_gone(name: str) -> SnapshotFailed:
    """The table was dropped."""
    return SnapshotFailed(f"table {name} does not exist any more", hint="start a new snapshot where it was made again")


def not_published(name: str) -> SnapshotFailed:
    """Disabled, deleted from pgstream.tables, or without operation snapshot."""
    return SnapshotFailed(
        f"{name} is not streamed any more, or its operations in pgstream.tables leave snapshot out",
        hint="enable the table in pgstream.tables, then insert the signal again",
    )


def key_gone(name: str) -> SnapshotFailed:
    """An incremental snapshot needs a key from its first row to its last."""
    return SnapshotFailed(
        f"the primary key or unique index of {name} was changed while its snapshot was under way",
        hint="insert the signal again; without a key, a full-snapshot",
    )


def slot_in_danger(name: str) -> SnapshotFailed:
    """The WAL that waits behind a full snapshot comes near max_slot_wal_keep_size."""
    return SnapshotFailed(
        f"the full snapshot of {name} was ended: the WAL that waits for it would soon pass max_slot_wal_keep_size,"
        " and the slot would be lost",
        hint="raise max_slot_wal_keep_size, or use an incremental-snapshot, for which no event waits",
    )


def no_slot(reason: str) -> SnapshotFailed:
    """A full snapshot needs a replication slot and a walsender of its own while it finds its point."""
    return SnapshotFailed(
        f"no temporary replication slot could be made: {reason}",
        hint="raise max_replication_slots and max_wal_senders by one (or drop what is not used), then insert the"
        " signal again",
    )


def explain_read_failure(error: psycopg.Error, name: str, role: str) -> SnapshotFailed:
    """A chunk could not be read, and will not be the next time either."""
    primary = error.diag.message_primary or str(error).partition("\n")[0]
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        if "row-level security" in primary or "row level security" in primary:
            return SnapshotFailed(
                f"row-level security of {name} would leave rows out of the snapshot for role {role}",
                hint=f"ALTER ROLE {role} BYPASSRLS, or exempt it by a policy's owner; then insert the signal again",
            )
        return SnapshotFailed(
            f"the relay's role may not read {name}: {primary}",
            hint=f"GRANT SELECT ON {name} TO {role}; (and USAGE on its schema), then insert the signal again",
        )
    return SnapshotFailed(
        f"Postgres could not read {name}: {describe_server_error(error.sqlstate, primary)}",
        hint=error.diag.message_hint or "mend what the message says, then insert the signal again",
    )


def explain_full_failure(error: psycopg.Error, name: str, role: str) -> NotNow | SnapshotFailed:
    """What ended an attempt at a full snapshot: whether another one is worth it."""
    if isinstance(error, _LOCKED):
        hint = "another session alters it, or waits to: see pg_stat_activity"
        return NotNow(f"waits for a lock on {name}", hint, LOCK_RETRY_SECONDS)
    state = error.sqlstate
    if state is None or state.startswith(_ENDED):
        return broken_off()
    return explain_read_failure(error, name, role)


def broken_off() -> NotNow:
    """A connection of a full snapshot was ended."""
    return NotNow(
        "a connection to Postgres broke: the snapshot begins again",
        "where it happens again and again, see Postgres's log for who ends it",
        BROKEN_RETRY_SECONDS,
    )
