"""Interleaved rounds: every peer drains the same backlog in each, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

from bench.backlog import Backlog, write_backlog
from bench.lab import Lab
from bench.peers import LIMIT, PEERS, Drain
from bench.report import Tell, drain_line, drain_table
from bench.workloads import Workload


def run_rounds(lab: Lab, workload: Workload, rows: int, rounds: int, tell: Tell) -> None:
    """Writes the backlog, drains it, and tells each drain and the medians. Raises BenchError."""
    tell(f"{workload.title}: {rows:,} rows")
    backlog = write_backlog(lab, workload, rows)
    tell(f"the backlog is written; a row is {backlog.row_bytes:.0f} bytes of pgoutput")
    done = [_run_round(lab, backlog, number, tell) for number in range(1, rounds + 1)]
    tell(drain_table(done, LIMIT.name))


def _run_round(lab: Lab, backlog: Backlog, number: int, tell: Tell) -> list[Drain]:
    """One drain of each peer."""
    drains: list[Drain] = []
    for peer in PEERS:
        drains.append(peer.drain(lab, backlog))
        tell(drain_line(number, drains[-1]))
    return drains
