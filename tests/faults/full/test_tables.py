"""Tables of every shape, filters and columns left out, and other sessions that would alter a table meanwhile."""

from __future__ import annotations

import asyncio

import psycopg

from tests.faults.full.judge import canonical, judge, rows_of
from tests.faults.full.stage import add_keyless, halted, readers, signal, wait_for
from tests.support.relay import StoredEvent, eventually
from tests.support.streamed import StreamedDatabase

SHAPES = {
    "parts": "create table parts (id int, region text, primary key (id, region)) partition by list (region);"
    " create table parts_a partition of parts for values in ('a');"
    " create table parts_b partition of parts for values in ('b') partition by range (id);"
    " create table parts_b1 partition of parts_b for values from (0) to (100);"
    " insert into parts select g, chr(97 + g % 2) from generate_series(1, 50) g",
    "parent": "create table parent (id int); insert into parent values (1), (2);"
    " create table child (extra int) inherits (parent); insert into child values (3, 3)",
    "empty": "create table empty (id int)",
    "bare": "create table bare (x int); insert into bare select g from generate_series(1, 3) g",
    '"O\'Dd. ""name"""': 'create table "O\'Dd. ""name""" ("the ""ID""" int, "é.ü" text);'
    ' insert into "O\'Dd. ""name""" values (1, E\'tab\\t back\\\\slash \\n\'), (2, null)',
    "wide": "create table wide (id int, big text); alter table wide alter big set storage external;"
    " insert into wide select g, repeat('x', 300000) from generate_series(1, 12) g",
}


def unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def rows(events: list[StoredEvent]) -> list[str]:
    """The `after` of snapshot rows, in an order of their own."""
    found = [event.data["after"] for event in events if "Pgstream-Mark" not in event.headers]
    return sorted(canonical({name: str(value) for name, value in row.items()}) for row in found)


async def copies(streamed: StreamedDatabase, table: str) -> list[StoredEvent]:
    """Events of snapshots of the table, marks among them."""
    return [event for event in await streamed.events(table) if event.operation == "snapshot"]


async def test_tables_of_every_shape(streamed: StreamedDatabase) -> None:
    for definition in SHAPES.values():
        streamed.execute(definition)
    for quoted in SHAPES:
        name = unquoted(quoted)
        streamed.execute("insert into pgstream.tables (table_name) values (%s)", name)
    # Such a table is not taken in, but may become one.
    streamed.execute("alter table bare drop x")
    signal(streamed, "full-snapshot", *SHAPES)
    for quoted in SHAPES:
        await wait_for(streamed, "completed", table=unquoted(quoted))
    for quoted in SHAPES:
        name = unquoted(quoted)
        only = "" if quoted == "parts" else "only "
        expected = [row for (row,) in streamed.execute(f"select to_jsonb(t) from {only}{quoted} t")]
        events = await copies(streamed, name)
        assert rows(events) == sorted(canonical({key: str(value) for key, value in row.items()}) for row in expected)
        assert events[0].headers["Pgstream-Mark"] == "begin"
        assert events[-1].headers["Pgstream-Mark"] == "end"
        assert events[-1].headers["Pgstream-Rows"] == str(len(expected))


async def test_what_the_publication_leaves_out_is_left_out_of_a_snapshot(streamed: StreamedDatabase) -> None:
    streamed.execute("create table t (id int primary key, secret text, kind text)")
    streamed.execute("insert into t select g, 'secret', case when g % 2 = 0 then 'even' else 'odd' end from"
                     " generate_series(1, 10) g")  # fmt: skip
    streamed.execute("insert into pgstream.tables (table_name, replica_identity) values ('t', 'keep')")
    # As columns and row_filter in pgstream.tables will do it.
    streamed.execute("alter publication pgstream drop table t")
    streamed.execute("alter publication pgstream add table t (id, kind) where (id > 4)")
    signal(streamed, "full-snapshot", "t", row_filter="kind = 'even'")
    await wait_for(streamed, "completed", table="t")
    assert [event.data["after"] for event in await copies(streamed, "t")][1:-1] == [
        {"id": number, "kind": "even"} for number in (6, 8, 10)
    ]
    signal(streamed, "incremental-snapshot", "t", row_filter="kind = 'odd'")
    await wait_for(streamed, "completed", table="t")
    assert [event.data["after"] for event in await copies(streamed, "t")][6:-1] == [
        {"id": number, "kind": "odd"} for number in (5, 7, 9)
    ]


async def test_truncate_and_alter_table_wait_for_its_end_and_so_does_nobody_else(streamed: StreamedDatabase) -> None:
    add_keyless(streamed, rows=12_000)
    initial = rows_of(streamed, "k")

    def alter() -> None:
        with psycopg.connect(streamed.postgres.dsn(streamed.name), autocommit=True) as connection:
            # An id of its own: nothing may wait for this transaction that it waits for.
            connection.execute("begin; insert into k values (-1, 'before', 1, 'x'); truncate k; commit")
            connection.execute("alter table k alter a type bigint, add added int default 7")
            connection.execute("insert into k values (-2, 'after', 1, 'x', 8)")

    async with halted(streamed):
        altering = asyncio.create_task(asyncio.to_thread(alter))
        await eventually(lambda: waiting(streamed))
        assert readers(streamed)
    await altering
    await wait_for(streamed, "completed")
    assert (await judge(streamed, "k", initial)).marks == ["begin", "end"]
    signal(streamed, "full-snapshot", "k")
    await wait_for(streamed, "completed")
    assert (await judge(streamed, "k", initial)).snapshot_rows == 1


async def test_an_open_transaction_that_wants_the_table_for_itself_gets_it(streamed: StreamedDatabase) -> None:
    add_keyless(streamed, rows=100)
    initial = rows_of(streamed, "k")
    with psycopg.connect(streamed.postgres.dsn(streamed.name), autocommit=True) as connection:
        connection.execute("begin")
        connection.execute("insert into k values (1)")
        signal(streamed, "full-snapshot", "k")
        await wait_for(streamed, "pending", "transactions that are open")
        await asyncio.to_thread(connection.execute, "truncate k")
        connection.execute("insert into k values (2)")
        connection.execute("commit")
    assert (await wait_for(streamed, "completed")).rows_done == 1
    await judge(streamed, "k", initial)


def waiting(streamed: StreamedDatabase) -> bool:
    """Whether somebody waits for a lock."""
    ((count,),) = streamed.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    return bool(count)
