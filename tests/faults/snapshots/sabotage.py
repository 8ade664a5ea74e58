"""`python -m tests.faults.snapshots.sabotage KIND run …`: the relay with a rule of its snapshots taken out.

Shows that the judge can fail, and that the rules which other systems go by are not enough in Postgres.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from pgstream_relay.app import main
from pgstream_relay.runtime.snapshots.incremental import IncrementalSnapshot
from pgstream_relay.snapshot.transactions import Published, Transactions
from pgstream_relay.snapshot.visibility import XidSnapshot


def trust_watermarks() -> None:
    """Low and high watermark: a row is left out for what the stream brought while its chunk was read, from when the
    former chunk had been read up to the position that the row waits for. What a snapshot sees plays no part."""

    def add(self: Transactions, transaction: Published) -> None:
        self._published.append(transaction)

    def unseen(self: Transactions, snapshot: XidSnapshot) -> Iterable[Published]:
        since_low, self._published = self._published, []
        return since_low

    def prune(self: Transactions, snapshot: XidSnapshot) -> None:
        self._published = []

    Transactions.add = add  # type: ignore[method-assign]
    Transactions.unseen = unseen  # type: ignore[method-assign]
    Transactions.prune = prune  # type: ignore[method-assign]


def skip_the_barrier() -> None:
    """A snapshot begins, and goes on after a restart, beside transactions that were published before."""

    async def pass_by(self: IncrementalSnapshot, oids: list[int]) -> None:
        return None

    IncrementalSnapshot._barrier = pass_by  # type: ignore[method-assign]


KINDS: Final = {"watermark": trust_watermarks, "barrier": skip_the_barrier}

if __name__ == "__main__":
    KINDS[sys.argv.pop(1)]()
    main()
