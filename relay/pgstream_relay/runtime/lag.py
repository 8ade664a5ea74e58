"""How far behind a database is, in seconds: the age of the oldest thing committed that is not confirmed yet."""

from __future__ import annotations


class LagClock:
    """One database's, for as long as its worker lives: an outage of NATS or a new session doesn't set it back.

    Postgres does not say when an LSN was written. So the clock takes the server's position now and then, and counts
    from then until that position is confirmed: too little by one interval of `measure` at most, but growing through
    whatever is wrong. Where the relay itself has read the oldest transaction, its commit time is exact.
    """

    def __init__(self) -> None:
        self._lsn: int | None = None
        self._since = 0.0

    def measure(self, server_lsn: int, confirmed_lsn: int, oldest_commit_at: float | None, now: float) -> float:
        """Seconds; 0 while what the server had at the last call is confirmed and nothing that was read is open.

        `oldest_commit_at` and `now` are Unix time; a server's clock that runs ahead of ours counts as no lag.
        """
        if self._lsn is None or confirmed_lsn >= self._lsn:
            self._lsn, self._since = server_lsn, now
        since = self._since if oldest_commit_at is None else min(self._since, oldest_commit_at)
        return max(now - since, 0.0)
