"""Debezium's engine: what it decodes and converts alone, and with a handler that publishes to JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nats.js.api import StorageType

from bench.backlog import Backlog, fresh_slot
from bench.debezium import DebeziumProcess, Target
from bench.jetstream import StreamState, connected, delete_stream, read_stream_state
from bench.lab import Lab
from bench.peers.arrivals import Arrivals
from bench.peers.peer import Drain
from bench.readings import Sampler

SLOT = "bench_debezium"
STREAM = "BENCH_DEBEZIUM"
SUBJECT_PREFIX = "bench_debezium"


class DebeziumNowhere:
    """A peer. It makes the JSON of each event, counts it and drops it."""

    name = "Debezium engine, nowhere"

    def drain(self, lab: Lab, backlog: Backlog) -> Drain:
        """See Peer."""
        return asyncio.run(_drain(self.name, lab, backlog, None, None))


class DebeziumJetStream:
    """A peer. A stream in a file, and every event acknowledged before the engine goes on behind its batch."""

    name = "Debezium engine, JetStream"

    def drain(self, lab: Lab, backlog: Backlog) -> Drain:
        """See Peer."""
        return asyncio.run(self._drain(lab, backlog))

    async def _drain(self, lab: Lab, backlog: Backlog) -> Drain:
        async with connected(lab.nats.url) as client:
            await client.jetstream().add_stream(name=STREAM, subjects=[f"{SUBJECT_PREFIX}.>"], storage=StorageType.FILE)
            try:
                target = Target(lab.nats.url, SUBJECT_PREFIX)
                return await _drain(self.name, lab, backlog, target, lambda: read_stream_state(client, STREAM))
            finally:
                # An interrupted benchmark can ask the server nothing any more; it goes with all that it holds.
                if (task := asyncio.current_task()) and not task.cancelling():
                    await delete_stream(client, STREAM)


async def _drain(
    name: str, lab: Lab, backlog: Backlog, target: Target | None, read: Callable[[], Awaitable[StreamState]] | None
) -> Drain:
    """Without `read`, the handler's own count tells what arrived."""
    with (
        fresh_slot(lab, SLOT),
        DebeziumProcess(lab, SLOT, target) as process,
        Sampler(lab, process.pid, SLOT) as sampler,
    ):
        arrivals = Arrivals(process, backlog.events)
        await arrivals.until_all(read or process.read_progress)
    return arrivals.drain(name, process.started_at, sampler)
