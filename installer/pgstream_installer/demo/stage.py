"""Runs what is typed, waits for what comes of it, and shows the two beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
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
        """A transaction of the shop, and beside each statement its events: one a row, and one for a TRUNCATE."""
        counts = []
        async with self._connection.transaction():
            for statement in transaction.statements:
                cursor = await self._connection.execute(statement.encode())
                counts.append(1 if statement.startswith("TRUNCATE") else cursor.rowcount)
            xid = await self._value("select pg_current_xact_id()::text")
        arrivals = await self._feed.take(xid, sum(counts))
        several = len(counts) > 1 and not brief
        if not brief:
            self.screen.block(sql_lines(f"-- {transaction.why}" + ("\nBEGIN;" if several else "")), [])
        rest = iter(arrivals)
        for statement, count in zip(transaction.statements, counts, strict=True):
            came = [line for arrival in islice(rest, count) for line in event_lines(arrival, brief=brief)]
            self.screen.block(sql_lines(statement), came)
        if several:
            self.screen.block(sql_lines("COMMIT;"), [])
        for arrival in arrivals:
            self.tally.add(arrival)

    async def configure(self, text: str, *tables: str) -> None:
        """A DBA's change of pgstream.tables; beside it, where the events of `tables` go from now on."""
        await self._connection.execute(text.encode())
        cursor = await self._connection.execute(RELATION_QUERY, [list(tables), list(tables)])
        rows = await cursor.fetchall()
        self.screen.block(sql_lines(text), _destinations(rows))

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


def _destinations(rows: Sequence[tuple[Any, ...]]) -> list[Text]:
    width = max((len(pattern) for pattern, _, _ in rows), default=0)
    lines = []
    for pattern, mode, stream in rows:
        line = Text(f"{pattern:<{width}}  ").append(mode, style="cyan")
        lines.append(line if stream is None else line.append(f" in {stream}", style="dim"))
    return lines
