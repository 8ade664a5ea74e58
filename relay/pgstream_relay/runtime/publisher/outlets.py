"""Where a session's events go: plain NATS and the JetStream streams, each with the ledger's number for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pgstream_relay.control.streams import StreamNeed
from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.event.oversize import StoreObject
from pgstream_relay.pipeline import Mark
from pgstream_relay.progress import EPHEMERAL, Ledger
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import SUBJECTS_OVERLAP, JetStreamRefused, PublishInterrupted, StreamUnsuitable
from pgstream_relay.runtime.publisher import mark as stream_mark
from pgstream_relay.runtime.publisher.adoption import adopt_stream
from pgstream_relay.runtime.publisher.desired_stream import DesiredStream
from pgstream_relay.runtime.publisher.frames import FrameTooLarge
from pgstream_relay.runtime.publisher.object_store import store_object
from pgstream_relay.runtime.publisher.plain import PlainWriter
from pgstream_relay.runtime.publisher.stream_info import StreamInfo
from pgstream_relay.runtime.publisher.streams import ensure_stream, release_subjects
from pgstream_relay.runtime.publisher.writer import StreamWriter, open_writer
from pgstream_relay.source import Source

SUBJECT_BYTES_MAX: Final = 3500
"""What is left of a protocol line of 4096 bytes for a subject with its operation."""
END_OF_TRANSACTION: Final = sys.maxsize


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stream stood when the session began to use it."""

    stream: str
    created: str
    last_sequence: int
    mark: Mark | None


