"""One run: writers, snapshots started, paused, resumed, stopped, the relay killed in between; then the judge."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from psycopg.types.json import Jsonb

from pgstream_installer.embedded import EmbeddedNats, EmbeddedPostgres
from tests.faults.snapshots.consumer import Judge, SnapshotRecord, Verdict
from tests.faults.snapshots.stream_reader import read_stream
from tests.faults.snapshots.sync_standby import SlowStandby
from tests.faults.snapshots.tables import (
    BY_NAME,
    DATABASE,
    SLOT,
    STREAM,
    TABLES,
    Connection,
    Key,
    Row,
    prepare_database,
    read_tables,
)
from tests.faults.snapshots.writers import Governor, Janitor, Load, Writer
from tests.support.relay import RELAY, RelayProcess

POSTGRES_SETTINGS: Final = {
    "synchronous_commit": "on",
    "max_prepared_transactions": "20",
    "deadlock_timeout": "50ms",
    "autovacuum": "off",
    "max_wal_size": "4GB",
}
STANDBYS: Final = ("on", "off", "half")
SABOTAGES: Final = {"watermark": "low and high watermark in place of visibility", "barrier": "no barrier at a start"}
"""What tests.faults.snapshots.sabotage can do to a relay."""
OPEN: Final = "state in ('pending', 'running', 'paused')"
OPEN_MAX: Final = 10
POLL_SECONDS: Final = 0.05
CALM: Final = 5
"""How much slower the writers are in the end."""


@dataclass(frozen=True)
class Options:
    """`seconds` and `rows_snapshot`: how long it goes on at least, and for how many rows of snapshots; every
    `pace_seconds` something is done to them or to the relay.

    `standby`: whether commits wait for a slow synchronous standby; `half` in the first half of the time.
    """

    seed: int
    seconds: float
    rows: int = 20_000
    rows_snapshot: int = 0
    standby: str = "half"
    kills: bool = True
    sabotage: str | None = None
    writers: int = 5
    large_rows: int = 20_000
    block_count_max: int = 8
    pace_seconds: float = 0.5
    settle_seconds: float = 120.0


@dataclass
class Report:
    """What one run found."""

    options: Options
    actions: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures and self.verdict.passed

    def __str__(self) -> str:
        options = self.options
        lines = [
            f"seed {options.seed}, slow synchronous standby {options.standby}"
            + (f"; sabotage: {SABOTAGES[options.sabotage]}" if options.sabotage else ""),
            f"{self.actions.total()} actions in {self.seconds:.0f} s: {_counts(self.actions)}",
            f"{self.transactions.total()} transactions by writers: {_counts(self.transactions)}",
            f"{self.states.total()} snapshots: {_counts(self.states)}",
            str(self.verdict),
            *self.verdict.problems,
            *self.failures,
            "PASSED" if self.passed else "FAILED",
        ]
        return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


class Stage:
    """The servers, the relay and the tables of one run. A context manager that leaves nothing behind."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.failures: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            self.postgres = stack.enter_context(EmbeddedPostgres(settings=POSTGRES_SETTINGS))
            self.nats = stack.enter_context(EmbeddedNats())
            with self.postgres.connect() as server:
                self.initial: dict[str, dict[Key, Row]] = prepare_database(server, self.dsn, rows=self.options.rows)
            self.connection: Connection = stack.enter_context(self.postgres.connect(DATABASE))
            sabotage = self.options.sabotage
            program = [sys.executable, "-m", "tests.faults.snapshots.sabotage", sabotage] if sabotage else RELAY
            self.relay = RelayProcess(
                "--dsn", self.dsn, "--nats", self.nats.url, "--http", "127.0.0.1:0", program=program
            )  # fmt: skip
            self.relay.start()
            stack.callback(lambda: self.relay.__exit__(None, None, None))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(DATABASE)

    def query(self, statement: str, *parameters: Any) -> Any:
        """The first column of the first row."""
        row = self.connection.execute(statement.encode(), parameters or None).fetchone()
        return row[0] if row else None

    def signal(self, kind: str, tables: list[str] | None, **options: Any) -> None:
        """A row into `pgstream.signals`, as an operator would insert it."""
        self.connection.execute(
            "insert into pgstream.signals (type, tables, options) values (%s, %s, %s)",
            [kind, tables and [f"public.{name}" for name in tables], Jsonb(options)],
        )

    def open_snapshots(self) -> int:
        return int(self.query(f"select count(*) from pgstream.snapshots where {OPEN}"))

    def rows_done(self) -> int:
        return int(self.query("select coalesce(sum(rows_done), 0)::bigint from pgstream.snapshots"))

    def wait(self, condition: Callable[[], bool], what: str) -> bool:
        deadline = time.monotonic() + self.options.settle_seconds
        while not condition():
            if time.monotonic() > deadline:
                self.failures.append(f"{what} within {self.options.settle_seconds:.0f} s: {self.situation()}")
                return False
            time.sleep(POLL_SECONDS)
        return True

    def let_confirm(self) -> None:
        """Most kills hit a relay that has found its way again."""
        if self.random.random() < 0.8:
            query = "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = %s"
            before = self.query(query, SLOT)
            self.wait(lambda: bool(self.query(query, SLOT) > before), "the relay confirmed nothing")

    def situation(self) -> str:
        """Where the relay and the open snapshots stand, for people."""
        status = self.query("select concat_ws(', ', state, lag_bytes, lag_seconds, error) from pgstream.status")
        open_rows = self.query(
            "select string_agg(format('%%s %%s %%s: %%s of %%s blocks %%s', id, table_name, state, blocks_done,"
            f" blocks_total, error), '; ' order by id) from pgstream.snapshots where {OPEN} and %s",
            True,
        )
        return f"{status}; {open_rows}"

    def ensure_relay(self) -> None:
        if not self.relay.running:
            self.failures.append("a relay ended by itself")
            self.relay.start()

    def some_tables(self) -> list[str]:
        names = [table.name for table in TABLES]
        return self.random.sample(names, self.random.randint(1, len(names)))

    def records(self) -> list[SnapshotRecord]:
        rows = self.connection.execute(
            "select id, table_name, method, state, rows_done from pgstream.snapshots order by id"
        ).fetchall()
        return [SnapshotRecord(*row) for row in rows]

    def save_logs(self) -> Path:
        directory = Path(tempfile.mkdtemp(prefix="pgstream-stress-"))
        (directory / "relay.log").write_text(self.relay.log)
        (directory / "postgres.log").write_bytes(self.postgres.log_file.read_bytes())
        return directory


