"""pgstream.signals: what is refused, what is written, who may, and what is said."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest

from tests.sql.control_schema import Connection, assert_refused, install, rows, value

SNAPSHOT_ROWS = "select table_schema, table_name, method, state from pgstream.snapshots order by id"


@pytest.fixture
def shop(control: Connection) -> Connection:
    """A few tables of all kinds, most of them streamed."""
    control.execute(
        "create table orders (id int primary key, status text);"
        "create table keyless (id int, v text);"
        "create table by_index (id int not null); create unique index on by_index (id);"
        "create table parted (id int primary key) partition by list (id);"
        "create table parted_1 partition of parted for values in (1);"
        "create table other (id int primary key);"
        'create schema "My Schema"; create table "My Schema"."a.b" (id int primary key);'
        'create table "größe ""x""" (id int primary key); create table "Orders" (id int primary key)'
    )
    control.execute(
        "insert into pgstream.tables (table_schema, table_name) values ('public', 'orders'), ('public', 'keyless'),"
        " ('public', 'by_index'), ('public', 'parted'), ('My Schema', 'a.b'), ('public', 'größe \"x\"')"
    )
    return control


def signal(connection: Connection, type_name: str, tables: list[str] | None = None, **options: object) -> int:
    """Inserts a signal and returns its id."""
    statement = "insert into pgstream.signals (type, tables, options) values (%s, %s, %s) returning id"
    found = connection.execute(statement, [type_name, tables, json.dumps(options)]).fetchone()
    assert found is not None
    return int(found[0])


class Said(NamedTuple):
    """A notice or warning of the server."""

    message: str
    detail: str
    hint: str


@pytest.fixture
def notices(shop: Connection) -> list[Said]:
    """What the server says beside errors."""
    said: list[Said] = []
    shop.add_notice_handler(
        lambda one: said.append(Said(one.message_primary or "", one.message_detail or "", one.message_hint or ""))
    )
    return said


def test_one_pending_row_a_table(shop: Connection) -> None:
    number = signal(shop, "incremental-snapshot", ["public.orders", "by_index"], block_count=12)
    assert rows(shop, SNAPSHOT_ROWS) == [
        ("public", "orders", "incremental", "pending"),
        ("public", "by_index", "incremental", "pending"),
    ]
    assert rows(shop, "select distinct signal_id, block_count, command_id, blocks_done from pgstream.snapshots") == [
        (number, 12, 0, 0)
    ]
    [(tables, by, recent)] = rows(
        shop, "select tables, requested_by, requested_at > now() - interval '1 minute' from pgstream.signals"
    )
    assert (tables, by, recent) == (["public.orders", "public.by_index"], "postgres", True)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("orders", "orders"),
        ("public.orders", "orders"),
        ('"public"."orders"', "orders"),
        ("PUBLIC.ORDERS", "orders"),
        ("My Schema.a.b", "a.b"),
        ('"My Schema"."a.b"', "a.b"),
        ('größe "x"', 'größe "x"'),
        ('public.größe "x"', 'größe "x"'),
        ('public."größe ""x"""', 'größe "x"'),
        ("parted", "parted"),
    ],
)
def test_names(shop: Connection, name: str, table: str) -> None:
    signal(shop, "incremental-snapshot", [name])
    assert rows(shop, "select table_name from pgstream.snapshots") == [(table,)]
    assert value(shop, "select relids from pgstream.signals") == [value(shop, "select relid from pgstream.snapshots")]


