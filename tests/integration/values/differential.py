"""Holds the converters against `to_jsonb`: the same rows, once as pgoutput prints them, once as the server's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from pgstream_installer.embedded import EmbeddedPostgres
from pgstream_relay.event.values import OUTPUT_SETTINGS, Converter, TypeInfo, compile_converter
from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import UNCHANGED, Insert, Relation
from pgstream_relay.runtime.catalog import read_types
from tests.support.slot import create_slot, take_messages

SLOT = "differential"
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class Differential:
    """`check` compares every row written since the last call. `catalog` holds all types met so far."""

    def __init__(self, connection: Connection, dsn: str) -> None:
        self.connection = connection
        self.catalog: dict[int, TypeInfo] = {}
        self._dsn = dsn
        connection.execute("create publication differential for all tables")
        slot = f"{SLOT}_{connection.info.dbname}"
        create_slot(connection, slot)
        self._slot = slot

    async def check(self, *, numbers_as_text: bool = False) -> int:
        """The number of values compared. Rows are told apart by a column `id`."""
        relations: dict[int, Relation] = {}
        converters: dict[int, list[Converter]] = {}
        expected: dict[int, dict[str, dict[str, str]]] = {}
        compared = 0
        failures: list[str] = []
        for data in take_messages(self.connection, self._slot, "differential"):
            message = decode_message(data)
            if isinstance(message, Relation):
                relations[message.oid] = message
                converters[message.oid] = await self._compile(message, numbers_as_text=numbers_as_text)
                expected[message.oid] = self._expected(message)
            elif isinstance(message, Insert):
                relation = relations[message.relation_oid]
                row_id = message.new[0]
                assert isinstance(row_id, bytes)
                for column, text, converter in zip(
                    relation.columns, message.new, converters[relation.oid], strict=True
                ):
                    assert text is not UNCHANGED
                    ours = "null" if text is None else convert(converter, text)
                    theirs = expected[relation.oid][row_id.decode()][column.name]
                    letter = column.type_oid not in self.lenient
                    if canonical(ours, to_the_letter=letter) != canonical(theirs, to_the_letter=letter):
                        failures.append(f"{self.type_name(column.type_oid)} {text!r}: {ours[:300]} not {theirs[:300]}")
                    compared += 1
        assert not failures, "\n".join(failures)
        return compared

    async def _compile(self, relation: Relation, *, numbers_as_text: bool) -> list[Converter]:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            self.catalog |= await read_types(connection, [column.type_oid for column in relation.columns])
        return [
            compile_converter(column.type_oid, self.catalog, numbers_as_text=numbers_as_text)
            for column in relation.columns
        ]

    def _expected(self, relation: Relation) -> dict[str, dict[str, str]]:
        query = sql.SQL(
            "select t.id::text, (select jsonb_object_agg(key, value::text) from jsonb_each(to_jsonb(t)))::text"
            " from {} as t"
        )
        rows = self.connection.execute(query.format(sql.Identifier(relation.schema, relation.name)))
        return {row_id: json.loads(values) for row_id, values in rows}

    @property
    def lenient(self) -> set[int]:
        """Types that contain json, whose numbers to_jsonb writes in another form: 1e2 as 100."""
        found = {114, 199}
        for _ in range(len(self.catalog)):
            grown = found | {
                info.oid
                for info in self.catalog.values()
                if found & {info.element_oid, info.base_oid, *(oid for _, oid in info.attributes)}
            }
            if grown == found:
                break
            found = grown
        return found

    def type_name(self, oid: int) -> str:
        row = self.connection.execute("select format_type(%s, null)", [oid]).fetchone()
        assert row is not None
        return str(row[0])


def convert(converter: Converter, text: bytes) -> str:
    document = converter(text)
    # Legal, compact, and in UTF-8.
    assert b"\n" not in document
    return document.decode()


def canonical(document: str, *, to_the_letter: bool) -> Any:
    """The JSON value, comparable: numbers by all their digits and scale, or by their value; strings apart from both."""

    def number(text: str) -> tuple[str, str | Decimal]:
        return ("number", text if to_the_letter else Decimal(text))

    def tagged(value: Any) -> Any:
        if isinstance(value, bool):
            return ("boolean", value)
        if isinstance(value, list):
            return [tagged(item) for item in value]
        if isinstance(value, dict):
            return {key: tagged(item) for key, item in value.items()}
        return value

    return tagged(json.loads(document, parse_float=number, parse_int=number))


@contextmanager
def open_differential(postgres: EmbeddedPostgres, database: str) -> Iterator[Differential]:
    """In a database of its own; every session prints under the settings that the relay asks for."""
    options = " ".join(f"-c {name}={value}" for name, value in OUTPUT_SETTINGS.items() if name != "client_encoding")
    dsn = psycopg.conninfo.make_conninfo(postgres.dsn(database), options=options, client_encoding="UTF8")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Differential(connection, dsn)
