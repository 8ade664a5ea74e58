"""Figures as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence

from bench.columns import in_columns, median_cell
from bench.comparison import paired_with
from bench.lab import Lab, run_program
from bench.peers.peer import Drain
from pgstream_installer.embedded import nats_server_binary

Tell = Callable[[str], None]
"""Shows a line, or several."""

_HEADINGS = (
    "median", "seconds", "events/s", "of limit", "stream s", "of limit", "CPU µs", "start s", "walsender", "nats µs",
    "peak MB",
)  # fmt: skip


def machine_line(lab: Lab) -> str:
    """What the figures were measured on."""
    nats_version = run_program(str(nats_server_binary()), "--version").strip().removeprefix("nats-server: v")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"PostgreSQL {lab.value('show server_version')}, nats-server {nats_version}, "
        f"Python {platform.python_version()}, {cores} cores, load {os.getloadavg()[0]:.1f} at the start"
    )


def drain_line(number: int, drain: Drain) -> str:
    """One drain of one round."""
    line = f"round {number}  {drain.peer:28}  {drain.seconds:7.2f} s  {drain.events_per_second:9,.0f} events/s"
    if drain.streaming_seconds is not None:
        line += f"; first to last event {drain.streaming_seconds:.2f} s, {drain.streaming_events_per_second:,.0f}/s"
    if drain.late_events_per_second is not None:
        line += f", {drain.late_events_per_second:,.0f}/s of the second half"
    return line


def drain_table(rounds: Sequence[Sequence[Drain]], limit: str) -> str:
    """Medians over the rounds, a line a peer. Ratios are taken within a round, then their median."""
    return in_columns([_HEADINGS, *(_medians(pairs) for pairs in paired_with(rounds, limit))])


def _medians(pairs: Sequence[tuple[Drain, Drain]]) -> tuple[str, ...]:
    drains = [drain for drain, _ in pairs]
    streams = any(drain.streaming_seconds is not None for drain in drains)
    return (
        drains[0].peer,
        median_cell(".2f", [drain.seconds for drain in drains]),
        median_cell(",.0f", [drain.events_per_second for drain in drains]),
        median_cell(".2f", [drain.events_per_second / limit.events_per_second for drain, limit in pairs]),
        median_cell(".2f", [drain.streaming_seconds for drain in drains]),
        median_cell(".2f", [drain.streaming_events_per_second / limit.events_per_second for drain, limit in pairs])
        if streams
        else "-",
        median_cell(".1f", [drain.cpu_us_per_event for drain in drains]),
        median_cell(".2f", [drain.start_cpu_seconds for drain in drains]),
        median_cell(".1f", [drain.walsender_us_per_event for drain in drains]),
        median_cell(".1f", [drain.nats_us_per_event for drain in drains]),
        median_cell(".0f", [None if drain.peak_bytes is None else drain.peak_bytes / 1e6 for drain in drains]),
    )
