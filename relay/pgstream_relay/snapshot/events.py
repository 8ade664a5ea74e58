"""The events of a snapshot: its rows through the converters of WAL events, and its marks (CONTRACT section 5)."""

from __future__ import annotations

from collections.abc import Sequence

from pgstream_relay.change.plan import SNAPSHOT, UNKNOWN, RelationPlan
from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.event.envelope import format_timestamp
from pgstream_relay.event.headers import EVENT_HEADERS, header, mark_header, snapshot_headers
from pgstream_relay.event.oversize import FRAME_OVERHEAD_BYTES, HEADERS_BYTES_MAX, StoreObject, claim_check
from pgstream_relay.event.ulid import ID_TAIL_MASK, ID_TAILS, id_stem
from pgstream_relay.event.values import UnrepresentableValue
from pgstream_relay.progress import EPHEMERAL
from pgstream_relay.source import Source


class SnapshotEvents:
    """Of one snapshot at one position: `lsn` is that of the last transaction before it, `read_at_us` the time (Unix,
    µs) at which the rows were read, `id_ms` the time (ms) in their ids, which no other chunk of the database shares.

    `number` in the methods counts the snapshot's rows from 1; it is `Pgstream-Seq`. `objects` must be stored before
    the events are published. `unknown` counts rows that could not be represented.
    """

    def __init__(
        self,
        plan: RelationPlan,
        source: Source,
        alias: str,
        snapshot_id: int,
        *,
        lsn: int,
        read_at_us: int,
        id_ms: int,
        event_bytes_max: int,
    ) -> None:
        self.objects: list[StoreObject] = []
        self.unknown = 0
        self._plan = plan
        self._source = source
        self._alias = alias
        self._lsn = lsn
        self._id_ms = id_ms
        self._timestamp = format_timestamp(read_at_us)
        self._headers = snapshot_headers(source.header(lsn), lsn, snapshot_id)
        self._event_bytes_max = event_bytes_max - FRAME_OVERHEAD_BYTES

    def rows(self, rows: Sequence[Sequence[bytes | None]], number: int) -> list[EncodedEvent]:
        """The events of rows of which the first has this number."""
        plan, headers, timestamp, event_bytes_max = self._plan, self._headers, self._timestamp, self._event_bytes_max
        encode = plan.snapshot_encoder()
        assert encode is not None, "who makes a snapshot's plan asks whether its rows are published"
        events: list[EncodedEvent] = []
        stem = self._stem(number)
        for values in rows:
            low = number << 1 & ID_TAIL_MASK
            if not low:
                stem = self._stem(number)
            event_id = stem + ID_TAILS[low]
            try:
                event = encode(values, event_id, headers, number, timestamp)
            except UnrepresentableValue as error:
                event = self._unknown(event_id, number, str(error))
            else:
                if len(event[1]) + len(event[2]) > event_bytes_max or len(event[1]) > HEADERS_BYTES_MAX:
                    event = self._oversize(event, event_id, number)
            events.append(event)
            number += 1
        plan.published[SNAPSHOT] += len(rows)
        return events

    def mark(self, mark: str, number: int, *, rows: int | None = None) -> EncodedEvent:
        """`begin`, `end`, `stopped` or `failed`; `rows` how many the snapshot had."""
        event_id = self._stem(number) + ID_TAILS[number << 1 & ID_TAIL_MASK]
        headers = EVENT_HEADERS % (event_id, self._headers, number) + mark_header(mark, rows)
        self._plan.published[SNAPSHOT] += 1
        payload = self._plan.encode_bare("snapshot", event_id, self._timestamp)
        return self._plan.subjects["snapshot"], headers, payload

    def _stem(self, number: int) -> bytes:
        return id_stem(self._id_ms, self._source.tag, self._lsn, number, snapshot=True)

    def _oversize(self, event: EncodedEvent, event_id: bytes, number: int) -> EncodedEvent:
        subject, headers, payload = event
        if len(headers) > HEADERS_BYTES_MAX:
            return self._unknown(event_id, number, "the key is too large for a header")
        persistent = self._plan.target != EPHEMERAL
        headers, stored = claim_check(headers, payload, event_id, self._alias, persistent=persistent)
        if stored is not None:
            self.objects.append(stored)
        return subject, headers, self._plan.encode_bare("snapshot", event_id, self._timestamp)

    def _unknown(self, event_id: bytes, number: int, reason: str) -> EncodedEvent:
        self.unknown += 1
        self._plan.published[UNKNOWN] += 1
        headers = EVENT_HEADERS % (event_id, self._headers, number) + header("Pgstream-Error", f"snapshot: {reason}")
        return self._plan.subjects["unknown"], headers, self._plan.encode_bare("unknown", event_id, self._timestamp)
