"""What a row of pgstream.tables does: publication, replica identity, and what becomes of both."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.control_schema import Connection, assert_refused, identity, published, rows, value


@pytest.fixture
def control(control: Connection) -> Connection:
    control.execute("create table orders (id int primary key, status text)")
    return control


def add(control: Connection, table: str = "orders", **settings: str) -> None:
    columns = ", ".join(["table_name", *settings])
    marks = ", ".join(["%s"] * (1 + len(settings)))
    control.execute(f"insert into pgstream.tables ({columns}) values ({marks})".encode(), [table, *settings.values()])


def problems(control: Connection) -> dict[str, str | None]:
    return dict(rows(control, "select table_name, problem from pgstream.table_status"))


def mend(control: Connection, table: str) -> None:
    """Runs the statement that table_status hints at."""
    control.execute(value(control, "select hint from pgstream.table_status where table_name = %s", table).encode())


def test_adding_and_deleting(control: Connection) -> None:
    add(control)
    assert (published(control), identity(control, "orders")) == ({"orders"}, "f")
    assert rows(control, "select relid = 'orders'::regclass, updated_by from pgstream.tables") == [(True, "postgres")]
    control.execute("delete from pgstream.tables")
    assert (published(control), identity(control, "orders")) == (set(), "d")
    assert rows(control, "select from pgstream.former_identities") == []


def test_filled_in_columns_are_not_taken_from_the_writer(control: Connection) -> None:
    control.execute(
        "insert into pgstream.tables (table_name, relid, updated_by, updated_at)"
        " values ('orders', 1, 'somebody', '2000-01-01')"
    )
    assert rows(
        control, "select relid = 'orders'::regclass, updated_by, updated_at > '2020-01-01' from pgstream.tables"
    ) == [(True, "postgres", True)]


def test_keep_touches_nothing(control: Connection) -> None:
    add(control, replica_identity="keep")
    assert (published(control), identity(control, "orders")) == ({"orders"}, "d")


def test_from_keep_to_full_and_back(control: Connection) -> None:
    add(control, replica_identity="keep")
    for setting, expected in (("full", "f"), ("keep", "d"), ("full", "f")):
        control.execute("update pgstream.tables set replica_identity = %s", [setting])
        assert identity(control, "orders") == expected
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "d"


def test_an_index_comes_back(control: Connection) -> None:
    control.execute("create unique index orders_id on orders (id)")
    control.execute("alter table orders replica identity using index orders_id")
    add(control)
    assert identity(control, "orders") == "f"
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "i"
    assert value(control, "select indisreplident from pg_index where indexrelid = 'orders_id'::regclass")


def test_an_index_that_is_gone_leaves_the_identity_full(control: Connection) -> None:
    control.execute("create unique index orders_id on orders (id)")
    control.execute("alter table orders replica identity using index orders_id")
    add(control)
    control.execute("drop index orders_id")
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "f"


@pytest.mark.parametrize(
    "spoil",
    [
        "alter table orders drop constraint orders_pkey",
        "create publication other for table orders where (status = 'new')",
    ],
)
def test_never_back_to_an_identity_that_fails_the_application(control: Connection, spoil: str) -> None:
    add(control)
    control.execute(spoil.encode())
    hints: list[str] = []
    control.add_notice_handler(lambda notice: hints.append(notice.message_hint or ""))
    control.execute("delete from pgstream.tables")
    assert (published(control), identity(control, "orders")) == (set(), "f")
    assert hints == ["ALTER TABLE public.orders REPLICA IDENTITY …; when it suits."]
    control.execute("insert into orders values (1, 'new'); update orders set status = 'paid'; delete from orders")


def test_a_keyless_table_stays_full(control: Connection) -> None:
    control.execute("create table keyless (id int)")
    add(control, "keyless")
    control.execute("delete from pgstream.tables")
    assert identity(control, "keyless") == "f"


def test_an_identity_that_was_full_before_stays(control: Connection) -> None:
    control.execute("alter table orders replica identity full")
    add(control)
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "f"


def test_an_identity_changed_by_hand_is_left_alone(control: Connection) -> None:
    add(control)
    control.execute("create unique index orders_id on orders (id)")
    control.execute("alter table orders replica identity using index orders_id")
    assert problems(control)["orders"] is not None
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "i"
    assert rows(control, "select from pgstream.former_identities") == []


def test_disabling_keeps_the_identity_until_the_row_goes(control: Connection) -> None:
    add(control)
    control.execute("update pgstream.tables set enabled = false")
    assert (published(control), identity(control, "orders")) == (set(), "f")
    assert problems(control) == {"orders": None}
    control.execute("update pgstream.tables set enabled = true")
    assert published(control) == {"orders"}
    control.execute("update pgstream.tables set enabled = false")
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "d"


def test_a_row_that_begins_disabled_does_nothing_yet(control: Connection) -> None:
    control.execute("insert into pgstream.tables (table_name, enabled) values ('orders', false)")
    assert (published(control), identity(control, "orders")) == (set(), "d")


def test_upserts_act_once_and_on_what_became_of_the_row(control: Connection) -> None:
    upsert = (
        "insert into pgstream.tables (table_name, mode, replica_identity) values ('orders', %s, 'keep')"
        " on conflict (table_schema, table_name) do update set mode = excluded.mode"
    )
    add(control)
    control.execute(upsert, ["ephemeral"])
    assert rows(control, "select mode, replica_identity from pgstream.tables") == [("ephemeral", None)]
    assert identity(control, "orders") == "f"
    control.execute(
        "insert into pgstream.tables (table_name, mode) values ('orders', 'persistent') on conflict do nothing"
    )
    assert rows(control, "select mode from pgstream.tables") == [("ephemeral",)]


def test_a_transaction_adds_a_table_changes_it_and_its_settings(control: Connection) -> None:
    with control.transaction():
        control.execute("create table fresh (id int primary key)")
        add(control, "fresh")
        control.execute("insert into fresh values (1)")
        control.execute("update pgstream.tables set subject = 'other.subject' where table_name = 'fresh'")
        control.execute("update fresh set id = 2")
        control.execute("delete from pgstream.tables where table_name = 'fresh'")
        control.execute("insert into fresh values (3)")
    assert published(control) == set()
    with control.transaction():
        add(control, "fresh")
        control.execute("savepoint before")
        control.execute("delete from pgstream.tables")
        control.execute("rollback to savepoint before")
    assert (published(control), identity(control, "fresh")) == ({"fresh"}, "f")


def test_a_renamed_table_goes_on(control: Connection) -> None:
    add(control)
    control.execute("alter table orders rename to sales")
    control.execute("create table orders (id int primary key)")
    assert published(control) == {"sales"}
    assert "is now public.sales" in (problems(control)["orders"] or "")
    control.execute("update pgstream.tables set numbers = 'text'")
    assert published(control) == {"sales"}, "an UPDATE of something else leaves the row with its table"
    assert value(control, "select pgstream.explain('sales', 'insert')::text").count("public.sales.insert") == 1
    mend(control, "orders")
    assert problems(control) == {"sales": None}
    assert rows(control, "select numbers from pgstream.tables") == [("text",)]
    add(control, "orders")
    assert published(control) == {"orders", "sales"}


def test_a_second_row_for_a_renamed_table_is_refused(control: Connection) -> None:
    add(control)
    control.execute("alter table orders rename to sales")
    assert_refused(
        control,
        "insert into pgstream.tables (table_name) values ('sales')",
        "pgstream_table_twice",
        hint="UPDATE pgstream.tables SET table_schema = 'public', table_name = 'sales'",
    )


def test_a_renamed_table_is_deleted_by_its_oid(control: Connection) -> None:
    add(control)
    control.execute("alter table orders rename to sales; create table orders (id int primary key)")
    control.execute("delete from pgstream.tables")
    assert (published(control), identity(control, "sales"), identity(control, "orders")) == (set(), "d", "d")


def test_a_table_in_another_schema_is_followed(control: Connection) -> None:
    add(control)
    control.execute("create schema shop; alter table orders set schema shop")
    mend(control, "orders")
    assert problems(control) == {"orders": None}
    assert value(control, "select subjects ->> 'insert' from pgstream.table_status").endswith(".shop.orders.insert")


def test_a_table_dropped_and_made_again(control: Connection) -> None:
    add(control)
    control.execute("drop table orders")
    assert problems(control) == {"orders": "the table was dropped"}
    control.execute("create table orders (id int primary key)")
    assert published(control) == set()
    assert "made again" in (problems(control)["orders"] or "")
    mend(control, "orders")
    assert (published(control), identity(control, "orders")) == ({"orders"}, "f")
    assert problems(control) == {"orders": None}
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "d"


def test_a_row_whose_table_is_gone_can_be_stopped_and_deleted(control: Connection) -> None:
    add(control)
    control.execute("drop table orders")
    assert_refused(control, "update pgstream.tables set numbers = 'text'", "pgstream_table_missing")
    control.execute("update pgstream.tables set enabled = false")
    control.execute("delete from pgstream.tables")
    assert rows(control, "select from pgstream.former_identities") == []


def test_a_row_can_move_to_another_table(control: Connection) -> None:
    control.execute("create table customers (id int primary key)")
    add(control)
    control.execute("update pgstream.tables set table_name = 'customers'")
    assert published(control) == {"customers"}
    assert (identity(control, "orders"), identity(control, "customers")) == ("d", "f")


def test_a_table_taken_out_by_hand_shows_and_is_mended(control: Connection) -> None:
    add(control)
    control.execute("alter publication pgstream drop table orders")
    assert problems(control) == {"orders": "the table is not in publication pgstream"}
    mend(control, "orders")
    assert published(control) == {"orders"}


def test_a_key_that_was_dropped_shows(control: Connection) -> None:
    add(control, replica_identity="keep")
    control.execute("alter table orders drop constraint orders_pkey")
    assert "UPDATE and DELETE fail" in (problems(control)["orders"] or "")


def test_delete_works_without_a_publication(control: Connection) -> None:
    add(control)
    control.execute("drop publication pgstream")
    control.execute("delete from pgstream.tables")
    assert identity(control, "orders") == "d"


def test_inheritance_children_are_not_touched(control: Connection) -> None:
    control.execute("create table child () inherits (orders)")
    add(control)
    assert (published(control), identity(control, "child")) == ({"orders"}, "d")
    control.execute("insert into child values (1, 'new'); update child set status = 'paid'")


def test_partitions_get_and_give_back_the_identity(control: Connection) -> None:
    control.execute(
        "create table parted (id int, region text, primary key (id, region)) partition by list (region);"
        "create table eu partition of parted for values in ('eu');"
        "create table rest partition of parted default partition by list (region);"
        "create table us partition of rest for values in ('us');"
    )
    add(control, "parted")
    tables = ("parted", "eu", "rest", "us")
    assert published(control) == {"parted"}
    assert [identity(control, table) for table in tables] == ["f"] * 4
    control.execute("create table fr partition of rest for values in ('fr')")
    assert "public.fr" in (problems(control)["parted"] or "")
    mend(control, "parted")
    assert problems(control) == {"parted": None}
    control.execute("alter table parted detach partition eu")
    control.execute("delete from pgstream.tables")
    assert [identity(control, table) for table in (*tables, "fr")] == ["d"] * 5


def test_reserved_and_odd_names(control: Connection) -> None:
    control.execute('create schema "My Schema"; create table "My Schema"."a.b\'c""d" (id int primary key)')
    control.execute("insert into pgstream.tables (table_schema, table_name) values ('My Schema', 'a.b''c\"d')")
    assert value(control, "select subjects ->> 'insert' from pgstream.table_status").endswith(
        ".My=20Schema.a=2Eb=27c=22d.insert"
    )
    assert problems(control) == {"a.b'c\"d": None}
    control.execute("delete from pgstream.tables")


def test_the_setting_of_the_identity_is_carried_out(control: Connection) -> None:
    control.execute("create table own (id int primary key); create table keyless (id int)")
    add(control)
    add(control, "own", replica_identity="full")
    control.execute("update pgstream.settings set replica_identity = 'keep'")
    assert (identity(control, "orders"), identity(control, "own")) == ("d", "f")
    control.execute("update pgstream.settings set replica_identity = 'full'")
    assert identity(control, "orders") == "f"


def test_explain(control: Connection) -> None:
    explain = "select published, reason, subject, mode, stream from pgstream.explain(%s::regclass, %s)"
    name = control.info.dbname
    [row] = rows(control, explain, "orders", "insert")
    assert row == (False, "public.orders has no row in pgstream.tables", None, None, None)
    add(control, operations="{insert,update}")
    [row] = rows(control, explain, "orders", "insert")
    assert row == (True, "the table is streamed", f"{name}.public.orders.insert", "persistent", f"PGSTREAM_{name}")
    [row] = rows(control, explain, "orders", "delete")
    assert row[:2] == (False, "operations has no delete")
    control.execute("update pgstream.tables set enabled = false, mode = 'ephemeral'")
    [row] = rows(control, explain, "orders", "insert")
    assert row[:2] == (False, "the table's row says enabled = false")
    assert row[3:] == ("ephemeral", None)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        rows(control, explain, "orders", "upsert")
