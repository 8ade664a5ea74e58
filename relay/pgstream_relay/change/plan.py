"""The plan of a relation: all that can be worked out once a table, so that a row costs only its values.

Compiled when a Relation message or a settings change arrives. `encode_insert`, `encode_update`, `encode_delete` turn
the payload of one XLogData into the event's payload and the header lines that depend on the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pgstream_relay.change.relation import RelationKeys, identity_columns, key_columns
from pgstream_relay.change.rowcode import (
    UnexpectedTuple,
    compile_convert_values,
    compile_encode_tuple,
)
from pgstream_relay.control.tables import TableSettings
from pgstream_relay.event.envelope import (
    NULL,
    data_format,
    envelope_format,
    json_object,
    json_string,
    object_format,
)
from pgstream_relay.event.headers import key_header, unchanged_header
from pgstream_relay.event.subject import OPERATIONS, format_subject
from pgstream_relay.event.values import Converter, TypeCatalog, compile_converter
from pgstream_relay.pgoutput.messages import UNCHANGED, Relation, TupleValue, TupleValues
from pgstream_relay.pgoutput.tuples import split_tuple
from pgstream_relay.pgoutput.walsender import XLOGDATA_HEADER_SIZE

MARKER_OFFSET: Final = XLOGDATA_HEADER_SIZE + 5
"""Of the byte that says which tuple follows: behind the message's kind and the relation's oid."""
_TUPLE_OFFSET: Final = MARKER_OFFSET + 1
_NEW, _OLD_KEY, _OLD_FULL = b"NKO"

BEFORE_FULL: Final = b"Pgstream-Before: full\r\n"
BEFORE_KEY: Final = b"Pgstream-Before: key\r\n"


class Encoded(NamedTuple):
    """An event without what only its transaction knows."""

    payload: bytes
    headers: bytes


class RelationPlan:
    """`target` is the ledger's number of the stream that the table's events go to.

    `subjects` holds the subjects of the operations that are published; `unknown` is always among them.
    `published` counts events by operation; its owner reads and clears it.
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
        published: dict[str, int],
    ) -> None:
        self.relation = relation
        self.target = target
        self.published = published
        names = [column.name for column in relation.columns]
        converters: list[Converter] = [
            compile_converter(column.type_oid, types, numbers_as_text=settings.numbers_as_text)
            for column in relation.columns
        ]
        self.subjects = {
            operation: format_subject(
                settings.template(operation),
                database=alias,
                schema=relation.schema,
                table=relation.name,
                operation=operation,
            ).encode()
            for operation in OPERATIONS
            if operation in settings.operations or operation == "unknown"
        }
        self._names = names
        self._json_names = [json_string(name) for name in names]
        self._converters = converters
        self._identity = identity_columns(relation)
        self._key = key_columns(relation, keys, settings.key_columns)
        self._convert = compile_convert_values(converters)
        self._row = object_format(names)

        def envelope(operation: str, before: bytes, after: bytes, diff: bytes) -> bytes:
            return envelope_format(alias, relation.schema, relation.name, operation, data_format(before, after, diff))

        self._insert = compile_encode_tuple(converters, envelope("insert", NULL, self._row, NULL), self._key)
        self._delete_full = compile_encode_tuple(converters, envelope("delete", self._row, NULL, NULL), self._key)
        self._delete_key = envelope("delete", b"%b", NULL, NULL)
        self._update = envelope("update", b"%b", b"%b", b"%b")
        self._truncate = envelope("truncate", NULL, NULL, NULL)
        self._bare = {operation: envelope(operation, NULL, NULL, NULL) for operation in OPERATIONS}

    def encode_insert(self, message: bytes, event_id: bytes, timestamp: bytes) -> tuple[bytes, bytes]:
        """Raises MalformedMessage, UnrepresentableValue."""
        if message[MARKER_OFFSET] != _NEW:
            raise UnexpectedTuple("an insert without a new tuple")
        return self._insert(message, _TUPLE_OFFSET, event_id, timestamp)

    def encode_delete(self, message: bytes, event_id: bytes, timestamp: bytes) -> tuple[bytes, bytes]:
        """Raises MalformedMessage, UnrepresentableValue."""
        marker = message[MARKER_OFFSET]
        if marker == _OLD_FULL:
            payload, headers = self._delete_full(message, _TUPLE_OFFSET, event_id, timestamp)
            return payload, headers + BEFORE_FULL
        if marker != _OLD_KEY:
            raise UnexpectedTuple("a delete without an old tuple")
        old, end = split_tuple(message, _TUPLE_OFFSET)
        self._check(old, end, message)
        before, json_values = self._identity_object(old)
        payload = self._delete_key % (event_id, before, timestamp)
        return payload, self._key_header(json_values) + BEFORE_KEY

    def encode_update(self, message: bytes, event_id: bytes, timestamp: bytes) -> tuple[bytes, bytes]:
        """Raises MalformedMessage, UnrepresentableValue."""
        marker = message[MARKER_OFFSET]
        old: TupleValues | None = None
        position = _TUPLE_OFFSET
        if marker != _NEW:
            old, position = split_tuple(message, position)
            if position >= len(message) or message[position] != _NEW:
                raise UnexpectedTuple("an update without a new tuple")
            position += 1
        new, end = split_tuple(message, position)
        self._check(new, end, message)
        if old is None:
            return self._update_key(new, new, event_id, timestamp)
        if len(old) != len(new):
            raise UnexpectedTuple("an old and a new tuple differ in their number of columns")
        if marker == _OLD_FULL:
            return self._update_full(old, new, event_id, timestamp)
        for index in self._identity:
            # A TOASTed key column that did not change stands in the old tuple alone.
            if new[index] is UNCHANGED:
                new[index] = old[index]
        return self._update_key(old, new, event_id, timestamp)

    def encode_bare(self, operation: str, event_id: bytes, timestamp: bytes) -> bytes:
        """An event whose before, after and diff are null: truncate, and what can't be represented."""
        return self._bare[operation] % (event_id, timestamp)

    def _update_full(
        self, old: TupleValues, new: TupleValues, event_id: bytes, timestamp: bytes
    ) -> tuple[bytes, bytes]:
        if UNCHANGED in new:
            for index, value in enumerate(new):
                if value is UNCHANGED:
                    new[index] = old[index]
        after = self._convert(new)
        changed = [index for index, value in enumerate(new) if value != old[index]]
        before: Sequence[bytes] = after
        diff = NULL
        if changed:
            before = list(after)
            for index in changed:
                before[index] = self._convert_one(index, old[index])
            names = self._json_names
            diff = b"{" + b",".join([names[index] + b":" + after[index] for index in changed]) + b"}"
        payload = self._update % (event_id, self._row % tuple(before), self._row % after, diff, timestamp)
        return payload, self._key_header(after) + BEFORE_FULL

    def _update_key(self, old: TupleValues, new: TupleValues, event_id: bytes, timestamp: bytes) -> tuple[bytes, bytes]:
        before, _ = self._identity_object(old)
        if UNCHANGED not in new:
            after = self._convert(new)
            payload = self._update % (event_id, before, self._row % after, NULL, timestamp)
            return payload, self._key_header(after) + BEFORE_KEY
        present = [index for index, value in enumerate(new) if value is not UNCHANGED]
        missing = [self._names[index] for index, value in enumerate(new) if value is UNCHANGED]
        values = {index: self._convert_one(index, new[index]) for index in present}
        document = json_object([self._json_names[index] for index in present], list(values.values()))
        payload = self._update % (event_id, before, document, NULL, timestamp)
        key = self._key_header(values) if all(index in values for index in self._key) else b""
        return payload, key + BEFORE_KEY + unchanged_header(missing)

    def _identity_object(self, old: TupleValues) -> tuple[bytes, dict[int, bytes]]:
        """`before` where only the replica identity's columns are known, and their JSON values by position."""
        values = {index: self._convert_one(index, old[index]) for index in self._identity}
        if not values:
            return NULL, values
        return json_object([self._json_names[index] for index in values], list(values.values())), values

    def _key_header(self, json_values: Sequence[bytes] | dict[int, bytes]) -> bytes:
        return key_header(b",".join([json_values[index] for index in self._key])) if self._key else b""

    def _convert_one(self, index: int, value: TupleValue) -> bytes:
        if value is None:
            return NULL
        if value is UNCHANGED:
            raise UnexpectedTuple("an old tuple lacks a value")
        return self._converters[index](value)

    def _check(self, values: TupleValues, end: int, message: bytes) -> None:
        if len(values) != len(self._names) or end != len(message):
            raise UnexpectedTuple("a tuple does not fit its relation")
