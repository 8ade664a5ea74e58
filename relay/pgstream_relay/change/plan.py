"""The plan of a relation: all that can be worked out once a table, so that a row costs only its values.

Made when a Relation message or a settings change arrives; what an operation needs is compiled at its first row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pgstream_relay.change.relation import RelationKeys, key_columns, key_tuple_columns
from pgstream_relay.change.rowcode import EncodeRow, EncodeValues, RowCompiler, UnexpectedTuple
from pgstream_relay.control.tables import TableSettings
from pgstream_relay.event.envelope import (
    NULL,
    data_format,
    envelope_format,
    json_object,
    json_string,
    object_format,
)
from pgstream_relay.event.headers import (
    BEFORE_FULL,
    BEFORE_KEY,
    EVENT_HEADERS,
    escape_key,
    key_header_format,
    unchanged_header,
)
from pgstream_relay.event.subject import OPERATIONS, format_subject
from pgstream_relay.event.values import TypeCatalog, compile_converter
from pgstream_relay.pgoutput.messages import UNCHANGED, Relation, TupleValue, TupleValues
from pgstream_relay.pgoutput.tuples import split_tuple
from pgstream_relay.pgoutput.walsender import XLOGDATA_HEADER_SIZE

INSERT, UPDATE, DELETE, TRUNCATE = b"IUDT"
"""Kinds of pgoutput messages."""
UNKNOWN: Final = 0
SNAPSHOT: Final = 1
OPERATION_OF: Final = {
    INSERT: "insert",
    UPDATE: "update",
    DELETE: "delete",
    TRUNCATE: "truncate",
    SNAPSHOT: "snapshot",
    UNKNOWN: "unknown",
}

MARKER_OFFSET: Final = XLOGDATA_HEADER_SIZE + 5
"""Of the byte that says which tuple follows: behind the message's kind and the relation's oid."""
TUPLE_OFFSET: Final = MARKER_OFFSET + 1
_NEW, _OLD_KEY, _OLD_FULL = b"NKO"


class Encoders(dict[int, EncodeRow | None]):
    """Encoders by kind of message, each made when it is first asked for; None where the operation is not published."""

    def __init__(self, make: Callable[[int], EncodeRow | None]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kind: int) -> EncodeRow | None:
        encode = self[kind] = self._make(kind)
        return encode


class RelationPlan:
    """`target` is the ledger's number of the stream that the table's events go to.

    `subjects` holds the subjects of the operations that are published; `unknown` is always among them.
    `published` counts events by kind of message; its owner reads and clears it.
    """

    def __init__(
        self,
        relation: Relation,
        settings: TableSettings,
        keys: RelationKeys,
        types: TypeCatalog,
        *,
        alias: str,
        target: int,
        published: dict[int, int],
    ) -> None:
        self.relation = relation
        self.target = target
        self.published = published
        self.touch: Callable[[int, bytes], None] | None = None
        """Told of each change (kind, message) while a snapshot of the table is under way."""
        self.subjects = _subjects(relation, settings, alias)
        self.encoders = Encoders(self._make_encoder)
        self._snapshot_encoder: EncodeValues | None = None
        self._alias = alias
        self._names = [column.name for column in relation.columns]
        self._json_names = [json_string(name) for name in self._names]
        self._converters = [
            compile_converter(column.type_oid, types, numbers_as_text=settings.numbers_as_text)
            for column in relation.columns
        ]
        self._identity = key_tuple_columns(relation, keys)
        others = set(range(len(self._names))) - set(self._identity)
        self._maybe_unknown = tuple(others) if keys.partitioned and relation.replica_identity == "f" else ()
        self._key = key_columns(relation, keys, settings.key_columns)
        self._row = object_format(self._names)
        self._bare = {operation: self._envelope(operation, NULL, NULL, NULL) for operation in OPERATIONS}
        self._delete_by_key = self._envelope("delete", b"%b", NULL, NULL)
        self._insert_incomplete = self._envelope("insert", NULL, b"%b", NULL)
        self._update_by_key = self._envelope("update", b"%b", b"%b", NULL)

    def encode_bare(self, operation: str, event_id: bytes, timestamp: bytes) -> bytes:
        """The payload of an event whose before, after and diff are null: truncate, and what can't be represented."""
        return self._bare[operation] % (event_id, timestamp)

    def snapshot_encoder(self) -> EncodeValues | None:
        """The encoding of rows that a snapshot read, compiled once; None where they are not published."""
        subject = self.subjects.get("snapshot")
        if subject is None or self._snapshot_encoder is not None:
            return self._snapshot_encoder
        headers = EVENT_HEADERS + key_header_format(len(self._key))
        payload = self._envelope("snapshot", NULL, self._row, NULL)
        self._snapshot_encoder = self._compiler().compile_values(subject, headers, payload)
        return self._snapshot_encoder

    def _make_encoder(self, kind: int) -> EncodeRow | None:
        subject = self.subjects.get(OPERATION_OF[kind])
        if subject is None:
            return None
        if kind == INSERT:
            headers = EVENT_HEADERS + key_header_format(len(self._key))
            payload = self._envelope("insert", NULL, self._row, NULL)
            return self._compiler().compile_whole(
                b"N", subject, headers, payload, incomplete=self._encode_incomplete_insert
            )
        full_headers = EVENT_HEADERS + key_header_format(len(self._key)) + BEFORE_FULL
        if kind == DELETE:
            payload = self._envelope("delete", self._row, NULL, NULL)
            full = self._compiler().compile_whole(b"O", subject, full_headers, payload)
            return self._by_marker(full, self._encode_delete_by_key)
        payload = self._envelope("update", self._row, self._row, b"%b")
        full = self._compiler().compile_update(self._json_names, subject, full_headers, payload)
        return self._by_marker(full, self._encode_update_by_key)

    def _by_marker(self, full: EncodeRow, by_key: EncodeRow) -> EncodeRow:
        """The replica identity may change from one row to the next: the tuple says which it was.

        Not so where a partition has another one than its root: Postgres then marks an old tuple as full that holds
        the key alone, and null in place of all else.
        """
        maybe_unknown = self._maybe_unknown

        def encode(
            message: bytes, event_id: bytes, transaction_headers: bytes, ordinal: int, timestamp: bytes
        ) -> tuple[bytes, bytes, bytes]:
            chosen = full if message[MARKER_OFFSET] == _OLD_FULL else by_key
            if maybe_unknown and chosen is full:
                old, _ = split_tuple(message, TUPLE_OFFSET)
                if len(old) == len(self._names) and all(old[index] is None for index in maybe_unknown):
                    chosen = by_key
            return chosen(message, event_id, transaction_headers, ordinal, timestamp)

        return encode

    def _compiler(self) -> RowCompiler:
        return RowCompiler(self._converters, self._key, TUPLE_OFFSET)

    def _envelope(self, operation: str, before: bytes, after: bytes, diff: bytes) -> bytes:
        relation = self.relation
        return envelope_format(self._alias, relation.schema, relation.name, operation, data_format(before, after, diff))

    def _encode_delete_by_key(
        self, message: bytes, event_id: bytes, transaction_headers: bytes, ordinal: int, timestamp: bytes
    ) -> tuple[bytes, bytes, bytes]:
        if message[MARKER_OFFSET] == _NEW:
            raise UnexpectedTuple("a delete without an old tuple")
        old = self._split(message, TUPLE_OFFSET)
        before, json_values = self._identity_object(old)
        headers = EVENT_HEADERS % (event_id, transaction_headers, ordinal) + self._key_header(json_values) + BEFORE_KEY
        return self.subjects["delete"], headers, self._delete_by_key % (event_id, before, timestamp)

    def _encode_incomplete_insert(
        self, message: bytes, event_id: bytes, transaction_headers: bytes, ordinal: int, timestamp: bytes
    ) -> tuple[bytes, bytes, bytes]:
        """An update that brought its row into the publication's filter: Postgres leaves unchanged TOAST values out."""
        present, after, unchanged = self._present(self._split(message, TUPLE_OFFSET))
        headers = EVENT_HEADERS % (event_id, transaction_headers, ordinal) + self._key_header(present) + unchanged
        return self.subjects["insert"], headers, self._insert_incomplete % (event_id, after, timestamp)

    def _encode_update_by_key(
        self, message: bytes, event_id: bytes, transaction_headers: bytes, ordinal: int, timestamp: bytes
    ) -> tuple[bytes, bytes, bytes]:
        """Of the old row only the identity is known: from the old tuple where it changed, else from the new one."""
        marker, position = message[MARKER_OFFSET], TUPLE_OFFSET
        old: TupleValues | None = None
        if marker in (_OLD_KEY, _OLD_FULL):
            old, position = split_tuple(message, position)
            if len(old) != len(self._names) or message[position : position + 1] != b"N":
                raise UnexpectedTuple("an update without a new tuple")
            position += 1
        elif marker != _NEW:
            raise UnexpectedTuple("an update with an old tuple of an unknown kind")
        new = self._split(message, position)
        if old is not None:
            for index in self._identity:
                # A TOASTed key column that did not change stands in the old tuple alone.
                if new[index] is UNCHANGED:
                    new[index] = old[index]
        before, _ = self._identity_object(new if old is None else old)
        present, after, unchanged = self._present(new)
        headers = EVENT_HEADERS % (event_id, transaction_headers, ordinal) + self._key_header(present) + BEFORE_KEY
        headers += unchanged
        return self.subjects["update"], headers, self._update_by_key % (event_id, before, after, timestamp)

    def _present(self, new: TupleValues) -> tuple[dict[int, bytes], bytes, bytes]:
        """JSON values by position of the columns that were sent, their object, and the header that names the others."""
        present = {index: self._convert(index, value) for index, value in enumerate(new) if value is not UNCHANGED}
        after = json_object([self._json_names[index] for index in present], list(present.values()))
        absent = [name for index, name in enumerate(self._names) if index not in present]
        return present, after, unchanged_header(absent) if absent else b""

    def _split(self, message: bytes, position: int) -> TupleValues:
        values, end = split_tuple(message, position)
        if len(values) != len(self._names) or end != len(message):
            raise UnexpectedTuple("a tuple does not fit its relation")
        return values

    def _identity_object(self, old: TupleValues) -> tuple[bytes, dict[int, bytes]]:
        """`before` where only the replica identity's columns are known, and their JSON values by position."""
        values = {index: self._convert(index, old[index]) for index in self._identity}
        if not values:
            return NULL, values
        return json_object([self._json_names[index] for index in values], list(values.values())), values

    def _key_header(self, json_values: Mapping[int, bytes]) -> bytes:
        """Nothing where a part of the key is not known."""
        key = [json_values[index] for index in self._key if index in json_values]
        return key_header_format(len(key)) % tuple(map(escape_key, key)) if len(key) == len(self._key) else b""

    def _convert(self, index: int, value: TupleValue) -> bytes:
        if value is None:
            return NULL
        if value is UNCHANGED:
            raise UnexpectedTuple("an old tuple lacks a value")
        return self._converters[index](value)


def _subjects(relation: Relation, settings: TableSettings, alias: str) -> dict[str, bytes]:
    published: Sequence[str] = [name for name in OPERATIONS if name in settings.operations or name == "unknown"]
    return {
        operation: format_subject(
            settings.template(operation),
            database=alias,
            schema=relation.schema,
            table=relation.name,
            operation=operation,
        ).encode()
        for operation in published
    }
