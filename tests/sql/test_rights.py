"""Who may do what: two DBAs without superuser rights, an owner who is no member, the relay's role."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest

from tests.sql.conftest import Connect, CreateRole
from tests.sql.control_schema import Connection, assert_refused, identity, install, published, rows, value


@dataclass
class Roles:
    """Connections of a superuser, two members who own a table each, an owner who is no member, and the relay."""

    admin: Connection
    ann: Connection
    bob: Connection
    outsider: Connection
    relay: Connection


@pytest.fixture
def roles(admin: Connection, connect: Connect, create_role: CreateRole, database: str) -> Roles:
    relay = create_role("relay", "replication")
    install(admin, owner_role=f"dba_{database}", relay_role=relay)
    names = {name: create_role(name) for name in ("ann", "bob", "outsider")}
    admin.execute("grant create on schema public to public")
    for name in ("ann", "bob"):
        admin.execute(f'grant "dba_{database}" to "{names[name]}"'.encode())
    sessions = {name: connect(role) for name, role in names.items()}
    for name, session in sessions.items():
        session.execute(f"create table {name}_table (id int primary key, v int)".encode())
    return Roles(admin, sessions["ann"], sessions["bob"], sessions["outsider"], connect(relay))


def add(connection: Connection, table: str) -> None:
    connection.execute("insert into pgstream.tables (table_name) values (%s)", [table])


def test_each_member_streams_the_tables_it_owns(roles: Roles) -> None:
    add(roles.ann, "ann_table")
    add(roles.bob, "bob_table")
    assert published(roles.admin) == {"ann_table", "bob_table"}
    roles.ann.execute("update pgstream.tables set mode = 'ephemeral' where table_name = 'ann_table'")
    roles.ann.execute("update pgstream.tables set enabled = false where table_name = 'ann_table'")
    roles.ann.execute("update pgstream.tables set enabled = true where table_name = 'ann_table'")
    roles.ann.execute("delete from pgstream.tables where table_name = 'ann_table'")
    assert (published(roles.admin), identity(roles.admin, "ann_table")) == ({"bob_table"}, "d")
    assert rows(roles.admin, "select updated_by from pgstream.tables") == [(roles.bob.info.user,)]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into pgstream.tables (table_name) values ('bob_other')",
        "insert into pgstream.tables (table_name, enabled) values ('bob_other', false)",
        "update pgstream.tables set mode = 'ephemeral'",
        "update pgstream.tables set enabled = false",
        "update pgstream.tables set table_name = 'ann_table'",
        "delete from pgstream.tables",
        (
            "insert into pgstream.tables (table_name, mode) values ('bob_table', 'ephemeral')"
            " on conflict (table_schema, table_name) do update set mode = excluded.mode"
        ),
    ],
)
def test_a_member_touches_neither_table_nor_row_of_another(roles: Roles, statement: str) -> None:
    add(roles.bob, "bob_table")
    roles.bob.execute("create table bob_other (id int primary key)")
    raised = assert_refused_to(roles.ann, statement, "pgstream_not_owner", roles.admin)
    assert roles.bob.info.user in (raised.diag.message_hint or "")


def assert_refused_to(connection: Connection, statement: str, problem: str, admin: Connection) -> psycopg.Error:
    before = rows(admin, "select pgstream.control_rows()::text"), published(admin)
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        connection.execute(statement.encode())
    assert raised.value.diag.constraint_name == problem
    assert (rows(admin, "select pgstream.control_rows()::text"), published(admin)) == before
    return raised.value


def test_the_owner_of_a_partition_must_be_the_writer(roles: Roles) -> None:
    roles.ann.execute("create table parted (id int primary key) partition by list (id)")
    roles.ann.execute("create table parted_1 partition of parted for values in (1)")
    roles.admin.execute(f'alter table parted_1 owner to "{roles.bob.info.user}"'.encode())
    assert_refused_to(
        roles.ann, "insert into pgstream.tables (table_name) values ('parted')", "pgstream_not_owner", roles.admin
    )


def test_an_owner_who_is_no_member(roles: Roles) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        add(roles.outsider, "outsider_table")
    # Even with all the grants: adding needs the rights of the publication's owner.
    outsider = roles.outsider.info.user
    roles.admin.execute(
        f'grant usage on schema pgstream to "{outsider}";'
        f'grant all on all tables in schema pgstream to "{outsider}";'
        f'grant all on all functions in schema pgstream to "{outsider}"'.encode()
    )
    raised = assert_refused_to(
        roles.outsider,
        "insert into pgstream.tables (table_name) values ('outsider_table')",
        "pgstream_not_dba",
        roles.admin,
    )
    assert (raised.diag.message_hint or "").startswith("GRANT ")


def test_a_member_who_does_not_inherit(roles: Roles) -> None:
    ann = roles.ann.info.user
    dba = value(roles.admin, "select pg_get_userbyid(pubowner) from pg_publication")
    add(roles.ann, "ann_table")
    roles.admin.execute(f'alter role "{ann}" noinherit'.encode())
    # From 16 on inheritance is a property of the grant, taken from the role when it is made.
    roles.admin.execute(f'revoke "{dba}" from "{ann}"; grant "{dba}" to "{ann}"'.encode())
    roles.admin.execute(f'grant usage on schema pgstream to "{ann}"'.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        roles.ann.execute("delete from pgstream.tables")


def test_members_settings_and_streams(roles: Roles) -> None:
    roles.ann.execute("update pgstream.settings set numbers = 'text'")
    roles.ann.execute("insert into pgstream.streams (name) values ('ORDERS')")
    roles.ann.execute("update pgstream.streams set replicas = 1")
    roles.ann.execute("delete from pgstream.streams where name = 'ORDERS'")
    for statement in ("delete from pgstream.settings", "truncate pgstream.tables", "drop table pgstream.tables"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roles.ann.execute(statement.encode())


def test_a_setting_that_reaches_tables_of_others_is_refused(roles: Roles) -> None:
    add(roles.bob, "bob_table")
    assert_refused_to(
        roles.ann, "update pgstream.settings set replica_identity = 'keep'", "pgstream_not_owner", roles.admin
    )
    assert identity(roles.admin, "bob_table") == "f"


def test_private_tables_are_out_of_reach(roles: Roles) -> None:
    add(roles.bob, "bob_table")
    for statement in (
        "delete from pgstream.former_identities",
        "update pgstream.former_identities set identity = 'n'",
        "update pgstream.latest_change set transaction_id = null",
        "delete from pgstream.relay_state",
        "insert into pgstream.gaps (reason) values ('x')",
        "select pgstream.prepare_database()",
        "select pgstream.create_slot()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roles.ann.execute(statement.encode())
    # The functions that run as their owner believe the catalog, not the caller.
    kept = rows(roles.admin, "select * from pgstream.former_identities")
    roles.ann.execute("select pgstream.forget_identity('bob_table'::regclass)")
    roles.ann.execute("select pgstream.remember_identity('bob_table'::regclass)")
    assert rows(roles.admin, "select * from pgstream.former_identities") == kept


def test_a_note_that_somebody_planted_does_no_harm(roles: Roles) -> None:
    roles.ann.execute("select pgstream.remember_identity('bob_table'::regclass)")
    roles.bob.execute("create unique index bob_id on bob_table (id)")
    roles.bob.execute("alter table bob_table replica identity using index bob_id")
    add(roles.bob, "bob_table")
    roles.bob.execute("delete from pgstream.tables")
    assert identity(roles.admin, "bob_table") == "i"


def test_a_row_whose_table_is_gone_is_any_members(roles: Roles) -> None:
    add(roles.bob, "bob_table")
    roles.bob.execute("drop table bob_table")
    roles.ann.execute("delete from pgstream.tables")


def test_members_and_relay_see_the_views(roles: Roles) -> None:
    add(roles.ann, "ann_table")
    for session in (roles.bob, roles.relay):
        assert rows(session, "select problem from pgstream.table_status") == [(None,)]
        assert rows(session, "select state from pgstream.status") == [("offline",)]
        assert value(session, "select pgstream.version()") == "0.1.0"
        assert rows(session, "select published from pgstream.explain('ann_table', 'insert')") == [(True,)]


def test_the_relay_gets_what_it_needs_and_no_more(roles: Roles) -> None:
    privileges = rows(
        roles.admin,
        "select c.relname, string_agg(lower(a.privilege_type), ' ' order by a.privilege_type)"
        " from pg_class c, aclexplode(c.relacl) a"
        " where c.relnamespace = 'pgstream'::regnamespace and a.grantee = %s::regrole group by 1 order by 1",
        f'"{roles.relay.info.user}"',
    )
    assert dict(privileges) == {
        "adoptions": "select update",
        "gaps": "insert select update",
        "migrations": "select",
        "relay_positions": "delete insert select update",
        "relay_state": "select update",
        "relays": "delete insert select update",
        "settings": "select",
        "signals": "select",
        "snapshot_commands": "select",
        "snapshot_progress": "select",
        "snapshots": "select",
        "status": "select",
        "streams": "select",
        "table_status": "select",
        "tables": "select",
    }
    for statement in ("select pgstream.create_slot()", "select pgstream.begin_change()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roles.relay.execute(statement.encode())


def test_superusers_row_errors_are_told_the_same_way(roles: Roles) -> None:
    assert_refused(roles.admin, "insert into pgstream.tables (table_name) values ('missing')", "pgstream_table_missing")


def test_a_repeated_install_gives_a_relay_role_that_was_named_before_what_is_new(
    admin: Connection, create_role: CreateRole
) -> None:
    relay = create_role("relay", "replication")
    install(admin, relay_role=relay)
    admin.execute(f'revoke all on pgstream.gaps from "{relay}"'.encode())
    install(admin)
    assert value(admin, "select has_table_privilege(%s, 'pgstream.gaps', 'insert')", relay) is True


def test_an_upgrade_gives_it_the_tables_of_snapshots(admin: Connection, create_role: CreateRole) -> None:
    relay = create_role("relay", "replication")
    install(admin, relay_role=relay)
    admin.execute("drop table pgstream.signals, pgstream.snapshots cascade")
    admin.execute("delete from pgstream.migrations where id = 6")
    install(admin)
    for privilege in (
        "has_table_privilege(%s, 'pgstream.signals', 'select')",
        "has_table_privilege(%s, 'pgstream.snapshot_progress', 'select')",
        "has_column_privilege(%s, 'pgstream.snapshots', 'state', 'update')",
        "has_function_privilege(%s, 'pgstream.snapshot_filter(bigint)', 'execute')",
    ):
        assert value(admin, f"select {privilege}", relay) is True
    assert value(admin, "select has_column_privilege(%s, 'pgstream.snapshots', 'relid', 'update')", relay) is False