def request(stage: Stage) -> None:
    """An incremental snapshot of some tables, in small chunks."""
    if stage.open_snapshots() < OPEN_MAX:
        block_count = stage.random.randint(1, stage.options.block_count_max)
        stage.signal("incremental-snapshot", stage.some_tables(), block_count=block_count)


def pause(stage: Stage) -> None:
    stage.signal("pause-snapshot", stage.random.choice([None, stage.some_tables()]))


def resume(stage: Stage) -> None:
    stage.signal("resume-snapshot", stage.random.choice([None, None, stage.some_tables()]))


def stop(stage: Stage) -> None:
    stage.signal("stop-snapshot", stage.some_tables()[:2])


def kill(stage: Stage) -> None:
    stage.let_confirm()
    stage.relay.kill()
    time.sleep(stage.random.choice([0, stage.random.uniform(0, 0.7)]))
    stage.relay.start()


def terminate(stage: Stage) -> None:
    active = "select active_pid from pg_replication_slots where slot_name = %s"
    stage.wait(lambda: stage.query(active, SLOT) is not None, "the relay does not stream")
    stage.let_confirm()
    code = stage.relay.stop(timeout_seconds=60)
    if code != 0:
        stage.failures.append(f"a relay ended with {code} after SIGTERM")
    stage.relay.start()


def request_while_away(stage: Stage) -> None:
    """Signals that nobody sees arrive."""
    stage.let_confirm()
    stage.relay.kill()
    request(stage)
    stage.random.choice([pause, resume, stop])(stage)
    stage.relay.start()


