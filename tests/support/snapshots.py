"""Snapshots of a `StreamedDatabase`: asked for, waited for, and read back from the stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg.types.json import Jsonb

from tests.support.relay import StoredEvent, eventually, read_stream
from tests.support.streamed import StreamedDatabase

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class SnapshotState:
    """A row of `pgstream.snapshots`, what is told to people."""

    id: int
    state: str
    blocks_total: int | None
    blocks_done: int
    rows_done: int
    error: str | None
    hint: str | None


def signal(
    database: StreamedDatabase, *tables: str, kind: str = "incremental-snapshot", options: Row | None = None
) -> int:
    """Inserts a signal; the id of the newest snapshot then."""
    database.execute(
        "insert into pgstream.signals (type, tables, options) values (%s, %s, %s)",
        kind, list(tables) or None, Jsonb(options or {}),
    )  # fmt: skip
    ((newest,),) = database.execute("select coalesce(max(id), 0) from pgstream.snapshots")
    return int(newest)


def state_of(database: StreamedDatabase, snapshot_id: int) -> SnapshotState:
    (row,) = database.execute(
        "select id, state, blocks_total, blocks_done, rows_done, error, hint from pgstream.snapshots where id = %s",
        snapshot_id,
    )
    return SnapshotState(*row)


async def wait_for_state(database: StreamedDatabase, snapshot_id: int, *states: str) -> SnapshotState:
    """The snapshot as it is once it is in one of the states."""
    seen = state_of(database, snapshot_id)

    def there() -> bool:
        nonlocal seen
        seen = state_of(database, snapshot_id)
        return seen.state in states

    await eventually(
        there, otherwise=lambda: f"not {states}: {seen}, {database.status()}\n{database.relay.log[-4000:]}"
    )
    return seen


async def wait_for_blocks(database: StreamedDatabase, snapshot_id: int, blocks: int) -> SnapshotState:
    """The snapshot as soon as it has read so many blocks."""
    await eventually(
        lambda: state_of(database, snapshot_id).blocks_done >= blocks,
        otherwise=lambda: f"not {blocks} blocks: {state_of(database, snapshot_id)}\n{database.relay.log[-4000:]}",
    )
    return state_of(database, snapshot_id)


async def stored_events(database: StreamedDatabase, table: str, snapshot_id: int | None = None) -> list[StoredEvent]:
    """What the stream has of the table now: all events, or those of one snapshot."""
    events = [e for e in await read_stream(database.nats.url, database.stream) if e.document["table"] == table]
    if snapshot_id is None:
        return events
    return [event for event in events if event.headers.get("Pgstream-Snapshot") == str(snapshot_id)]


def marks(events: Iterable[StoredEvent]) -> list[str]:
    return [event.headers["Pgstream-Mark"] for event in events if "Pgstream-Mark" in event.headers]


def snapshot_rows(events: Iterable[StoredEvent]) -> list[Row]:
    """The rows among the events of snapshots."""
    return [
        event.data["after"] for event in events if event.operation == "snapshot" and event.data["after"] is not None
    ]


def applied(events: Iterable[StoredEvent], *key: str) -> dict[str, Row]:
    """The table as a consumer holds it that begins empty, and applies each event in order."""
    rows: dict[str, Row] = {}
    for event in events:
        before, after = event.data["before"], event.data["after"]
        if event.operation == "truncate":
            rows.clear()
        former = rows.pop(_key(before, key), {}) if before is not None else {}
        if after is not None:
            missing = [name for name in event.headers.get("Pgstream-Unchanged", "").split(",") if name]
            kept = {name: former[name] for name in missing if name in former}
            rows[_key(after, key)] = after | kept
    return rows


def table_rows(database: StreamedDatabase, table: str, *key: str) -> dict[str, Row]:
    """The table as Postgres holds it. `table`: as SQL writes it, with ONLY where children are left out."""
    return {_key(row, key): row for (row,) in database.execute(f"select to_jsonb(r) from {table} r")}


def _key(row: Row, columns: Sequence[str]) -> str:
    return json.dumps([row[column] for column in columns])
