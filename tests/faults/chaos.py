"""The crash test: `python -m tests.faults.chaos --seed 1 --kills 100`.

Writers write, faults happen at random, and in the end every stream is held against the WAL as an independent reader
gives it: exactly once, in order, values right. The order of faults comes from the seed, their moments from the clock.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.arena import FAULTS, SABOTAGES, Arena, Options, inflict
from tests.faults.judge import StreamVerdict, judge_stream
from tests.faults.schema import DATABASE, DEFAULT_STREAM, SECOND_STREAM, TABLES, TRUTH_SLOT
from tests.faults.truth import Truth, parse_exactly, row_key
from tests.faults.wal_reader import read_changes
from tests.faults.writers import Writer
from tests.support.nats_versions import CURRENT, VERSIONS


@dataclass
class Report:
    """What one run found."""

    options: Options
    faults: Counter[str] = field(default_factory=Counter)
    takeovers: int = 0
    transactions: Counter[str] = field(default_factory=Counter)
    settings_changes: int = 0
    streams: list[StreamVerdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures and all(verdict.passed for verdict in self.streams)

    def __str__(self) -> str:
        options = self.options
        where = "a cluster of three" if options.cluster else "one server"
        lines = [
            f"seed {options.seed}, nats-server {options.nats_version}, {where}"
            + (f", relay without its {options.sabotage}" if options.sabotage else ""),
            f"{self.faults.total()} faults in {self.seconds:.0f} s: {_counts(self.faults)}; {self.takeovers} takeovers",
            f"{self.transactions.total()} transactions by writers: {_counts(self.transactions)}",
            f"{self.settings_changes} changes of settings",
            *map(str, self.streams),
            *(problem for verdict in self.streams for problem in verdict.problems),
            *self.failures,
            "PASSED" if self.passed else "FAILED",
        ]
        return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def run(options: Options) -> Report:
    """One run, from empty servers to the verdict. A failure leaves the logs in a new temporary directory."""
    report = Report(options)
    with Arena(options) as arena:
        began = time.monotonic()
        writers = [
            Writer(
                arena.dsn, f"{options.seed}-{number}",
                large_rows=options.large_rows, pause_seconds=options.pause_seconds,
            )
            for number in range(options.writers)
        ]  # fmt: skip
        with ExitStack() as stack:
            for writer in writers:
                writer.start()
                stack.callback(writer.finish)
            report.faults = inflict(arena)
        for writer in writers:
            writer.join()
            report.transactions += writer.transactions
            if writer.failure is not None:
                arena.failures.append(f"a writer gave up: {writer.failure!r}")
        report.seconds = time.monotonic() - began
        _settle(arena)
        _judge(arena, report)
        report.takeovers, report.failures = arena.takeovers, arena.failures
        if not report.passed:
            logs = Path(tempfile.mkdtemp(prefix="pgstream-chaos-"))
            arena.save_logs(logs)
            report.failures.append(f"the logs are in {logs}")
    return report


def _settle(arena: Arena) -> None:
    """Waits until the relay has confirmed all that was written, and stops it."""
    target = arena.query("select (pg_current_wal_lsn() - '0/0')::bigint")
    if not arena.wait(lambda: arena.confirmed_lsn() >= target, arena.options.settle_seconds):
        arena.failures.append(f"the relay has not confirmed everything within {arena.options.settle_seconds} s")
    arena.stop_relay()


def _judge(arena: Arena, report: Report) -> None:
    target = arena.query("select (pg_current_wal_lsn() - '0/0')::bigint")
    truth = Truth(DATABASE).add_all(read_changes(arena.dsn, TRUTH_SLOT, "pgstream", target))
    # A million objects that stay: the collector need not look at them again and again.
    gc.freeze()
    report.settings_changes = truth.settings_changes
    arena.failures += _check_truth(arena, truth)
    for stream in sorted({DEFAULT_STREAM, SECOND_STREAM, *truth.streams}):
        report.streams.append(asyncio.run(judge_stream(arena.nats_urls, stream, truth.streams[stream])))


def _check_truth(arena: Arena, truth: Truth) -> list[str]:
    """The truth, applied change by change, must give the rows that Postgres holds: else it is none."""
    wrong = []
    with arena.postgres.connect(DATABASE) as connection:
        for table in TABLES:
            rows = [parse_exactly(text) for (text,) in connection.execute(f"select to_jsonb(t)::text from {table} t")]
            if {row_key(row): row for row in rows} != truth.tables[table]:
                wrong.append(f"the ground truth of {table} is not what Postgres holds")
    return wrong


def main() -> None:
    # psycopg tells of every rollback that an outage cut off; that is what this is about.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    parser = ArgumentParser(prog="chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kills", type=int, default=100, help="how many faults")
    parser.add_argument("--kinds", default=",".join(FAULTS), help="which, separated by commas")
    parser.add_argument("--nats-version", default=CURRENT, choices=VERSIONS)
    parser.add_argument("--cluster", action="store_true", help="three nats-servers, streams with three replicas")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="take this guarantee out of the relay: must fail then")
    parser.add_argument("--writers", type=int, default=Options.writers)
    parser.add_argument("--large-rows", type=int, default=Options.large_rows)
    given = vars(parser.parse_args())
    kinds = tuple(given.pop("kinds").split(","))
    report = run(Options(kinds=kinds, **given))
    sys.stdout.write(f"{report}\n")
    sys.exit(0 if report.passed else 1)


if __name__ == "__main__":
    main()