class Outlets:
    """`targets` by stream name and `marks` by target are what `Pipeline.set_targets` takes.

    Every method raises NatsError; after it the outlets are of no use any more.
    """

    def __init__(self, connection: NatsConnection, source: Source) -> None:
        self.targets: dict[str, int] = {}
        self.marks: dict[int, Mark] = {}
        self.standings: dict[str, Standing] = {}
        self.refused: str | None = None
        """The stream that the last `align` failed at."""
        self._connection = connection
        self._source = source
        self._writers: dict[int, StreamWriter] = {EPHEMERAL: PlainWriter(connection)}
        self._aligned: dict[str, StreamNeed] = {}
        self._streams: dict[str, StreamInfo] = {}

    async def align(self, needs: Mapping[str, StreamNeed], ledger: Ledger) -> None:
        """Makes the streams so; opens a writer for each that is new, from where the stream stands.

        What was published before is acknowledged first: a subject that leaves a stream must not take events with it.
        """
        changed = [need for name, need in needs.items() if self._aligned.get(name) != need]
        if self._aligned and (changed or self._aligned.keys() != needs.keys()):
            await self.settle()
        gone = [
            StreamNeed(name, (), need.kept)
            for name, need in self._aligned.items()
            if name not in needs and need.kept is not None
        ]
        for need in await self._ensure_all((*gone, *changed)):
            # A subject that moves is free only once its former stream has given it up.
            await self._ensure(need)
        for need in changed:
            await self._open(need.name, ledger)
        self._aligned = dict(needs)

    async def _ensure_all(self, needs: Iterable[StreamNeed]) -> list[StreamNeed]:
        """Those that failed as another stream has their subjects."""
        refused = []
        for need in needs:
            try:
                await self._ensure(need)
            except JetStreamRefused as error:
                if error.err_code != SUBJECTS_OVERLAP:
                    raise
                refused.append(need)
        return refused

    async def _ensure(self, need: StreamNeed) -> None:
        self.refused = need.name
        refuse_long_subjects(need)
        info = await ensure_stream(self._connection, DesiredStream.from_need(need), self._source.database_key)
        self.refused = None
        if info is not None:
            self._streams[need.name] = info

    async def _open(self, name: str, ledger: Ledger) -> None:
        if name in self.targets:
            return
        info = self._streams[name]
        self.refused = name
        position = await stream_mark.read_position(self._connection, name, self._source.database_key)
        self.refused = None
        writer = await open_writer(self._connection, info, position.last_sequence)
        target = ledger.add_target()
        self._writers[target] = writer
        self.targets[name] = target
        if position.mark is not None:
            self.marks[target] = effective_mark(position.mark, self._source)
        self.standings[name] = Standing(name, info.created, position.last_sequence, self.marks.get(target))

    async def adopt(self, stream: str, bucket: str, *, once_ours: bool) -> None:
        """Makes a stream that was refused, as it names another database, this one's. `align` comes next."""
        await adopt_stream(self._connection, stream, bucket, self._source.database_key, once_ours=once_ours)

    async def release(self, streams: Iterable[str]) -> bool:
        """Takes their subjects from streams that pgstream keeps and no table uses; whether there were any."""
        source = self._source.database_key
        return any([await release_subjects(self._connection, stream, source) for stream in streams])

    async def publish(self, target: int, events: Sequence[EncodedEvent]) -> None:
        """Hands events to a target; returns when it has room for more."""
        try:
            await self._writers[target].publish(events)
        except FrameTooLarge as error:
            raise PublishInterrupted(
                str(error), reason="too-large", hint="shorten the table's name or its subject", retryable=False
            ) from None

    def check(self) -> None:
        """Raises what has ended the connection: while nothing is published, nobody else would notice."""
        if self._connection.failure is not None:
            raise self._connection.failure

    async def settle(self) -> None:
        """Returns when everything published is acknowledged."""
        for writer in self._writers.values():
            if writer.acknowledged != writer.sent:
                await writer.settle()

    @property
    def unacknowledged(self) -> bool:
        return any(writer.acknowledged != writer.sent for writer in self._writers.values())

    @property
    def in_flight_bytes(self) -> int:
        """Sent and not acknowledged."""
        return sum(writer.in_flight_bytes for writer in self._writers.values())

    def report(self, ledger: Ledger) -> None:
        """Tells the ledger what is acknowledged."""
        for target, writer in self._writers.items():
            ledger.acknowledge(target, writer.acknowledged)

    def stream_of(self, target: int) -> str | None:
        """The stream behind a target; None: plain NATS."""
        return next((name for name, number in self.targets.items() if number == target), None)

    def last_sequences(self) -> dict[str, tuple[str, int]]:
        """Of each stream: when it was made, and its sequence behind the last event that is acknowledged."""
        return {
            name: (self.standings[name].created, self._writers[target].last_sequence)
            for name, target in self.targets.items()
        }

    async def store_object(self, effect: StoreObject) -> None:
        """Stores an oversize event, for as long as the stream with the longest memory keeps the event in its place."""
        ages = [info.max_age_seconds for info in self._streams.values()]
        max_age_seconds = 0.0 if 0.0 in ages else max(ages, default=0.0)
        await store_object(
            self._connection,
            effect.bucket,
            effect.event_id,
            effect.content,
            max_age_seconds=max_age_seconds,
            source=self._source.database_key,
        )

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()


def refuse_long_subjects(need: StreamNeed) -> None:
    """Raises StreamUnsuitable: a table may be renamed to what makes its template's subject longer than NATS reads."""
    longest = max(need.subjects, key=len, default="")
    if len(longest) > SUBJECT_BYTES_MAX:
        raise StreamUnsuitable(
            f"a subject of {len(longest)} bytes ({longest[:60]}…) for JetStream stream {need.name} is longer than NATS"
            f" reads, {SUBJECT_BYTES_MAX}",
            hint="UPDATE the table's subject in pgstream.tables, or the one in pgstream.settings, to a shorter one",
        )


def effective_mark(mark: stream_mark.Mark, source: Source) -> Mark:
    """What a stream holds, in positions of `source` as it is now.

    A mark written on a timeline that ended before it counts up to that timeline's end alone: what stands behind it
    is of transactions that the server never had. A snapshot row stands behind the whole transaction that it names.
    """
    timeline = int(mark.source.rpartition("/")[2])
    for switch in source.switches:
        if switch.timeline == timeline and mark.commit_lsn >= switch.switch_lsn:
            return Mark(switch.switch_lsn - 1, END_OF_TRANSACTION)
    if mark.snapshot:
        return Mark(mark.commit_lsn, END_OF_TRANSACTION)
    return Mark(mark.commit_lsn, mark.ordinal, mark.second_half)
