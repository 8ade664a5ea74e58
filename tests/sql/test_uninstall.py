"""uninstall.sql: nothing is left, and where something must be, nothing is done or it is said."""

from __future__ import annotations

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from tests.sql.conftest import Connect, CreateRole
from tests.sql.control_schema import SQL, Connection, identity, install, psql, rows, start_psql, value

# What an install could leave behind: outside its schema, and in the catalogs that all databases share.
TRACES = """
select 'namespace ' || nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
union all select 'publication ' || pubname from pg_publication
union all select 'database acl ' || coalesce(datacl, acldefault('d', datdba))::text from pg_database
  where datname = current_database()
union all select 'slot ' || slot_name from pg_replication_slots where database = current_database()
union all select 'role ' || rolname from pg_roles where rolname not like 'pgstream\\_dba'
union all select 'identity ' || relname || relreplident::text from pg_class where oid >= 16384 and relkind in ('r', 'p')
union all select 'function ' || oid::regprocedure from pg_proc where oid >= 16384
union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
order by 1
"""


@pytest.fixture
def tables(admin: Connection) -> Connection:
    admin.execute(
        "create table orders (id int primary key);"
        "create table by_index (id int not null); create unique index by_index_id on by_index (id);"
        "alter table by_index replica identity using index by_index_id;"
        "create table parted (id int primary key) partition by list (id);"
        "create table parted_1 partition of parted for values in (1)"
    )
    return admin


def stream_all(control: Connection) -> None:
    control.execute("insert into pgstream.tables (table_name) values ('orders'), ('by_index'), ('parted')")
    control.execute("select pgstream.create_slot()")
    control.execute("insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{orders}')")


@pytest.mark.parametrize("options", [(), ("--single-transaction",)], ids=["psql", "one transaction"])
def test_nothing_is_left(postgres: EmbeddedPostgres, database: str, tables: Connection, options: tuple[str]) -> None:
    before = rows(tables, TRACES)
    install(tables, owner_role=f"dba_{database}")
    stream_all(tables)
    assert identity(tables, "parted_1") == "f"
    assert rows(tables, TRACES) != before
    psql_quietly(postgres, database, *options)
    assert rows(tables, TRACES) == before
    install(tables, owner_role=f"dba_{database}")
    psql_quietly(postgres, database, *options)
    assert rows(tables, TRACES) == before


def psql_quietly(postgres: EmbeddedPostgres, database: str, *options: str) -> None:
    process = start_psql(postgres, database, "uninstall.sql", *options)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_as_an_installer_without_superuser(
    admin: Connection, connect: Connect, create_role: CreateRole, database: str
) -> None:
    installer = create_role("installer", "createrole replication")
    admin.execute(f'alter database "{database}" owner to "{installer}"'.encode())
    session = connect(installer)
    session.execute("create table orders (id int primary key)")
    admin.execute("create table somebody_elses (id int primary key)")
    before = rows(admin, TRACES)
    install(session, owner_role=f"dba_{database}")
    session.execute("insert into pgstream.tables (table_name) values ('orders')")
    admin.execute("insert into pgstream.tables (table_name) values ('somebody_elses')")
    session.execute("select pgstream.create_slot()")
    hints: list[str] = []
    session.add_notice_handler(lambda notice: hints.append(notice.message_hint or ""))
    session.execute((SQL / "uninstall.sql").read_bytes())
    # The identity of a table that is not ours is left to its owner, who is told how.
    assert "ALTER TABLE public.somebody_elses REPLICA IDENTITY …; when it suits." in hints
    admin.execute("alter table somebody_elses replica identity default")
    assert rows(admin, TRACES) == before


def test_a_relay_that_runs_is_in_the_way(postgres: EmbeddedPostgres, database: str, tables: Connection) -> None:
    install(tables, owner_role=f"dba_{database}")
    stream_all(tables)
    before = rows(tables, TRACES)
    slot = value(tables, "select slot_name from pgstream.settings")
    relay = psycopg.connect(postgres.dsn(database), replication="database", autocommit=True)
    with relay:
        relay.execute(
            f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names 'pgstream')".encode()
        )
        process = start_psql(postgres, database, "uninstall.sql")
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "HINT:  Stop the relay of this database, then uninstall." in errors
        assert rows(tables, TRACES) == before
        relay.pgconn.finish()


def test_a_busy_table_is_in_the_way(
    postgres: EmbeddedPostgres, database: str, tables: Connection, connect: Connect
) -> None:
    install(tables)
    stream_all(tables)
    before = rows(tables, TRACES)
    writer = connect()
    with writer.transaction():
        writer.execute("insert into orders values (1)")
        process = start_psql(postgres, database, "uninstall.sql", "--single-transaction")
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "table public.orders is in use" in errors
    assert rows(tables, TRACES) == before


def test_a_role_that_another_database_uses_stays(admin: Connection, postgres: EmbeddedPostgres, database: str) -> None:
    other = f"{database}_other"
    dba = f"dba_{database}"
    admin.execute(f'create database "{other}"'.encode())
    try:
        install(admin, owner_role=dba)
        with postgres.connect(other) as elsewhere:
            install(elsewhere, owner_role=dba)
            psql_quietly(postgres, database)
            assert rows(admin, "select from pg_roles where rolname = %s", dba) == [()]
            psql_quietly(postgres, other)
            assert rows(admin, "select from pg_roles where rolname = %s", dba) == []
    finally:
        admin.execute(f'drop database "{other}" with (force)'.encode())


def test_a_role_that_was_there_before_stays(
    admin: Connection, postgres: EmbeddedPostgres, database: str, create_role: CreateRole
) -> None:
    role = create_role("dbas")
    install(admin, owner_role=role)
    psql_quietly(postgres, database)
    assert rows(admin, "select from pg_roles where rolname = %s", role) == [()]


def test_where_nothing_is_installed(postgres: EmbeddedPostgres, database: str) -> None:
    process = start_psql(postgres, database, "uninstall.sql")
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert f"pgstream is not installed in database {database}" in errors
    psql(postgres, database, "install.sql")
