"""The ledger of law 1: which LSN may be confirmed to Postgres. The one place that decides it.

Events go to targets (0: plain NATS, 1…: JetStream streams); each target acknowledges a growing prefix of what it was
handed. A transaction's end LSN may be confirmed once every target has acknowledged all that was handed over up to
that transaction's commit. A keepalive's position counts as an empty transaction.
"""

from __future__ import annotations

from collections import deque
from typing import Final

EPHEMERAL: Final = 0
"""The target for plain NATS."""


class Ledger:
    """`received_lsn`: up to where the WAL was read; `confirmed_lsn`: up to where Postgres may forget it.

    Both only grow. All LSNs are integers.
    """

    def __init__(self, start_lsn: int) -> None:
        self.received_lsn = start_lsn
        self._stored_lsn = start_lsn
        self._confirmed_lsn = start_lsn
        self._handed: list[int] = [0]
        self._acknowledged: list[int] = [0]
        self._open: deque[tuple[int, tuple[int, ...], int]] = deque()
        self.stored_commits_us: list[int] = []
        """Commit times of transactions with events that were stored since the owner cleared it."""
        self._last_handed: tuple[int, ...] = (0,)
        self._held = False
        self._held_until: int | None = None
        self.limit: int | None = None
        """Nothing above it is confirmed: WAL behind it may be needed again by a snapshot that is under way."""

    def add_target(self) -> int:
        """The index of a new target."""
        self._handed.append(0)
        self._acknowledged.append(0)
        self._last_handed += (0,)
        return len(self._handed) - 1

    def hand_over(self, target: int, count: int) -> None:
        """`count` more events go to `target`, as part of the transaction that `commit` will end."""
        self._handed[target] += count

    def commit(self, end_lsn: int, committed_us: int = 0) -> None:
        """Everything handed over so far lies at or below `end_lsn`, and so does all WAL received so far.

        `committed_us` is the commit time (Unix, µs) of a transaction, 0 of a keepalive's position.
        """
        if end_lsn > self.received_lsn:
            self.received_lsn = end_lsn
        handed = tuple(self._handed)
        if handed == self._last_handed:
            # No event since the last entry: nothing to measure, and one entry serves both.
            committed_us = self._open.pop()[2] if self._open else 0
        self._last_handed = handed
        self._open.append((self.received_lsn, handed, committed_us))

    def acknowledge(self, target: int, total: int) -> None:
        """`target` has stored the first `total` events that it was handed.

        Raises ValueError where that is more than it was handed: confirming on its word would lose data.
        """
        if total > self._handed[target]:
            raise ValueError(f"target {target} acknowledged {total} events of {self._handed[target]} handed over")
        self._acknowledged[target] = total

    @property
    def in_flight_events(self) -> int:
        """Handed over and not acknowledged yet."""
        return sum(self._handed) - sum(self._acknowledged)

    @property
    def handed_over(self) -> tuple[int, ...]:
        """How much every target was handed so far, for `is_acknowledged`."""
        return tuple(self._handed)

    def is_acknowledged(self, handed: tuple[int, ...]) -> bool:
        """Whether every target has stored what it was handed when `handed` was taken."""
        # A target added later is missing at the end of `handed`: nothing of it was due then.
        for have, due in zip(self._acknowledged, handed, strict=False):  # noqa: SIM110 - asked for each transaction
            if have < due:
                return False
        return True

    @property
    def oldest_commit_us(self) -> int:
        """Commit time (Unix, µs) of the oldest transaction with events that are not all stored; 0 without one."""
        _ = self.stored_lsn
        return next((committed_us for _, _, committed_us in self._open if committed_us), 0)

    @property
    def stored_lsn(self) -> int:
        """Everything at or below it is acknowledged; `confirmed_lsn` may lag behind it while `hold` is in force."""
        opened = self._open
        while opened:
            end_lsn, handed, committed_us = opened[0]
            if not self.is_acknowledged(handed):
                break
            self._stored_lsn = end_lsn
            if committed_us:
                self.stored_commits_us.append(committed_us)
            opened.popleft()
        return self._stored_lsn

    @property
    def confirmed_lsn(self) -> int:
        stored = self.stored_lsn
        if self._held_until is not None and stored >= self._held_until:
            self._held, self._held_until = False, None
        if not self._held:
            within = stored if self.limit is None else min(stored, self.limit)
            self._confirmed_lsn = max(self._confirmed_lsn, within)
        return self._confirmed_lsn

    def hold(self) -> None:
        """From here on nothing more is confirmed, until `release`.

        Called before the commit of a transaction that changed settings is entered: the settings must be kept in
        Postgres, and that must be as durable as the slot, before the slot moves past them (law 7).
        """
        _ = self.confirmed_lsn
        self._held, self._held_until = True, None

    def release(self, at_lsn: int) -> None:
        """Ends a `hold` as soon as everything up to `at_lsn`, the WAL of the kept settings, is stored."""
        self._held_until = at_lsn
