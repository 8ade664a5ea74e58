"""A logical slot handled through SQL: create it, take its pgoutput messages, look at it."""

from __future__ import annotations

from typing import Any, TypeAlias

import psycopg
from psycopg import sql

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


def create_publication(connection: Connection, name: str, *tables: str) -> None:
    """Publishes `tables` (names as SQL text), or nothing yet if there are none."""
    statement = sql.SQL("create publication {}").format(sql.Identifier(name))
    if tables:
        statement += sql.SQL(" for table " + ", ".join(tables))
    connection.execute(statement)


def create_slot(connection: Connection, name: str) -> None:
    connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])


def take_messages(connection: Connection, slot: str, publication: str) -> list[bytes]:
    """The pgoutput messages that wait in the slot; afterwards they are gone from it. Nobody may stream from it now."""
    rows = connection.execute(
        "select data from pg_logical_slot_get_binary_changes("
        "%s, null, null, 'proto_version', '1', 'messages', 'true', 'publication_names', %s)",
        [slot, f'"{publication}"'],
    ).fetchall()
    return [bytes(data) for (data,) in rows]


def confirmed_flush_lsn(connection: Connection, slot: str) -> int:
    row = connection.execute(
        "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = %s", [slot]
    ).fetchone()
    assert row is not None
    lsn: int = row[0]
    return lsn


def active_pid(connection: Connection, slot: str) -> int | None:
    """The backend that streams from the slot, if any."""
    row = connection.execute("select active_pid from pg_replication_slots where slot_name = %s", [slot]).fetchone()
    assert row is not None
    pid: int | None = row[0]
    return pid


def current_wal_lsn(connection: Connection) -> int:
    row = connection.execute("select (pg_current_wal_lsn() - '0/0')::bigint").fetchone()
    assert row is not None
    lsn: int = row[0]
    return lsn
