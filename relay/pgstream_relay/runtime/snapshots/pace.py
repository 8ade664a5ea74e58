"""How far live events lag while a snapshot runs: the snapshot gives way before they do.

The relay can't see what walsender has not sent yet. So it writes a small message into the WAL now and then, and looks
how long the stream needs to bring it: through walsender, and through the relay's own queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from pgstream_relay.progress import Ledger
from pgstream_relay.runtime.snapshots.store import SnapshotStore

PROBE_SECONDS: Final = 0.05
PROBES_MAX: Final = 100
LAG_SECONDS_MAX: Final = 0.05
"""Where a message takes longer, the snapshot gives way:"""
LAGGING_PAUSE_SECONDS: Final = 0.25
"""so long from one slice of it to the next."""
REST_SHARE: Final = 0.15
"""Of the time that a slice took, while live events come: a server that is never idle makes them wait for its pauses."""
LIVE_SECONDS: Final = 1.0
"""Without a transaction for so long, nobody is waiting."""


class Pace:
    """`active` is to be set while there are rows to emit."""

    def __init__(self, store: SnapshotStore, ledger: Ledger) -> None:
        self.active = asyncio.Event()
        self._store = store
        self._ledger = ledger
        self._probes: deque[tuple[int, float]] = deque()
        self._emitted_at = 0.0
        self._rests_until = 0.0
        self._live_until = 0.0
        self._commit_lsn = 0

    async def run(self) -> None:
        """Raises RelayError; ends by being cancelled."""
        while True:
            await self.active.wait()
            if len(self._probes) < PROBES_MAX:
                at = time.monotonic()
                self._probes.append((await self._store.write_message(), at))
            await asyncio.sleep(PROBE_SECONDS)

    @property
    def pause_seconds(self) -> float:
        """How long live events come first; 0: not at all. However late they are, a slice may come now and then."""
        probes, received = self._probes, self._ledger.received_lsn
        while probes and probes[0][0] <= received:
            probes.popleft()
        now = time.monotonic()
        until = self._rests_until
        if probes and now - probes[0][1] > LAG_SECONDS_MAX:
            until = max(until, self._emitted_at + LAGGING_PAUSE_SECONDS)
        return max(0.0, until - now)

    def emitted(self, seconds: float, commit_lsn: int) -> None:
        """A slice was published within `seconds`, behind the transaction that committed at `commit_lsn`."""
        now = self._emitted_at = time.monotonic()
        if commit_lsn != self._commit_lsn:
            self._commit_lsn, self._live_until = commit_lsn, now + LIVE_SECONDS
        if now < self._live_until:
            self._rests_until = now + seconds * REST_SHARE
