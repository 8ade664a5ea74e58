"""pgstream.snapshots: filters that Postgres proves, progress, commands, and who may write what."""

from __future__ import annotations

import json
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from tests.sql.conftest import Connect, CreateRole
from tests.sql.control_schema import Connection, assert_refused, install, rows, value

FILTER = "select row_filter from pgstream.snapshots order by id desc limit 1"
SIGNAL = "insert into pgstream.signals (type, tables, options) values ('incremental-snapshot', '{orders}', %s)"


@pytest.fixture
def shop(control: Connection) -> Connection:
    control.execute("create table orders (id int primary key, status text, total numeric)")
    control.execute("insert into pgstream.tables (table_name) values ('orders')")
    return control


def ask(connection: Connection, row_filter: str) -> None:
    """Signals a snapshot of orders with that filter."""
    connection.execute(SIGNAL.encode(), [json.dumps({"row_filter": row_filter})])


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("status = 'new'", "(status = 'new'::text)"),
        ("status = 'new' -- or not", "(status = 'new'::text)"),
        ("id > 1 or total is null", "((id > 1) OR (total IS NULL))"),
        ("lower(status) like 'n%'", "(lower(status) ~~ 'n%'::text)"),
        ("status = 'it''s ; --'", "(status = 'it''s ; --'::text)"),
    ],
)
def test_a_filter_is_kept_as_postgres_prints_it(shop: Connection, given: str, stored: str) -> None:
    publications = "select * from pg_publication_rel order by oid"
    before = rows(shop, publications)
    ask(shop, given)
    assert value(shop, FILTER) == stored
    assert value(shop, "select pgstream.snapshot_filter(max(id)) from pgstream.snapshots") == stored
    assert rows(shop, publications) == before
    assert value(shop, "show lock_timeout") == "0"


@pytest.mark.parametrize(
    "given",
    [
        "id >",
        "id",
        "nowhere = 1",
        "true) or (true",
        "true); delete from orders; --",
        "true); select (1",
        "true), where (true",
        "true) union select (1",
        "true), orders where (true",
        "true /*",
        "random() > 0.5",
        "pg_sleep(1) is null",
        "mine(id)",
        "id in (select id from orders)",
        "orders is not null",
        "xmin::text = '1'",
        "count(*) > 1",
        "ctid is not null",
    ],
)
def test_a_filter_that_is_not_one_safe_expression_is_refused(shop: Connection, given: str) -> None:
    shop.execute("create function mine(int) returns boolean language sql immutable as 'select true'")
    statement = SIGNAL.replace("%s", sql.Literal(json.dumps({"row_filter": given})).as_string())
    assert_refused(shop, statement, "pgstream_row_filter", hint="as in WHERE")
    assert rows(shop, "select from pgstream.snapshots") == []


def test_a_filter_of_other_columns_is_not_used(shop: Connection) -> None:
    ask(shop, "status = 'new'")
    shop.execute("create domain secret as text")
    shop.execute("alter table orders alter column status type secret")
    with pytest.raises(psycopg.Error) as raised:
        value(shop, "select pgstream.snapshot_filter(max(id)) from pgstream.snapshots")
    assert raised.value.diag.constraint_name == "pgstream_filter_outdated"
    assert raised.value.diag.message_hint


def test_a_filter_waits_for_no_lock_for_long(shop: Connection, connect: Connect) -> None:
    other = connect()
    with other.transaction():
        other.execute("lock table orders in access exclusive mode")
        with pytest.raises(psycopg.errors.LockNotAvailable) as raised:
            ask(shop, "id > 1")
    assert raised.value.diag.constraint_name == "pgstream_other_change"


@pytest.mark.parametrize(
    ("create", "key"),
    [
        ("(id int primary key)", ["id"]),
        ("(a int, b int, primary key (b, a))", ["b", "a"]),
        ("(id int not null unique)", ["id"]),
        ("(id int primary key, o int not null unique); alter table t replica identity using index t_o_key", ["o"]),
        ("(id int unique)", None),
        ("(id int not null unique deferrable)", None),
        ("(id int not null); create unique index on t (id) where id > 0", None),
        ("(id int not null); create unique index on t ((id + 1))", None),
        ("(id int not null); create index on t (id)", None),
        ("(v int, id int generated always as (v + 1) stored primary key)", None),
        ("(id int primary key, v int) partition by list (id)", ["id"]),
    ],
)
def test_the_key_of_a_snapshot(control: Connection, create: str, key: list[str] | None) -> None:
    control.execute(f"create table t {create}".encode())
    if "replica identity" not in create:
        control.execute("alter table t replica identity full")
    assert value(control, "select pgstream.snapshot_key('t'::regclass)") == key


