"""A backlog that can be drained again and again: the slot that was there before it never moves, its copies do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bench.lab import Lab
from bench.workloads import Workload

MASTER_SLOT = "bench_master"
SAMPLE_MESSAGES = 1002


@dataclass(frozen=True, slots=True)
class Backlog:
    """`end_lsn` is behind the last commit, and WAL follows it: a reader that looks for its end there finds it."""

    events: int
    end_lsn: str
    row_bytes: float
    """Of an average row's pgoutput message."""


def write_backlog(lab: Lab, workload: Workload, rows: int) -> Backlog:
    """Makes the table, streams it, makes the slot, and writes the backlog behind it."""
    connection = lab.connection
    connection.execute(workload.setup_statement(rows).encode())
    connection.execute("insert into pgstream.tables (table_name) values (%s)", [workload.table.name])
    slot_name = lab.slot_name
    # Made now, so that the settings as of its first position have the table, and no round changes them.
    connection.execute("select pgstream.create_slot(false)")
    connection.execute("select pg_copy_logical_replication_slot(%s, %s)", [slot_name, MASTER_SLOT])
    connection.execute("select pg_drop_replication_slot(%s)", [slot_name])
    connection.execute("set synchronous_commit = off")
    connection.execute(workload.fill_statement(rows).encode())
    connection.execute("reset synchronous_commit")
    end_lsn = str(lab.value("select pg_current_wal_insert_lsn()"))
    connection.execute("select pg_logical_emit_message(true, 'bench', 'the end')")
    connection.execute("checkpoint")
    return Backlog(rows, end_lsn, _average_row_bytes(lab))


def _average_row_bytes(lab: Lab) -> float:
    return float(
        lab.value(
            "select avg(length(data)) from pg_logical_slot_peek_binary_changes(%s, null, %s,"
            " 'proto_version', '1', 'publication_names', 'pgstream') where get_byte(data, 0) in (73, 85)",
            [MASTER_SLOT, SAMPLE_MESSAGES],
        )
    )


@contextmanager
def fresh_slot(lab: Lab, name: str) -> Iterator[None]:
    """A slot that stands before the backlog; dropped afterwards."""
    lab.connection.execute("select pg_copy_logical_replication_slot(%s, %s)", [MASTER_SLOT, name])
    try:
        yield
    finally:
        drop_slot(lab, name)


def drop_slot(lab: Lab, name: str) -> None:
    """Waits for the walsender, which may end a moment after its client."""
    deadline = time.monotonic() + 30
    while True:
        try:
            lab.connection.execute("select pg_drop_replication_slot(%s)", [name])
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
