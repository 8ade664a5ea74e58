"""Applications that write while snapshots run: every kind of change, in transactions of many shapes."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from tests.faults.snapshots.tables import (
    BODY_SQL,
    BY_NAME,
    NOTE_SQL,
    TABLES,
    Connection,
    Table,
    insert_numbers,
    row_count,
)

Shape = Callable[["Writer"], None]

_HELD_SECONDS: Final = 0.2

_CUT_OFF: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.UniqueViolation,
    psycopg.errors.SerializationFailure,
)
"""The last is a row that another transaction moved to another partition."""


@dataclass(frozen=True)
class Load:
    """What the writers of one run have in common. `rows`: how many there are in all tables together."""

    dsn: str
    seed: int
    rows: int
    writers: int = 5
    large_rows: int = 20_000
    pause_seconds: float = 0.05
    go: threading.Event = field(default_factory=threading.Event)
    """Set while they may write: a `Governor` sees to that."""


class Writer(threading.Thread):
    """Runs shapes at random until `finish`. A deadlock, a lock timeout or a key that is taken ends a transaction."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.load = load
        self.number = number
        self.pause_seconds = load.pause_seconds
        self.random = random.Random(f"{load.seed}-{number}")
        self.transactions: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self.connection: Connection
        self._stopped = threading.Event()

    def finish(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        shapes, weights = zip(*SHAPES.items(), strict=True)
        try:
            self.connection = psycopg.connect(self.load.dsn, autocommit=True)
            with self.connection:
                self.connection.execute("set lock_timeout = '3s'")
                if self.number == 0:
                    self._attempt(large)
                while not self._stopped.wait(self.random.expovariate(1 / self.pause_seconds)):
                    if not self.load.go.wait(_HELD_SECONDS):
                        continue
                    self._attempt(self.random.choices(shapes, weights)[0])
        except BaseException as error:  # told to whoever joins the thread
            self.failure = error

    def _attempt(self, shape: Shape) -> None:
        try:
            shape(self)
            self.transactions[shape.__name__] += 1
        except _CUT_OFF:
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                self.connection.rollback()
            self.transactions["cut off"] += 1

    def execute(self, statement: str, parameters: Any = None) -> None:
        self.connection.execute(statement.encode(), parameters)

    def some_table(self) -> Table:
        return self.random.choices(TABLES, [table.weight for table in TABLES])[0]

    def some_numbers(self, table: Table, count: int) -> list[int]:
        """Of rows that may exist, whoever made them: now and then neighbours in the heap."""
        highest = round(row_count(table, self.load.rows) * 1.3)
        if self.random.random() < 0.3:
            first = self.random.randint(1, highest)
            return list(range(first, first + count))
        return [self.random.randint(1, highest) for _ in range(count)]

    def own_numbers(self, table: Table, count: int) -> list[int]:
        """Of rows that nobody else may insert."""
        writers = self.load.writers
        return sorted({number // writers * writers + self.number for number in self.some_numbers(table, count)})

    def insert(self, table: Table, numbers: list[int]) -> None:
        insert_numbers(self.connection, table, "unnest(%s::bigint[])", [numbers])

    def touch(self, table: Table, numbers: list[int]) -> None:
        """The body stays: where it is large, its column is not in the WAL. The note's new length moves the row."""
        self._update(table, f"note = {NOTE_SQL}", numbers)

    def rewrite(self, table: Table, numbers: list[int]) -> None:
        self._update(table, f"body = {BODY_SQL.format(often=self.random.choice([2, 5, 1000]))}", numbers)

    def _update(self, table: Table, assignment: str, numbers: list[int]) -> None:
        self.execute(
            f"update {table.name} t set {assignment} from unnest(%s::bigint[]) n where {_matches(table)}",
            [numbers],
        )

    def delete(self, table: Table, numbers: list[int]) -> None:
        self.execute(
            f"delete from {table.name} t using unnest(%s::bigint[]) n where {_matches(table)}",
            [numbers],
        )

    def change_key(self, table: Table, former: int, number: int) -> None:
        """The row gets the key of a number of one's own, unless that is taken."""
        self.execute(
            f"update {table.name} t set ({table.names}) = (select {table.expressions} from (values (%s::bigint)) v(n))"
            f" from (values (%s::bigint)) v(n) where {_matches(table)} and not exists"
            f" (select from {table.name} t, (values (%s::bigint)) v(n) where {_matches(table)})",
            [number, former, number],
        )

    def upsert(self, table: Table, numbers: list[int]) -> None:
        self.execute(
            f"insert into {table.name} as t ({table.names}, note, body) select {table.expressions}, {NOTE_SQL},"
            f" {BODY_SQL.format(often=table.often)} from unnest(%s::bigint[]) n"
            f" on conflict ({table.names}) do update set note = excluded.note",
            [numbers],
        )


def _matches(table: Table) -> str:
    """That the row t is the one of the number n."""
    columns = ", ".join(f"t.{column}" for column in table.key_columns)
    return f"({columns}) = ({table.expressions})"


def updates(writer: Writer) -> None:
    table = writer.some_table()
    writer.touch(table, writer.some_numbers(table, writer.random.choice([1, 1, 3, 20])))


def mixed(writer: Writer) -> None:
    with writer.connection.transaction():
        for _ in range(writer.random.randint(1, 4)):
            table = writer.some_table()
            writer.insert(table, writer.own_numbers(table, writer.random.randint(1, 15)))
            writer.touch(table, writer.some_numbers(table, writer.random.randint(1, 10)))
            writer.rewrite(table, writer.some_numbers(table, 3))
            writer.delete(table, writer.some_numbers(table, writer.random.randint(1, 10)))


def fluttering(writer: Writer) -> None:
    """One key lives, changes, dies and comes back in a transaction; and once more in the next."""
    table = writer.some_table()
    numbers = writer.own_numbers(table, 2)
    with writer.connection.transaction():
        writer.delete(table, numbers)
        writer.insert(table, numbers)
        writer.touch(table, numbers)
        writer.delete(table, numbers[:1])
    writer.insert(table, numbers)


def changed_keys(writer: Writer) -> None:
    with writer.connection.transaction():
        for _ in range(3):
            table = writer.some_table()
            (former,), number = writer.some_numbers(table, 1), writer.own_numbers(table, 1)[0]
            writer.change_key(table, former, number)
        writer.touch(table, [former, number])


def upserts(writer: Writer) -> None:
    table = writer.some_table()
    writer.upsert(table, writer.own_numbers(table, 8))


def with_savepoints(writer: Writer) -> None:
    connection, table = writer.connection, writer.some_table()
    with connection.transaction():
        writer.touch(table, writer.some_numbers(table, 3))
        for keep in (True, False, True, False):
            with connection.transaction(force_rollback=not keep):
                writer.insert(table, writer.own_numbers(table, 5))
                writer.delete(table, writer.some_numbers(table, 5))
                with connection.transaction(force_rollback=keep):
                    writer.rewrite(table, writer.some_numbers(table, 5))
                    writer.touch(table, writer.some_numbers(table, 5))


def rolled_back(writer: Writer) -> None:
    table = writer.some_table()
    with writer.connection.transaction(force_rollback=True):
        writer.touch(table, writer.some_numbers(table, 50))
        writer.delete(table, writer.some_numbers(table, 20))
        writer.insert(table, writer.own_numbers(table, 50))


def prepared(writer: Writer) -> None:
    """Two-phase commit: its place in the order is that of COMMIT PREPARED."""
    table = writer.some_table()
    name = f"{writer.name}-{writer.transactions.total()}"
    writer.execute("begin")
    writer.insert(table, writer.own_numbers(table, 5))
    writer.touch(table, writer.some_numbers(table, 10))
    writer.delete(table, writer.some_numbers(table, 3))
    writer.execute(f"prepare transaction '{name}'")
    writer.execute("select pg_sleep(%s)", [writer.random.uniform(0, 0.05)])
    writer.execute(f"{writer.random.choice(['commit', 'commit', 'rollback'])} prepared '{name}'")


def truncated(writer: Writer) -> None:
    table = BY_NAME["scrap"]
    with writer.connection.transaction():
        writer.insert(table, writer.own_numbers(table, 5))
        writer.execute("truncate scrap")
        writer.insert(table, writer.own_numbers(table, row_count(table, writer.load.rows) // 2))


def large(writer: Writer) -> None:
    """One transaction of very many rows: the next one takes most of them out again."""
    table = BY_NAME["orders"]
    first = (row_count(table, writer.load.rows) * 2 // writer.load.writers + 1) * writer.load.writers + writer.number
    last = first + writer.load.large_rows * writer.load.writers
    with writer.connection.transaction():
        writer.execute("delete from orders where id between %s and %s and id %% 10 > 0", [first, last])
        insert_numbers(
            writer.connection, table, "generate_series(%s::bigint, %s, %s)", [first, last - 1, writer.load.writers]
        )
        articles = BY_NAME["articles"]
        writer.touch(articles, writer.some_numbers(articles, 300))
        if writer.transactions["large"] % 2:
            writer.execute("delete from orders where id between %s and %s and id %% 7 > 0", [first, last])


class Janitor(threading.Thread):
    """VACUUM, table after table: the room it finds is where the next versions of rows go, in blocks already read."""

    def __init__(self, dsn: str, *, pause_seconds: float = 0.3) -> None:
        super().__init__(name="janitor", daemon=True)
        self.failure: BaseException | None = None
        self._dsn = dsn
        self._pause_seconds = pause_seconds
        self._stopped = threading.Event()

    def finish(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                turn = 0
                while not self._stopped.wait(self._pause_seconds):
                    connection.execute(f"vacuum {TABLES[turn % len(TABLES)].name}".encode())
                    turn += 1
        except BaseException as error:  # told to whoever joins the thread
            self.failure = error


class Governor(threading.Thread):
    """Holds the writers while the relay is far behind: one that is killed again and again can't keep pace with any
    number of them, and every snapshot gives way to live events."""

    def __init__(self, load: Load, slot: str, *, lag_bytes_max: int = 1 << 20) -> None:
        super().__init__(name="governor", daemon=True)
        self.failure: BaseException | None = None
        self._load = load
        self._slot = slot
        self._lag_bytes_max = lag_bytes_max
        self._stopped = threading.Event()

    def finish(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        query = "select pg_current_wal_lsn() - confirmed_flush_lsn from pg_replication_slots where slot_name = %s"
        try:
            with psycopg.connect(self._load.dsn, autocommit=True) as connection:
                while not self._stopped.wait(0.1):
                    row = connection.execute(query, [self._slot]).fetchone()
                    if row is not None and row[0] < self._lag_bytes_max:
                        self._load.go.set()
                    else:
                        self._load.go.clear()
        except BaseException as error:  # told to whoever joins the thread
            self.failure = error


SHAPES: Final[dict[Shape, float]] = {
    updates: 40,
    mixed: 20,
    fluttering: 8,
    changed_keys: 8,
    upserts: 8,
    with_savepoints: 8,
    rolled_back: 3,
    prepared: 5,
    truncated: 0.6,
    large: 0.06,
}
