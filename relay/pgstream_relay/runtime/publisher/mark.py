"""Asks a stream where it stands (law 4): its last sequence, and the position of the last event of ours in it.

A last-by-subject read answers wrongly after a deletion, and foreign messages can stand last, so the walk goes down
from the last sequence: a few messages at a time, then more, and over deleted stretches by bisection.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, replace
from typing import Final

from pgstream_relay.pgoutput.lsn import parse_lsn
from pgstream_relay.runtime.nats_connection import NatsConnection
from pgstream_relay.runtime.nats_errors import (
    NO_MESSAGE_FOUND,
    JetStreamRefused,
    StreamMissing,
    StreamNotOurs,
    StreamUnsuitable,
)
from pgstream_relay.runtime.publisher.stream_info import SOURCE_METADATA, StreamInfo, read_stream_info

WALK_AT_ONCE_MAX: Final = 64
"""Messages asked for at once; a foreign one may have the size of max_payload."""
WALK_MESSAGES_MAX: Final = 1_000_000
"""Foreign messages that are looked at before the stream is given up as not pgstream's own: about a minute."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of an event as its headers give it.

    `source` is the whole `Pgstream-Source`, timeline included. `second_half`: of a change that became two events.
    `snapshot`: a snapshot row or mark; `ordinal` is then its number in its snapshot.
    """

    source: str
    commit_lsn: int
    ordinal: int
    second_half: bool
    snapshot: bool
    stream_sequence: int


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """`last_sequence` is where a writer's chain starts, whoever wrote the last message; `mark` None: none of ours."""

    last_sequence: int
    mark: Mark | None


async def read_position(connection: NatsConnection, stream: str, source: str, *, floor: int = 0) -> StreamPosition:
    """Where the stream stands. `source` is `<system identifier>/<database oid>`, any timeline of it counts.

    `floor`: a sequence whose position the caller already knows; nothing at or below it is read.
    Raises StreamMissing, StreamNotOurs (the newest event is another database's, and the stream's metadata does not
    say that the stream is ours), StreamUnsuitable (too many foreign messages), or another NatsError.
    """
    info = await read_stream_info(connection, stream)
    if info is None:
        raise StreamMissing(
            f"JetStream stream {stream} does not exist",
            hint="it was deleted, or never made; the relay makes the streams that have a row in pgstream.streams",
        )
    if info.messages == 0:
        return StreamPosition(info.last_sequence, None)
    return StreamPosition(info.last_sequence, await _Walk(connection, info, source, floor).find())


async def find_own_mark(connection: NatsConnection, info: StreamInfo, source: str) -> Mark | None:
    """The last event of `source` in a stream that belongs to another database. Raises NatsError."""
    as_ours = replace(info, config={**info.config, "metadata": {SOURCE_METADATA: source}})
    return await _Walk(connection, as_ours, source, 0).find()


class _Walk:
    """Down a stream from its end, to the first event of `source`."""

    def __init__(self, connection: NatsConnection, info: StreamInfo, source: str, floor: int) -> None:
        self._connection = connection
        self._info = info
        self._source = source
        self._bottom = max(info.first_sequence - 1, info.adopted_sequence, floor)

    async def find(self) -> Mark | None:
        sequence, at_once, foreign = self._info.last_sequence, 1, 0
        while sequence > self._bottom:
            lowest = max(self._bottom + 1, sequence - at_once + 1)
            messages = await asyncio.gather(*(self._read(number) for number in range(sequence, lowest - 1, -1)))
            for number, headers in zip(range(sequence, lowest - 1, -1), messages, strict=True):
                if headers is not None and (mark := self._mark_of(headers, number)) is not None:
                    return mark
            found = sum(headers is not None for headers in messages)
            foreign += found
            if foreign > WALK_MESSAGES_MAX:
                raise StreamUnsuitable(
                    f"over {WALK_MESSAGES_MAX} foreign messages stand last in JetStream stream {self._info.name}",
                    hint="a stream that pgstream writes to is pgstream's own: move the other publishers to another one",
                )
            sequence = lowest - 1
            if not found and sequence > self._bottom:
                sequence = await self._last_existing(sequence)
            at_once = min(at_once * 8, WALK_AT_ONCE_MAX)
        return None

    async def _read(self, sequence: int) -> dict[str, str] | None:
        """The headers of one message, None where it is deleted."""
        answer = await self._get({"seq": sequence})
        return None if answer is None else _parse_headers(answer[1])

    async def _last_existing(self, highest: int) -> int:
        """The last sequence at or below `highest` that is not deleted, else the bottom. Some 40 questions at most."""
        low, high = self._bottom, highest
        while low < high:
            middle = (low + high + 1) // 2
            answer = await self._get({"seq": middle, "next_by_subj": ">"})
            if answer is None or answer[0] > highest:
                high = middle - 1
            else:
                low = answer[0]
        return low

    async def _get(self, question: dict[str, int | str]) -> tuple[int, str] | None:
        """Sequence and header block of a message, read from the stream's leader."""
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._info.name}", question)
        except JetStreamRefused as error:
            if error.err_code == NO_MESSAGE_FOUND:
                return None
            raise
        message = answer["message"]
        return int(message["seq"]), base64.b64decode(message.get("hdrs") or "").decode("ascii", "replace")

    def _mark_of(self, headers: dict[str, str], sequence: int) -> Mark | None:
        named = headers.get("Pgstream-Source")
        if named is None:
            return None
        if not named.startswith(f"{self._source}/"):
            if self._info.source == self._source:
                return None
            raise StreamNotOurs(
                f"the last event in JetStream stream {self._info.name} is of database {named}, not of {self._source}",
                hint="a copied or restored database needs an alias and stream of its own; to take this one over: "
                "pgstream install --adopt-stream",
            )
        try:
            return Mark(
                source=named,
                commit_lsn=parse_lsn(headers["Pgstream-Lsn"]),
                ordinal=int(headers["Pgstream-Seq"]),
                second_half=bool(_CROCKFORD.index(headers["Nats-Msg-Id"][-1:].upper()) & 1),
                snapshot="Pgstream-Snapshot" in headers,
                stream_sequence=sequence,
            )
        except (KeyError, ValueError):
            return None  # hand-made: it names us, but is no event of ours


def _parse_headers(block: str) -> dict[str, str]:
    """`NATS/1.0` and lines of `Name: value`."""
    lines = (line.partition(":") for line in block.split("\r\n")[1:])
    return {name: value.strip() for name, separator, value in lines if separator}
