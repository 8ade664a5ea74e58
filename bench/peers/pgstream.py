"""The relay of this project: from the slot into a JetStream stream in a file."""

from __future__ import annotations

import asyncio

from bench.backlog import Backlog, fresh_slot
from bench.jetstream import connected, delete_stream, read_stream_state
from bench.lab import Lab
from bench.peers.arrivals import Arrivals
from bench.peers.peer import Drain
from bench.readings import Sampler
from bench.relay import RelayProcess


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
                    arrivals = Arrivals(relay, backlog.events)
                    await arrivals.until_all(lambda: read_stream_state(client, stream))
            await delete_stream(client, stream)
        return arrivals.drain(self.name, relay.started_at, sampler)
