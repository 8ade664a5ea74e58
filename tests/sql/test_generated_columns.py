"""Generated columns: from 18 on REPLICA IDENTITY FULL beside one makes the application's UPDATE fail."""

from __future__ import annotations

import pytest

from tests.sql.control_schema import Connection, assert_refused, identity, rows, value

KINDS = ("stored", "virtual")


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_identity_becomes_keep_and_the_application_goes_on(control: Connection, kind: str) -> None:
    control.execute(f"create table g (id int primary key, double int generated always as (id * 2) {kind})".encode())
    control.execute("insert into pgstream.tables (table_name) values ('g')")
    assert identity(control, "g") == "d"
    control.execute("insert into g values (1)")
    control.execute("update g set id = 2")
    control.execute("delete from g")
    assert_refused(
        control, "update pgstream.tables set replica_identity = 'full'", "pgstream_full_beside_generated_column"
    )


def test_a_table_whose_own_identity_is_full_is_refused(control: Connection) -> None:
    control.execute("create table g (id int primary key, double int generated always as (id * 2) stored)")
    control.execute("alter table g replica identity full")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name, replica_identity) values ('g', 'keep')",
        "pgstream_full_beside_generated_column",
    )


def test_a_column_that_is_added_later_is_a_problem_with_its_remedy(control: Connection) -> None:
    control.execute("create table g (id int primary key)")
    control.execute("insert into pgstream.tables (table_name) values ('g')")
    control.execute("alter table g add double int generated always as (id * 2) stored")
    hint = value(control, "select hint from pgstream.table_status")
    control.execute(hint.encode())
    assert rows(control, "select problem from pgstream.table_status") == [(None,)]
    control.execute("insert into g values (1)")
    control.execute("update g set id = 2")
