"""The writer of a stream, and which kind a stream gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.publisher.chained import ChainedWriter
from pgstream_relay.runtime.publisher.fast_ingest import FastIngestWriter
from pgstream_relay.runtime.publisher.stream_info import FAST_INGEST_VERSION, StreamInfo


class StreamWriter(Protocol):
    """One for each JetStream stream, and one for plain NATS. In order, never a hole."""

    name: str
    sent: int
    """Events handed over since the writer was opened."""
    acknowledged: int
    """Of those, how many are stored: always a prefix."""

    @property
    def last_sequence(self) -> int:
        """Of the stream, behind the last event that is acknowledged; 0 of plain NATS."""

    @property
    def in_flight_bytes(self) -> int:
        """Of the frames that were sent and are not acknowledged, as NATS counts them."""

    async def publish(self, events: Sequence[EncodedEvent]) -> None:
        """Returns when there is room for more. Raises PublishInterrupted; the writer is dead then.

        Cancelled half-way it has sent some of them; close it then, as after a failure.
        """

    async def settle(self) -> None:
        """Returns when `acknowledged` equals `sent`. Raises PublishInterrupted."""

    async def close(self) -> None:
        """Lets go of everything, waits for nothing. Safe at any time."""


async def open_writer(connection: NatsConnection, info: StreamInfo, last_sequence: int) -> StreamWriter:
    """A writer whose first event expects `last_sequence`, which was read together with the stream's mark.

    A stream on nats-server 2.14 or newer without `allow_batched` (pgstream does not keep it) gets one that sends one
    event at a time. Raises PublishInterrupted.
    """
    modern = connection.server_version >= FAST_INGEST_VERSION
    writer = (
        FastIngestWriter(connection, info.name, last_sequence)
        if modern and info.allow_batched
        else ChainedWriter(connection, info.name, last_sequence, pipelined=not modern)
    )
    await writer.open()
    return writer