@pytest.mark.parametrize(
    ("values", "problem", "hint"),
    [
        ("'incremental', '{orders}', '{}'", "pgstream_signal_type", "You may mean incremental-snapshot"),
        ("'nonsense', '{orders}', '{}'", "pgstream_signal_type", "full-snapshot"),
        ("null, '{orders}', '{}'", "pgstream_signal_type", "full-snapshot"),
        ("'full-snapshot', '{orders}', null", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '[]'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"chunk\": 1}'", "pgstream_signal_options", "block_count"),
        ("'full-snapshot', '{orders}', '{\"block_count\": 0}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"block_count\": 1.5}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"block_count\": 1000001}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"block_count\": \"8\"}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"block_count\": null}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"row_filter\": 1}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{orders}', '{\"row_filter\": \" \"}'", "pgstream_signal_options", ""),
        ("'pause-snapshot', '{orders}', '{\"block_count\": 8}'", "pgstream_signal_options", ""),
        ("'full-snapshot', '{}', '{}'", "pgstream_signal_tables", "leave tables out"),
        ("'full-snapshot', '{orders,public.orders}', '{}'", "pgstream_signal_tables", ""),
        ("'full-snapshot', '{nowhere}', '{}'", "pgstream_table_missing", "table_status"),
        ("'full-snapshot', '{a.b.c.d}', '{}'", "pgstream_table_missing", "table_status"),
        ("'full-snapshot', '{other.orders}', '{}'", "pgstream_table_missing", "There is public.orders."),
        ("'full-snapshot', '{null}', '{}'", "pgstream_table_missing", ""),
        ("'full-snapshot', '{other}', '{}'", "pgstream_not_streamed", "INSERT INTO pgstream.tables"),
        ("'full-snapshot', '{parted_1}', '{}'", "pgstream_not_streamed", "public.parted"),
        ("'full-snapshot', '{Orders}', '{}'", "pgstream_not_streamed", "INSERT INTO pgstream.tables"),
        ("'incremental-snapshot', '{keyless}', '{}'", "pgstream_snapshot_key", "full-snapshot"),
        ("'incremental-snapshot', null, '{}'", "pgstream_snapshot_key", "full-snapshot"),
        ("'stop-snapshot', '{nowhere}', '{}'", "pgstream_table_missing", ""),
    ],
)
def test_refused(shop: Connection, values: str, problem: str, hint: str) -> None:
    assert_refused(shop, f"insert into pgstream.signals (type, tables, options) values ({values})", problem, hint=hint)
    assert rows(shop, "select from pgstream.signals union all select from pgstream.snapshots") == []


def test_tables_that_do_not_publish_snapshots(shop: Connection, notices: list[Said]) -> None:
    shop.execute("update pgstream.tables set operations = '{insert}' where table_name = 'orders'")
    shop.execute("update pgstream.tables set enabled = false where table_name = 'by_index'")
    insert = "insert into pgstream.signals (type, tables) values ('full-snapshot', "
    assert_refused(shop, insert + "'{orders}')", "pgstream_snapshot_operation", hint="SET operations")
    assert_refused(shop, insert + "'{by_index}')", "pgstream_not_streamed", hint="SET enabled = true")
    shop.execute((insert + "null)").encode())
    names = [name for _, name, _, _ in rows(shop, SNAPSHOT_ROWS)]
    assert names == ["a.b", 'größe "x"', "keyless", "parted"]
    assert any("no snapshot of public.orders" in one.message for one in notices)


def test_signals_are_history(shop: Connection) -> None:
    signal(shop, "incremental-snapshot", ["orders"])
    for statement in (
        "update pgstream.signals set type = 'stop-snapshot'",
        "delete from pgstream.signals",
        "truncate pgstream.signals",
    ):
        assert_refused(shop, statement, "pgstream_signals_history", hint="stop-snapshot")


def test_a_full_snapshot_warns(shop: Connection, notices: list[Said]) -> None:
    shop.execute("insert into orders select i, repeat('x', 100) from generate_series(1, 60000) as i")
    signal(shop, "full-snapshot", ["parted", "orders"])
    [warning] = notices
    named = r"full snapshot of public\.parted, public\.orders: (\d+) (\w+), about (\d+) rows, roughly 00:00:0\d \("
    found = re.match(named, warning.message)
    assert found is not None, warning.message
    size, unit, row_count = found.groups()
    assert (int(size) > 5000, unit) == (True, "kB")
    assert 20_000 < int(row_count) < 200_000, "nothing was analyzed yet: a guess by the size"
    assert "wait meanwhile" in warning.detail


