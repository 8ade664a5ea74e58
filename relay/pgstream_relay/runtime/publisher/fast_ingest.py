"""Fast-ingest batches (nats-server 2.14 and newer, stream with `allow_batched`), in gap mode `fail`.

A batch is a run of frames that the server acknowledges now and then; the first one that it can't store (a gap, a
sequence other than expected, a full stream) ends the batch, and nothing behind it is stored. All control stands in
the reply subject: `<inbox>.<batch>.<flow>.fail.<sequence in the batch>.<operation>.$FI`, with operation 0 to start,
1 to append, 3 to end. A body without `type` ends the batch: its count must be ours then.

A batch stays open while events keep coming, `settle` ends it; the server drops one that is silent for 10 s, so it is
ended before. One event alone goes as a single publish: one round trip, and no batch to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from nats.aio.msg import Msg

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import NatsError, PublishInterrupted
from pgstream_relay.runtime.publisher.chained import ChainedWriter
from pgstream_relay.runtime.publisher.frames import batch_frames, end_of_batch
from pgstream_relay.runtime.publisher.interruption import (
    interrupted_by_answer,
    interrupted_by_connection,
    interrupted_by_duplicate,
)
from pgstream_relay.runtime.publisher.writer_base import IN_FLIGHT_BYTES_MAX, chunks

FLOW: Final = 500
"""Events that we would have one acknowledgement for; the server may choose fewer, never more."""
OUTSTANDING_ACKNOWLEDGEMENTS_MAX: Final = 2
IDLE_SECONDS_MAX: Final = 2.0
"""The server's own limit is 10."""


class _Batch:
    """One batch: `sent` and `acknowledged` count its own events."""

    def __init__(self, inbox: str, number: int, sent_before: int) -> None:
        # The server knows a batch by the token before the flow, alone, so that must be unique by itself.
        self.prefix = f"{inbox}.{inbox.rpartition('.')[2]}{number}.{FLOW}.fail."
        self.prefix_bytes = self.prefix.encode()
        self.sent_before = sent_before
        self.sent = 0
        self.every = FLOW
        self.accepted = False
        self.ending = False
        self.error: dict[str, Any] | None = None
        self.subject = b""


