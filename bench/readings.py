"""CPU time and peak memory of running processes, from /proc; where there is none (macOS), nothing is known."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psycopg

from bench.lab import Lab

SAMPLE_SECONDS = 0.02
_UTIME_FIELD = 11
"""Of /proc/PID/stat, counted from behind the command's name; stime follows it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """None where it is not known."""

    cpu_seconds: float | None = None
    """User and system, of all threads."""
    peak_bytes: int | None = None
    """The largest resident size so far (VmHWM)."""


def read_process(pid: int) -> Reading | None:
    """None where the process is gone, or where its end has not been waited for yet."""
    directory = Path(f"/proc/{pid}")
    try:
        counters = (directory / "stat").read_text().rpartition(")")[2].split()
        peaks = [line.split()[1] for line in (directory / "status").read_text().splitlines() if line[:6] == "VmHWM:"]
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not peaks:
        return None
    ticks = int(counters[_UTIME_FIELD]) + int(counters[_UTIME_FIELD + 1])
    return Reading(ticks / os.sysconf("SC_CLK_TCK"), int(peaks[0]) * 1024)


@dataclass
class Sampler:
    """Reads the client and the walsender of its slot until the `with` ends: the last reading of each holds."""

    lab: Lab
    client_pid: int
    slot: str
    client: Reading = Reading()
    walsender: Reading = Reading()
    nats_cpu_seconds: float | None = None
    """Of nats-server, within the `with`."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Sampler:
        self._nats_before = read_process(self.lab.nats.pid)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        walsender_pid = None
        with psycopg.connect(self.lab.dsn, autocommit=True) as connection:
            while not self._stop.wait(SAMPLE_SECONDS):
                self.client = read_process(self.client_pid) or self.client
                if walsender_pid is not None:
                    self.walsender = read_process(walsender_pid) or self.walsender
                    continue
                row = connection.execute(
                    "select active_pid from pg_replication_slots where slot_name = %s", [self.slot]
                ).fetchone()
                walsender_pid = row[0] if row else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        after = read_process(self.lab.nats.pid)
        if self._nats_before and after and after.cpu_seconds is not None and self._nats_before.cpu_seconds is not None:
            self.nats_cpu_seconds = after.cpu_seconds - self._nats_before.cpu_seconds
