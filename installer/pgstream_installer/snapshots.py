"""Asks for snapshots by a signal, and reads how far they are. For `pgstream snapshot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import scalar_row

from pgstream_installer.connect import Connection, where
from pgstream_installer.errors import ConfigurationError

OPEN_STATES = ("pending", "running", "paused")

SIGNAL_STATEMENT = "insert into pgstream.signals (type, tables) values (%s, %s) returning id"
PROGRESS_QUERY = "select to_jsonb(s) from pgstream.snapshot_progress as s where signal_id = %s order by id"
STATUS_QUERY = "select to_jsonb(status) from pgstream.status as status"


@dataclass(frozen=True)
class Progress:
    """Rows of pgstream.snapshot_progress that one signal made, and the row of pgstream.status, as JSON objects."""

    snapshots: list[dict[str, Any]]
    status: dict[str, Any]

    @property
    def ended(self) -> bool:
        return all(row["state"] not in OPEN_STATES for row in self.snapshots)

    @property
    def unsuccessful(self) -> list[dict[str, Any]]:
        """Those that ended, and not because all was read."""
        return [row for row in self.snapshots if row["state"] not in (*OPEN_STATES, "completed")]


def ask_for_snapshots(connection: Connection, tables: Sequence[str], *, full: bool) -> int:
    """Inserts the signal and returns its id. What Postgres refuses is an InstallerError, by `connected`.

    Raises ConfigurationError where pgstream is not installed, or in a version without snapshots.
    """
    if not _exists(connection, "pgstream.snapshot_progress"):
        installed = _exists(connection, "pgstream.status")
        raise ConfigurationError(
            f"{where(connection)}: "
            + ("the control schema is older than snapshots" if installed else "pgstream is not installed"),
            hint="pgstream install --dsn …",
        )
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(SIGNAL_STATEMENT, ["full-snapshot" if full else "incremental-snapshot", list(tables)])
        signal_id = cursor.fetchone()
    assert isinstance(signal_id, int), "INSERT … RETURNING gives a row"
    return signal_id


def read_progress(connection: Connection, signal_id: int) -> Progress:
    """How far the snapshots of that signal are, and whether a relay streams."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        rows = cursor.execute(PROGRESS_QUERY, [signal_id]).fetchall()
        status = cursor.execute(STATUS_QUERY).fetchone()
    return Progress(rows, status or {})


def _exists(connection: Connection, relation: str) -> bool:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute("select to_regclass(%s)", [relation]).fetchone() is not None