def test_a_command_that_finds_nothing_is_said(shop: Connection, notices: list[Said]) -> None:
    signal(shop, "incremental-snapshot", ["orders"])
    signal(shop, "pause-snapshot", ["orders"])
    signal(shop, "pause-snapshot")
    assert notices == []
    signal(shop, "stop-snapshot", ["keyless", "orders"])
    assert [one.message for one in notices] == ["stop-snapshot: no snapshot of public.keyless is under way"]


def test_an_initial_snapshot_starts_at_insert_alone(shop: Connection) -> None:
    shop.execute("insert into pgstream.tables (table_name, initial_snapshot) values ('other', true)")
    expected = [("public", "other", "incremental", "pending")]
    assert rows(shop, SNAPSHOT_ROWS) == expected
    assert rows(shop, "select type, tables from pgstream.signals") == [("incremental-snapshot", ["public.other"])]
    shop.execute("update pgstream.tables set initial_snapshot = true")
    shop.execute(
        "insert into pgstream.tables (table_name, initial_snapshot) values ('orders', true)"
        " on conflict (table_schema, table_name) do update set initial_snapshot = excluded.initial_snapshot"
    )
    assert rows(shop, SNAPSHOT_ROWS) == expected
    shop.execute("create table keyless_too (id int)")
    assert_refused(
        shop,
        "insert into pgstream.tables (table_name, initial_snapshot) values ('keyless_too', true)",
        "pgstream_snapshot_key",
        hint="full-snapshot",
    )


def test_signals_take_part_in_the_transaction(shop: Connection) -> None:
    with shop.transaction(force_rollback=True):
        signal(shop, "incremental-snapshot", ["orders"])
    assert rows(shop, SNAPSHOT_ROWS) == []


def test_an_upgrade_brings_them_into_the_publication(control: Connection) -> None:
    control.execute("alter publication pgstream drop table pgstream.signals")
    control.execute("drop table pgstream.signals, pgstream.snapshots cascade")
    control.execute("delete from pgstream.migrations where id = 6")
    install(control)
    assert value(control, "select pgstream.is_published('pgstream.signals'::regclass)") is True
    assert value(control, "select relreplident::text from pg_class where oid = 'pgstream.signals'::regclass") == "f"
    assert value(control, "select pgstream.is_published('pgstream.snapshots'::regclass)") is False


def test_a_name_that_may_be_two_tables(shop: Connection) -> None:
    shop.execute('create schema a; create table a.b (id int primary key); create table "a.b" (id int primary key)')
    shop.execute("insert into pgstream.tables (table_schema, table_name) values ('a', 'b')")
    signal(shop, "incremental-snapshot", ["a.b"])  # the other is not streamed
    shop.execute("insert into pgstream.tables (table_name) values ('a.b')")
    assert_refused(
        shop,
        "insert into pgstream.signals (type, tables) values ('incremental-snapshot', '{a.b}')",
        "pgstream_table_ambiguous",
        hint="Quote",
    )
    signal(shop, "incremental-snapshot", ['"a"."b"', 'public."a.b"'])
    assert [(schema, name) for schema, name, _, _ in rows(shop, SNAPSHOT_ROWS)] == [
        ("a", "b"),
        ("a", "b"),
        ("public", "a.b"),
    ]


def test_a_table_that_was_dropped_or_renamed(shop: Connection) -> None:
    signal(shop, "incremental-snapshot", ["orders", "by_index"])
    shop.execute("alter table orders rename to sales")
    shop.execute("drop table by_index")
    signal(shop, "pause-snapshot", ["sales"])
    signal(shop, "stop-snapshot", ["by_index"])
    assert rows(shop, "select type from pgstream.snapshot_commands order by snapshot_id") == [
        ("pause-snapshot",),
        ("stop-snapshot",),
    ]
    assert rows(shop, "select tables from pgstream.signals where id > 1 order by id") == [
        (["public.sales"],),
        (["public.by_index"],),
    ]
