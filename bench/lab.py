"""The servers of a benchmark: real Postgres and real nats-server on 127.0.0.1, with pgstream installed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import psycopg

from bench.errors import BenchError
from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres

DATABASE = "bench"
POSTGRES_SETTINGS = {
    "shared_buffers": "256MB",
    # Nothing may happen beside the drain: no checkpoint, no vacuum.
    "max_wal_size": "100GB",
    "checkpoint_timeout": "1d",
    "autovacuum": "off",
    # What the relay asks for; so every peer's walsender has it.
    "logical_decoding_work_mem": "256MB",
}

Connection = psycopg.Connection[tuple[Any, ...]]


class Lab:
    """Used as a context manager. `connection` is in autocommit mode."""

    connection: Connection

    def __init__(self) -> None:
        self.postgres = EmbeddedPostgres(settings=POSTGRES_SETTINGS)
        self.nats = EmbeddedNats()
        self._open = ExitStack()

    def __enter__(self) -> Lab:
        with ExitStack() as opened:
            opened.enter_context(self.postgres)
            opened.enter_context(self.nats)
            with self.postgres.connect() as administration:
                administration.execute(f"create database {DATABASE}")
            self.connection = opened.enter_context(self.postgres.connect(DATABASE))
            run_program(sys.executable, "-m", "pgstream_installer.cli", "install", "--no-slot", "--dsn", self.dsn)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def dsn(self) -> str:
        """Over TCP."""
        return self.postgres.dsn(DATABASE)

    @property
    def unix_socket_dsn(self) -> str:
        return self.postgres.dsn(DATABASE, unix_socket=True)

    @property
    def slot_name(self) -> str:
        """Of the slot that the relay reads."""
        return str(self.value("select slot_name from pgstream.settings"))

    @property
    def stream(self) -> str:
        """The JetStream stream that the relay writes to."""
        return str(self.value("select name from pgstream.streams"))

    def value(self, query: str, parameters: list[object] | None = None) -> Any:
        """The first column of the one row."""
        row = self.connection.execute(query.encode(), parameters).fetchone()
        if row is None:
            raise BenchError(f"no row: {query}")
        return row[0]


def run_program(*command: str) -> str:
    """Runs a program to its end; its output. Raises BenchError with it."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean_environment(), check=False
    )
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """This process's environment, without what libpq or pgstream would take from it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGSTREAM_"))}
