"""What the relay reads from and writes to `pgstream.signals` and `pgstream.snapshots`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.runtime.control_store import ControlStore
from pgstream_relay.runtime.snapshots.wal_message import message_call
from pgstream_relay.snapshot.lifecycle import OPEN_STATES
from pgstream_relay.snapshot.visibility import XidSnapshot


@dataclass(slots=True)
class SnapshotRow:
    """A row of `pgstream.snapshots` that has not ended; `save` writes what may change."""

    id: int
    relid: int
    table_schema: str
    table_name: str
    method: str
    filtered: bool
    block_count: int | None
    state: str
    command_id: int
    blocks_total: int | None
    blocks_done: int
    rows_done: int
    position: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """The newest signal to pause, resume or stop a snapshot that was not carried out yet."""

    id: int
    type: str


class SnapshotStore:
    """Every method raises RelayError subclasses and nothing else of Postgres."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store

    async def read_visible(self) -> XidSnapshot:
        """Which transactions whatever is read later sees, at least."""
        (row,) = await self._store.rows("select pg_current_snapshot()::text as visible")
        return XidSnapshot.parse(row["visible"])

    async def read_open(self) -> list[tuple[SnapshotRow, Command | None]]:
        """Those that have not ended, oldest first."""
        # A schema of an older version has none: whoever upgrades the relay first goes on streaming.
        (known,) = await self._store.rows(
            "select has_any_column_privilege(to_regclass('pgstream.snapshots'), 'update') as usable"
        )
        if not known["usable"]:
            return []
        rows = await self._store.rows(
            """
            select s.id, s.relid::bigint as relid, s.table_schema, s.table_name, s.method,
                   s.row_filter is not null as filtered, s.block_count, s.state, s.command_id,
                   s.blocks_total, s.blocks_done, s.rows_done, coalesce(s.position, '{}') as position,
                   c.command_id as last_command_id, c.type as last_command
              from pgstream.snapshots s
              left join pgstream.snapshot_commands c on c.snapshot_id = s.id
             where s.state = any (%s)
             order by s.id
            """,
            [list(OPEN_STATES)],
        )
        found: list[tuple[SnapshotRow, Command | None]] = []
        for row in rows:
            command_id, command = row.pop("last_command_id"), row.pop("last_command")
            found.append((SnapshotRow(**row), Command(command_id, command) if command is not None else None))
        return found

    async def write_message(self) -> int:
        """Puts a message into the WAL; the position that the stream has passed when it brings it."""
        call = message_call(self._store.server_version)
        (row,) = await self._store.rows(f"select pg_current_wal_insert_lsn()::text as lsn, {call}")
        return parse_lsn(row["lsn"])

    async def save(self, row: SnapshotRow) -> None:
        """Writes what may change of a row."""
        await self._store.execute(
            """
            update pgstream.snapshots
               set state = %(state)s, command_id = %(command_id)s, blocks_total = %(blocks_total)s,
                   blocks_done = %(blocks_done)s, rows_done = %(rows_done)s, position = %(position)s,
                   error = %(error)s, hint = %(hint)s, updated_at = now(),
                   started_at = coalesce(started_at, case when %(state)s::text <> 'pending' then now() end),
                   finished_at = case when %(state)s::text <> all (%(open)s) then now() end
             where id = %(id)s
            """,
            {
                "id": row.id,
                "state": row.state,
                "command_id": row.command_id,
                "blocks_total": row.blocks_total,
                "blocks_done": row.blocks_done,
                "rows_done": row.rows_done,
                "position": json.dumps(row.position),
                "error": row.error,
                "hint": row.hint,
                "open": list(OPEN_STATES),
            },
        )
