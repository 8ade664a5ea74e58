"""Ephemeral events: plain NATS, in order. Acknowledged means that the server has read them (a PONG came back)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsError
from pgstream_relay.runtime.publisher.frames import check_sizes, plain_frames
from pgstream_relay.runtime.publisher.interruption import interrupted_by_connection
from pgstream_relay.runtime.publisher.writer_base import IN_FLIGHT_BYTES_MAX, WriterBase, chunks


class PlainWriter(WriterBase):
    """Needs no opening. A subject that the server refuses ends it, as with the other writers."""

    def __init__(self, connection: NatsConnection, name: str = "plain NATS") -> None:
        super().__init__(connection, name)
        self._pinged = False

    async def publish(self, events: Sequence[EncodedEvent]) -> None:
        """See StreamWriter. Raises FrameTooLarge before anything is sent."""
        check_sizes(events, max_payload=self._connection.max_payload, reply_bytes=0)
        for chunk in chunks(events):
            await self._wait_until(lambda: self._in_flight_bytes < IN_FLIGHT_BYTES_MAX)
            await self._send(plain_frames(chunk), len(chunk))
            self._ping()

    async def settle(self) -> None:
        """See StreamWriter."""
        self._ping()
        await self._wait_until(lambda: self.acknowledged == self.sent)

    def _ping(self) -> None:
        """One PING is under way at a time while anything is unacknowledged."""
        if self._pinged or self.sent == self.acknowledged or self.failure is not None:
            return
        try:
            pong = self._connection.ping()
        except NatsError as error:
            self._fail(interrupted_by_connection(error))
            return
        self._pinged = True
        pong.add_done_callback(partial(self._ponged, self.sent))

    def _ponged(self, number: int, pong: asyncio.Future[bool]) -> None:
        self._pinged = False
        if self.failure is None and not pong.cancelled():
            self._advance(number)
            self._ping()
