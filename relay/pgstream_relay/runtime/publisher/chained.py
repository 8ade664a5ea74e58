"""Single publishes in a chain, for nats-server 2.11 to 2.13: each expects its predecessor by sequence and by id.

JetStream stores a message only right behind its predecessor, so what is stored is a prefix, a second writer is
refused, and one acknowledgement (of the last message of a chunk) speaks for all before it. The expected sequence
alone is no chain: where a foreign message takes the place of an event, that event is refused, but the count fits the
next one again, which is stored, and the stream has a hole. The expected id must not be used from 2.14 on, where one
that does not match freezes a replicated stream for good; there the writer sends one event at a time (fast ingest is
what makes those servers fast).

A writer begins with care: event by event, until one is stored. Only then can JetStream be told that an event is a
duplicate without breaking the chain behind it, and only then is it certain what that means. The mark was just read
and does not show the event; if its sequence is not beyond the mark's end, the event was stored and then deleted, and
JetStream will refuse its id until its window ends: it counts as acknowledged. Without this a purged stream would
make the relay read, send and fail for ever. A duplicate later on ends the writer, so the next one begins with care.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from nats.aio.msg import Msg

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsError, PublishInterrupted
from pgstream_relay.runtime.publisher.frames import chained_frames, check_sizes, event_id, single_frame
from pgstream_relay.runtime.publisher.interruption import (
    interrupted_by_answer,
    interrupted_by_connection,
    interrupted_by_duplicate,
    interrupted_by_silence,
)
from pgstream_relay.runtime.publisher.writer_base import (
    IN_FLIGHT_BYTES_MAX,
    IN_FLIGHT_EVENTS_MAX,
    WriterBase,
    chunks,
)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class ChainedWriter(WriterBase):
    """Opened with `await writer.open()`. `last_sequence` is the stream's, read together with its mark.

    `pipelined` false: one event is under way at a time.
    """

    def __init__(self, connection: NatsConnection, stream: str, last_sequence: int, *, pipelined: bool) -> None:
        super().__init__(connection, stream)
        self._pipelined = pipelined
        self.duplicates = 0
        """Events that JetStream had met before and that are gone from the stream: acknowledged, not stored again."""
        # An event's predicted sequence is its number plus this.
        self._offset = last_sequence
        self._proven = False
        self._last_id = b""
        self._inbox = connection.new_inbox()
        self._single_reply = f"{self._inbox}.single"
        self._single_reply_bytes = self._single_reply.encode()
        self._lock = asyncio.Lock()
        self._subscription: Any = None

    @property
    def last_sequence(self) -> int:
        """See StreamWriter."""
        return self.acknowledged + self._offset

    async def open(self) -> None:
        """Raises PublishInterrupted."""
        try:
            self._subscription = await self._connection.subscribe(f"{self._inbox}.>", self._receive)
        except NatsError as error:
            raise self._fail(interrupted_by_connection(error)) from error

    async def publish(self, events: Sequence[EncodedEvent]) -> None:
        """See StreamWriter. Raises FrameTooLarge before anything is sent."""
        self._check(events)
        async with self._lock:
            await self._publish_singles(events)

    async def settle(self) -> None:
        """See StreamWriter."""
        async with self._lock:
            await self._settled()

    async def close(self) -> None:
        await super().close()
        if self._subscription is not None and self._connection.failure is None:
            subscription, self._subscription = self._subscription, None
            try:
                await subscription.unsubscribe()
            except Exception as error:  # nats-py raises many kinds here, and the inbox is ours alone
                self._fail(PublishInterrupted(str(error), reason="lost"))

    def _check(self, events: Sequence[EncodedEvent]) -> None:
        check_sizes(events, max_payload=self._connection.max_payload, reply_bytes=len(self._inbox) + 64)

    async def _settled(self) -> None:
        await self._wait_until(lambda: self.acknowledged == self.sent)

    async def _publish_singles(self, events: Sequence[EncodedEvent]) -> None:
        position = 0
        while position < len(events) and not (self._pipelined and self._proven):
            await self._publish_single(events[position])
            position += 1
        for chunk in chunks(events, position):
            await self._wait_until(self._has_room)
            frames = chained_frames(chunk, self.sent + self._offset, self._last_id, self._single_reply_bytes)
            self._last_id = event_id(chunk[-1][1])
            await self._send(frames, len(chunk))

    async def _publish_single(self, event: EncodedEvent) -> None:
        """One event, when everything before it is acknowledged; waits for its answer only while beginning with care."""
        await self._settled()
        self._last_id = event_id(event[1])
        await self._send(single_frame(event, self.sent + self._offset, self._single_reply_bytes), 1)
        if not self._proven:
            await self._settled()

    def _has_room(self) -> bool:
        return self.sent - self.acknowledged < IN_FLIGHT_EVENTS_MAX and self._in_flight_bytes < IN_FLIGHT_BYTES_MAX

    async def _receive(self, message: Msg) -> None:
        if message.subject == self._single_reply:
            answer = self._read_answer(message)
            if answer is not None:
                self._single_answered(answer)

    def _read_answer(self, message: Msg) -> dict[str, Any] | None:
        """None after an answer that ends the writer by itself."""
        if not message.data:
            self._fail(interrupted_by_silence(self.name))
            return None
        try:
            return _decode(message.data)
        except msgspec.DecodeError:
            self._fail(PublishInterrupted(f"NATS answered no JSON for stream {self.name}", reason="refused"))
            return None

    def _single_answered(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self._fail(interrupted_by_answer(self.name, answer["error"]))
            return
        sequence = int(answer["seq"])
        if answer.get("duplicate"):
            self._duplicate(sequence)
            return
        number = sequence - self._offset
        if not self.acknowledged < number <= self.sent:
            self._fail(
                PublishInterrupted(
                    f"stream {self.name} stored an event as {sequence}, between {self.acknowledged + self._offset + 1} "
                    f"and {self.sent + self._offset} was expected",
                    reason="fenced",
                )
            )
            return
        self._proven = True
        self._advance(number)

    def _duplicate(self, sequence: int) -> None:
        # Beyond the end that we read, the event was stored after we had read it: a predecessor is still there.
        if self._proven or sequence > self.acknowledged + self._offset:
            self._fail(interrupted_by_duplicate(self.name))
            return
        self.duplicates += 1
        self._offset -= 1
        self._advance(self.sent)
