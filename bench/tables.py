"""The tables that the workloads write to: their definition, and the row number `i` of a series as a row of theirs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are SQL definitions; `values` are expressions of `i`, one a column. The first column is the key."""

    name: str
    columns: tuple[str, ...]
    values: tuple[str, ...]
    options: str = ""
    """SQL to run behind CREATE TABLE."""

    @property
    def create_statement(self) -> str:
        return f"create table {self.name} ({', '.join(self.columns)})" + (f"; {self.options}" if self.options else "")

    def insert_statement(self, first: str, last: str) -> str:
        """Inserts the rows from `first` to `last`, which are SQL expressions."""
        return f"insert into {self.name} select {', '.join(self.values)} from generate_series({first}, {last}) as i"


# Hashes, not random(): each run has the same rows.
_TEN_TYPES: tuple[tuple[str, str], ...] = (
    ("bigint", "i"),
    ("integer", "(i * 7919 % 100000)::integer"),
    ("text", "'order ' || i || ' of “customer” ' || i % 977"),
    ("timestamptz", "timestamptz '2026-01-01 00:00:00+00' + i * interval '1.000003 s'"),
    ("numeric(12,2)", "(i % 1000000)::numeric / 100 + 10"),
    ("boolean", "i % 3 = 0"),
    ("uuid", "md5(i::text)::uuid"),
    ("jsonb", "jsonb_build_object('tag', i % 50, 'paid', i % 2 = 0)"),
    ("double precision", "sqrt(i::double precision)"),
    ("varchar(40)", "'shelf-' || i % 1000"),
)


def _of_ten_types(name: str, count: int) -> Table:
    definitions, values = [], []
    for index in range(count):
        type_name, value = _TEN_TYPES[index % len(_TEN_TYPES)]
        definitions.append(f"c{index + 1} {type_name}" + (" primary key" if index == 0 else ""))
        values.append(value)
    return Table(name, tuple(definitions), tuple(values))


TEN_COLUMNS = _of_ten_types("ten_columns", 10)
FIFTY_COLUMNS = _of_ten_types("fifty_columns", 50)

TEN_KILOBYTES = Table(
    "ten_kilobytes",
    ("id bigint primary key", "body text"),
    ("i", "(select string_agg(md5((i * 1000 + part)::text), '') from generate_series(1, 312) as part)"),
    # As an application's own compressed or random text would lie: out of line, at full length.
    options="alter table ten_kilobytes alter column body set storage external",
)
