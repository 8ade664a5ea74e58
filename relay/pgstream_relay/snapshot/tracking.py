"""What the WAL did to one table while a snapshot of it is under way (DESIGN law 8).

The stream may be ahead of what a snapshot S of Postgres sees: a transaction is streamed as soon as its commit is
flushed, and visible only after that (much later, where it waits for a standby). A row read under S is older than what
the stream has told of it already, if a published transaction touched its key and S does not see that. So each
published transaction is kept, with the keys that it touched, until snapshots see it.

A second matter are rows that no chunk emits whole: dropped for a newer event that lacks an unchanged TOAST value, or
moved by an update from a block not yet read to one that was. Their keys are in `reread`, until a chunk emits the row
under a snapshot that sees the change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Final

from pgstream_relay.change.plan import DELETE, INSERT, OPERATION_OF, UPDATE
from pgstream_relay.pgoutput.messages import Relation
from pgstream_relay.snapshot.touch import Key, touch_reader
from pgstream_relay.snapshot.transactions import OpenTransaction, Published, Transactions
from pgstream_relay.snapshot.visibility import XidSnapshot
from pgstream_relay.snapshot.window import ChunkRead, Window

KEYS_MAX: Final = 100_000
REREAD_MAX: Final = 20_000
_REREAD_DUE: Final = 4
"""Read again by key when `reread` holds this part of its maximum, before it overflows."""


class TableTrack:
    """One table's, from when its snapshot begins or is resumed; told of each of its changes, in the stream's order.

    It holds `keys_max` keys at most: over that, transactions count as having touched every key of the table, and
    what they hide is read again once it is visible. `reread` are keys that must be read again by key, in order;
    `overflowed`: there were more than `reread_max`, and the table must be read again from its first block.
    """

    def __init__(self, key_columns: tuple[str, ...], *, keys_max: int = KEYS_MAX, reread_max: int = REREAD_MAX) -> None:
        self.key_columns = key_columns
        self.reread: dict[Key, None] = {}
        self.taken: set[Key] = set()
        """Those of the last `take_reread`: until the next one, or the end, their rows may not be stored."""
        self.emitted: set[Key] = set()
        """Those of `taken` whose rows were emitted."""
        self.overflowed = False
        self._keys_max = keys_max
        self._reread_max = reread_max
        self._open = OpenTransaction(reread_max)
        self._transactions = Transactions()
        self._windows: list[Window] = []
        self._draining = False

    # What the stream tells.

    def toucher(self, relation: Relation, published: Collection[str]) -> Callable[[int, bytes], None]:
        """A function to be told of each change: its kind (INSERT, UPDATE or DELETE) and its XLogData payload.

        Telling it twice changes nothing. It raises MalformedMessage. `published` are the operations that become
        events; a row that changed by another one is left out and read again like one whose event is incomplete.
        """
        read = touch_reader(relation, self.key_columns)
        unpublished = {kind for kind in (INSERT, UPDATE) if OPERATION_OF[kind] not in published}

        def touch(kind: int, message: bytes) -> None:
            old, new, complete = read(kind, message)
            transaction = self._open
            transaction.changed = True
            if kind in unpublished:
                complete = False
            if old is None and new is None:
                transaction.forget_keys()
                transaction.lost = transaction.lost or not complete
                return
            if not complete and self._draining and (kind != INSERT or kind in unpublished):
                complete = not (self._lacks(old) or self._lacks(new))
            if kind == DELETE and old is not None:
                transaction.record(old, complete=True)
            elif old is not None:
                transaction.record_gone(old)
            if new is not None:
                transaction.record(new, complete=complete)
            if self._held() > self._keys_max:
                self._make_room()

        return touch

    def truncated(self) -> None:
        """The open transaction truncated the table: published or not, no row of before may be emitted."""
        self._open.truncate()

    def relation_changed(self, columns: Sequence[tuple[str, int]]) -> None:
        """The open transaction brings a description of the table (names and type oids of its columns)."""
        shape = tuple(columns)
        self._open.shape = shape
        self._open.changed = True
        for window in self._windows:
            if window.shape != shape:
                window.mark_stale()

    def commit(self, xid: int) -> None:
        """The open transaction is published whole. Call it before any row is taken after that."""
        transaction = self._open
        if not transaction.changed:
            return
        self._open = OpenTransaction(self._reread_max)
        incomplete = tuple([key for key, lacking in transaction.keys.items() if lacking])
        self._add_reread(incomplete)
        if transaction.lost:
            self._overflow()
        published = Published(xid, frozenset(transaction.keys), incomplete, transaction.shape)
        if transaction.all_keys:
            published.forget_keys()
        for window in self._windows:
            if not window.stale and not window.read.snapshot.sees(xid):
                _hide(window, published)
        self._transactions.add(published)
        if self._held() > self._keys_max:
            self._make_room()

    @property
    def in_transaction(self) -> bool:
        """Whether the stream is in the middle of a transaction that changes the table."""
        return self._open.changed

    # What was read.

    def seen(self, snapshot: XidSnapshot) -> None:
        """Later chunks will be read under snapshots that see at least as much as this one."""
        self._transactions.prune(snapshot)

    def open_window(self, read: ChunkRead) -> Window:
        """The rows of a chunk, without those that the stream is ahead of. Raises KeyMissing.

        Open them in the order in which they were read: one that was read before another's snapshot is stale.
        """
        window = Window(self, read)
        unseen = self._transactions.unseen(read.snapshot)
        if unseen is None:
            window.mark_stale()
        for transaction in unseen or ():
            _hide(window, transaction)
            # Taken to be read again, under a snapshot that does not see why.
            self._add_reread([key for key in transaction.incomplete if key in self.taken])
        self._windows.append(window)
        self._transactions.prune(read.snapshot)
        if self._held() > self._keys_max:
            self._make_room()
        return window

    def close_window(self, window: Window) -> None:
        """Nothing more is taken from it."""
        self._windows.remove(window)

    # What must be read again.

    @property
    def reread_due(self) -> bool:
        """Whether keys should be read again now. Before `drain`, only where they become too many."""
        return bool(self.reread) and (self._draining or len(self.reread) * _REREAD_DUE >= self._reread_max)

    def take_reread(self, limit: int) -> list[Key]:
        """The first keys to be read again; what was taken before counts as stored unless it was given back."""
        keys = list(islice(self.reread, limit))
        for key in keys:
            del self.reread[key]
        self.taken.clear()
        self.emitted.clear()
        self.taken.update(keys)
        return keys

    def give_back(self, keys: Iterable[Key]) -> None:
        """Their rows were not emitted, or not stored: the window is stale, the query failed, the stream broke off."""
        self._add_reread(keys)

    def drain(self) -> None:
        """Each block was read, and its rows are stored: what is in `reread` is all that readers lack.

        So an incomplete event of a row that they hold whole asks for nothing any more, and `reread` can run empty
        however busy the table is. The snapshot ends when it has.
        """
        self._draining = True

    def restart(self) -> None:
        """The table is read again from its first block."""
        self.reread.clear()
        self.taken.clear()
        self.emitted.clear()
        self.overflowed = self._draining = False
        self._transactions.forget_incomplete()
        for window in self._windows:
            window.mark_stale()

    def _lacks(self, key: Key | None) -> bool:
        """Whether readers may not hold the whole row."""
        if key is None:
            return False
        return self._open.keys.get(key, False) or key in self.reread or (key in self.taken and key not in self.emitted)

    def _add_reread(self, keys: Iterable[Key]) -> None:
        if not self.overflowed:
            self.reread.update(dict.fromkeys(keys))
            if len(self.reread) > self._reread_max:
                self._overflow()

    def _overflow(self) -> None:
        self.overflowed = True
        self.reread.clear()

    # Memory.

    def _held(self) -> int:
        """In keys: the same key counts as often as it is held."""
        held = len(self._open.keys) + self._transactions.weight
        for window in self._windows:
            held += len(window.touched)
        return held

    def _make_room(self) -> None:
        """Half of the maximum for the open transaction, half for what is kept, so that it is not called often."""
        half = self._keys_max // 2
        if len(self._open.keys) > half:
            self._open.forget_keys()
        room = half
        for window in sorted(self._windows, key=lambda window: len(window.touched)):
            room -= len(window.touched)
            if room < 0:
                room += len(window.touched)
                window.mark_stale()
        self._transactions.shrink(room)


def _hide(window: Window, transaction: Published) -> None:
    """Leaves out the rows that the transaction touched."""
    if transaction.keys is None or transaction.shape not in (None, window.shape):
        window.mark_stale()
    elif not window.stale:
        window.touched |= transaction.keys
