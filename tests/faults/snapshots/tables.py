"""The tables of the stress test. Each row has a number that makes its key, a version, and a digest of its content.

The version of a key only grows, in commit order: an insert (or a key that changes) takes a number of one sequence times
a million, an update adds one to the version of the row that it holds locked. A writer inserts keys of its own numbers
only, so that a key's next life always begins above the former one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg

from tests.support.relay import install_pgstream

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[Any, ...]

DATABASE: Final = "stress"
SLOT: Final = f"pgstream_{DATABASE}"
STREAM: Final = f"PGSTREAM_{DATABASE}"
COLUMNS: Final = ("version", "note", "body", "digest")
"""Of every table, beside its key."""

BODY_SQL: Final = "case when n %% {often} = 0 then repeat(md5(random()::text || n), 70) else md5(random()::text) end"
"""2240 bytes are more than Postgres keeps in the row."""
NOTE_SQL: Final = (
    "case when random() > 0.1 then"
    " left('nöte \"' || n || E'\\t\\\\N\\n' || repeat('x', 200), (random() * 220)::integer) end"
)


@dataclass(frozen=True)
class Table:
    """`keys`: (column, type, SQL expression of a row's number n). `often`: one of how many rows has a large body."""

    name: str
    keys: tuple[tuple[str, str, str], ...]
    weight: float
    often: int
    identity: str = "full"
    primary_key: bool = True
    suffix: str = ""

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(column for column, _, _ in self.keys)

    def key_of(self, row: Row) -> Key:
        return tuple(row[column] for column in self.key_columns)

    @property
    def names(self) -> str:
        return ", ".join(self.key_columns)

    @property
    def expressions(self) -> str:
        return ", ".join(expression for _, _, expression in self.keys)


TABLES: Final = (
    Table("orders", (("id", "bigint", "n"),), weight=30, often=20),
    Table("articles", (("id", "bigint", "n"),), weight=35, often=4, identity="keep"),
    Table("pairs", (("b", "text", "'k' || n || E'\\t\"\\\\ü'"), ("a", "integer", "n %% 7")), weight=10, often=30),
    Table(
        "regions", (("region", "integer", "(n / 5) %% 3"), ("id", "bigint", "n")), weight=15, often=6,
        identity="keep", suffix="partition by list (region)",
    ),
    Table("coupons", (("code", "text", "'c' || n"),), weight=8, often=6, identity="keep", primary_key=False),
    Table("scrap", (("id", "bigint", "n"),), weight=2, often=40),
)  # fmt: skip
BY_NAME: Final = {table.name: table for table in TABLES}


def digest_of(row: Row) -> str:
    """What `digest` must say, worked out from the row as it arrived."""
    parts = [str(row["version"]), *("-" if row[name] is None else row[name] for name in ("note", "body"))]
    return hashlib.md5("|".join(parts).encode()).hexdigest()


def create_tables(connection: Connection) -> None:
    """All tables, empty, with their triggers."""
    connection.execute("create sequence versions")
    for table in TABLES:
        for statement in _definition(table):
            connection.execute(statement.encode())


def _definition(table: Table) -> list[str]:
    name, keys = table.name, ", ".join(f"{column} {kind} not null" for column, kind, _ in table.keys)
    columns = f"{keys}, version bigint not null, note text, body text, digest text"
    constraint = f", primary key ({table.names})" if table.primary_key else ""
    statements = [
        f"create table {name} ({columns}{constraint}) {table.suffix}",
        f"alter table {name} alter column body set storage external",
        _stamp(table),
        f"create trigger stamp before insert or update on {name} for each row execute function stamp_{name}()",
    ]
    if table.suffix:
        statements += [f"create table {name}_{leaf} partition of {name} for values in ({leaf})" for leaf in range(3)]
    if not table.primary_key:
        statements += [
            f"create unique index {name}_key on {name} ({table.names})",
            f"alter table {name} replica identity using index {name}_key",
        ]
    return statements


def _stamp(table: Table) -> str:
    new, old = (", ".join(f"{record}.{column}" for column in table.key_columns) for record in ("new", "old"))
    return f"""
        create function stamp_{table.name}() returns trigger language plpgsql as $$
        begin
          if tg_op = 'INSERT' or ({new}) is distinct from ({old}) then
            new.version := nextval('versions') * 1000000;
          else
            new.version := old.version + 1;
          end if;
          new.digest := md5(concat_ws('|', new.version, coalesce(new.note, '-'), coalesce(new.body, '-')));
          return new;
        end $$"""


def insert_numbers(connection: Connection, table: Table, numbers: str, parameters: list[Any]) -> None:
    """Rows of the numbers that the SQL expression `numbers` gives as `n`; those that are there stay as they are."""
    connection.execute(
        f"insert into {table.name} ({table.names}, note, body)"
        f" select {table.expressions}, {NOTE_SQL}, {BODY_SQL.format(often=table.often)} from {numbers} as n"
        " on conflict do nothing".encode(),
        parameters,
    )


def prepare_database(server: Connection, dsn: str, *, rows: int) -> dict[str, dict[Key, Row]]:
    """The database with pgstream, tables that held rows before they were streamed: those rows, by table and key."""
    server.execute(f"create database {DATABASE}")
    install_pgstream(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        create_tables(connection)
        for table in TABLES:
            insert_numbers(connection, table, "generate_series(1, %s::bigint)", [row_count(table, rows)])
        connection.execute("update pgstream.streams set duplicate_window = '1 s'")
        for table in TABLES:
            connection.execute(
                "insert into pgstream.tables (table_name, replica_identity) values (%s, %s)",
                [table.name, table.identity],
            )
        return read_tables(connection)


def row_count(table: Table, rows: int) -> int:
    """How many of `rows` in all are this table's."""
    return max(10, round(rows * table.weight / sum(each.weight for each in TABLES)))


def read_tables(connection: Connection) -> dict[str, dict[Key, Row]]:
    """All rows as they are, as `to_jsonb` gives them."""
    found: dict[str, dict[Key, Row]] = {}
    for table in TABLES:
        rows = connection.execute(f"select to_jsonb(t) from {table.name} t".encode()).fetchall()
        found[table.name] = {table.key_of(row): row for (row,) in rows}
    return found
