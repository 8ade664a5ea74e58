"""Applications that write: transactions of many shapes, from several connections, through every outage."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from tests.faults.schema import PREFIX, TABLES, Connection

RECONNECT_SECONDS: Final = 0.05
ROLLED_BACK_ROWS: Final = 300

Shape = Callable[["Writer"], None]


class Writer(threading.Thread):
    """Runs shapes at random until `finish`. An outage, a deadlock or a full lock queue ends a transaction, not it.

    Whether a transaction that was cut off was committed is no business of a writer: the WAL knows.
    """

    def __init__(self, dsn: str, seed: str, *, large_rows: int, pause_seconds: float) -> None:
        super().__init__(name=f"writer-{seed}", daemon=True)
        self.random = random.Random(seed)
        self.large_rows = large_rows
        self.transactions: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self._dsn = dsn
        self._pause_seconds = pause_seconds
        self._stopped = threading.Event()
        self._connection: Connection | None = None

    def finish(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        shapes, weights = zip(*SHAPES.items(), strict=True)
        try:
            self._attempt(large)
            while not self._stopped.wait(self.random.expovariate(1 / self._pause_seconds)):
                self._attempt(self.random.choices(shapes, weights)[0])
            self._attempt(_finish_prepared)
        except BaseException as error:  # told to whoever joins the thread
            self.failure = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def _attempt(self, shape: Shape) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
                self._connection.execute("set lock_timeout = '3s'")
                _finish_prepared(self)
            shape(self)
            self.transactions[shape.__name__.lstrip("_")] += 1
        except (psycopg.OperationalError, psycopg.errors.UniqueViolation):
            self._recover()

    def _recover(self) -> None:
        with suppress(psycopg.OperationalError):
            if self.connection.info.transaction_status != TransactionStatus.UNKNOWN:
                self.connection.rollback()
        self._stopped.wait(RECONNECT_SECONDS)

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def execute(self, query: str, parameters: Any = None) -> None:
        self.connection.execute(query, parameters)

    def some_ids(self, table: str, count: int) -> list[int]:
        """Keys that may exist, the newer ones rather."""
        row = self.connection.execute(f"select coalesce(max(id), 1) from {table}").fetchone()
        assert row is not None
        highest = int(row[0])
        return [self.random.randint(max(1, highest - 2000), highest) for _ in range(count)]

    def insert_orders(self, count: int) -> None:
        self.execute(
            "insert into orders (status, total, note, tags) select 'new', (random() * 1000)::numeric(12, 2),"
            " case when n %% 3 = 0 then null else 'nöte \"' || n || E'\\n' end, jsonb_build_object('n', n, 'x', 1.50)"
            " from generate_series(1, %s) n",
            [count],
        )

    def insert_ledger(self, count: int) -> None:
        self.execute(
            "insert into ledger (account, amount, memo) select n %% 97, n * 1.25, md5(n::text)"
            " from generate_series(1, %s) n",
            [count],
        )


def single_rows(writer: Writer) -> None:
    writer.insert_orders(1)
    writer.execute("update orders set status = 'seen' where id = any(%s)", [writer.some_ids("orders", 2)])
    writer.insert_ledger(1)
    writer.execute("delete from orders where id = any(%s)", [writer.some_ids("orders", 1)])
    writer.execute("insert into unstreamed (label) values ('x')")


def copied(writer: Writer) -> None:
    count = writer.random.randint(50, 600)
    with writer.connection.cursor() as cursor, cursor.copy("copy ledger (account, amount, memo) from stdin") as copy:
        for number in range(count):
            copy.write_row((number, f"{number}.10", None if number % 5 else "cöpy\t"))


def large(writer: Writer) -> None:
    """One transaction of many rows, in both streams."""
    with writer.connection.transaction():
        writer.insert_ledger(writer.large_rows // 2)
        writer.insert_orders(writer.large_rows // 2)
        writer.insert_ledger(1)


def mixed(writer: Writer) -> None:
    with writer.connection.transaction():
        writer.insert_orders(writer.random.randint(1, 20))
        (order,) = writer.connection.execute("select max(id) from orders").fetchone() or (1,)
        writer.execute(
            "insert into items select %s, n, n * 2 from generate_series(1, %s) n on conflict do nothing",
            [order, writer.random.randint(1, 30)],
        )
        writer.insert_ledger(writer.random.randint(1, 20))
        writer.execute("select pg_logical_emit_message(true, %s, 'plaçed')", [PREFIX])
        writer.execute("select pg_logical_emit_message(true, 'nobody', 'unheard')")
        writer.execute("update orders set paid = not paid, total = total + 0.01 where id = %s", [order])
        writer.execute("insert into scratch (label) values ('mixed')")


def with_savepoints(writer: Writer) -> None:
    connection = writer.connection
    with connection.transaction():
        writer.insert_orders(3)
        for keep in (True, False, True, False):
            with connection.transaction(force_rollback=not keep):
                writer.insert_ledger(writer.random.randint(1, 40))
                writer.execute("update orders set note = 'saved' where id = any(%s)", [writer.some_ids("orders", 5)])
                with connection.transaction(force_rollback=keep):
                    writer.execute("delete from items where order_id = any(%s)", [writer.some_ids("orders", 3)])
        writer.insert_orders(1)


def rolled_back(writer: Writer) -> None:
    with writer.connection.transaction(force_rollback=True):
        writer.insert_orders(ROLLED_BACK_ROWS)
        writer.insert_ledger(ROLLED_BACK_ROWS)
        writer.execute("delete from ledger where id = any(%s)", [writer.some_ids("ledger", 20)])


def changed_keys(writer: Writer) -> None:
    orders = writer.some_ids("orders", 10)
    with writer.connection.transaction():
        writer.execute("update items set line = line + 1000 where order_id = any(%s) and line < 1000", [orders])
        writer.execute("delete from items where order_id = any(%s) and line > 1015", [orders])
        writer.execute("update ledger set amount = -amount where id = any(%s)", [writer.some_ids("ledger", 30)])


def toasted(writer: Writer) -> None:
    """Values that Postgres does not send again, of a table without the full old row."""
    with writer.connection.transaction():
        writer.execute("insert into articles (title, body) values ('t', repeat(md5(random()::text), 120))")
        ids = writer.some_ids("articles", 3)
        writer.execute("update articles set title = title || '.' where id = any(%s)", [ids])
        writer.execute("update articles set body = 'short' where id = %s", [ids[0]])
        writer.execute("delete from articles where id = %s", [ids[1]])


def truncated(writer: Writer) -> None:
    with writer.connection.transaction():
        writer.execute("insert into scratch (label) select 's' from generate_series(1, 10)")
        writer.execute("truncate scratch, items" if writer.random.random() < 0.3 else "truncate scratch")
        writer.execute("insert into scratch (label) values ('after')")


def prepared(writer: Writer) -> None:
    """Two-phase commit: the transaction's place in the order is that of COMMIT PREPARED."""
    name = f"{writer.name}-{writer.transactions.total()}"
    writer.execute("begin")
    writer.insert_orders(5)
    writer.insert_ledger(5)
    writer.execute(f"prepare transaction '{name}'")
    writer.execute("insert into ledger (account, amount) values (1, 1)")
    writer.execute(f"commit prepared '{name}'")


