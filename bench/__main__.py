"""The command line: `python -m bench --help`."""

from __future__ import annotations

import signal
import sys

import click

from bench.errors import BenchError
from bench.lab import Lab
from bench.latency import run_latency
from bench.report import machine_line
from bench.rounds import run_rounds
from bench.snapshot import run_snapshot
from bench.workloads import WORKLOADS
from pgstream_installer.embedded import EmbeddedServerError

LATENCY = "latency"
SNAPSHOT = "snapshot"
RATES = (100, 1000, 5000)
SNAPSHOT_ROWS = 10_000_000
SNAPSHOT_RATE = 500
"""Live transactions a second beside a snapshot."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--case",
    "cases",
    multiple=True,
    type=click.Choice([*WORKLOADS, LATENCY, SNAPSHOT]),
    help="May be repeated. [drain]",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    help="Rows of the backlog, or of the snapshot. [500,000; each case has its own]",
)
@click.option("--rounds", type=click.IntRange(min=1), help="How often each peer drains it. [3; huge: 1]")
@click.option("--rate", "rates", multiple=True, type=click.IntRange(min=1), default=RATES, show_default=True,
              help="latency: transactions a second; may be repeated.")  # fmt: skip
@click.option("--seconds", type=click.IntRange(min=1), default=20, show_default=True, help="latency: at each rate.")
def main(cases: tuple[str, ...], rows: int | None, rounds: int | None, rates: tuple[int, ...], seconds: int) -> None:
    """Measure the relay against pg_recvlogical, on Postgres and nats-server of its own."""
    # So that the servers are stopped and removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for case in cases or ("drain",):
            with Lab() as lab:
                click.echo(machine_line(lab))
                if case == LATENCY:
                    run_latency(lab, rates, seconds, click.echo)
                elif case == SNAPSHOT:
                    run_snapshot(lab, rows or SNAPSHOT_ROWS, SNAPSHOT_RATE, click.echo)
                else:
                    workload = WORKLOADS[case]
                    run_rounds(lab, workload, rows or workload.rows, rounds or workload.rounds, click.echo)
    except (BenchError, EmbeddedServerError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m bench")
