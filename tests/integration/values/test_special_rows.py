"""Rows that `to_jsonb` refuses, databases without an encoding, types that change below the WAL."""

from __future__ import annotations

import psycopg
import pytest

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.event.values import Converter, UnrepresentableValue, compile_converter
from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import Insert
from pgstream_relay.runtime.catalog import read_types
from tests.integration.values.differential import Connection, Differential
from tests.support.slot import create_slot, take_messages


async def compile_for(dsn: str, connection: Connection, type_name: str) -> Converter:
    """The converter of a type as it stands in the catalog now."""
    [(oid,)] = connection.execute("select %s::regtype::oid", [type_name])
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as asynchronous:
        return compile_converter(oid, await read_types(asynchronous, [oid]), numbers_as_text=False)


def inserted(connection: Connection, slot: str, publication: str) -> list[bytes]:
    """The first column of each row that was inserted since the last call."""
    messages = [decode_message(data) for data in take_messages(connection, slot, publication)]
    values = [message.new[0] for message in messages if isinstance(message, Insert)]
    assert all(isinstance(value, bytes) for value in values)
    return [value for value in values if isinstance(value, bytes)]


@pytest.fixture
def slot(postgres: EmbeddedPostgres, database: str) -> str:
    with postgres.connect(database) as connection:
        connection.execute("create publication p for all tables")
        create_slot(connection, f"s_{database}")
    return f"s_{database}"


async def test_json_that_to_jsonb_refuses_is_passed_on(postgres: EmbeddedPostgres, database: str, slot: str) -> None:
    documents = [r'{"a": "\u0000"}', r'["\ud800"]', "[1e400000]", "[" * 5000 + "]" * 5000]
    with postgres.connect(database) as connection:
        connection.execute("create table t (v json)")
        for document in documents:
            connection.execute("insert into t values (%s)", [document])
        convert = await compile_for(postgres.dsn(database), connection, "json")

        converted = [convert(text).decode() for text in inserted(connection, slot, "p")]

    assert converted == [document.replace(": ", ":") for document in documents]


async def test_text_that_is_not_utf8_cannot_be_represented(postgres: EmbeddedPostgres, database: str) -> None:
    name = f"{database}_ascii"
    with postgres.connect() as connection:
        connection.execute(f"create database {name} encoding 'SQL_ASCII' template template0")
    try:
        with postgres.connect(name) as connection:
            connection.execute("create publication p for all tables")
            create_slot(connection, f"s_{name}")
            connection.execute("create table t (v text)")
            connection.execute(r"insert into t values (E'caf\xe9')")
            convert = await compile_for(postgres.dsn(name), connection, "text")
            [text] = inserted(connection, f"s_{name}", "p")

            with pytest.raises(UnrepresentableValue, match="UTF-8") as raised:
                convert(text)

            assert "caf" not in str(raised.value)
            assert raised.value.__context__ is None
    finally:
        with postgres.connect() as connection:
            connection.execute("select pg_drop_replication_slot(%s)", [f"s_{name}"])
            connection.execute(f"drop database {name} with (force)")


async def test_an_attribute_added_since_is_null(postgres: EmbeddedPostgres, database: str, slot: str) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create type pair as (a int, b text)")
        connection.execute("create table t (v pair)")
        connection.execute("insert into t values (row(1, 'x'))")
        connection.execute("alter type pair add attribute c int")
        connection.execute("insert into t values (row(2, 'y', 3))")
        convert = await compile_for(postgres.dsn(database), connection, "pair")

        assert [convert(text) for text in inserted(connection, slot, "p")] == [
            b'{"a":1,"b":"x","c":null}',
            b'{"a":2,"b":"y","c":3}',
        ]


async def test_an_attribute_dropped_since_is_not_guessed(postgres: EmbeddedPostgres, database: str, slot: str) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create type pair as (a int, b text)")
        connection.execute("create table t (v pair)")
        connection.execute("insert into t values (row(1, 'secret'))")
        connection.execute("alter type pair drop attribute b")
        connection.execute("insert into t values (row(2))")
        convert = await compile_for(postgres.dsn(database), connection, "pair")
        before, after = inserted(connection, slot, "p")

        assert convert(after) == b'{"a":2}'
        with pytest.raises(UnrepresentableValue, match="another number of attributes") as raised:
            convert(before)

    assert "secret" not in str(raised.value)


async def test_a_label_is_the_one_that_the_row_was_written_with(
    postgres: EmbeddedPostgres, database: str, slot: str
) -> None:
    with postgres.connect(database) as connection:
        connection.execute("create type mood as enum ('ok', 'bad')")
        connection.execute("create table t (v mood)")
        connection.execute("insert into t values ('ok')")
        connection.execute("alter type mood rename value 'ok' to 'fine'")
        connection.execute("insert into t values ('fine')")
        convert = await compile_for(postgres.dsn(database), connection, "mood")

        assert [convert(text) for text in inserted(connection, slot, "p")] == [b'"ok"', b'"fine"']


async def test_a_cast_to_json_of_ones_own_is_not_applied(differential: Differential) -> None:
    """`to_jsonb` would call it. The relay has the text alone, and passes it on as a string."""
    connection = differential.connection
    connection.execute("create type public.mood as enum ('ok')")
    connection.execute(
        "create function public.mood_json(public.mood) returns json language sql immutable as $$ select '{}'::json $$"
    )
    connection.execute("create cast (public.mood as json) with function public.mood_json(public.mood)")
    connection.execute("create table public.t (id int, v public.mood)")
    connection.execute("insert into public.t values (1, 'ok')")

    with pytest.raises(AssertionError, match='"ok" not '):
        await differential.check()
