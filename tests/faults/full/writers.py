"""Applications that write to a table without a key while it is copied."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.streamed import Connection, StreamedDatabase

BIG_ROWS = 800
_ROW = "insert into k select %s, md5(random()::text), random() * 1000, repeat('w', (random() * 60)::int)"


class Writer(threading.Thread):
    """Transactions of many shapes on tables `k` and `other`, until `stop` is set. Deadlocks end one."""

    def __init__(self, dsn: str, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._seed = seed
        self._random = random.Random(seed)
        self._stop_event = stop
        self.transactions = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        shapes = (self._single, self._several, self._savepoints, self._prepared, self._twice)
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                if self._seed == 0:
                    self._big(connection)
                while not self._stop_event.is_set():
                    try:
                        self._random.choice(shapes)(connection)
                        self.transactions += 1
                    except psycopg.errors.DeadlockDetected:
                        pass
                    time.sleep(self._random.uniform(0, 0.01))
        except BaseException as error:  # told to whoever stops the writers
            self.failure = error

    def _change(self, connection: Connection) -> None:
        number = self._random.randrange(5000)
        kind = self._random.randrange(4)
        if kind == 0:
            connection.execute("delete from k where a = %s", [number])
        elif kind == 1:
            connection.execute("update k set c = c + 1, note = %s where a = %s", ["u" * (number % 50), number])
        else:
            connection.execute(_ROW, [number])

    def _single(self, connection: Connection) -> None:
        self._change(connection)
        connection.execute("insert into other (note) values ('single')")

    def _several(self, connection: Connection) -> None:
        with connection.transaction():
            for _ in range(self._random.randint(2, 6)):
                self._change(connection)
            connection.execute("insert into other (note) values ('several')")

    def _savepoints(self, connection: Connection) -> None:
        with connection.transaction():
            self._change(connection)
            with connection.transaction(force_rollback=True):
                self._change(connection)
            with connection.transaction():
                self._change(connection)

    def _prepared(self, connection: Connection) -> None:
        name = f"g{self._seed}_{self._random.random()}"
        connection.execute("begin")
        try:
            self._change(connection)
            connection.execute(f"prepare transaction '{name}'".encode())
        except BaseException:
            connection.rollback()
            raise
        time.sleep(self._random.uniform(0, 0.02))
        connection.execute(f"{self._random.choice(['commit', 'commit', 'rollback'])} prepared '{name}'".encode())

    def _twice(self, connection: Connection) -> None:
        """Rows that are equal in all."""
        connection.execute("insert into k select 1, 'same', 1, 'same' from generate_series(1, 3)")
        connection.execute("delete from k where ctid = (select ctid from k where b = 'same' limit 1 for update)")

    def _big(self, connection: Connection) -> None:
        with connection.transaction():
            connection.execute(_ROW + " from generate_series(1, %s)", [7, BIG_ROWS])
            connection.execute("update k set note = 'big' where a = 7")


@contextmanager
def writing(streamed: StreamedDatabase, count: int = 3) -> Iterator[list[Writer]]:
    """Writers for the length of a block."""
    stop = threading.Event()
    writers = [Writer(streamed.postgres.dsn(streamed.name), seed, stop) for seed in range(count)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for writer in writers:
        if writer.failure is not None:
            raise AssertionError("a writer gave up") from writer.failure


@contextmanager
def overlapping(streamed: StreamedDatabase, seconds: float) -> Iterator[None]:
    """For the length of a block, transactions of which each begins before the one before it has ended."""
    stop = threading.Event()

    def overlap() -> None:
        dsn = streamed.postgres.dsn(streamed.name)
        first, second = (psycopg.connect(dsn, autocommit=True) for _ in range(2))
        with first, second:
            first.execute("begin; insert into k values (1, 'overlaps', 1, 'x')")
            while not stop.is_set():
                second.execute("begin; insert into k values (2, 'overlaps', 1, 'x')")
                stop.wait(seconds)
                first.execute("commit")
                first, second = second, first
            first.execute("commit")

    thread = threading.Thread(target=overlap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
