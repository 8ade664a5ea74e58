"""What a peer does, and what is read off while it does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.backlog import Backlog
from bench.lab import Lab


@dataclass(frozen=True, slots=True)
class Drain:
    """One drain of the whole backlog. CPU is user and system time; None where it can't be known."""

    peer: str
    events: int
    seconds: float
    """From the start of the process to the last event."""
    streaming_seconds: float | None = None
    """From the first event to the last, where somebody sees them arrive."""
    cpu_us_per_event: float | None = None
    """Of the peer itself, without its start."""
    start_cpu_seconds: float | None = None
    """Of the peer itself until its first events had arrived."""
    walsender_us_per_event: float | None = None
    nats_us_per_event: float | None = None
    peak_bytes: int | None = None
    """Largest resident size of the peer."""
    late_events_per_second: float | None = None
    """Of the second half of the backlog: a JVM has compiled what it runs by then."""
    late_cpu_us_per_event: float | None = None
    """Of the peer itself, in the second half."""

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def streaming_events_per_second(self) -> float:
        return self.events / (self.streaming_seconds or self.seconds)


class Peer(Protocol):
    """Every peer reads the same WAL over the same kind of connection, and starts from nothing each time."""

    @property
    def name(self) -> str: ...

    def drain(self, lab: Lab, backlog: Backlog) -> Drain:
        """Starts the peer, lets it drain the backlog, stops it, and removes what it left. Raises BenchError."""


def per_event_us(cpu_seconds: float | None, events: int) -> float | None:
    """CPU time for each event in µs."""
    return None if cpu_seconds is None or not events else cpu_seconds / events * 1e6
