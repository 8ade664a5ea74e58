"""The pure middle of the relay: a batch of WAL payloads in, encoded events and what the shell must do out.

`feed` works until the batch is used up, or until it meets something that needs IO before it can go on; then it
leaves an effect and says how far it came. The shell publishes the segments, carries the effect out, and feeds the
rest. What the shell must do in which order stands at each effect.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from pgstream_relay.change.plan import DELETE, INSERT, OPERATION_OF, TRUNCATE, UNKNOWN, UPDATE, RelationPlan
from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.control.decoding import ControlDecoder
from pgstream_relay.control.refused import take_newest
from pgstream_relay.control.state import CONTROL_SCHEMA, CONTROL_TABLES, SIGNALS, ControlRow, ControlState
from pgstream_relay.control.streams import (
    MESSAGES_SCHEMA,
    MESSAGES_TABLE,
    StreamNeed,
    messages_subject,
    needed_streams,
)
from pgstream_relay.control.tables import database_alias, default_stream, streamed_settings
from pgstream_relay.effects import Effect, KeptSettings, NeedRelation, NeedStreams, PositionReached
from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.event.envelope import NULL, data_format, envelope_format, format_timestamp
from pgstream_relay.event.headers import EVENT_HEADERS, header, transaction_headers
from pgstream_relay.event.messages import message_document
from pgstream_relay.event.oversize import FRAME_OVERHEAD_BYTES, HEADERS_BYTES_MAX, claim_check
from pgstream_relay.event.ulid import ID_TAIL_MASK, ID_TAILS, id_stem
from pgstream_relay.event.values import TypeCatalog, UnrepresentableValue
from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import Begin, Commit, LogicalMessage, Relation, Truncate
from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.walsender import XLOGDATA, XLOGDATA_HEADER_SIZE, Keepalive, decode_walsender
from pgstream_relay.progress import EPHEMERAL, Ledger
from pgstream_relay.snapshot.tracking import TableTrack
from pgstream_relay.source import Source

Segment: TypeAlias = tuple[int, list[EncodedEvent]]
"""Events for one target of the ledger, in order."""

OWN_PREFIX: Final = "pgstream"

_ROW_KINDS: Final = frozenset({INSERT, UPDATE, DELETE})
_relation_oid = struct.Struct("!I").unpack_from
_RELATION_OID_OFFSET: Final = XLOGDATA_HEADER_SIZE + 1


class Mark(NamedTuple):
    """The position of the last change that a stream holds; `second_half` of a change that became two events."""

    commit_lsn: int
    ordinal: int
    second_half: bool = False


class Pipeline:
    """One session's. `event_bytes_max` is the server's max_payload: headers and payload together."""

    def __init__(self, control: ControlState, source: Source, ledger: Ledger, *, event_bytes_max: int) -> None:
        self.effect: Effect | None = None
        self.in_transaction = False
        self.streams_outdated = True
        self.announce_gaps = False
        """Whether streams take gap events; set by the shell where there is one to announce."""
        self.kept_settings: KeptSettings | None = None
        self.last_commit_us = 0
        self.keepalives: list[Keepalive] = []
        """Those of the last feed."""
        self.unknown_rows = 0
        """Rows that could not be represented, since the start of the session."""
        self.plans_version = 0
        """Grows when settings or targets change: what was worked out of them before may be wrong."""
        self.signalled_by: set[int] = set()
        """Ids of the transactions that wrote to `pgstream.signals`, since the shell last cleared it."""
        self.wake_lsn: int | None = None
        """Ask for a PositionReached as soon as the stream has passed it."""
        self.stop_lsn: int | None = None
        """Feed nothing of a transaction that commits there or later: PositionReached comes before it."""
        self._control = control
        self._source = source
        self._ledger = ledger
        self._event_bytes_max = event_bytes_max - FRAME_OVERHEAD_BYTES
        self._segments: dict[int, list[EncodedEvent]] = {}
        self._events: list[EncodedEvent] = []
        self._segment_target = -1
        self._handed = 0
        self._targets: Mapping[str, int] = {}
        self._marks: Mapping[int, Mark] = {}
        self._marks_end = 0
        self._relations: dict[int, Relation] = {}
        self._described: dict[int, tuple[RelationKeys, TypeCatalog]] = {}
        self._described_at: dict[int, int] = {}
        self._plans: dict[int, RelationPlan | ControlDecoder | None] = {}
        self._published: defaultdict[tuple[str, str], defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._tracks: dict[int, TableTrack] = {}
        # Before the first transaction of the session: whatever the streams hold was committed below.
        self._begin = Begin(ledger.received_lsn - 1, 0, 0)
        self._ordinal = 0
        self._stem = b""
        self._headers = b""
        self._timestamp = b""
        self._skipping = False
        self._settings_changed = False

    # What the shell calls.

    @property
    def settings(self) -> ControlRow:
        """The row of `pgstream.settings` at this point of the WAL."""
        return self._control.settings

    @property
    def open_commit_us(self) -> int:
        """Commit time (Unix, µs) of the transaction whose changes are coming in; 0 between two."""
        return self._begin.commit_timestamp_us if self.in_transaction else 0

    def feed(self, payloads: Sequence[bytes], start: int) -> int:
        """Works through `payloads[start:]`; returns the index of the first that it has not used up.

        If that is not the end, `effect` says what must be done first. Raises MalformedMessage.
        """
        self.effect = None
        self.keepalives.clear()
        plans = self._plans
        try:
            for index in range(start, len(payloads)):
                message = payloads[index]
                if message[0] != XLOGDATA:
                    self._on_keepalive(message)
                    if self.effect is not None:
                        return index + 1
                    continue
                kind = message[XLOGDATA_HEADER_SIZE]
                if kind in _ROW_KINDS:
                    oid = _relation_oid(message, _RELATION_OID_OFFSET)[0]
                    if oid not in plans and not self._prepare(oid):
                        return index
                    plan = plans[oid]
                    if isinstance(plan, RelationPlan):
                        if not self._on_row(plan, kind, message):
                            return index
                    else:
                        self._on_other_row(plan, message)
                elif not self._on_message(message):
                    return index
                if self.effect is not None:
                    return index + 1
        except (IndexError, struct.error):
            raise MalformedMessage("a message of the replication stream ends in the middle") from None
        return len(payloads)

    def take_segments(self) -> list[Segment]:
        """The events since the last call, in one list a target: each was handed over to the ledger.

        Transactions that alternate between two streams would else be published event by event.
        """
        self._hand_over()
        segments, self._segments = list(self._segments.items()), {}
        self._events, self._segment_target, self._handed = [], -1, 0
        return segments

    def needed_streams(self) -> dict[str, StreamNeed]:
        """The streams that the settings ask for at this point of the WAL."""
        names = {oid: (relation.schema, relation.name) for oid, relation in self._relations.items()}
        return needed_streams(self._control, names, announce_gaps=self.announce_gaps)

    @property
    def kept_streams(self) -> set[str]:
        """The streams with a row in `pgstream.streams` at this point of the WAL, used or not."""
        return set(self._control.streams)

    def take_newest_settings(self, document: Mapping[str, Any], stream: str) -> bool:
        """NATS refuses `stream` for good: see `take_newest`. The settings taken are kept like any others."""
        if not take_newest(self._control, ControlState.from_document(document), stream):
            return False
        self._settings_changed = True
        self._forget_plans()
        return True

    def set_targets(self, targets: Mapping[str, int], marks: Mapping[int, Mark]) -> None:
        """The ledger's targets by stream, each with the position that its stream holds already."""
        self._targets, self._marks = targets, marks
        self._marks_end = max((mark.commit_lsn for mark in marks.values()), default=0)
        self._skipping = self._begin.final_lsn <= self._marks_end
        self.streams_outdated = False
        self._forget_plans()

    def describe(self, relation: Relation, keys: RelationKeys, types: TypeCatalog) -> None:
        """What the catalog says of a relation: the answer to NeedRelation."""
        self._described[relation.oid] = (keys, types)
        self._described_at[relation.oid] = self._begin.final_lsn

    def track(self, relation_oid: int, track: TableTrack | None) -> None:
        """From here on `track` is told of the table's changes; None ends that."""
        if track is None:
            self._tracks.pop(relation_oid, None)
        else:
            self._tracks[relation_oid] = track
        self._plans.pop(relation_oid, None)

    @property
    def last_commit_lsn(self) -> int:
        """Of the last transaction: whatever is published between two transactions stands behind it."""
        return self._begin.final_lsn

    def snapshot_plan(self, relation: Relation, keys: RelationKeys, types: TypeCatalog) -> RelationPlan | None:
        """The plan for rows of a snapshot, under the settings at this point; None where they are not published.

        Call it when the streams are not outdated.
        """
        plan = self._make_plan(relation, keys, types)
        return plan if plan is not None and "snapshot" in plan.subjects else None

    def take_published(self) -> list[tuple[str, str, dict[str, int]]]:
        """(schema, table, events by operation) since the last call, for metrics."""
        taken = []
        for (schema, table), counts in self._published.items():
            if counts:
                taken.append((schema, table, {OPERATION_OF[kind]: count for kind, count in counts.items()}))
                counts.clear()
        return taken

    # Messages, by kind. Those that return a bool return False where the message must be fed again.

    def _on_keepalive(self, message: bytes) -> None:
        keepalive = decode_walsender(message)
        if not isinstance(keepalive, Keepalive):
            raise MalformedMessage("a keepalive is not one")
        self.keepalives.append(keepalive)
        if not self.in_transaction:
            self._pass(keepalive.wal_end)

    def _pass(self, lsn: int) -> None:
        """Every transaction that committed below `lsn` has been read."""
        self._hand_over()
        self._ledger.commit(lsn)
        if self.wake_lsn is not None and lsn >= self.wake_lsn:
            self.effect = PositionReached()

    def _on_row(self, plan: RelationPlan, kind: int, message: bytes) -> bool:
        ordinal = self._ordinal = self._ordinal + 1
        low = ordinal << 1 & ID_TAIL_MASK
        if not low:
            self._stem = self._id_stem(ordinal)
        if plan.touch is not None:
            plan.touch(kind, message)
        encode = plan.encoders[kind]
        if encode is None or (self._skipping and self._is_stored(plan.target, ordinal)):
            return True
        event_id = self._stem + ID_TAILS[low]
        try:
            event = encode(message, event_id, self._headers, ordinal, self._timestamp)
        except (UnrepresentableValue, MalformedMessage) as error:
            if self._described_at.get(plan.relation.oid) != self._begin.final_lsn:
                # A type may have changed below the relation, which no Relation message tells: ask once a transaction.
                self._ordinal -= 1
                del self._plans[plan.relation.oid]
                self.effect = NeedRelation(plan.relation)
                return False
            self._emit_unknown(plan, ordinal, event_id, f"{OPERATION_OF[kind]}: {error}")
            return True
        if len(event[1]) + len(event[2]) > self._event_bytes_max or len(event[1]) > HEADERS_BYTES_MAX:
            self._emit_oversize(plan, kind, ordinal, event_id, event)
            return True
        plan.published[kind] += 1
        if plan.target != self._segment_target:
            self._open_segment(plan.target)
        self._events.append(event)
        return True

    def _on_other_row(self, plan: ControlDecoder | None, message: bytes) -> None:
        """A row of a control table, or of a relation that is not streamed."""
        self._count()
        if plan is None:
            return
        if plan.table == SIGNALS:
            self.signalled_by.add(self._begin.xid)
            return
        old, new = plan.decode(message, XLOGDATA_HEADER_SIZE)
        self._control.apply(plan.table, old, new)
        self._settings_changed = True
        self.streams_outdated = True
        self._forget_plans()

    def _on_message(self, message: bytes) -> bool:
        decoded = decode_message(message, XLOGDATA_HEADER_SIZE)
        if isinstance(decoded, Begin):
            if self.stop_lsn is not None and decoded.final_lsn >= self.stop_lsn:
                self.effect = PositionReached()
                return False
            self._on_begin(decoded)
        elif isinstance(decoded, Commit):
            self._on_commit(decoded)
        elif isinstance(decoded, Relation):
            self._on_relation(decoded)
        elif isinstance(decoded, Truncate):
            return self._on_truncate(decoded)
        elif isinstance(decoded, LogicalMessage):
            if decoded.transactional:
                return self._on_logical_message(decoded)
            # It stands between two transactions, and tells how far the WAL was read.
            self._pass(decoded.lsn)
        return True

    def _on_begin(self, begin: Begin) -> None:
        self.in_transaction = True
        self._begin = begin
        self._ordinal = 0
        self._stem = self._id_stem(0)
        self._timestamp = format_timestamp(begin.commit_timestamp_us)
        lsn = begin.final_lsn
        self._headers = transaction_headers(self._source.header(lsn), lsn, begin.xid)
        self._skipping = lsn <= self._marks_end

    def _on_commit(self, commit: Commit) -> None:
        self._hand_over()
        self.in_transaction = False
        self.last_commit_us = commit.commit_timestamp_us
        if self._settings_changed:
            self._settings_changed = False
            self._ledger.hold()
            self.kept_settings = KeptSettings(commit.end_lsn, self._control.to_document())
        for track in self._tracks.values():
            track.commit(self._begin.xid)
        self._ledger.commit(commit.end_lsn, commit.commit_timestamp_us)
        if self.wake_lsn is not None and commit.end_lsn >= self.wake_lsn:
            self.effect = PositionReached()

    def _on_relation(self, relation: Relation) -> None:
        if relation.schema == CONTROL_SCHEMA and relation.name in CONTROL_TABLES:
            self._plans[relation.oid] = ControlDecoder(relation)
            return
        if (track := self._tracks.get(relation.oid)) is not None:
            track.relation_changed([(column.name, column.type_oid) for column in relation.columns])
        known = self._relations.get(relation.oid)
        self._relations[relation.oid] = relation
        self._described.pop(relation.oid, None)
        self._plans.pop(relation.oid, None)
        if (known is None or (known.schema, known.name) != (relation.schema, relation.name)) and (
            (row := self._control.table_of(relation.oid)) is not None
            and (row["table_schema"], row["table_name"]) != (relation.schema, relation.name)
        ):
            # Renamed: its events go to subjects of the new name from here on.
            self.streams_outdated = True

    def _on_truncate(self, truncate: Truncate) -> bool:
        plans = self._plans
        if not all(oid in plans or self._prepare(oid) for oid in truncate.relation_oids):
            return False
        for oid in truncate.relation_oids:
            ordinal = self._count()
            plan = plans[oid]
            if not isinstance(plan, RelationPlan):
                continue
            if (track := self._tracks.get(oid)) is not None:
                track.truncated()
            subject = plan.subjects.get("truncate")
            if subject is None or (self._skipping and self._is_stored(plan.target, ordinal)):
                continue
            event_id = self._stem + ID_TAILS[ordinal << 1 & ID_TAIL_MASK]
            plan.published[TRUNCATE] += 1
            payload = plan.encode_bare("truncate", event_id, self._timestamp)
            self._emit(plan.target, subject, event_id, ordinal, b"", payload)
        return True

    def _on_logical_message(self, message: LogicalMessage) -> bool:
        settings = self._control.settings
        published = message.prefix in settings["message_prefixes"] and not message.prefix.startswith(OWN_PREFIX)
        if published and self.streams_outdated:
            self.effect = NeedStreams()
            return False
        ordinal = self._count()
        if not published:
            return True
        target = self._targets[default_stream(settings)]
        if self._skipping and self._is_stored(target, ordinal):
            return True
        event_id = self._stem + ID_TAILS[ordinal << 1 & ID_TAIL_MASK]
        envelope = envelope_format(
            database_alias(settings), MESSAGES_SCHEMA, MESSAGES_TABLE, "unknown", data_format(NULL, b"%b", NULL)
        )
        payload = envelope % (event_id, message_document(message), self._timestamp)
        self._published[MESSAGES_SCHEMA, MESSAGES_TABLE][UNKNOWN] += 1
        self._emit(target, messages_subject(settings).encode(), event_id, ordinal, b"", payload)
        return True

    # Events.

    def _count(self) -> int:
        """The ordinal of the next change: every one that Postgres sends counts (law 2)."""
        ordinal = self._ordinal = self._ordinal + 1
        if not ordinal << 1 & ID_TAIL_MASK:
            self._stem = self._id_stem(ordinal)
        return ordinal

    def _id_stem(self, ordinal: int) -> bytes:
        begin = self._begin
        return id_stem(begin.commit_timestamp_us // 1000, self._source.tag, begin.final_lsn, ordinal)

    def _emit(
        self, target: int, subject: bytes, event_id: bytes, ordinal: int, row_headers: bytes, payload: bytes
    ) -> None:
        headers = EVENT_HEADERS % (event_id, self._headers, ordinal) + row_headers
        if target != self._segment_target:
            self._open_segment(target)
        self._events.append((subject, headers, payload))

    def _emit_unknown(self, plan: RelationPlan, ordinal: int, event_id: bytes, reason: str) -> None:
        """A row that can't be represented: published under its own table and counted, rather than lost."""
        self.unknown_rows += 1
        plan.published[UNKNOWN] += 1
        payload = plan.encode_bare("unknown", event_id, self._timestamp)
        row_headers = header("Pgstream-Error", reason)
        self._emit(plan.target, plan.subjects["unknown"], event_id, ordinal, row_headers, payload)

    def _emit_oversize(self, plan: RelationPlan, kind: int, ordinal: int, event_id: bytes, event: EncodedEvent) -> None:
        """The claim check of CONTRACT section 4.6 in the event's place."""
        subject, headers, payload = event
        operation = OPERATION_OF[kind]
        if len(headers) > HEADERS_BYTES_MAX:
            self._emit_unknown(plan, ordinal, event_id, f"{operation}: the key is too large for a header")
            return
        plan.published[kind] += 1
        alias = database_alias(self._control.settings)
        headers, stored = claim_check(headers, payload, event_id, alias, persistent=plan.target != EPHEMERAL)
        if stored is not None:
            self.effect = stored
        if plan.target != self._segment_target:
            self._open_segment(plan.target)
        self._events.append((subject, headers, plan.encode_bare(operation, event_id, self._timestamp)))

    def _open_segment(self, target: int) -> None:
        self._hand_over()
        self._events = self._segments.setdefault(target, [])
        self._handed = len(self._events)
        self._segment_target = target

    def _hand_over(self) -> None:
        """Tells the ledger of the events that were added since it was last told."""
        added = len(self._events) - self._handed
        if added:
            self._ledger.hand_over(self._segment_target, added)
            self._handed = len(self._events)

    # Plans and marks.

    def _prepare(self, oid: int) -> bool:
        """Makes the relation's plan; False where an effect must come first."""
        relation = self._relations.get(oid)
        if relation is None:
            raise MalformedMessage(f"a change of relation {oid} came before its description")
        settings = streamed_settings(self._control, oid)
        if settings is None:
            self._plans[oid] = None
            return True
        if self.streams_outdated:
            self.effect = NeedStreams()
            return False
        described = self._described.get(oid)
        if described is None:
            self.effect = NeedRelation(relation)
            return False
        plan = self._plans[oid] = self._make_plan(relation, *described)
        if plan is not None and (track := self._tracks.get(oid)) is not None:
            plan.touch = track.toucher(relation, settings.operations)
        return True

    def _make_plan(self, relation: Relation, keys: RelationKeys, types: TypeCatalog) -> RelationPlan | None:
        settings = streamed_settings(self._control, relation.oid)
        if settings is None:
            return None
        return RelationPlan(
            relation,
            settings,
            keys,
            types,
            alias=database_alias(self._control.settings),
            target=EPHEMERAL if settings.stream is None else self._targets[settings.stream],
            published=self._published[relation.schema, relation.name],
        )

    def _forget_plans(self) -> None:
        self.plans_version += 1
        for oid in [oid for oid, plan in self._plans.items() if not isinstance(plan, ControlDecoder)]:
            del self._plans[oid]

    def _is_stored(self, target: int, ordinal: int) -> bool:
        mark = self._marks.get(target)
        return mark is not None and (self._begin.final_lsn, ordinal) <= (mark.commit_lsn, mark.ordinal)
