"""`pgstream uninstall`: what it leaves, and what it asks before."""

from __future__ import annotations

import io

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.integration.installer.conftest import Pgstream
from tests.integration.installer.test_install import dump


def identity(postgres: EmbeddedPostgres, database: str) -> object:
    with postgres.connect(database) as connection:
        row = connection.execute("select relreplident from pg_class where relname = 'orders'").fetchone()
    return row and row[0]


def has_slot(postgres: EmbeddedPostgres, database: str) -> bool:
    with postgres.connect() as connection:
        found = connection.execute("select from pg_replication_slots where database = %s", [database]).fetchone()
    return found is not None


def test_nothing_is_left(pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create table orders (id int primary key, total numeric)")
    before = dump(postgres, database)
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        connection.execute("insert into pgstream.tables (table_name) values ('orders')")
    assert identity(postgres, database) == "f"

    ran = pgstream("uninstall", "--yes", "--dsn", dsn)

    assert ran.code == 0, ran.err
    assert dump(postgres, database) == before
    assert identity(postgres, database) == "d"
    assert not has_slot(postgres, database)


def test_where_nothing_is_installed_nothing_is_done(pgstream: Pgstream, dsn: str) -> None:
    ran = pgstream("uninstall", "--yes", "--dsn", dsn)

    assert ran.code == 0
    assert "not installed" in ran.out


def test_it_asks_and_takes_silence_for_no(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pgstream("install", "--dsn", dsn)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    ran = pgstream("uninstall", "--dsn", dsn)

    assert ran.code == 1
    assert "not confirmed" in ran.err
    assert has_slot(postgres, database)


def test_a_yes_at_the_prompt_is_enough(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pgstream("install", "--dsn", dsn)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    assert pgstream("uninstall", "--dsn", dsn).code == 0
    assert not has_slot(postgres, database)


def test_a_connected_relay_is_ended_with_yes_alone(
    pgstream: Pgstream, postgres: EmbeddedPostgres, database: str, dsn: str
) -> None:
    pgstream("install", "--dsn", dsn)
    with postgres.connect(database) as connection:
        row = connection.execute("select slot_name from pgstream.settings").fetchone()
    assert row is not None
    relay = psycopg.connect(dsn, replication="database", autocommit=True)
    relay.execute(
        f"START_REPLICATION SLOT {row[0]} LOGICAL 0/0 (proto_version '1', publication_names 'pgstream')".encode()
    )

    refused = pgstream("uninstall", "--dsn", dsn)
    assert refused.code == 1
    assert "a relay is connected" in refused.err
    assert has_slot(postgres, database)

    ran = pgstream("uninstall", "--yes", "--dsn", dsn)
    relay.close()
    assert ran.code == 0, ran.err
    assert "its session is ended" in ran.out
    assert not has_slot(postgres, database)


def test_a_database_must_be_named(pgstream: Pgstream, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pgstream("uninstall", "--yes").code == 2
    monkeypatch.setenv("PGSTREAM_DSN", f"{dsn}\n{dsn} application_name=second")
    assert pgstream("uninstall", "--yes").code == 2
