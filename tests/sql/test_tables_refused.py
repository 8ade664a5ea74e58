"""Rows of pgstream.tables that are refused, each with an id, a detail and a hint, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sql.control_schema import Connection, assert_refused, published

TABLES = """
create table orders (id int primary key, status text, doubled int generated always as (id * 2) stored);
create table keyless (id int);
create table deferred (id int primary key deferrable initially deferred);
create table nothing (id int primary key);
alter table nothing replica identity nothing;
create table by_index (id int not null, code text not null, note text);
create unique index by_index_code on by_index (code);
alter table by_index replica identity using index by_index_code;
create view a_view as select 1;
create materialized view a_materialized_view as select 1 as id;
create sequence a_sequence;
create unlogged table an_unlogged_table (id int primary key);
create temporary table a_temporary_table (id int primary key);
create table "Mixed Case" (id int primary key);
create table parted (id int, region text, primary key (id, region)) partition by list (region);
create table parted_eu partition of parted for values in ('eu');
create table parted_keyless (id int) partition by list (id);
create table listed (id int primary key, secret text);
create publication other for table listed (id);
create foreign data wrapper nothing_behind_it;
create server elsewhere foreign data wrapper nothing_behind_it;
create foreign table a_foreign_table (id int) server elsewhere;
"""


@pytest.fixture(scope="module")
def shared(shared_control: Connection) -> Connection:
    shared_control.execute(TABLES.encode())
    return shared_control


@pytest.fixture
def control(shared: Connection) -> Iterator[Connection]:
    """One database for all these tests: a refusal changes nothing, and what else they do is rolled back."""
    with shared.transaction(force_rollback=True):
        yield shared


@pytest.mark.parametrize(
    ("columns", "values", "problem", "hint"),
    [
        ("table_name", "'missing'", "pgstream_table_missing", "Create the table"),
        ("table_name", "'mixed case'", "pgstream_table_missing", 'public."Mixed Case"'),
        ("table_schema, table_name", "'elsewhere', 'orders'", "pgstream_table_missing", "public.orders"),
        ("table_name", "'a_view'", "pgstream_table_kind", "tables that the view reads"),
        ("table_name", "'a_materialized_view'", "pgstream_table_kind", "tables that the view reads"),
        ("table_name", "'a_sequence'", "pgstream_table_kind", ""),
        ("table_name", "'a_foreign_table'", "pgstream_table_kind", ""),
        ("table_name", "'an_unlogged_table'", "pgstream_table_kind", "SET LOGGED"),
        ("table_name", "'orders_pkey'", "pgstream_table_kind", ""),
        ("table_schema, table_name", "'pg_catalog', 'pg_class'", "pgstream_table_kind", ""),
        ("table_schema, table_name", "'information_schema', 'sql_features'", "pgstream_table_kind", ""),
        ("table_schema, table_name", "'pgstream', 'tables'", "pgstream_table_kind", ""),
        ("table_schema, table_name", "'pgstream', 'gaps'", "pgstream_table_kind", ""),
        ("table_name", "'parted_eu'", "pgstream_table_partition", "public.parted"),
        ("table_name", "'parted_keyless'", "pgstream_partitioned_without_key", "ADD PRIMARY KEY"),
        ("table_name, replica_identity", "'keyless', 'keep'", "pgstream_no_identity", "'full'"),
        ("table_name, replica_identity", "'deferred', 'keep'", "pgstream_no_identity", "'full'"),
        ("table_name, replica_identity", "'nothing', 'keep'", "pgstream_no_identity", "'full'"),
        ("table_name, operations, replica_identity", "'keyless', '{insert}', 'keep'", "pgstream_no_identity", ""),
        ("table_name", "'listed'", "pgstream_full_beside_column_list", "'keep'"),
        ("table_name, key_columns", "'orders', '{nope}'", "pgstream_key_column_missing", ""),
        ("table_name, key_columns", "'orders', '{doubled}'", "pgstream_key_column_missing", ""),
        ("table_name, key_columns", "'orders', '{}'", "pgstream_key_columns", ""),
        ("table_name, key_columns", "'orders', '{id,id}'", "pgstream_key_columns", ""),
        ("table_name, key_columns", "'orders', '{id,null}'", "pgstream_key_columns", ""),
        (
            "table_name, key_columns, replica_identity",
            "'orders', '{status}', 'keep'",
            "pgstream_key_not_covered",
            "'full'",
        ),
        (
            "table_name, key_columns, replica_identity",
            "'by_index', '{id}', 'keep'",
            "pgstream_key_not_covered",
            "'full'",
        ),
        ("table_name, columns", "'orders', '{id}'", "pgstream_not_available", "columns"),
        ("table_name, excluded_columns", "'orders', '{status}'", "pgstream_not_available", "excluded_columns"),
        ("table_name, row_filter", "'orders', 'id > 0'", "pgstream_not_available", "row_filter"),
        ("table_name, operations, initial_snapshot", "'orders', '{insert}', true", "pgstream_snapshot_operation", ""),
        ("table_name, subject", "'orders', 'a.{row.status}'", "pgstream_not_available", "{operation}"),
        ("table_name, subject", "'orders', 'a.{key}'", "pgstream_not_available", "{operation}"),
        ("table_name, event_subjects", """'orders', '{"insert": "a.{key}"}'""", "pgstream_not_available", ""),
        ("table_name, mode", "'orders', 'durable'", "pgstream_unknown_word", "persistent, ephemeral"),
        ("table_name, replica_identity", "'orders', 'default'", "pgstream_unknown_word", "full, keep"),
        ("table_name, numbers", "'orders', 'float'", "pgstream_unknown_word", "json, text"),
        ("table_name, operations", "'orders', '{upsert}'", "pgstream_unknown_word", "snapshot"),
        ("table_name, operations", "'orders', '{insert,null}'", "pgstream_unknown_word", ""),
        ("table_name, operations", "'orders', '{unknown}'", "pgstream_unknown_word", ""),
        ("table_name, operations", "'orders', '{}'", "pgstream_no_operations", "enabled = false"),
        ("table_name, stream", "'orders', 'a.b'", "pgstream_stream_name", ""),
        ("table_name, stream", "'orders', ''", "pgstream_stream_name", ""),
        ("table_name, stream", "'orders', 'ä'", "pgstream_stream_name", ""),
        ("table_name, event_subjects", "'orders', '[]'", "pgstream_event_subjects", ""),
        ("table_name, event_subjects", """'orders', '{"insert": 1}'""", "pgstream_event_subjects", ""),
        ("table_name, event_subjects", """'orders', '{"upsert": "a"}'""", "pgstream_unknown_word", ""),
    ],
)
def test_insert_is_refused(control: Connection, columns: str, values: str, problem: str, hint: str) -> None:
    assert_refused(control, f"insert into pgstream.tables ({columns}) values ({values})", problem, hint=hint)


def test_a_temporary_table_is_refused(control: Connection) -> None:
    assert_refused(
        control,
        "insert into pgstream.tables (table_schema, table_name)"
        " select nspname, 'a_temporary_table' from pg_namespace where oid = pg_my_temp_schema()",
        "pgstream_table_kind",
    )


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("row_filter = 'id > 0'", "pgstream_not_available"),
        ("columns = '{id}'", "pgstream_not_available"),
        ("subject = 'a..b'", "pgstream_subject_illegal"),
        ("table_name = 'missing'", "pgstream_table_missing"),
        ("table_name = 'a_view'", "pgstream_table_kind"),
        ("key_columns = '{nope}'", "pgstream_key_column_missing"),
        ("replica_identity = 'keep', key_columns = '{status}'", "pgstream_key_not_covered"),
        ("mode = 'x'", "pgstream_unknown_word"),
    ],
)
def test_update_is_refused(control: Connection, assignment: str, problem: str) -> None:
    control.execute("insert into pgstream.tables (table_name) values ('orders')")
    assert_refused(control, f"update pgstream.tables set {assignment}", problem)
    assert published(control) == {"orders"}


def test_key_columns_of_a_partitioned_table_are_of_its_primary_key(control: Connection) -> None:
    control.execute("alter table parted add note text")
    for values in ("'parted', '{note}', 'full'", "'parted', '{id,note}', null"):
        assert_refused(
            control,
            f"insert into pgstream.tables (table_name, key_columns, replica_identity) values ({values})",
            "pgstream_key_not_covered",
            hint="primary key",
        )
    control.execute("insert into pgstream.tables (table_name, key_columns) values ('parted', '{id}')")


def test_one_bad_row_undoes_the_whole_statement(control: Connection) -> None:
    assert_refused(
        control,
        "insert into pgstream.tables (table_name) values ('orders'), ('keyless'), ('missing')",
        "pgstream_table_missing",
    )


def test_truncate_is_refused(control: Connection) -> None:
    control.execute("insert into pgstream.tables (table_name) values ('orders')")
    for table in ("settings", "streams", "tables"):
        assert_refused(control, f"truncate pgstream.{table}", "pgstream_truncate", hint="DELETE")


def test_an_open_cursor_is_named(control: Connection) -> None:
    control.execute("declare c cursor for select * from by_index")
    control.execute("fetch c")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name) values ('by_index')",
        "pgstream_table_in_use",
        hint="transaction of its own",
    )
