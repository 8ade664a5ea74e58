"""Figures as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from statistics import median

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
    return line


def drain_table(rounds: Sequence[Sequence[Drain]], limit: str) -> str:
    """Medians over the rounds, a line a peer. Ratios are taken within a round, then their median."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for drains in zip(*rounds, strict=True):
        limits = [drain for done in rounds for drain in done if drain.peer == limit]
        rows.append(_medians(drains, limits))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in ([*zip(row, widths, strict=True)] for row in rows)
    ]
    return "\n".join(["", *lines, ""])


def _medians(drains: Sequence[Drain], limits: Sequence[Drain]) -> tuple[str, ...]:
    pairs = list(zip(drains, limits, strict=True))
    streams = any(drain.streaming_seconds is not None for drain in drains)
    return (
        drains[0].peer,
        _format(".2f", [drain.seconds for drain in drains]),
        _format(",.0f", [drain.events_per_second for drain in drains]),
        _format(".2f", [drain.events_per_second / limit.events_per_second for drain, limit in pairs]),
        _format(".2f", [drain.streaming_seconds for drain in drains]),
        _format(".2f", [drain.streaming_events_per_second / limit.events_per_second for drain, limit in pairs])
        if streams
        else "-",
        _format(".1f", [drain.cpu_us_per_event for drain in drains]),
        _format(".2f", [drain.start_cpu_seconds for drain in drains]),
        _format(".1f", [drain.walsender_us_per_event for drain in drains]),
        _format(".1f", [drain.nats_us_per_event for drain in drains]),
        _format(".0f", [None if drain.peak_bytes is None else drain.peak_bytes / 1e6 for drain in drains]),
    )


def _format(specification: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return format(median(known), specification) if known else "-"
