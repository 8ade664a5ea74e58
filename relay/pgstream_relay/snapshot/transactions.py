"""The transactions that touched a table and were published, as far as snapshots may not see them yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from pgstream_relay.snapshot.touch import Key
from pgstream_relay.snapshot.visibility import XidSnapshot, is_newer

Shape: TypeAlias = tuple[tuple[str, int], ...]
"""Names and type oids of the columns."""


class OpenTransaction:
    """The one that the stream is in the middle of. Recording the same change twice changes nothing.

    `keys`: those it touched; True where its events leave the reader without a part of the row. `all_keys`: it touched
    more than are remembered; `keys` holds the incomplete ones alone then. `lost`: not even all of those.
    `shape`: the table's columns, if it brought a description of them.
    """

    __slots__ = ("_incomplete_max", "all_keys", "changed", "keys", "lost", "shape")

    def __init__(self, incomplete_max: int) -> None:
        self.keys: dict[Key, bool] = {}
        self.all_keys = False
        self.lost = False
        self.changed = False
        self.shape: Shape | None = None
        self._incomplete_max = incomplete_max

    def record(self, key: Key, *, complete: bool) -> None:
        """The row that has `key` now."""
        if not self.all_keys:
            self.keys[key] = not complete
        elif complete:
            self.keys.pop(key, None)
        else:
            self._record_incomplete(key)

    def record_gone(self, key: Key) -> None:
        """A key that a row had and has no more. Whether its row was complete is not forgotten."""
        if not self.all_keys:
            self.keys.setdefault(key, False)

    def forget_keys(self) -> None:
        """Too many, or not known: what is left counts as all keys of the table."""
        if self.all_keys:
            return
        self.all_keys = True
        incomplete = [key for key, lacking in self.keys.items() if lacking]
        self.keys = {}
        for key in incomplete:
            self._record_incomplete(key)

    def truncate(self) -> None:
        """Every row is gone, and with it what was incomplete."""
        self.keys = {}
        self.all_keys = self.changed = True
        self.lost = False

    def _record_incomplete(self, key: Key) -> None:
        if self.lost:
            return
        self.keys[key] = True
        if len(self.keys) > self._incomplete_max:
            self.lost = True
            self.keys = {}


class Published:
    """One that was published. `keys` is None for all; `incomplete` are those whose row its events leave incomplete."""

    __slots__ = ("incomplete", "keys", "shape", "xid")

    def __init__(self, xid: int, keys: frozenset[Key] | None, incomplete: tuple[Key, ...], shape: Shape | None) -> None:
        self.xid = xid
        self.keys = keys
        self.incomplete = incomplete
        self.shape = shape

    @property
    def weight(self) -> int:
        """What it holds in memory, in keys."""
        return 1 + len(self.keys or ()) + len(self.incomplete)

    def forget_keys(self) -> None:
        """From here on no row read before it was visible is emitted, so that none of them is incomplete."""
        self.keys = None
        self.incomplete = ()


class Transactions:
    """Those that touched the table, in commit order, until every snapshot to come sees them.

    `weight` is what they hold in memory, in keys.
    """

    def __init__(self) -> None:
        self.weight = 0
        self._published: list[Published] = []
        self._forgotten_to: int | None = None
        """Of those forgotten whole, the newest xid."""
        self._horizon: XidSnapshot | None = None
        """The latest snapshot: what it sees is no longer kept."""

    def add(self, transaction: Published) -> None:
        if self._horizon is None or not self._horizon.sees(transaction.xid):
            self._published.append(transaction)
            self.weight += transaction.weight

    def prune(self, snapshot: XidSnapshot) -> None:
        """Forgets those that this snapshot sees: visibility only grows."""
        if self._horizon is not None and not snapshot.covers(self._horizon):
            return
        self._horizon = snapshot
        if self._forgotten_to is not None and snapshot.is_past(self._forgotten_to):
            self._forgotten_to = None
        if self._published:
            self._published = [kept for kept in self._published if not snapshot.sees(kept.xid)]
            self.weight = sum(kept.weight for kept in self._published)

    def unseen(self, snapshot: XidSnapshot) -> Iterable[Published] | None:
        """Those that the snapshot does not see; None where that is not known any more."""
        if self._horizon is not None and not snapshot.covers(self._horizon):
            return None
        if self._forgotten_to is not None and not snapshot.is_past(self._forgotten_to):
            return None
        return [kept for kept in self._published if not snapshot.sees(kept.xid)]

    def forget_incomplete(self) -> None:
        """Rows are to be read only where every transaction that left one incomplete is visible."""
        for transaction in self._published:
            if transaction.incomplete:
                self.weight -= transaction.weight - 1
                transaction.forget_keys()

    def shrink(self, weight_max: int) -> None:
        """Forgets keys, of the oldest transactions first; then whole transactions."""
        for transaction in self._published:
            if self.weight <= weight_max:
                return
            self.weight -= transaction.weight - 1
            transaction.forget_keys()
        excess = self.weight - weight_max
        for transaction in self._published[:excess]:
            if self._forgotten_to is None or is_newer(transaction.xid, self._forgotten_to):
                self._forgotten_to = transaction.xid
        del self._published[:excess]
        self.weight -= excess
