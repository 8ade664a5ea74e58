"""Types and keys as read from a real catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.event.values import TypeInfo
from pgstream_relay.runtime.catalog import read_relation_keys, read_types

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
GONE = 4_294_967_000
INT4, INT4_ARRAY, TEXT, BOX, BOX_ARRAY, POINT = 23, 1007, 25, 603, 1020, 600


@pytest.fixture
async def connection(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(postgres.dsn(database), autocommit=True) as opened:
        yield opened


async def oid(connection: Connection, cast: str, name: str) -> int:
    cursor = await connection.execute(f"select %s::{cast}::oid::bigint", [name])
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_all_that_a_type_is_made_of_is_read_with_it(connection: Connection) -> None:
    await connection.execute("create schema s")
    await connection.execute('create type s.inner_row as (n int, gone text, "b""c" box[])')
    await connection.execute("alter type s.inner_row drop attribute gone")
    await connection.execute("create domain s.inner_rows as s.inner_row[]")
    await connection.execute("create domain s.again as s.inner_rows")
    await connection.execute("create type s.outer_row as (many s.again, mood text)")
    wanted = await oid(connection, "regtype", "s.outer_row")

    types = await read_types(connection, [wanted])

    by_name = {info.qualified_name: info for info in types.values()}
    inner, inner_array = by_name["s.inner_row"], by_name["s._inner_row"]
    assert by_name.keys() == {
        "s.outer_row", "s.again", "s.inner_rows", "s._inner_row", "s.inner_row", "text", "int4", "_box", "box",
    }  # fmt: skip
    assert types[wanted].kind == "composite"
    assert types[wanted].attributes == (("many", by_name["s.again"].oid), ("mood", TEXT))
    assert not types[wanted].attributes_dropped
    assert (by_name["s.again"].kind, by_name["s.again"].base_oid) == ("domain", by_name["s.inner_rows"].oid)
    assert by_name["s.inner_rows"].base_oid == inner_array.oid
    assert (inner_array.kind, inner_array.element_oid, inner_array.delimiter) == ("array", inner.oid, ",")
    assert inner.attributes == (("n", INT4), ('b"c', BOX_ARRAY))
    assert inner.attributes_dropped
    assert types[BOX_ARRAY].delimiter == ";"
    assert types[BOX].kind == "base"


async def test_kinds_of_types(connection: Connection) -> None:
    await connection.execute("create type mood as enum ('ok')")
    await connection.execute("create type span as range (subtype = text, multirange_type_name = spans)")
    await connection.execute("create domain boxes as box[]")
    await connection.execute("create table rows_too (a int)")
    names = ["mood", "span", "spans", "mood[]", "rows_too", "point", "name", "int2vector", "boxes"]
    oids = [await oid(connection, "regtype", name) for name in names]

    types = await read_types(connection, oids)

    assert [types[oid].kind for oid in oids] == [
        "enum", "range", "multirange", "array", "composite", "base", "base", "array", "domain",
    ]  # fmt: skip
    assert types[POINT].element_oid == 0


async def test_a_type_that_is_gone_is_absent(connection: Connection) -> None:
    assert await read_types(connection, [GONE, INT4]) == {INT4: TypeInfo(INT4, "pg_catalog", "int4", "base")}
    assert await read_types(connection, []) == {}


async def test_keys_stand_in_the_order_of_their_index(connection: Connection) -> None:
    await connection.execute(
        'create table t (c int not null, a int, "b ""q" int, primary key ("b ""q", a) include (c))'
    )
    await connection.execute("create unique index t_c on t (c)")
    relation = await oid(connection, "regclass", "t")

    assert await read_relation_keys(connection, relation) == RelationKeys(('b "q', "a"), ())

    await connection.execute("alter table t replica identity using index t_c")
    assert await read_relation_keys(connection, relation) == RelationKeys(('b "q', "a"), ("c",))

    await connection.execute("alter table t replica identity using index t_pkey")
    assert await read_relation_keys(connection, relation) == RelationKeys(('b "q', "a"), ('b "q', "a"))


async def test_a_partitioned_table_has_keys_too(connection: Connection) -> None:
    await connection.execute("create table t (a int primary key) partition by range (a)")

    keys = await read_relation_keys(connection, await oid(connection, "regclass", "t"))
    assert keys == RelationKeys(("a",), (), partitioned=True)


async def test_a_table_without_a_key_or_one_that_is_gone_has_none(connection: Connection) -> None:
    await connection.execute("create table t (a int)")

    assert await read_relation_keys(connection, await oid(connection, "regclass", "t")) == RelationKeys()
    assert await read_relation_keys(connection, GONE) == RelationKeys()
