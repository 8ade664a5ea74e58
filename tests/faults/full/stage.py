"""A table without a key, its signals, and what `pgstream.snapshots` says of them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from signal import SIGCONT, SIGSTOP
from typing import Any, Final, NamedTuple

from nats.js.errors import NotFoundError

from pgstream_installer.embedded import EmbeddedNats
from tests.support.relay import connected, eventually
from tests.support.streamed import StreamedDatabase

KEYLESS: Final = "(a int, b text, c numeric(12, 2), note text)"
FILL: Final = "insert into {} select g % 5000, 'x' || g, g * 1.5, repeat('n', g % 90) from generate_series(1, %s) g"
OPEN: Final = ("pending", "running", "paused")


class SnapshotState(NamedTuple):
    """Of `pgstream.snapshots`; what is null is empty."""

    state: str
    error: str
    hint: str
    rows_done: int


def add_keyless(streamed: StreamedDatabase, name: str = "k", rows: int = 0) -> None:
    """A table whose first rows no event tells of."""
    streamed.execute(f"create table {name} {KEYLESS}")
    streamed.execute(FILL.format(name).replace("% ", "%% "), rows)
    streamed.execute("insert into pgstream.tables (table_name) values (%s)", name)


def signal(streamed: StreamedDatabase, kind: str, *tables: str, **options: Any) -> None:
    """As an operator would insert it; no tables: all."""
    names = [f"public.{name}" for name in tables] or None
    streamed.execute(
        "insert into pgstream.signals (type, tables, options) values (%s, %s, %s::jsonb)",
        kind, names, json.dumps(options),
    )  # fmt: skip


def snapshot(streamed: StreamedDatabase, table: str = "k") -> SnapshotState:
    """The table's last snapshot."""
    (row,) = streamed.execute(
        "select state, coalesce(error, ''), coalesce(hint, ''), rows_done from pgstream.snapshots"
        " where table_name = %s order by id desc limit 1",
        table,
    )
    return SnapshotState(*row)


async def wait_for(streamed: StreamedDatabase, state: str, *words: str, table: str = "k") -> SnapshotState:
    """Until the table's last snapshot is in this state, with these words in its error and hint."""

    def there() -> SnapshotState | None:
        now = snapshot(streamed, table)
        return now if now.state == state and all(word in f"{now.error} {now.hint}" for word in words) else None

    def otherwise() -> str:
        return f"not {state} with {words}: {snapshot(streamed, table)}\n{streamed.relay.log[-4000:]}"

    found = await eventually(there, otherwise=otherwise)
    assert found is not None
    return found


async def published(streamed: StreamedDatabase, table: str = "k") -> int:
    """How many rows and marks of snapshots of the table the stream holds."""
    subject = f"{streamed.name}.public.{table}.snapshot"
    async with connected(streamed.nats.url) as client:
        try:
            info = await client.jetstream().stream_info(streamed.stream, subjects_filter=subject)
        except NotFoundError:
            return 0
    return (info.state.subjects or {}).get(subject, 0)


def readers(streamed: StreamedDatabase) -> list[int]:
    """The processes of Postgres that read for a full snapshot, in transactions that stay open."""
    found = streamed.execute(
        "select a.pid from pg_stat_activity a where a.datname = current_database() and a.xact_start is not null"
        " and a.pid <> pg_backend_pid() and a.backend_type = 'client backend' and exists ("
        "   select from pg_locks l where l.pid = a.pid and l.mode = 'AccessShareLock'"
        "      and l.relation in (select relid from pgstream.tables))"
    )
    return [pid for (pid,) in found]


@contextmanager
def frozen(nats: EmbeddedNats) -> Iterator[None]:
    """nats-server takes nothing: whoever publishes comes to a halt."""
    os.kill(nats.pid, SIGSTOP)
    try:
        yield
    finally:
        os.kill(nats.pid, SIGCONT)


@asynccontextmanager
async def halted(streamed: StreamedDatabase, table: str = "k") -> AsyncIterator[None]:
    """A full snapshot that has begun and does not get on, for the length of a block."""
    before = await published(streamed)
    signal(streamed, "full-snapshot", table)
    await wait_for(streamed, "running", table=table)
    if table == "k":
        # Its mark `begin` at least must be there.
        await wait_for_rows(streamed, before)
    with frozen(streamed.nats):
        yield


async def wait_for_rows(streamed: StreamedDatabase, more_than: int) -> None:
    """Until the stream holds more than these of snapshots of `k`."""

    async def there() -> bool:
        return await published(streamed) > more_than

    await eventually(there)
