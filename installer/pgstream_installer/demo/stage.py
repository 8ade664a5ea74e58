"""Runs what is typed, waits for what comes of it, and shows the two beside each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from rich.text import Text

from pgstream_installer.demo.feed import Arrival, Feed, seconds_since_commit
from pgstream_installer.demo.layout import event_lines, record_lines, sql_lines, table_lines
from pgstream_installer.demo.screen import Screen
from pgstream_installer.demo.shop import Transaction

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
RELATION_QUERY = """
select subject.pattern, status.mode, status.stream
from pgstream.table_status as status
cross join lateral (select replace(status.subjects ->> 'update', '.update', '.*') as pattern) as subject
where status.table_name = any(%s)
order by array_position(%s, status.table_name)
"""


@dataclass
class Tally:
    """What has been shown so far: events by operation, and seconds from each one's commit to the screen."""

    operations: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def add(self, arrival: Arrival) -> None:
        self.operations[arrival.operation] += 1
        self.latencies.append(seconds_since_commit(arrival.event))

    def latency(self, percent: int) -> float:
        """A percentile; 0 where there were no events."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0.0


class Stage:
    """The shop's database, the events that come of it, and the screen that shows both."""

    def __init__(self, connection: Connection, feed: Feed, screen: Screen) -> None:
        self.screen = screen
        self.tally = Tally()
        self._connection = connection
        self._feed = feed

    async def change(self, transaction: Transaction, *, brief: bool = False) -> None:
        """A transaction of the shop and its events: one for each row, and one for a TRUNCATE."""
        events = 0
        async with self._connection.transaction():
            for statement in transaction.statements:
                cursor = await self._connection.execute(statement.encode())
                events += 1 if statement.startswith("TRUNCATE") else cursor.rowcount
            xid = await self._value("select pg_current_xact_id()::text")
        arrivals = await self._feed.take(xid, events)
        lines = [line for arrival in arrivals for line in event_lines(arrival, brief=brief)]
        self.screen.block(self._typed(transaction, brief=brief), lines)
        for arrival in arrivals:
            self.tally.add(arrival)

    @staticmethod
    def _typed(transaction: Transaction, *, brief: bool) -> list[Text]:
        several = len(transaction.statements) > 1 and not brief
        typed = ["BEGIN;", *transaction.statements, "COMMIT;"] if several else list(transaction.statements)
        return sql_lines("\n".join(typed if brief else [f"-- {transaction.why}", *typed]))

    async def configure(self, text: str, *tables: str) -> None:
        """A DBA's change of pgstream.tables; beside it, where the events of `tables` go from now on."""
        await self._connection.execute(text.encode())
        cursor = await self._connection.execute(RELATION_QUERY, [list(tables), list(tables)])
        rows = await cursor.fetchall()
        self.screen.block(sql_lines(text), [_destination(*row) for row in rows])

    async def look(self, query: str, *, record: bool = False) -> None:
        """A query and its rows; `record`: one row, a column a line."""
        cursor = await self._connection.execute(query.rstrip(";").encode())
        names = [column.name for column in cursor.description or ()]
        rows = await cursor.fetchall()
        self.screen.lines([Text("  ").append_text(line) for line in sql_lines(query)])
        lines = record_lines(names, rows[0]) if record else table_lines(names, rows)
        self.screen.lines([Text("    ").append_text(line) for line in lines])

    async def _value(self, query: str) -> str:
        cursor = await self._connection.execute(query.encode())
        row = await cursor.fetchone()
        return str(row[0]) if row else ""


def _destination(pattern: str, mode: str, stream: str | None) -> Text:
    line = Text(pattern)
    line.append(f"  {mode}", style="cyan")
    if stream is not None:
        line.append(f" in {stream}", style="dim")
    return line