class FastIngestWriter(ChainedWriter):
    """Opened with `await writer.open()`, as its parent, whose single publishes it uses one at a time."""

    def __init__(self, connection: NatsConnection, stream: str, last_sequence: int) -> None:
        super().__init__(connection, stream, last_sequence, pipelined=False)
        self._batch: _Batch | None = None
        self._batches = 0
        self._spoken = False
        self._supported = True
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_task: asyncio.Task[None] | None = None

    async def publish(self, events: Sequence[EncodedEvent]) -> None:
        """See StreamWriter. Raises FrameTooLarge before anything is sent."""
        self._check(events)
        async with self._lock:
            start = 0
            while start < len(events) and not self._proven:
                await self._publish_single(events[start])
                start += 1
            if self._batch is None and (not self._supported or len(events) - start == 1):
                await self._publish_singles(events[start:])
                return
            for chunk in chunks(events, start):
                await self._publish_chunk(chunk)

    async def settle(self) -> None:
        """See StreamWriter. Ends the open batch, which has everything acknowledged."""
        async with self._lock:
            await self._end_batch()
            await self._settled()

    async def close(self) -> None:
        self._stop_idle_timer()
        if self._idle_task is not None:
            self._idle_task.cancel()
        await super().close()

    async def _publish_chunk(self, events: Sequence[EncodedEvent]) -> None:
        if self._in_flight_bytes > IN_FLIGHT_BYTES_MAX:
            # Large events: the next acknowledgement by count would come too late.
            await self._end_batch()
        batch = self._batch
        if batch is None:
            events = await self._start_batch(events)
            batch = self._batch
            if batch is None:
                await self._publish_singles(events)
                return
        await self._wait_until(lambda: self._batch_has_room(batch))
        if events:
            await self._append(batch, events)

    async def _start_batch(self, events: Sequence[EncodedEvent]) -> Sequence[EncodedEvent]:
        """The events that are left to send. No batch is open then where the stream's leader has no fast ingest."""
        await self._settled()
        self._batches += 1
        batch = self._batch = _Batch(self._inbox, self._batches, self.sent)
        self._idle_timer = asyncio.get_running_loop().call_later(IDLE_SECONDS_MAX, self._on_idle, batch, 0)
        if self._spoken:
            return events
        # An older leader (a cluster that is being upgraded) would take the frames for single publishes.
        await self._append(batch, events[:1])
        await self._wait_until(lambda: batch.accepted or not self._supported)
        return events[1:]

    def _batch_has_room(self, batch: _Batch) -> bool:
        acknowledged = self.acknowledged - batch.sent_before
        return acknowledged + batch.every * OUTSTANDING_ACKNOWLEDGEMENTS_MAX > batch.sent

    async def _append(self, batch: _Batch, events: Sequence[EncodedEvent]) -> None:
        frames = batch_frames(
            events, self.sent + self._offset, batch.prefix_bytes, batch.sent + 1, start=batch.sent == 0
        )
        batch.sent += len(events)
        batch.subject = events[-1][0]
        await self._send(frames, len(events))

    async def _end_batch(self) -> None:
        batch = self._batch
        if batch is None:
            return
        if self.failure is None and not batch.ending:
            batch.ending = True
            self._stop_idle_timer()
            try:
                await self._connection.write(end_of_batch(batch.subject, batch.prefix_bytes, batch.sent + 1))
            except NatsError as error:
                raise self._fail(interrupted_by_connection(error)) from error
        await self._wait_until(lambda: self._batch is not batch)

    # ---- answers

    async def _receive(self, message: Msg) -> None:
        batch = self._batch
        if message.subject == self._single_reply:
            await super()._receive(message)
        elif batch is not None and message.subject.startswith(batch.prefix):
            answer = self._read_answer(message)
            if answer is not None:
                self._batch_answered(batch, answer)

    def _batch_answered(self, batch: _Batch, answer: dict[str, Any]) -> None:
        kind = answer.get("type")
        if kind == "ack":
            batch.accepted = self._spoken = True
            batch.every = max(1, int(answer["msgs"]))
            number = batch.sent_before + int(answer["seq"])
            if number > self.sent:
                self._fail(PublishInterrupted(f"stream {self.name} acknowledged what was not sent", reason="refused"))
            elif number > self.acknowledged:
                self._advance(number)
            else:
                self._wake()
        elif kind == "err":
            batch.error = answer.get("error")
        elif kind is None:
            self._batch_ended(batch, answer)

    def _batch_ended(self, batch: _Batch, answer: dict[str, Any]) -> None:
        error = answer.get("error") or batch.error
        if error is not None:
            self._fail(interrupted_by_answer(self.name, error))
        elif "batch" not in answer:
            self._not_spoken(answer)
        elif answer.get("count") != batch.sent or not batch.ending:
            self._fail(
                PublishInterrupted(
                    f"stream {self.name} ended a batch after {answer.get('count')} of {batch.sent} events",
                    reason="expired",
                    hint="nothing to do: the relay asks the stream where it stands and goes on from there",
                )
            )
        elif answer.get("seq") != self.sent + self._offset:
            self._fail(interrupted_by_duplicate(self.name))
        else:
            self._batch = None
            self._advance(self.sent)

    def _not_spoken(self, answer: dict[str, Any]) -> None:
        """The first frame of the first batch was stored as a single publish."""
        if self._spoken:
            self._fail(PublishInterrupted(f"stream {self.name} takes no batches any more", reason="refused"))
            return
        self._supported = False
        self._stop_idle_timer()
        self._batch = None
        self._single_answered(answer)

    # ---- idleness

    def _on_idle(self, batch: _Batch, sent_then: int) -> None:
        if self._batch is not batch or self.failure is not None:
            return
        if batch.sent != sent_then:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(IDLE_SECONDS_MAX, self._on_idle, batch, batch.sent)
            return
        self._idle_task = asyncio.get_running_loop().create_task(self._end_idle_batch(batch))

    async def _end_idle_batch(self, batch: _Batch) -> None:
        try:
            async with self._lock:
                if self._batch is batch:
                    await self._end_batch()
        except PublishInterrupted as failure:
            self._fail(failure)  # told to whoever publishes or settles next

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
