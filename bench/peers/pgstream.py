"""The relay of this project: from the slot into a JetStream stream in a file."""

from __future__ import annotations

import asyncio
import time

from nats.aio.client import Client

from bench.backlog import Backlog, fresh_slot
from bench.errors import BenchError
from bench.jetstream import StreamState, connected, delete_stream, read_stream_state
from bench.lab import Lab
from bench.peers.peer import Drain, per_event_us
from bench.readings import Reading, Sampler, read_process
from bench.relay import RelayProcess

POLL_SECONDS = 0.05
STALL_SECONDS = 300.0
"""Without a new message: then something is broken, and no result will come."""


class Pgstream:
    """A peer. The times are those that JetStream gave the first and the last message, so polling can be slow."""

    name = "pgstream-relay"

    def drain(self, lab: Lab, backlog: Backlog) -> Drain:
        """See Peer."""
        return asyncio.run(self._drain(lab, backlog))

    async def _drain(self, lab: Lab, backlog: Backlog) -> Drain:
        slot, stream = lab.slot_name, lab.stream
        async with connected(lab.nats.url) as client:
            with fresh_slot(lab, slot):
                # What a former drain told about the stream, which is gone since.
                lab.connection.execute("delete from pgstream.relay_positions")
                with RelayProcess(lab) as relay, Sampler(lab, relay.pid, slot) as sampler:
                    watch = _Watch(relay, backlog.events)
                    await watch.until_all_arrived(client, stream)
            await delete_stream(client, stream)
        return Drain(
            self.name,
            backlog.events,
            watch.last.last_time - relay.started_at,
            watch.last.last_time - watch.last.first_time,
            cpu_us_per_event=watch.cpu_us_per_event,
            start_cpu_seconds=watch.first_reading.cpu_seconds,
            walsender_us_per_event=per_event_us(sampler.walsender.cpu_seconds, backlog.events),
            nats_us_per_event=per_event_us(sampler.nats_cpu_seconds, backlog.events),
            peak_bytes=watch.last_reading.peak_bytes,
        )


class _Watch:
    """Follows the stream until it holds all events. CPU counts from the first sight of a message."""

    def __init__(self, relay: RelayProcess, events: int) -> None:
        self._relay = relay
        self._events = events
        self._progress_at = time.monotonic()
        self.first = self.last = StreamState()
        self.first_reading = self.last_reading = Reading()

    async def until_all_arrived(self, client: Client, stream: str) -> None:
        """Raises BenchError where they can't any more."""
        while True:
            if self._observe(await read_stream_state(client, stream)):
                return
            await asyncio.sleep(POLL_SECONDS)

    def _observe(self, state: StreamState) -> bool:
        """Whether all events are there."""
        self._relay.require_alive()
        if state.messages > self.last.messages:
            self._progress_at = time.monotonic()
            self.last_reading = read_process(self._relay.pid) or Reading()
            if not self.first.messages:
                self.first, self.first_reading = state, self.last_reading
        elif time.monotonic() - self._progress_at > STALL_SECONDS:
            raise BenchError(f"the stream stays at {state.messages} messages of {self._events}")
        self.last = state
        if state.messages > self._events or state.last_sequence > self._events:
            raise BenchError(f"{state.messages} messages up to sequence {state.last_sequence} of {self._events} events")
        return state.messages == self._events

    @property
    def cpu_us_per_event(self) -> float | None:
        first, last = self.first_reading.cpu_seconds, self.last_reading.cpu_seconds
        if first is None or last is None:
            return None
        return per_event_us(last - first, self.last.messages - self.first.messages)
