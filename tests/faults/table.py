"""One streamed table `t (id, note)`: rows by number, and the numbers that arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import psycopg

from pgstream_installer.embedded import EmbeddedPostgres
from tests.support.relay import StoredEvent, install_pgstream

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

INSERT: Final = "insert into t select n, 'note ' || n from generate_series(%s::bigint, %s::bigint) n"
PAUSE_SECONDS: Final = 0.02


def install(postgres: EmbeddedPostgres, database: str) -> None:
    """pgstream in the database, with the table and a duplicate window so short that only mark and fence count."""
    install_pgstream(postgres.dsn(database))
    with postgres.connect(database) as connection:
        connection.execute("create table t (id bigint primary key, note text)")
        connection.execute("update pgstream.streams set duplicate_window = '1 s'")
        connection.execute("insert into pgstream.tables (table_name) values ('t')")


def insert(connection: Connection, first: int, last: int | None = None) -> None:
    """The rows of these numbers, in one transaction."""
    connection.execute(INSERT, [first, first if last is None else last])


def numbers(events: Sequence[StoredEvent]) -> list[Any]:
    """The ids of the rows after their changes, in the order of the stream; None where there is no row."""
    return [(event.data["after"] or {}).get("id") for event in events]


def status(connection: Connection) -> tuple[str, str | None, str | None]:
    """State, error and hint of pgstream.status."""
    row = connection.execute("select state, error, hint from pgstream.status").fetchone()
    assert row is not None
    return row[0], row[1], row[2]


class Writer:
    """Inserts rows one after the other, some transactions of one row and some of `many`, until it is told to stop."""

    def __init__(self, dsn: str, first: int = 1, *, many: int = 50) -> None:
        self._dsn = dsn
        self._many = many
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[int] | None = None
        self._first = first
        self.last = first - 1
        """Number of the last row that is committed."""

    async def __aenter__(self) -> Writer:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> int:
        """The number of the last row."""
        assert self._task is not None
        self._stopping.set()
        return await self._task

    async def _write(self) -> int:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            while not self._stopping.is_set():
                count = 1 if self.last % 5 else self._many
                await connection.execute(INSERT, [self.last + 1, self.last + count])
                self.last += count
                await asyncio.sleep(PAUSE_SECONDS)
        return self.last
