"""Encodes pgoutput and walsender messages as a server would: the counterpart of the relay's decoder, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pgstream_relay.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    Truncate,
    TupleValue,
    Type,
    Update,
)
from pgstream_relay.pgoutput.timestamps import POSTGRES_EPOCH_US


def encode_message(message: Message) -> bytes:
    """The bytes of one message, protocol version 1."""
    match message:
        case Begin(lsn, timestamp, xid):
            return struct.pack("!cQqI", b"B", lsn, timestamp - POSTGRES_EPOCH_US, xid)
        case Commit(flags, lsn, end_lsn, timestamp):
            return struct.pack("!cBQQq", b"C", flags, lsn, end_lsn, timestamp - POSTGRES_EPOCH_US)
        case Origin(lsn, name):
            return struct.pack("!cQ", b"O", lsn) + encode_name(name)
        case Relation():
            return encode_relation(message)
        case Type(oid, schema, name):
            return struct.pack("!cI", b"Y", oid) + encode_schema(schema) + encode_name(name)
        case Insert(oid, new):
            return struct.pack("!cIc", b"I", oid, b"N") + encode_tuple(new)
        case Update(oid, old_kind, old, new):
            before = b"" if old_kind is None or old is None else old_kind.encode() + encode_tuple(old)
            return struct.pack("!cI", b"U", oid) + before + b"N" + encode_tuple(new)
        case Delete(oid, old_kind, old):
            return struct.pack("!cI", b"D", oid) + old_kind.encode() + encode_tuple(old)
        case Truncate(oids, cascade, restart_identity):
            options = (1 if cascade else 0) | (2 if restart_identity else 0)
            return struct.pack(f"!cIB{len(oids)}I", b"T", len(oids), options, *oids)
        case LogicalMessage(transactional, lsn, prefix, content):
            head = struct.pack("!cBQ", b"M", transactional, lsn) + encode_name(prefix)
            return head + struct.pack("!I", len(content)) + content


def encode_name(name: str) -> bytes:
    return name.encode() + b"\0"


def encode_schema(schema: str) -> bytes:
    return encode_name("" if schema == "pg_catalog" else schema)


def encode_relation(relation: Relation) -> bytes:
    columns = b"".join(
        bytes([column.is_key]) + encode_name(column.name) + struct.pack("!Ii", column.type_oid, column.type_modifier)
        for column in relation.columns
    )
    return (
        struct.pack("!cI", b"R", relation.oid)
        + encode_schema(relation.schema)
        + encode_name(relation.name)
        + struct.pack("!cH", relation.replica_identity.encode(), len(relation.columns))
        + columns
    )


def encode_tuple(values: Sequence[TupleValue]) -> bytes:
    return struct.pack("!H", len(values)) + b"".join(map(encode_value, values))


def encode_value(value: TupleValue) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    return struct.pack("!cI", b"t", len(value)) + value


def encode_xlogdata(message: bytes, *, wal_start: int = 0, wal_end: int = 0, sent_at_us: int = 0) -> bytes:
    """A message as one payload of the replication stream."""
    return struct.pack("!cQQq", b"w", wal_start, wal_end, sent_at_us - POSTGRES_EPOCH_US) + message


def encode_keepalive(wal_end: int, *, sent_at_us: int = 0, reply_requested: bool = False) -> bytes:
    return struct.pack("!cQqB", b"k", wal_end, sent_at_us - POSTGRES_EPOCH_US, reply_requested)
