"""A little Postgres in memory: one heap with row versions, transactions that are streamed before they are visible.

What it keeps of the real one: a transaction's changes are in the WAL at its commit record, in commit order; it is
visible to new snapshots only when it has left the list of running ones, which may be much later; row locks last until
then. TRUNCATE needs the table to itself and begins a new file. An update puts the row's new version in any block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from pgstream_relay.pgoutput.messages import UNCHANGED, Column, Delete, Insert, Relation, TupleValue, Update
from pgstream_relay.snapshot.chunks import Tid, TidRange
from pgstream_relay.snapshot.visibility import XidSnapshot
from tests.support.pgoutput import encode_message, encode_xlogdata

OID: Final = 4711
COLUMNS: Final = (Column(True, "id", 20, -1), Column(False, "stamp", 20, -1), Column(False, "big", 25, -1))
KEYS: Final = 12
OPEN_MAX: Final = 3


@dataclass(slots=True)
class Version:
    """Of a row. `stamp` grows with every change of the table; a `big` that begins with T is TOASTed."""

    key: int
    stamp: int
    big: bytes | None
    tid: Tid
    xmin: int
    xmax: int = 0

    def line(self) -> bytes:
        """As COPY prints it."""
        big = b"\\N" if self.big is None else self.big
        return b"%d\t%d\t%b\n" % (self.key, self.stamp, big)


@dataclass(slots=True)
class Change:
    """`message` is what the WAL holds, None for a TRUNCATE; `big` what the event says of that column."""

    kind: str
    stamp: int
    message: bytes | None = None
    old_key: int | None = None
    key: int | None = None
    big: TupleValue = None


@dataclass(slots=True)
class Transaction:
    """`committed`: its record is in the WAL; it is running until it is taken from `Postgres.running`."""

    xid: int
    changes: list[Change] = field(default_factory=list)
    committed: bool = False
    truncated: bool = False


class Postgres:
    """`wal` are the committed transactions; an LSN is a number of them. The first ids are about to wrap."""

    def __init__(self, random: Random, *, identity: str, rows: int) -> None:
        self.relation = Relation(OID, "public", "t", "f" if identity == "f" else "d", COLUMNS)
        self.wal: list[Transaction] = []
        self.running: dict[int, Transaction] = {}
        self.filenode = 1
        self._random = random
        self._versions: list[Version] = []
        self._seen: set[int] = {1}
        self._latest_ended = (7 << 32) - random.randrange(1, 12)
        self._next_xid = self._latest_ended + 1
        self._stamp = 0
        self._locks: dict[int, int] = {}
        for key in range(rows):
            self._stamp += 1
            self._versions.append(Version(key, self._stamp, b"T%d" % self._stamp, self._place(), 1))

    # Reading.

    @property
    def blocks(self) -> int:
        return max((version.tid.block for version in self._versions), default=-1) + 1

    @property
    def truncating(self) -> bool:
        """Whether a reader would wait for the table's lock."""
        return any(transaction.truncated for transaction in self.running.values())

    def snapshot(self) -> XidSnapshot:
        xmax = self._latest_ended + 1
        xmin = min([*self.running, xmax])
        in_progress = ",".join(str(xid) for xid in self.running if xid < xmax)
        return XidSnapshot.parse(f"{xmin}:{xmax}:{in_progress}")

    def visible(self) -> list[Version]:
        """What a query sees now."""
        seen = self._seen
        return [version for version in self._versions if version.xmin in seen and version.xmax not in seen]

    def read(self, part: TidRange) -> list[bytes]:
        return [version.line() for version in self.visible() if part.first <= version.tid < part.end]

    def read_keys(self, keys: set[int]) -> list[bytes]:
        return [version.line() for version in self.visible() if version.key in keys]

    # Writing.

    def step(self) -> None:
        """Something that a writer does, or the end of a commit."""
        random = self._random
        writing = [transaction for transaction in self.running.values() if not transaction.committed]
        choice = random.random()
        if choice < 0.2 and len(writing) < OPEN_MAX:
            self.running[self._next_xid] = Transaction(self._next_xid)
            self._next_xid += 1
        elif choice < 0.65 and writing:
            self._change(random.choice(writing))
        elif choice < 0.82 and writing:
            transaction = random.choice(writing)
            if random.random() < 0.15:
                self._end(transaction)
            else:
                transaction.committed = True
                self.wal.append(transaction)
        elif self.running:
            transaction = random.choice(list(self.running.values()))
            if transaction.committed:
                self._end(transaction)

    def settle(self) -> None:
        """Everybody commits and is visible."""
        for transaction in list(self.running.values()):
            if not transaction.committed:
                transaction.committed = True
                self.wal.append(transaction)
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        del self.running[transaction.xid]
        self._latest_ended = max(self._latest_ended, transaction.xid)
        self._locks = {key: xid for key, xid in self._locks.items() if xid != transaction.xid}
        if transaction.committed:
            self._seen.add(transaction.xid)
            if transaction.truncated:
                self.filenode += 1
                self._versions = [version for version in self._versions if version.xmin == transaction.xid]
            return
        self._versions = [version for version in self._versions if version.xmin != transaction.xid]
        for version in self._versions:
            if version.xmax == transaction.xid:
                version.xmax = 0

    def _place(self) -> Tid:
        block = self._random.randrange(5)
        offset = max((version.tid.offset for version in self._versions if version.tid.block == block), default=0)
        return Tid(block, offset + 1)

    def _rows(self, transaction: Transaction) -> dict[int, Version]:
        """The rows as this transaction would find them; its own TRUNCATE has marked the others as deleted."""
        mine = self._seen | {transaction.xid}
        return {version.key: version for version in self._versions if version.xmin in mine and version.xmax not in mine}

    def _lock(self, transaction: Transaction, *keys: int) -> bool:
        if self.truncating and not transaction.truncated:
            return False
        if any(self._locks.get(key, transaction.xid) != transaction.xid for key in keys):
            return False
        self._locks.update(dict.fromkeys(keys, transaction.xid))
        return True

    def _change(self, transaction: Transaction) -> None:
        random = self._random
        key, other = random.randrange(KEYS), random.randrange(KEYS)
        row = self._rows(transaction).get(key)
        choice = random.random()
        if choice < 0.03 and not any(self._locks.values()) and not self.truncating:
            self._truncate(transaction)
        elif row is None:
            if self._lock(transaction, key):
                self._insert(transaction, key)
        elif choice < 0.25:
            if self._lock(transaction, key):
                self._delete(transaction, row)
        elif choice < 0.4 and other not in self._rows(transaction):
            if self._lock(transaction, key, other):
                self._update(transaction, row, other)
        elif self._lock(transaction, key):
            self._update(transaction, row, key)

    def _insert(self, transaction: Transaction, key: int) -> None:
        version = self._add(transaction, key, self._big())
        new = _values(version)
        message = Insert(OID, [*new])
        transaction.changes.append(Change("insert", version.stamp, _encode(message), None, key, version.big))

    def _update(self, transaction: Transaction, row: Version, key: int) -> None:
        keeps = self._random.random() < 0.6
        row.xmax = transaction.xid
        version = self._add(transaction, key, row.big if keeps else self._big())
        new: list[TupleValue] = [*_values(version)]
        full = self.relation.replica_identity == "f"
        if keeps and row.big is not None and row.big.startswith(b"T"):
            new[2] = UNCHANGED
        old = [*_values(row)] if full else [b"%d" % row.key, None, None]
        kind = "O" if full else "K" if key != row.key else None
        message = Update(OID, kind, old if kind else None, new)  # type: ignore[arg-type]
        big = row.big if full and new[2] is UNCHANGED else new[2]
        transaction.changes.append(Change("update", version.stamp, _encode(message), row.key, key, big))

    def _delete(self, transaction: Transaction, row: Version) -> None:
        self._stamp += 1
        row.xmax = transaction.xid
        full = self.relation.replica_identity == "f"
        message = Delete(OID, "O" if full else "K", [*_values(row)] if full else [b"%d" % row.key, None, None])
        transaction.changes.append(Change("delete", self._stamp, _encode(message), row.key))

    def _truncate(self, transaction: Transaction) -> None:
        self._stamp += 1
        transaction.truncated = True
        for version in self._rows(transaction).values():
            version.xmax = transaction.xid
        transaction.changes.append(Change("truncate", self._stamp))

    def _add(self, transaction: Transaction, key: int, big: bytes | None) -> Version:
        self._stamp += 1
        if big == b"":
            big = b"T%d" % self._stamp
        version = Version(key, self._stamp, big, self._place(), transaction.xid)
        self._versions.append(version)
        return version

    def _big(self) -> bytes | None:
        return self._random.choice([b"", b"", b"", None, b"short"])


def _values(version: Version) -> list[bytes | None]:
    return [b"%d" % version.key, b"%d" % version.stamp, version.big]


def _encode(message: Insert | Update | Delete) -> bytes:
    return encode_xlogdata(encode_message(message))