@pytest.mark.parametrize(
    ("assignment", "percent", "remaining"),
    [
        ("state = 'pending'", None, None),
        ("state = 'running', blocks_total = 0", 0, None),
        ("state = 'running', blocks_total = 200", 0, None),
        ("state = 'running', blocks_total = 200, blocks_done = 50, running_time = '10 s'", 25, "0:00:30"),
        ("state = 'running', blocks_total = 3, blocks_done = 1, running_time = '10 s'", 33.3, "0:00:20"),
        ("state = 'running', blocks_total = 200, blocks_done = 201, running_time = '10 s'", 99.9, "0:00:00"),
        ("state = 'paused', blocks_total = 200, blocks_done = 50, running_time = '10 s'", 25, None),
        ("state = 'stopped', blocks_total = 200, blocks_done = 50", 25, None),
        ("state = 'failed'", 0, None),
        ("state = 'completed', blocks_total = 0", 100, "0:00:00"),
    ],
)
def test_progress(shop: Connection, assignment: str, percent: float | None, remaining: str | None) -> None:
    ask(shop, "id > 0")
    shop.execute(f"update pgstream.snapshots set {assignment}".encode())
    [found] = rows(shop, "select percent, remaining from pgstream.snapshot_progress")
    assert (None if found[0] is None else float(found[0])) == percent
    assert (None if found[1] is None else str(found[1])) == remaining


def test_pauses_and_absences_are_no_running_time(shop: Connection) -> None:
    ask(shop, "id > 0")
    for state, after in (
        ("running", "10 min"), ("running", "10 s"), ("paused", "10 s"), ("paused", "1 h"), ("running", "1 h"),
        ("running", "5 s"), ("running", "1 day"), ("completed", "5 s"),
    ):  # fmt: skip
        shop.execute("update pgstream.snapshots set state = %s, updated_at = updated_at + %s::interval", [state, after])
    # 10 and 10 running until the pause; then 5, of the day no more than a minute, and 5.
    assert str(value(shop, "select running_time from pgstream.snapshots")) == "0:01:30"


def test_the_newest_command_of_each_snapshot(shop: Connection) -> None:
    commands = "select snapshot_id, command_id, type from pgstream.snapshot_commands order by 1"
    shop.execute("create table other (id int primary key); insert into pgstream.tables (table_name) values ('other')")
    shop.execute("insert into pgstream.signals (type) values ('pause-snapshot')")
    shop.execute("insert into pgstream.signals (type) values ('incremental-snapshot')")
    assert rows(shop, commands) == []
    shop.execute("insert into pgstream.signals (type) values ('pause-snapshot'), ('resume-snapshot')")
    shop.execute("insert into pgstream.signals (type, tables) values ('stop-snapshot', '{orders}')")
    orders, other = (
        value(shop, "select id from pgstream.snapshots where table_name = %s", name) for name in ("orders", "other")
    )
    assert rows(shop, commands) == sorted([(orders, 5, "stop-snapshot"), (other, 4, "resume-snapshot")])
    shop.execute("update pgstream.snapshots set command_id = 5 where id = %s", [orders])
    shop.execute("update pgstream.snapshots set state = 'stopped' where id = %s", [other])
    assert rows(shop, commands) == []


@dataclass
class Roles:
    """Connections: a superuser, two members of the owner role of the publication, and the relay."""

    admin: Connection
    ann: Connection
    bob: Connection
    relay: Connection


@pytest.fixture
def roles(admin: Connection, connect: Connect, create_role: CreateRole, database: str) -> Roles:
    relay = create_role("relay", "replication")
    install(admin, owner_role=f"dba_{database}", relay_role=relay)
    admin.execute("grant create on schema public to public")
    sessions = {}
    for name in ("ann", "bob"):
        role = create_role(name)
        admin.execute(f'grant "dba_{database}" to "{role}"'.encode())
        sessions[name] = connect(role)
        sessions[name].execute(f"create table {name}_table (id int primary key, v int)".encode())
        sessions[name].execute("insert into pgstream.tables (table_name) values (%s)", [f"{name}_table"])
    return Roles(admin, sessions["ann"], sessions["bob"], connect(relay))


def refused(connection: Connection, statement: str) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        connection.execute(statement.encode())
    return raised.value.diag


