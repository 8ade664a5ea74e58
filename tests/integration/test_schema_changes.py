"""Tables change while they are streamed: each event tells the row in the columns and under the name it had then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.support.relay import StoredEvent
from tests.support.streamed import StreamedDatabase, streamed_database

pytestmark = pytest.mark.xdist_group("schema changes")


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres, nats: EmbeddedNats) -> Iterator[StreamedDatabase]:
    """One for all tests here: each has tables of its own."""
    with streamed_database(postgres, nats) as streamed:
        yield streamed


def rows_after(events: list[StoredEvent]) -> list[Any]:
    return [event.data["after"] for event in events]


async def test_columns_come_go_and_change(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, a text)", "columns")
    database.execute("insert into columns values (1, 'x')")
    database.execute("alter table columns add b int default 7")
    database.execute("insert into columns values (2, 'x')")
    database.execute("alter table columns rename a to c")
    database.execute("insert into columns values (3, 'x')")
    database.execute("alter table columns alter b type text using 'b' || b")
    database.execute("insert into columns values (4, 'x', '8')")
    database.execute("update columns set c = 'y' where id = 1")
    database.execute("alter table columns drop c")
    with database.connection.transaction():
        database.execute("insert into columns values (5, '9')")
        database.execute("alter table columns add d boolean default true")
        database.execute("insert into columns values (6, '9')")
        database.execute("delete from columns where id = 2")
    events = await database.events("columns")
    assert rows_after(events) == [
        {"id": 1, "a": "x"},
        {"id": 2, "a": "x", "b": 7},
        {"id": 3, "c": "x", "b": 7},
        {"id": 4, "c": "x", "b": "8"},
        {"id": 1, "c": "y", "b": "b7"},
        {"id": 5, "b": "9"},
        {"id": 6, "b": "9", "d": True},
        None,
    ]
    assert events[4].data["before"] == {"id": 1, "c": "x", "b": "b7"}
    assert events[7].data["before"] == {"id": 2, "b": "b7", "d": True}


async def test_a_renamed_or_moved_table_goes_on_under_its_new_name(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key)", "early")
    database.execute("insert into early values (1)")
    database.execute("alter table early rename to late")
    database.execute("insert into late values (2)")
    database.execute("create schema elsewhere")
    database.execute("alter table late set schema elsewhere")
    with database.connection.transaction():
        database.execute("insert into elsewhere.late values (3)")
        database.execute("alter table elsewhere.late rename to last")
        database.execute("insert into elsewhere.last values (4)")
    events = [event for event in await database.events() if event.document["table"] in ("early", "late", "last")]
    assert [(event.subject.removeprefix(f"{database.name}."), event.data["after"]["id"]) for event in events] == [
        ("public.early.insert", 1),
        ("public.late.insert", 2),
        ("elsewhere.late.insert", 3),
        ("elsewhere.last.insert", 4),
    ]
    assert [(event.document["schema"], event.document["table"]) for event in events[1:3]] == [
        ("public", "late"),
        ("elsewhere", "late"),
    ]
    ((problem, hint),) = database.execute("select problem, hint from pgstream.table_status where table_name = 'early'")
    assert "last" in f"{problem} {hint}"
    assert "UPDATE" in hint
    database.execute(
        "update pgstream.tables set table_schema = 'elsewhere', table_name = 'last' where table_name = 'early'"
    )
    database.execute("insert into elsewhere.last values (5)")
    assert [event.subject for event in await database.events("last")][-1] == f"{database.name}.elsewhere.last.insert"
    assert database.execute("select problem from pgstream.table_status where table_name = 'last'") == [(None,)]


async def test_a_table_dropped_before_its_events_were_read(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, mood text, list int[])", "gone")
    database.execute("create type mood as enum ('glad')")
    database.add_table("(id int primary key, mood mood)", "gone_with_type")
    await database.catch_up()
    assert database.relay.stop() == 0
    for table in ("gone", "gone_with_type"):
        database.execute(f"insert into {table} values (1, 'glad')")
        database.execute(f"update {table} set mood = null")
        database.execute(f"delete from {table}")
        database.execute(f"drop table {table}")
    database.execute("drop type mood")
    database.relay.start()
    for table, optional in (("gone", {"list": None}), ("gone_with_type", {})):
        events = await database.events(table)
        assert [event.operation for event in events] == ["insert", "update", "delete"], [
            event.headers for event in events
        ]
        assert events[0].data["after"] == {"id": 1, "mood": "glad", **optional}
        assert events[2].data["before"] == {"id": 1, "mood": None, **optional}
        # Nothing tells the key of a table any more that is gone from the catalog.
        assert {event.headers.get("Pgstream-Key") for event in events} == {None}


async def test_a_table_made_anew_is_not_streamed_until_its_row_is_touched(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key)", "anew")
    database.execute("insert into anew values (1)")
    database.execute("drop table anew")
    database.execute("create table anew (id int primary key)")
    database.execute("insert into anew values (2)")
    ((problem, hint),) = database.execute("select problem, hint from pgstream.table_status where table_name = 'anew'")
    assert problem
    assert "UPDATE" in hint
    database.execute("update pgstream.tables set enabled = true where table_name = 'anew'")
    assert database.execute("select problem from pgstream.table_status where table_name = 'anew'") == [(None,)]
    database.execute("insert into anew values (3)")
    assert rows_after(await database.events("anew")) == [{"id": 1}, {"id": 3}]


async def test_a_primary_key_that_is_dropped(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, note text)", "keyless")
    database.execute("insert into keyless values (1, 'a')")
    await database.catch_up()
    database.execute("alter table keyless drop constraint keyless_pkey")
    database.execute("update keyless set note = 'b'")
    database.execute("delete from keyless")
    events = await database.events("keyless")
    assert [event.operation for event in events] == ["insert", "update", "delete"]
    assert events[1].data["diff"] == {"note": "b"}
    assert [event.headers.get("Pgstream-Key") for event in events] == ["[1]", None, None]


async def test_a_replica_identity_that_is_changed_by_hand(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key, note text)", "identity")
    database.execute("insert into identity values (1, 'a')")
    database.execute("update identity set note = 'b'")
    database.execute("alter table identity replica identity default")
    database.execute("update identity set note = 'c'")
    database.execute("update identity set id = 2")
    database.execute("alter table identity replica identity full")
    database.execute("delete from identity")
    events = await database.events("identity")
    assert [event.headers.get("Pgstream-Before") for event in events] == [None, "full", "key", "key", "full"]
    assert [event.data["before"] for event in events] == [
        None,
        {"id": 1, "note": "a"},
        {"id": 1},
        {"id": 1},
        {"id": 2, "note": "c"},
    ]
    assert [event.data["diff"] for event in events] == [None, {"note": "b"}, None, None, None]
    assert {event.headers["Pgstream-Key"] for event in events} == {"[1]", "[2]"}


async def test_labels_of_an_enum_and_attributes_of_a_composite_change(database: StreamedDatabase) -> None:
    database.execute("create type colour as enum ('red')")
    database.execute("create type place as (x int, y text)")
    database.add_table("(id int primary key, colour colour, place place, places place[])", "types")
    database.execute("insert into types values (1, 'red', '(1,a)', '{\"(2,b)\"}')")
    database.execute("alter type colour add value 'blue'")
    database.execute("insert into types values (2, 'blue', '(1,a)')")
    database.execute("alter type colour rename value 'red' to 'scarlet'")
    database.execute("insert into types values (3, 'scarlet', '(1,a)')")
    await database.catch_up()
    database.execute("alter type place add attribute z int")
    database.execute("insert into types values (4, null, '(1,a,5)', '{\"(2,b,6)\"}')")
    await database.catch_up()
    database.execute("alter type place drop attribute x")
    database.execute("insert into types values (5, null, '(a,5)')")
    events = await database.events("types")
    assert [event.headers.get("Pgstream-Error") for event in events] == [None] * 5
    assert rows_after(events) == [
        {"id": 1, "colour": "red", "place": {"x": 1, "y": "a"}, "places": [{"x": 2, "y": "b"}]},
        {"id": 2, "colour": "blue", "place": {"x": 1, "y": "a"}, "places": None},
        {"id": 3, "colour": "scarlet", "place": {"x": 1, "y": "a"}, "places": None},
        {"id": 4, "colour": None, "place": {"x": 1, "y": "a", "z": 5}, "places": [{"x": 2, "y": "b", "z": 6}]},
        {"id": 5, "colour": None, "place": {"y": "a", "z": 5}, "places": None},
    ]


async def test_truncate_of_several_tables_and_by_cascade(database: StreamedDatabase) -> None:
    database.add_table("(id int primary key)", "parent")
    database.add_table("(id int primary key references parent)", "child")
    database.add_table("(id int primary key)", "lonely", operations=["insert"])
    database.execute("truncate parent cascade")
    database.execute("truncate lonely, child")
    with database.connection.transaction():
        database.execute("insert into parent values (1)")
        database.execute("truncate child, parent")
        database.execute("insert into parent values (2)")
    tables = ("parent", "child", "lonely")
    events = [event for event in await database.events() if event.document["table"] in tables]
    told = [(event.document["table"], event.operation, int(event.headers["Pgstream-Seq"])) for event in events]
    assert {entry[:2] for entry in told[:2]} == {("child", "truncate"), ("parent", "truncate")}
    assert {sequence for _, _, sequence in told[:2]} == {1, 2}
    assert told[2][:2] == ("child", "truncate")
    assert [entry[:2] for entry in (told[3], told[6])] == [("parent", "insert"), ("parent", "insert")]
    assert {entry[:2] for entry in told[4:6]} == {("child", "truncate"), ("parent", "truncate")}
    assert [sequence for _, _, sequence in told[3:]] == [1, 2, 3, 4]
    assert len(told) == 7


async def test_partitions_that_come_later_appear_under_the_root(database: StreamedDatabase) -> None:
    database.execute("create table days (day int, id int, note text, primary key (day, id)) partition by list (day)")
    database.execute("create table days_1 partition of days for values in (1)")
    database.execute("insert into pgstream.tables (table_name) values ('days')")
    database.execute("create table days_2 partition of days for values in (2)")
    database.execute("create table days_3 (note text, id int not null, day int not null, primary key (day, id))")
    database.execute("insert into days_3 values ('before', 1, 3)")
    database.execute("alter table days attach partition days_3 for values in (3)")
    database.execute("insert into days values (2, 1, 'a')")
    database.execute("insert into days_3 values ('b', 2, 3)")
    database.execute("update days set note = 'c' where day = 3 and id = 2")
    database.execute("update days set day = 1 where day = 2")
    database.execute("alter table days detach partition days_2")
    database.execute("insert into days_2 values (2, 9, 'detached')")
    database.execute("update days set id = 5 where day = 3 and id = 2")
    database.execute("drop table days_1")
    ((problem, hint),) = database.execute("select problem, hint from pgstream.table_status where table_name = 'days'")
    assert "days_3" in problem
    assert "UPDATE" in hint
    database.execute("update pgstream.tables set enabled = enabled where table_name = 'days'")
    database.execute("update days set id = 6 where day = 3 and id = 5")
    database.execute("truncate days")
    events = await database.events("days")
    assert [(event.operation, event.data["after"]) for event in events] == [
        ("insert", {"day": 2, "id": 1, "note": "a"}),
        ("insert", {"day": 3, "id": 2, "note": "b"}),
        ("update", {"day": 3, "id": 2, "note": "c"}),
        ("delete", None),
        ("insert", {"day": 1, "id": 1, "note": "a"}),
        ("update", {"day": 3, "id": 5, "note": "c"}),
        ("update", {"day": 3, "id": 6, "note": "c"}),
        ("truncate", None),
    ]
    # A partition is born with the default identity, whatever its root has.
    assert [event.headers.get("Pgstream-Before") for event in events[2:4]] == ["key", "key"]
    assert [event.data["before"] for event in events[2:4]] == [{"day": 3, "id": 2}, {"day": 2, "id": 1}]
    assert [event.data["diff"] for event in events[2:4]] == [None, None]
    assert events[5].data["before"] == {"day": 3, "id": 2}
    assert events[5].headers["Pgstream-Before"] == "key"
    assert events[6].data["before"] == {"day": 3, "id": 5, "note": "c"}
    assert events[6].headers["Pgstream-Before"] == "full"


async def test_generated_columns_are_left_out(database: StreamedDatabase) -> None:
    virtual = "virtual int generated always as (id * 3)"
    database.add_table(f"(id int primary key, stored int generated always as (id * 2) stored, {virtual})", "generated")
    database.execute("insert into generated values (1)")
    database.execute("update generated set id = 2")
    events = await database.events("generated")
    assert [(event.data["before"], event.data["after"]) for event in events] == [
        (None, {"id": 1}),
        ({"id": 1}, {"id": 2}),
    ]


async def test_a_table_of_as_many_columns_as_postgres_takes(database: StreamedDatabase) -> None:
    columns = [f"column_{number}" for number in range(1, 1600)]
    database.add_table(f"(id int primary key, {', '.join(f'{column} smallint' for column in columns)})", "wide")
    values = ", ".join(str(number) for number in range(1600))
    database.execute(f"insert into wide values ({values})")
    database.execute("update wide set column_1599 = null")
    database.execute("delete from wide")
    events = await database.events("wide")
    assert events[0].data["after"] == {"id": 0} | {column: number for number, column in enumerate(columns, 1)}
    assert events[1].data["diff"] == {"column_1599": None}
    assert len(events[2].data["before"]) == 1600


@pytest.mark.parametrize(
    "name",
    [
        "with.dot",
        'with "quotes"',
        "with space and 'apostrophe'",
        "Größe 名前 🐘",
        "100%s %b %(x)s",
        "{database} {} {{row.id}}",
        "*.>",
        "\\ back\tslash\n",
        "$JS",
    ],
)
async def test_any_name_is_a_name(database: StreamedDatabase, name: str) -> None:
    identifier = sql.Identifier(name)
    table = sql.SQL("{}.{}").format(identifier, identifier)
    execute = database.connection.execute
    execute(sql.SQL("create schema {}").format(identifier))
    execute(sql.SQL("create table {} ({} int primary key, note text)").format(table, identifier))
    execute("insert into pgstream.tables (table_schema, table_name) values (%s, %s)", [name, name])
    execute(sql.SQL("insert into {} values (1, 'a')").format(table))
    execute(sql.SQL("update {} set note = 'b'").format(table))
    execute(sql.SQL("delete from {}").format(table))
    events = await database.events(name)
    token = "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "_-") else f"={byte:02X}"
        for byte in name.encode()
    )
    assert [event.subject for event in events] == [
        f"{database.name}.{token}.{token}.{operation}" for operation in ("insert", "update", "delete")
    ]
    assert events[1].data == {
        "before": {name: 1, "note": "a"},
        "after": {name: 1, "note": "b"},
        "diff": {"note": "b"},
    }
    assert {event.document["schema"] for event in events} == {name}
