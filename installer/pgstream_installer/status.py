"""Reads what the control schema says about itself: status, tables, snapshots. For `pgstream status`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import scalar_row

from pgstream_installer.connect import Connection, where
from pgstream_installer.errors import EXIT_CONFIGURATION, ConfigurationError

STATUS_QUERY = "select to_jsonb(status) from pgstream.status as status"
TABLES_QUERY = "select to_jsonb(t) from pgstream.table_status as t order by table_schema, table_name"
SNAPSHOTS_QUERY = """
select to_jsonb(s) from pgstream.snapshot_progress as s
where state in ('pending', 'running', 'paused')
   or updated_at > now() - case state when 'failed' then interval '1 day' else interval '1 hour' end
order by id
"""


@dataclass(frozen=True)
class DatabaseStatus:
    """Rows of the views, as JSON objects: `status` has one, None where the view is empty."""

    where: str
    status: dict[str, Any]
    tables: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return EXIT_CONFIGURATION if self.status.get("state") == "lost" else 0

    def as_json(self) -> dict[str, Any]:
        return {"where": self.where, "status": self.status, "tables": self.tables, "snapshots": self.snapshots}


def read_status(connection: Connection) -> DatabaseStatus:
    """Raises ConfigurationError where pgstream is not installed."""
    place = where(connection)
    if not _exists(connection, "pgstream.status"):
        raise ConfigurationError(
            f"{place}: pgstream is not installed in this database", hint="pgstream install --dsn …"
        )
    rows = _rows(connection, STATUS_QUERY)
    return DatabaseStatus(
        place,
        rows[0] if rows else {},
        _rows(connection, TABLES_QUERY),
        _rows(connection, SNAPSHOTS_QUERY) if _exists(connection, "pgstream.snapshot_progress") else [],
    )


def _exists(connection: Connection, relation: str) -> bool:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute("select to_regclass(%s)", [relation]).fetchone() is not None


def _rows(connection: Connection, query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return list(cursor.execute(query.encode()).fetchall())