ACTIONS: Final[dict[Callable[[Stage], None], float]] = {request: 40, pause: 12, resume: 25, stop: 3}
KILLS: Final[dict[Callable[[Stage], None], float]] = {kill: 14, terminate: 4, request_while_away: 4}


def run(options: Options) -> Report:
    """One run, from empty servers to the verdict. A failure leaves the logs in a new temporary directory."""
    # psycopg tells of every connection that a kill cut off.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    report = Report(options)
    with Stage(options) as stage:
        began = time.monotonic()
        _write_meanwhile(stage, report)
        report.seconds = time.monotonic() - began
        _settle(stage)
        records = stage.records()
        report.states.update(record.state for record in records)
        judge = Judge(BY_NAME, stage.initial)
        read_stream(stage.nats.port, STREAM, judge.take)
        report.verdict = judge.end(read_tables(stage.connection), records)
        failed = "select string_agg(distinct error || ' ' || coalesce(hint, ''), '; ') from pgstream.snapshots"
        if error := stage.query(failed + " where state = 'failed'"):
            stage.failures.append(f"snapshots failed: {error}")
        report.failures = stage.failures
        if not report.passed:
            report.failures.append(f"the logs are in {stage.save_logs()}")
    return report


def _write_meanwhile(stage: Stage, report: Report) -> None:
    options = stage.options
    load = Load(stage.dsn, options.seed, options.rows, options.writers, options.large_rows)
    writers = [Writer(load, number) for number in range(options.writers)]
    threads: list[Writer | Janitor | Governor] = [*writers, Janitor(stage.dsn), Governor(load, SLOT)]
    try:
        with ExitStack() as stack:
            for thread in threads:
                thread.start()
                stack.callback(thread.finish)
            _direct(stage, report.actions)
            # The last snapshots are not to take as long as all the others: these may be many.
            for writer in writers:
                writer.pause_seconds *= CALM
            stage.signal("resume-snapshot", None)
            stage.signal("incremental-snapshot", None, block_count=options.block_count_max)
            stage.wait(lambda: stage.open_snapshots() == 0, "the last snapshots were not over")
    finally:
        for thread in threads:
            thread.join()
            if thread.failure is not None:
                stage.failures.append(f"{thread.name} gave up: {thread.failure!r}")
    for writer in writers:
        report.transactions += writer.transactions


def _direct(stage: Stage, done: Counter[str]) -> None:
    """Snapshots come and go, with the slow standby and without."""
    options = stage.options
    with ExitStack() as stack:
        if options.standby != "off":
            stack.enter_context(SlowStandby(stage.postgres, seed=options.seed))
        half = options.seconds / 2 if options.standby == "half" else options.seconds
        _act(stage, done, half)
        if options.standby == "half":
            stack.close()
            _act(stage, done, options.seconds - half)
        while stage.rows_done() < options.rows_snapshot and not stage.failures:
            _act(stage, done, 5)


def _act(stage: Stage, done: Counter[str], seconds: float) -> None:
    actions, weights = zip(*(ACTIONS | (KILLS if stage.options.kills else {})).items(), strict=True)
    deadline = time.monotonic() + seconds
    request(stage)
    while time.monotonic() < deadline:
        time.sleep(stage.random.uniform(0.2, 1.8) * stage.options.pace_seconds)
        stage.ensure_relay()
        (action,) = stage.random.choices(actions, weights)
        action(stage)
        done[action.__name__] += 1


def _settle(stage: Stage) -> None:
    """Waits until the relay has confirmed all that was written, and stops it."""
    target = stage.query("select pg_current_wal_insert_lsn()::text")
    stage.query("select pg_logical_emit_message(true, 'stress', '')::text")
    confirmed = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"
    stage.wait(lambda: bool(stage.query(confirmed, target, SLOT)), "the relay has not confirmed everything")
    code = stage.relay.stop(timeout_seconds=60)
    if code != 0:
        stage.failures.append(f"the relay ended with {code}")
