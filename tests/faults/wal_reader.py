"""pgoutput read from a slot, independently of the relay: the ground truth must share no code with what it judges."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from select import select
from typing import Any, TypeAlias

import psycopg

UNCHANGED = object()
"""A TOAST value that Postgres did not send."""

Values: TypeAlias = list[Any]
"""One a column: the text as bytes, None, or UNCHANGED."""

SESSION_OPTIONS = (
    "-c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=1 -c bytea_output=hex"
    " -c search_path=pg_catalog -c wal_sender_timeout=0"
)
SILENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Table:
    """A relation as it stood when the change was made. A column is (name, type oid, part of the identity)."""

    oid: int
    schema: str
    name: str
    columns: tuple[tuple[str, int, bool], ...]


@dataclass(frozen=True)
class WalChange:
    """One change that Postgres sent. `kind`: insert, update, delete, truncate or message (then `old` is the prefix)."""

    commit_lsn: int
    ordinal: int
    commit_us: int
    xid: int
    kind: str
    table: Table | None = None
    old: Any = None
    old_is_full: bool = False
    new: Any = None


@dataclass
class _Cursor:
    data: bytes
    at: int = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def raw(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def values(self) -> Values:
        (count,) = self.take("!H")
        return [self._value() for _ in range(count)]

    def _value(self) -> Any:
        kind = self.raw(1)
        if kind == b"n":
            return None
        if kind == b"u":
            return UNCHANGED
        (size,) = self.take("!I")
        return self.raw(size)


@dataclass
class WalDecoder:
    """Turns messages into changes; keeps the relations and the transaction that it is in."""

    tables: dict[int, Table] = field(default_factory=dict)
    begin: tuple[int, int, int] = (0, 0, 0)
    ordinal: int = 0
    transactions: int = 0

    def decode(self, message: bytes) -> Iterator[WalChange]:
        kind, cursor = message[:1], _Cursor(message, 1)
        if kind == b"B":
            lsn, commit_us, xid = cursor.take("!QqI")
            self.begin, self.ordinal = (lsn, commit_us + 946_684_800_000_000, xid), 0
        elif kind == b"C":
            self.transactions += 1
        elif kind == b"R":
            self._relation(cursor)
        elif kind in b"IUD":
            yield self._row(kind, cursor)
        elif kind == b"T":
            count, _ = cursor.take("!IB")
            for oid in cursor.take(f"!{count}I"):
                yield self._change("truncate", table=self.tables[oid])
        elif kind == b"M":
            transactional, _ = cursor.take("!BQ")
            if transactional:
                prefix = cursor.text()
                yield self._change("message", old=prefix, new=cursor.raw(cursor.take("!I")[0]))
        else:
            assert kind in b"OY", kind

    def _relation(self, cursor: _Cursor) -> None:
        (oid,) = cursor.take("!I")
        schema, name = cursor.text(), cursor.text()
        _, count = cursor.take("!cH")
        columns = []
        for _ in range(count):
            (is_key,) = cursor.take("!B")
            column = cursor.text()
            columns.append((column, cursor.take("!Ii")[0], bool(is_key)))
        self.tables[oid] = Table(oid, schema, name, tuple(columns))

    def _row(self, kind: bytes, cursor: _Cursor) -> WalChange:
        table = self.tables[cursor.take("!I")[0]]
        (part,) = cursor.take("!c")
        old, full = None, part == b"O"
        if part != b"N":
            old = cursor.values()
        if kind == b"U" and old is not None:
            (part,) = cursor.take("!c")
        new = cursor.values() if part == b"N" else None
        operation = {b"I": "insert", b"U": "update", b"D": "delete"}[kind]
        return self._change(operation, table=table, old=old, old_is_full=full, new=new)

    def _change(self, kind: str, **rest: Any) -> WalChange:
        self.ordinal += 1
        lsn, commit_us, xid = self.begin
        return WalChange(lsn, self.ordinal, commit_us, xid, kind, **rest)


def read_changes(dsn: str, slot: str, publication: str, until_lsn: int) -> Iterator[WalChange]:
    """All changes of the transactions that the slot holds, up to `until_lsn`. The slot is not moved."""
    decoder = WalDecoder()
    # Only closed: a context of psycopg's own would send COMMIT in the middle of the stream.
    with closing(psycopg.connect(dsn, replication="database", autocommit=True, options=SESSION_OPTIONS)) as connection:
        connection.execute(
            f"START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 (proto_version '1', messages 'true',"
            f" publication_names '\"{publication}\"')"
        )
        for payload in _payloads(connection):
            if payload[:1] == b"w":
                yield from decoder.decode(payload[25:])
                done = payload[25:26] == b"C" and struct.unpack_from("!Q", payload, 35)[0] >= until_lsn
            else:
                done = struct.unpack_from("!Q", payload, 1)[0] >= until_lsn
            if done:
                return


def _payloads(connection: psycopg.Connection[Any]) -> Iterator[bytes]:
    pgconn = connection.pgconn
    heard = time.monotonic()
    while True:
        size, data = pgconn.get_copy_data(1)
        if size > 0:
            heard = time.monotonic()
            yield bytes(data)
            continue
        assert size == 0, f"the ground truth's slot ended: {pgconn.get_result()}"
        assert time.monotonic() - heard < SILENCE_SECONDS, "Postgres has sent the ground truth nothing more"
        select([pgconn.socket], [], [], 1.0)
        pgconn.consume_input()
