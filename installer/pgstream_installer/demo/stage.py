"""Runs what is typed, waits for what comes of it, and shows the two beside each other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
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
from pgstream_installer.errors import InstallerError

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
ARRIVAL_TIMEOUT_SECONDS = 30.0
PASSING_TIMEOUT_SECONDS = 5.0
LATENCIES_MAX = 10_000
DESTINATION_QUERY = """
select subject.pattern, status.mode, status.stream
from pgstream.table_status as status
cross join lateral (select replace(status.subjects ->> 'update', '.update', '.*') as pattern) as subject
where status.table_name = any(%s)
order by array_position(%s, status.table_name)
"""
PROGRESS_QUERY = """
select state, coalesce(percent, 0)::float8, rows_done, error, hint
from pgstream.snapshot_progress order by id desc limit 1
"""
PROGRESS_SECONDS = 0.05
BAR_CHARACTERS = 30


@dataclass
class Tally:
    """What has been shown so far: events by operation, and seconds from commit to screen of the latest."""

    operations: Counter[str] = field(default_factory=Counter)
    ephemeral: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))

    def add(self, arrival: Arrival, seconds: float) -> None:
        self.operations[arrival.operation] += 1
        self.ephemeral += arrival.ephemeral
        self.latencies.append(seconds)

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

    async def change(self, transaction: Transaction) -> None:
        """A transaction of the tour, and beside each statement its events: one a row, and one for a TRUNCATE.

        Raises InstallerError where they do not all arrive.
        """
        counts, arrivals = await self._run(transaction, ARRIVAL_TIMEOUT_SECONDS)
        if len(arrivals) < sum(counts):
            raise InstallerError(f"{sum(counts)} events were to arrive in NATS, and {len(arrivals)} did")
        several = len(counts) > 1
        self.screen.block(sql_lines(f"-- {transaction.why}" + ("\nBEGIN;" if several else "")), [])
        self._show(transaction, counts, arrivals, brief=False)
        if several:
            self.screen.block(sql_lines("COMMIT;"), [])

    async def change_in_passing(self, transaction: Transaction) -> None:
        """A transaction of the traffic, an event a line; then what others have changed meanwhile.

        Whoever looks around may have switched off a table or changed rows: missing events are no fault as long as all
        is well, nor is a row that stands in the way.
        """
        try:
            counts, arrivals = await self._run(transaction, PASSING_TIMEOUT_SECONDS)
        except psycopg.IntegrityError as error:
            self.screen.block(
                sql_lines("\n".join(transaction.statements)), [Text(str(error.diag.message_primary), style="dim")]
            )
            return
        if len(arrivals) < sum(counts):
            await self._require_streaming()
            self.screen.block(sql_lines("\n".join(transaction.statements)), [])
            self._show_others(arrivals)
        else:
            self._show(transaction, counts, arrivals, brief=True)
        self._show_others(self._feed.take_others())

    async def _run(self, transaction: Transaction, timeout_seconds: float) -> tuple[list[int], list[Arrival]]:
        """How many rows each statement changed, and the events that came of them."""
        counts = []
        async with self._connection.transaction():
            for statement in transaction.statements:
                cursor = await self._connection.execute(statement.encode())
                counts.append(1 if statement.startswith("TRUNCATE") else cursor.rowcount)
            cursor = await self._connection.execute(b"select pg_current_xact_id()::text")
            (xid,) = await cursor.fetchone() or ("",)
        return counts, await self._feed.take(xid, sum(counts), timeout_seconds=timeout_seconds)

    def _show(self, transaction: Transaction, counts: list[int], arrivals: list[Arrival], *, brief: bool) -> None:
        rest = iter(arrivals)
        for statement, count in zip(transaction.statements, counts, strict=True):
            came = [line for arrival in islice(rest, count) for line in event_lines(arrival, brief=brief)]
            self.screen.block(sql_lines(statement), came)
        for arrival in arrivals:
            self.tally.add(arrival, seconds_since_commit(arrival.event))

    def _show_others(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            self.screen.block([], event_lines(arrival, brief=True))
            # These waited for their turn on the screen, not for anything of pgstream's.
            self.tally.add(arrival, arrival.latency_seconds)

    async def _require_streaming(self) -> None:
        cursor = await self._connection.execute(b"select state, error, hint from pgstream.status")
        state, error, hint = await cursor.fetchone() or ("offline", None, None)
        if state != "streaming":
            raise InstallerError(f"the relay streams no longer: it is {state}", why=error or "", hint=hint or "")

    async def configure(self, text: str, *tables: str) -> None:
        """A DBA's change of pgstream.tables; beside it, where the events of `tables` go from now on."""
        await self._connection.execute(text.encode())
        cursor = await self._connection.execute(DESTINATION_QUERY, [list(tables), list(tables)])
        rows = await cursor.fetchall()
        self.screen.block(sql_lines(text), _destinations(rows))

    async def snapshot(self, text: str) -> None:
        """A DBA's signal, the snapshot's progress, and what came of it. Raises InstallerError where it fails."""
        await self._connection.execute(text.encode())
        self.screen.block(sql_lines(text), [])
        started, shown = time.monotonic(), -1.0
        with self.screen.footer():
            while True:
                self._feed.check()
                cursor = await self._connection.execute(PROGRESS_QUERY.encode())
                state, percent, rows, error, hint = await cursor.fetchone() or ("failed", 0.0, 0, None, None)
                line = _progress_line(percent, rows)
                self.screen.set_footer(line)
                if not self.screen.is_terminal and percent - shown >= 25:
                    shown = percent
                    self.screen.lines([line])
                if state not in ("pending", "running") or time.monotonic() - started > ARRIVAL_TIMEOUT_SECONDS:
                    break
                await asyncio.sleep(PROGRESS_SECONDS)
        if state != "completed":
            raise InstallerError(f"the snapshot is {state}", why=error or "", hint=hint or "")
        seen = await self._feed.take_snapshot(timeout_seconds=ARRIVAL_TIMEOUT_SECONDS)
        self.tally.operations["snapshot"] += seen.count
        if seen.first is not None:
            self.screen.block([], event_lines(seen.first, brief=False))
        seconds = time.monotonic() - started
        self.screen.block([], [Text(f"… {seen.count} rows in {seconds:.1f} s, between the marks begin and end")])

    async def look(self, query: str, *, record: bool = False) -> None:
        """A query and its rows; `record`: one row, a column a line."""
        cursor = await self._connection.execute(query.rstrip(";").encode())
        names = [column.name for column in cursor.description or ()]
        rows = await cursor.fetchall()
        self.screen.lines([Text("  ").append_text(line) for line in sql_lines(query)])
        lines = record_lines(names, rows[0]) if record else table_lines(names, rows)
        self.screen.lines([Text("    ").append_text(line) for line in lines])


def _progress_line(percent: float, rows: int) -> Text:
    filled = round(BAR_CHARACTERS * percent / 100)
    line = Text("    ").append("━" * filled, style="green").append("━" * (BAR_CHARACTERS - filled), style="dim")
    return line.append(f" {percent:3.0f} %  {rows} rows")


def _destinations(rows: Sequence[tuple[Any, ...]]) -> list[Text]:
    width = max((len(pattern) for pattern, _, _ in rows), default=0)
    lines = []
    for pattern, mode, stream in rows:
        line = Text(f"{pattern:<{width}}  ").append(mode, style="cyan")
        lines.append(line if stream is None else line.append(f" in {stream}", style="dim"))
    return lines