def test_a_member_signals_for_tables_of_its_own(roles: Roles) -> None:
    start = "insert into pgstream.signals (type, tables) values ('incremental-snapshot', "
    roles.ann.execute((start + "'{ann_table}')").encode())
    for statement in (
        start + "'{bob_table}')",
        start + "'{ann_table,bob_table}')",
        start + "null)",
        "insert into pgstream.signals (type, tables) values ('stop-snapshot', '{bob_table}')",
    ):
        assert refused(roles.ann, statement).constraint_name == "pgstream_not_owner"
    # All snapshots under way are its own.
    roles.ann.execute("insert into pgstream.signals (type) values ('pause-snapshot')")
    stop_all = "insert into pgstream.signals (type) values ('stop-snapshot')"
    assert refused(roles.bob, stop_all).constraint_name == "pgstream_not_owner"
    assert rows(roles.admin, "select table_name from pgstream.snapshots") == [("ann_table",)]
    assert rows(roles.admin, "select distinct requested_by from pgstream.signals") == [(roles.ann.info.user,)]


def test_what_a_member_writes_beside_its_signals_is_judged_too(roles: Roles) -> None:
    roles.ann.execute("insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{ann_table}')")
    insert = (
        "insert into pgstream.snapshots (signal_id, relid, method, row_filter) values (1, '{}'::regclass, 'full', {})"
    )
    assert refused(roles.ann, insert.format("bob_table", "null")).constraint_name == "pgstream_not_owner"
    with pytest.raises(psycopg.Error) as raised:
        roles.ann.execute(insert.format("ann_table", "'pg_drop_replication_slot(''s'') is null'").encode())
    assert raised.value.diag.constraint_name == "pgstream_row_filter"
    for statement in (
        "update pgstream.snapshots set state = 'stopped'",
        "delete from pgstream.snapshots",
        "insert into pgstream.snapshots (signal_id, relid, method, state) values (1, 1, 'full', 'x')",
        "insert into pgstream.snapshots (signal_id, relid, method, row_shape) values (1, 1, 'full', 'x')",
        "insert into pgstream.signals (type, relids) values ('stop-snapshot', '{1}')",
        "update pgstream.signals set type = 'stop-snapshot'",
        "delete from pgstream.signals",
    ):
        refused(roles.ann, statement)


def test_the_relay_reports_and_decides_nothing(roles: Roles) -> None:
    roles.ann.execute("insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{ann_table}')")
    roles.relay.execute(
        "update pgstream.snapshots set state = 'running', blocks_total = 8, blocks_done = 2, rows_done = 9,"
        " started_at = now(), updated_at = now(), finished_at = null, error = null, hint = null, command_id = 0,"
        " position = '{}'"
    )
    assert rows(roles.relay, "select percent from pgstream.snapshot_progress") == [(25,)]
    assert rows(roles.relay, "select * from pgstream.snapshot_commands") == []
    assert rows(
        roles.relay, "select pgstream.snapshot_filter(id), pgstream.snapshot_key(relid) from pgstream.snapshots"
    )
    for statement in (
        "update pgstream.snapshots set row_filter = 'true'",
        "update pgstream.snapshots set relid = 1",
        "delete from pgstream.snapshots",
        "insert into pgstream.signals (type) values ('stop-snapshot')",
    ):
        refused(roles.relay, statement)


def test_what_the_relay_may_not_read_is_said_with_the_grant(roles: Roles) -> None:
    relay = roles.relay.info.user
    hints: list[str] = []
    roles.ann.add_notice_handler(lambda one: hints.append(one.message_hint or ""))
    signal = "insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{ann_table}')"
    roles.ann.execute(signal.encode())
    assert hints == [f"GRANT SELECT ON public.ann_table TO {relay};"]
    roles.ann.execute(hints.pop().encode())
    roles.ann.execute(signal.encode())
    assert hints == []
    roles.ann.execute("alter table ann_table enable row level security")
    roles.ann.execute(signal.encode())
    assert hints == [f"ALTER ROLE {relay} BYPASSRLS;"]


def test_each_partition_and_its_schema_counts(roles: Roles) -> None:
    relay = roles.relay.info.user
    admin = roles.admin
    admin.execute(
        "create schema parts; create table parted (id int primary key) partition by list (id);"
        "create table parts.p1 partition of parted for values in (1);"
        "create table parts.p2 partition of parted for values in (2);"
        "insert into pgstream.tables (table_name) values ('parted')"
    )
    needs = "select remedy from pgstream.relay_needs('parted'::regclass)"
    assert rows(admin, needs) == [
        (f"GRANT USAGE ON SCHEMA parts TO {relay};",),
        (f"GRANT SELECT ON parts.p1, parts.p2, public.parted TO {relay};",),
    ]
    for (remedy,) in rows(admin, needs):
        admin.execute(remedy.encode())
    assert rows(admin, needs) == []
