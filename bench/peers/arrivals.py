"""Follows events as they arrive, with the CPU time that their sender has used by then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from bench.errors import BenchError
from bench.jetstream import StreamState
from bench.peers.peer import Drain, per_event_us
from bench.readings import Reading, Sampler, read_process

POLL_SECONDS = 0.05
STALL_SECONDS = 300.0
"""Without a new message: then something is broken, and no result will come."""


class Sender(Protocol):
    """A running process."""

    @property
    def pid(self) -> int: ...

    def require_alive(self) -> None:
        """Raises BenchError with the log."""


class Sight(NamedTuple):
    """What had arrived, and what the sender had used for it."""

    state: StreamState = StreamState()
    reading: Reading = Reading()

    def cpu_us_per_event(self, until: Sight) -> float | None:
        """From here to there."""
        first, last = self.reading.cpu_seconds, until.reading.cpu_seconds
        if first is None or last is None:
            return None
        return per_event_us(last - first, until.state.messages - self.state.messages)

    def events_per_second(self, until: Sight) -> float | None:
        """From here to there, by the arrivals' own clock."""
        seconds = until.state.last_time - self.state.last_time
        return (until.state.messages - self.state.messages) / seconds if seconds > 0 else None


class Arrivals:
    """CPU counts from the first sight of a message. The times are the messages' own, so polling can be slow."""

    def __init__(self, sender: Sender, events: int) -> None:
        self._sender = sender
        self._events = events
        self._progress_at = time.monotonic()
        self.first = self.half = self.last = Sight()

    async def until_all(self, read: Callable[[], Awaitable[StreamState]]) -> None:
        """Raises BenchError where they can't all arrive any more, and where more do."""
        while True:
            if self._observe(await read()):
                return
            await asyncio.sleep(POLL_SECONDS)

    def _observe(self, state: StreamState) -> bool:
        """Whether all events are there."""
        if state.messages > self.last.state.messages:
            self._progress_at = time.monotonic()
            self.last = Sight(state, read_process(self._sender.pid) or Reading())
            self.first = self.first if self.first.state.messages else self.last
            self.half = self.half if self.half.state.messages >= self._events / 2 else self.last
        elif time.monotonic() - self._progress_at > STALL_SECONDS:
            raise BenchError(f"there stay {state.messages} messages of {self._events}")
        if state.messages > self._events or state.last_sequence > self._events:
            raise BenchError(f"{state.messages} messages up to sequence {state.last_sequence} of {self._events} events")
        if state.messages == self._events:
            return True
        self._sender.require_alive()
        return False

    def drain(self, peer: str, started_at: float, sampler: Sampler) -> Drain:
        """The result, when all are there. `started_at` is in Unix seconds."""
        first, half, last = self.first, self.half, self.last
        return Drain(
            peer,
            self._events,
            last.state.last_time - started_at,
            last.state.last_time - last.state.first_time,
            cpu_us_per_event=first.cpu_us_per_event(last),
            start_cpu_seconds=first.reading.cpu_seconds,
            walsender_us_per_event=per_event_us(sampler.walsender.cpu_seconds, self._events),
            nats_us_per_event=per_event_us(sampler.nats_cpu_seconds, self._events),
            peak_bytes=last.reading.peak_bytes,
            late_events_per_second=half.events_per_second(last),
            late_cpu_us_per_event=half.cpu_us_per_event(last),
        )
