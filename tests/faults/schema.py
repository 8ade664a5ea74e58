"""The database of the crash test: its tables, and which of them goes to which stream how."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import psycopg

from tests.support.relay import install_pgstream

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

DATABASE: Final = "chaos"
SLOT: Final = f"pgstream_{DATABASE}"
TRUTH_SLOT: Final = "chaos_truth"
DEFAULT_STREAM: Final = f"PGSTREAM_{DATABASE}"
SECOND_STREAM: Final = "CHAOS_SECOND"
TABLES: Final = ("orders", "items", "articles", "ledger", "scratch")
PREFIX: Final = "audit"

_TABLES_SQL: Final = """
create table orders (
  id bigint generated always as identity primary key, status text not null, total numeric(12, 2), note text,
  paid boolean not null default false, tags jsonb, placed_at timestamptz not null default clock_timestamp());
create table items (order_id bigint, line integer, quantity integer, primary key (order_id, line));
create table articles (id bigint generated always as identity primary key, title text, body text);
alter table articles alter column body set storage external;
create table ledger (
  id bigint generated always as identity primary key, account integer not null, amount numeric not null, memo text);
create table scratch (id bigint generated always as identity primary key, label text);
create table unstreamed (id bigint generated always as identity primary key, label text);
"""


def prepare_database(server: Connection, dsn: str, *, replicas: int) -> None:
    """Database, pgstream, the slot of the ground truth, then the tables: so the truth sees every settings change."""
    server.execute(f"create database {DATABASE}")
    install_pgstream(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [TRUTH_SLOT])
        connection.execute(_TABLES_SQL)
        # So short that nothing but the mark and the fence keeps an event from being stored twice.
        connection.execute("update pgstream.streams set duplicate_window = '1 s', replicas = %s", [replicas])
        connection.execute(
            "insert into pgstream.streams (name, duplicate_window, replicas) values (%s, '1 s', %s)",
            [SECOND_STREAM, replicas],
        )
        connection.execute("update pgstream.settings set message_prefixes = %s", [[PREFIX]])
        connection.execute(
            "insert into pgstream.tables (table_name, stream, replica_identity) values"
            " ('orders', null, null), ('items', null, null), ('articles', null, 'keep'),"
            " ('ledger', %(second)s, null), ('scratch', %(second)s, null)",
            {"second": SECOND_STREAM},
        )
