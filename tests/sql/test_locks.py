"""Beside open transactions: what waits in vain says so, what must not wait does not. Nothing here is timed."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.conftest import Connect
from tests.sql.control_schema import Connection, assert_refused, identity, published, rows

ADD = "insert into pgstream.tables (table_name) values ('orders')"


@pytest.fixture
def control(control: Connection) -> Connection:
    control.execute("create table orders (id int primary key, status text)")
    return control


@pytest.mark.parametrize("replica_identity", ["full", "keep"])
def test_adding_beside_an_open_writer_gives_up_and_names_it(
    control: Connection, connect: Connect, replica_identity: str
) -> None:
    writer = connect()
    control.execute("update pgstream.settings set replica_identity = %s", [replica_identity])
    with writer.transaction():
        writer.execute("insert into orders values (1)")
        raised = assert_refused(control, ADD, "pgstream_table_busy", hint="Try again")
        assert str(writer.info.backend_pid) in (raised.diag.message_detail or "")
        assert isinstance(raised, psycopg.errors.LockNotAvailable)
    control.execute(ADD.encode())
    assert published(control) == {"orders"}


def test_a_writer_of_a_partition_counts(control: Connection, connect: Connect) -> None:
    control.execute("create table parted (id int primary key) partition by list (id)")
    control.execute("create table parted_1 partition of parted for values in (1)")
    control.execute("update pgstream.settings set replica_identity = 'keep'")
    writer = connect()
    with writer.transaction():
        writer.execute("insert into parted_1 values (1)")
        assert_refused(control, "insert into pgstream.tables (table_name) values ('parted')", "pgstream_table_busy")


def test_disabling_and_deleting_do_not_wait_for_writers(control: Connection, connect: Connect) -> None:
    control.execute(ADD.encode())
    writer = connect()
    warnings: list[str] = []
    control.add_notice_handler(lambda notice: warnings.append(notice.message_hint or ""))
    with writer.transaction():
        writer.execute("insert into orders values (1)")
        control.execute("update pgstream.tables set enabled = false")
        assert published(control) == set()
        assert warnings == []
        control.execute("delete from pgstream.tables")
    assert warnings == ["ALTER TABLE public.orders REPLICA IDENTITY …; when it suits."]
    assert identity(control, "orders") == "f"
    # It is still known what it was.
    control.execute(ADD.encode())
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "d"


def test_another_uncommitted_change_is_named(control: Connection, connect: Connect) -> None:
    control.execute("create table customers (id int primary key)")
    other = connect()
    with other.transaction():
        other.execute(ADD.encode())
        before = rows(control, "select count(*) from pgstream.tables")
        with pytest.raises(psycopg.errors.LockNotAvailable) as raised:
            control.execute("insert into pgstream.tables (table_name) values ('customers')")
        assert raised.value.diag.constraint_name == "pgstream_other_change"
        assert raised.value.diag.message_hint
        assert rows(control, "select count(*) from pgstream.tables") == before
    control.execute("insert into pgstream.tables (table_name) values ('customers')")
    assert published(control) == {"orders", "customers"}


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_overlapping_changes_at_once_do_not_both_pass(control: Connection, connect: Connect, isolation: str) -> None:
    """The second judged by what the first has committed, or it fails: also where its snapshot is older."""
    control.execute("create table customers (id int primary key)")
    second = connect()
    second.execute(f"set default_transaction_isolation = '{isolation}'".encode())
    overlap = "insert into pgstream.tables (table_name, mode, subject) values (%s, %s, 'a.b')"
    with pytest.raises(psycopg.Error) as raised, second.transaction():  # noqa: PT012 - the order matters
        second.execute("select count(*) from pgstream.tables")
        control.execute(overlap, ["orders", "persistent"])
        second.execute(overlap, ["customers", "ephemeral"])
    assert (raised.value.diag.constraint_name, raised.value.sqlstate) in (
        ("pgstream_subjects_overlap", "23P01"),
        (None, "40001"),
    )
    assert rows(control, "select table_name from pgstream.tables") == [("orders",)]


@pytest.mark.parametrize("table", ["settings", "streams", "tables"])
def test_creating_the_slot_waits_for_who_writes_a_control_table(
    control: Connection, connect: Connect, table: str
) -> None:
    """Not for its transaction id alone: the lock of a writer that has none yet counts."""
    other = connect()
    control.execute("set lock_timeout = '100ms'")
    with other.transaction():
        other.execute(f"lock table pgstream.{table} in row exclusive mode".encode())
        with pytest.raises(psycopg.errors.LockNotAvailable):
            control.execute("select pgstream.create_slot()")
    assert rows(control, "select from pg_replication_slots where database = current_database()") == []