def changed_settings(writer: Writer) -> None:
    """The subject of a table changes in the middle of a transaction that writes to it."""
    table = writer.random.choice(TABLES)
    version = writer.random.randint(1, 9)
    subject = writer.random.choice([None, f"{{database}}.v{version}.{{table}}.{{operation}}", f"fixed.{table}"])
    with writer.connection.transaction():
        writer.insert_orders(2)
        writer.insert_ledger(2)
        writer.execute("update pgstream.tables set subject = %s where table_name = %s", [subject, table])
        writer.insert_orders(2)
        writer.insert_ledger(2)


def _finish_prepared(writer: Writer) -> None:
    """What a crash left prepared would hold the slot, and locks, for ever."""
    rows = writer.connection.execute(
        "select gid from pg_prepared_xacts where gid like %s", [f"{writer.name}-%"]
    ).fetchall()
    for (name,) in rows:
        writer.execute(f"{writer.random.choice(['commit', 'rollback'])} prepared '{name}'")


SHAPES: Final[dict[Shape, float]] = {
    single_rows: 30,
    copied: 6,
    large: 0.2,
    mixed: 20,
    with_savepoints: 12,
    rolled_back: 4,
    changed_keys: 8,
    toasted: 10,
    truncated: 2,
    prepared: 4,
    changed_settings: 2.5,
}
