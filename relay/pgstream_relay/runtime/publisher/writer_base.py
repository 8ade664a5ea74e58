"""What every writer is: counts of what was sent and acknowledged, one failure, one wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Final

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsError, NatsPermissionDenied, PublishInterrupted
from pgstream_relay.runtime.publisher.interruption import interrupted_by_connection, interrupted_by_timeout

ACKNOWLEDGE_TIMEOUT_SECONDS: Final = 10.0
"""Without any progress. An election of a stream's leader takes 1 to 4 s."""
CHUNK_EVENTS_MAX: Final = 50
CHUNK_BYTES_MAX: Final = 256 * 1024
IN_FLIGHT_BYTES_MAX: Final = 16 * 1024 * 1024
"""A server refuses more than 128 MB that wait for one stream."""
IN_FLIGHT_EVENTS_MAX: Final = 4000
"""A server refuses more than 10,000 messages that wait for one stream."""


class WriterBase:
    """The part that is the same for all. One task may publish or settle at a time."""

    def __init__(self, connection: NatsConnection, name: str) -> None:
        self.name = name
        self.sent = 0
        self.acknowledged = 0
        self.failure: PublishInterrupted | None = None
        self._connection = connection
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        connection.add_listener(self._connection_failed)

    @property
    def last_sequence(self) -> int:
        """See StreamWriter."""
        return 0

    @property
    def in_flight_bytes(self) -> int:
        """See StreamWriter."""
        return self._in_flight_bytes

    async def close(self) -> None:
        self._connection.remove_listener(self._connection_failed)
        if self.failure is None:
            self._fail(PublishInterrupted(f"the writer of {self.name} was closed", reason="lost"))

    async def _send(self, frames: bytes, count: int) -> None:
        """Writes the frames of `count` more events."""
        self.sent += count
        self._in_flight.append((self.sent, len(frames)))
        self._in_flight_bytes += len(frames)
        try:
            await self._connection.write(frames)
        except NatsError as error:
            raise self._fail(interrupted_by_connection(error)) from error

    def _advance(self, acknowledged: int) -> None:
        """Everything up to the event of that number is stored."""
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= acknowledged:
            self._in_flight_bytes -= in_flight.popleft()[1]
        self.acknowledged = acknowledged
        self._wake()

    def _fail(self, failure: PublishInterrupted) -> PublishInterrupted:
        """The first failure holds."""
        if self.failure is None:
            self.failure = failure
            self._wake()
        return self.failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Raises the failure, also one that comes while nothing is acknowledged for too long."""
        loop = asyncio.get_running_loop()
        progress, since = self.acknowledged, loop.time()
        while not condition():
            if self.failure is not None:
                raise self.failure
            if self.acknowledged != progress:
                progress, since = self.acknowledged, loop.time()
            self._waiter = loop.create_future()
            try:
                async with asyncio.timeout_at(since + ACKNOWLEDGE_TIMEOUT_SECONDS):
                    await self._waiter
            except TimeoutError:
                raise self._fail(interrupted_by_timeout(self.name, ACKNOWLEDGE_TIMEOUT_SECONDS)) from None
            finally:
                self._waiter = None
        if self.failure is not None:
            raise self.failure

    def _connection_failed(self, error: NatsError) -> None:
        if isinstance(error, NatsPermissionDenied) and (
            self.sent == self.acknowledged or error.subject.startswith("$js.")
        ):
            return  # it concerns somebody else on this connection
        self._fail(interrupted_by_connection(error))


def chunks(events: Sequence[EncodedEvent], start: int = 0) -> Iterator[Sequence[EncodedEvent]]:
    """In order, none too many or too large to be joined into one write."""
    total = len(events)
    if total and max(map(len, map(itemgetter(2), events))) * CHUNK_EVENTS_MAX <= CHUNK_BYTES_MAX:
        for position in range(start, total, CHUNK_EVENTS_MAX):
            yield events[position : position + CHUNK_EVENTS_MAX]
        return
    while start < total:
        end, size = start, 0
        limit = min(total, start + CHUNK_EVENTS_MAX)
        while end < limit:
            size += len(events[end][2])
            if size > CHUNK_BYTES_MAX and end > start:
                break
            end += 1
        yield events[start:end]
        start = end
