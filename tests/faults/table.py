"""One streamed table `t (id, note)`: rows by number, and the numbers that arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg

from pgstream_installer.embedded import EmbeddedPostgres
from tests.support.relay import StoredEvent, run_command

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


def install(postgres: EmbeddedPostgres, database: str) -> None:
    """pgstream in the database, with the table and a duplicate window so short that only mark and fence count."""
    run_command("install", "--dsn", postgres.dsn(database))
    with postgres.connect(database) as connection:
        connection.execute("create table t (id bigint primary key, note text)")
        connection.execute("update pgstream.streams set duplicate_window = '1 s'")
        connection.execute("insert into pgstream.tables (table_name) values ('t')")


def insert(connection: Connection, first: int, last: int | None = None) -> None:
    """The rows of these numbers, in one transaction."""
    connection.execute(
        "insert into t select n, 'note ' || n from generate_series(%s::bigint, %s::bigint) n",
        [first, first if last is None else last],
    )


def numbers(events: Sequence[StoredEvent]) -> list[Any]:
    """The ids of the rows after their changes, in the order of the stream; None where there is no row."""
    return [(event.data["after"] or {}).get("id") for event in events]


def status(connection: Connection) -> tuple[str, str | None, str | None]:
    """State, error and hint of pgstream.status."""
    row = connection.execute("select state, error, hint from pgstream.status").fetchone()
    assert row is not None
    return row[0], row[1], row[2]
