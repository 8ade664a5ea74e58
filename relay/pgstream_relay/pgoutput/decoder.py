"""Decodes one pgoutput message: protocol version 1, text format, not streamed.

The relay's hot path goes by the first byte itself and calls `split_tuple`; this decodes all the rest, and everything
in tests and tools.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import cast

from pgstream_relay.pgoutput.messages import (
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldKind,
    Origin,
    Relation,
    ReplicaIdentity,
    Truncate,
    TupleValues,
    Type,
    Update,
)
from pgstream_relay.pgoutput.reader import MalformedMessage, Reader
from pgstream_relay.pgoutput.timestamps import POSTGRES_EPOCH_US
from pgstream_relay.pgoutput.tuples import split_tuple

_CASCADE, _RESTART_IDENTITY = 1, 2
_KEY_COLUMN = 1
_TRANSACTIONAL = 1
_COLUMN_SIZE_MIN = 10
# Every transaction has both, so they are read at once.
_BEGIN = struct.Struct("!QqI")
_COMMIT = struct.Struct("!BQQq")


def decode_message(buffer: bytes, position: int = 0) -> Message:
    """The message that fills `buffer` from `position` to its end. Raises MalformedMessage."""
    reader = Reader(buffer, position)
    kind = reader.read_character()
    decode = _DECODERS.get(kind)
    if decode is None:
        raise MalformedMessage(_describe_unknown(kind))
    message = decode(reader)
    reader.require_end()
    return message


def _describe_unknown(kind: str) -> str:
    if kind in "bPKrp":
        return (
            f"message {kind!r} belongs to two-phase commit, which pgstream never asks for:"
            " the slot was created with two_phase = true. Create it again without"
        )
    return f"{kind!r} is not a message of pgoutput's protocol version 1"


def _read_schema(reader: Reader) -> str:
    # pgoutput sends an empty name to save bytes.
    return reader.read_name() or "pg_catalog"


def _read_tuple(reader: Reader) -> TupleValues:
    values, reader.position = split_tuple(reader.buffer, reader.position)
    return values


def _read_new_tuple(reader: Reader, marker: str) -> TupleValues:
    if marker != "N":
        raise MalformedMessage(f"a new tuple starts with 'N', not with {marker!r}")
    return _read_tuple(reader)


def _decode_begin(reader: Reader) -> Begin:
    final_lsn, timestamp, xid = reader.read_struct(_BEGIN)
    return Begin(final_lsn, timestamp + POSTGRES_EPOCH_US, xid)


def _decode_commit(reader: Reader) -> Commit:
    flags, commit_lsn, end_lsn, timestamp = reader.read_struct(_COMMIT)
    return Commit(flags, commit_lsn, end_lsn, timestamp + POSTGRES_EPOCH_US)


def _decode_origin(reader: Reader) -> Origin:
    return Origin(reader.read_uint64(), reader.read_name())


def _decode_relation(reader: Reader) -> Relation:
    oid, schema, name = reader.read_uint32(), _read_schema(reader), reader.read_name()
    identity = reader.read_character()
    if identity not in "dnfi":
        raise MalformedMessage(f"a relation has the unknown replica identity {identity!r}")
    count = reader.read_uint16()
    reader.require_items(count, _COLUMN_SIZE_MIN)
    columns = tuple(_read_column(reader) for _ in range(count))
    return Relation(oid, schema, name, cast("ReplicaIdentity", identity), columns)


def _read_column(reader: Reader) -> Column:
    is_key = bool(reader.read_uint8() & _KEY_COLUMN)
    return Column(is_key, reader.read_name(), reader.read_uint32(), reader.read_int32())


def _decode_type(reader: Reader) -> Type:
    return Type(reader.read_uint32(), _read_schema(reader), reader.read_name())


def _decode_insert(reader: Reader) -> Insert:
    return Insert(reader.read_uint32(), _read_new_tuple(reader, reader.read_character()))


def _decode_update(reader: Reader) -> Update:
    oid, marker = reader.read_uint32(), reader.read_character()
    old_kind: OldKind | None = None
    old: TupleValues | None = None
    if marker in "KO":
        old_kind, old = cast("OldKind", marker), _read_tuple(reader)
        marker = reader.read_character()
    return Update(oid, old_kind, old, _read_new_tuple(reader, marker))


def _decode_delete(reader: Reader) -> Delete:
    oid, marker = reader.read_uint32(), reader.read_character()
    if marker not in "KO":
        raise MalformedMessage(f"an old tuple starts with 'K' or 'O', not with {marker!r}")
    return Delete(oid, cast("OldKind", marker), _read_tuple(reader))


def _decode_truncate(reader: Reader) -> Truncate:
    count, options = reader.read_uint32(), reader.read_uint8()
    reader.require_items(count, 4)
    oids = tuple(reader.read_uint32() for _ in range(count))
    return Truncate(oids, bool(options & _CASCADE), bool(options & _RESTART_IDENTITY))


def _decode_logical_message(reader: Reader) -> LogicalMessage:
    transactional = bool(reader.read_uint8() & _TRANSACTIONAL)
    lsn, prefix = reader.read_uint64(), reader.read_name()
    return LogicalMessage(transactional, lsn, prefix, reader.read_bytes(reader.read_uint32()))


_DECODERS: dict[str, Callable[[Reader], Message]] = {
    "B": _decode_begin,
    "C": _decode_commit,
    "O": _decode_origin,
    "R": _decode_relation,
    "Y": _decode_type,
    "I": _decode_insert,
    "U": _decode_update,
    "D": _decode_delete,
    "T": _decode_truncate,
    "M": _decode_logical_message,
}
