"""Interleaved rounds: every peer drains the same backlog in each, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

from bench.backlog import Backlog, write_backlog
from bench.comparison import comparison_table
from bench.debezium import why_absent
from bench.lab import Lab
from bench.peers import DEBEZIUM, LIMIT, OURS, PEERS, Drain, Peer
from bench.report import Tell, drain_line, drain_table
from bench.workloads import Workload


def run_rounds(lab: Lab, workload: Workload, rows: int, rounds: int, tell: Tell) -> None:
    """Writes the backlog, drains it, and tells each drain and the medians. Raises BenchError."""
    tell(f"{workload.title}: {rows:,} rows")
    backlog = write_backlog(lab, workload, rows)
    tell(f"the backlog is written; a row is {backlog.row_bytes:.0f} bytes of pgoutput")
    optional: list[Peer] = []
    if (reason := why_absent()) is None:
        optional += DEBEZIUM
    else:
        tell(f"Debezium takes no part: {reason}")
    done = [_run_round(lab, backlog, optional, number, tell) for number in range(1, rounds + 1)]
    tell(drain_table(done, LIMIT.name) + comparison_table(done, OURS.name))


def _run_round(lab: Lab, backlog: Backlog, optional: list[Peer], number: int, tell: Tell) -> list[Drain]:
    """One drain of each peer. An optional one that fails is told, and taken off the list."""
    drains: list[Drain] = []
    for peer in PEERS:
        drains.append(peer.drain(lab, backlog))
        tell(drain_line(number, drains[-1]))
    for peer in tuple(optional):
        try:
            drains.append(peer.drain(lab, backlog))
        # Whatever it is: the others' figures are not to be lost for it. What is wrong with a server, they'll meet too.
        except Exception as error:
            optional.remove(peer)
            tell(f"round {number}  {peer.name} failed, and takes no further part: {error}")
        else:
            tell(drain_line(number, drains[-1]))
    return drains
