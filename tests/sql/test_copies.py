"""Clones, restored dumps and renamed databases: told apart, and made databases of their own by an install."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_installer.embedded.postgres import postgres_bin_directory
from tests.sql.control_schema import Connection, identity, install, published, rows, value


@pytest.fixture
def original(postgres: EmbeddedPostgres, database: str) -> str:
    """A database that streams a table; nobody is connected to it."""
    with postgres.connect(database) as connection:
        install(connection)
        connection.execute(
            "create table filler (id int primary key); create table orders (id int primary key); drop table filler"
        )
        connection.execute("insert into pgstream.tables (table_name, initial_snapshot) values ('orders', true)")
        connection.execute("select pgstream.create_slot()")
    return database


@pytest.fixture
def copy(postgres: EmbeddedPostgres, original: str) -> Iterator[str]:
    """The name of another database, which the test makes."""
    name = f"{original}_copy"
    yield name
    with postgres.connect() as connection:
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [name]
        )
        connection.execute(f'drop database if exists "{name}" with (force)'.encode())


def check_adopted(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    """The copy is offline until an install; then it is a database of its own, with the table streamed."""
    with postgres.connect(copy) as connection:
        assert rows(connection, "select state, error from pgstream.status") == [
            ("offline", "this database is a copy of the one that pgstream was installed in")
        ]
        [(problem, hint)] = rows(connection, "select problem, hint from pgstream.table_status")
        assert problem == "this database is a copy of the one that the row was made in"
        assert hint
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("insert into pgstream.signals (type) values ('incremental-snapshot')")
        assert raised.value.diag.constraint_name == "pgstream_copy"
        install(connection)
        # What was asked for there is not asked for here.
        assert rows(connection, "select state from pgstream.snapshots") == [("stopped",)]
        assert rows(connection, "select database_at_install, slot_name, pgstream.is_home() from pgstream.settings") == [
            (copy, f"pgstream_{copy}", True)
        ]
        assert rows(connection, "select name from pgstream.streams") == [(f"PGSTREAM_{copy}",)]
        assert rows(connection, "select problem from pgstream.table_status") == [(None,)]
        assert rows(connection, "select relid = 'orders'::regclass from pgstream.tables") == [(True,)]
        connection.execute("select pgstream.create_slot()")
        assert published(connection) == {"orders"}
        connection.execute("delete from pgstream.tables")
        assert (published(connection), identity(connection, "orders")) == (set(), "d")
    with postgres.connect(original) as connection:
        assert rows(connection, "select slot_name from pgstream.settings") == [(f"pgstream_{original}",)]
        assert published(connection) == {"orders"}


def clone(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    with postgres.connect() as connection:
        connection.execute(f'create database "{copy}" template "{original}"'.encode())
    with postgres.connect(copy) as connection:
        assert value(connection, "select pgstream.is_home()") is False


def test_a_clone(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    clone(postgres, original, copy)
    check_adopted(postgres, original, copy)


def test_a_restored_dump(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    programs = postgres_bin_directory()
    dumped = subprocess.run(
        [str(programs / "pg_dump"), "-d", postgres.dsn(original)], check=True, capture_output=True, text=True
    ).stdout
    with postgres.connect() as connection:
        connection.execute(f'create database "{copy}"'.encode())
    subprocess.run(
        [str(programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", postgres.dsn(copy)],
        check=True, capture_output=True, text=True, input=dumped,
    )  # fmt: skip
    with postgres.connect(copy) as connection:
        # The stored oid is that of something else, or of nothing, here.
        assert rows(connection, "select relid = 'orders'::regclass from pgstream.tables") == [(False,)]
    check_adopted(postgres, original, copy)


def test_a_row_of_a_copy_is_not_taken_for_another_table(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    """Before any install: what is deleted there is the table of that name, whatever has the oid now."""
    clone(postgres, original, copy)
    with postgres.connect(copy) as connection:
        point_at_another_table(connection)
        connection.execute("delete from pgstream.tables")
        assert published(connection) == {"innocent"}


def test_an_install_in_a_copy_goes_by_names(postgres: EmbeddedPostgres, original: str, copy: str) -> None:
    clone(postgres, original, copy)
    with postgres.connect(copy) as connection:
        point_at_another_table(connection)
        install(connection)
        assert rows(connection, "select relid = 'orders'::regclass from pgstream.tables") == [(True,)]


def point_at_another_table(connection: Connection) -> None:
    """As it may be in a restored dump, whose tables have other oids."""
    connection.execute(
        "create table innocent (id int primary key); alter publication pgstream add table innocent;"
        "alter table pgstream.tables disable trigger user;"
        "update pgstream.tables set relid = 'innocent'::regclass;"
        "alter table pgstream.tables enable trigger user"
    )


def test_the_alias_does_not_follow_a_rename(postgres: EmbeddedPostgres, original: str) -> None:
    renamed = f"{original}_renamed"
    with postgres.connect() as connection:
        connection.execute(f'alter database "{original}" rename to "{renamed}"'.encode())
    try:
        with postgres.connect(renamed) as connection:
            check_same(connection, original)
            install(connection)
            check_same(connection, original)
    finally:
        with postgres.connect() as connection:
            connection.execute(f'alter database "{renamed}" rename to "{original}"'.encode())


def check_same(connection: Connection, original: str) -> None:
    assert value(connection, "select pgstream.alias()") == original
    assert value(connection, "select subjects ->> 'insert' from pgstream.table_status") == (
        f"{original}.public.orders.insert"
    )
    assert rows(connection, "select slot_name from pgstream.settings") == [(f"pgstream_{original}",)]
