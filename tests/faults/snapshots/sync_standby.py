"""A synchronous standby that takes its time: what commits is in the WAL, and read from it, long before it is visible.

It keeps nothing: a physical replication session that says "flushed" some milliseconds late is all that a primary sees
of a standby. In that gap a snapshot reads the row as it was while the stream holds the row as it is.
"""

from __future__ import annotations

import random
import struct
import threading
import time
from contextlib import closing
from select import select
from types import TracebackType
from typing import Any, Final, TypeAlias

import psycopg

from pgstream_installer.embedded import EmbeddedPostgres

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

APPLICATION_NAME: Final = "slow_standby"
DELAY_SECONDS_MAX: Final = 0.03
_WAIT_SECONDS: Final = 0.05
_READY_SECONDS: Final = 30.0
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000
_XLOGDATA_HEADER: Final = struct.Struct("!cQQq")


class SlowStandby:
    """A context manager: inside, every commit of `postgres` waits up to `delay_seconds_max` until it is visible.

    `delays` is how many times it kept the primary waiting. Raises RuntimeError where the primary does not take it as
    its synchronous standby.
    """

    def __init__(
        self, postgres: EmbeddedPostgres, *, seed: int = 0, delay_seconds_max: float = DELAY_SECONDS_MAX
    ) -> None:
        self.delays = 0
        self.failure: BaseException | None = None
        self._postgres = postgres
        self._random = random.Random(seed)
        self._delay_seconds_max = delay_seconds_max
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=APPLICATION_NAME, daemon=True)

    def __enter__(self) -> SlowStandby:
        self._thread.start()
        try:
            self._set_standby_names(APPLICATION_NAME)
            self._wait_until_synchronous()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self.failure is not None and error is None:
            raise RuntimeError("the standby broke down") from self.failure

    def _close(self) -> None:
        # In this order: a primary whose synchronous standby is gone lets nothing commit.
        self._set_standby_names("")
        self._stopping.set()
        self._thread.join()

    def _set_standby_names(self, names: str) -> None:
        with self._postgres.connect() as connection:
            connection.execute(f"alter system set synchronous_standby_names = '{names}'")
            connection.execute("select pg_reload_conf()")

    def _wait_until_synchronous(self) -> None:
        query = "select sync_state from pg_stat_replication where application_name = %s"
        deadline = time.monotonic() + _READY_SECONDS
        with self._postgres.connect() as connection:
            while time.monotonic() < deadline and self.failure is None:
                if connection.execute(query, [APPLICATION_NAME]).fetchone() == ("sync",):
                    return
                time.sleep(_WAIT_SECONDS)
        raise RuntimeError("the primary does not take the standby as its synchronous one") from self.failure

    def _run(self) -> None:
        try:
            session = psycopg.connect(
                self._postgres.dsn(), autocommit=True, application_name=APPLICATION_NAME, replication="true"
            )
            # Not the connection's own context: it ends with a COMMIT, and this session takes no command any more.
            with closing(session):
                self._follow(session)
        except BaseException as error:  # told to whoever leaves the context
            self.failure = error

    def _follow(self, connection: Connection) -> None:
        row = connection.execute("IDENTIFY_SYSTEM").fetchone()
        assert row is not None
        start = bytes(row[2]).decode()
        connection.execute(f"START_REPLICATION PHYSICAL {start} TIMELINE {row[1]}".encode())
        high, low = start.split("/")
        received = int(high, 16) << 32 | int(low, 16)
        reported = 0
        while not self._stopping.is_set():
            received = max(received, self._receive(connection, _WAIT_SECONDS))
            if received > reported:
                time.sleep(self._random.uniform(0, self._delay_seconds_max))
                self.delays += 1
            self._report(connection, received)
            reported = received

    def _receive(self, connection: Connection, seconds: float) -> int:
        """Takes what is there, or comes within this time; the end of the WAL in it, 0 for none."""
        session, end = connection.pgconn, 0
        if not select([session.socket], [], [], seconds)[0]:
            return 0
        session.consume_input()
        while True:
            size, message = session.get_copy_data(1)
            if size < 0:
                raise RuntimeError("the primary ended the session")
            if size == 0:
                return end
            if bytes(message[:1]) == b"w":
                start = _XLOGDATA_HEADER.unpack_from(message)[1]
                end = int(start) + size - _XLOGDATA_HEADER.size

    def _report(self, connection: Connection, flushed: int) -> None:
        clock = time.time_ns() // 1000 - _POSTGRES_EPOCH_US
        connection.pgconn.put_copy_data(struct.pack("!cQQQq?", b"r", flushed, flushed, flushed, clock, False))
        connection.pgconn.flush()
