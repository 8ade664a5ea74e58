"""Tells a server's fast shutdown from ordinary keepalives.

A Postgres that shuts down waits until the client has flushed everything, and asks for it in a loop as fast as it is
answered: a client that answers with an older position keeps it from ever stopping, and both burn a core. So after
`True` the client stops answering, finishes what is in flight, confirms exactly the position that was asked for, and
otherwise closes the connection.
"""

from __future__ import annotations

from collections import deque

REQUESTS_MIN = 3
WITHIN_SECONDS = 1.0


class ShutdownDetector:
    """Sees each keepalive of one session in order. Time is an argument: any clock that never goes back, in seconds."""

    def __init__(self, *, requests_min: int = REQUESTS_MIN, within_seconds: float = WITHIN_SECONDS) -> None:
        self._within_seconds = within_seconds
        self._requested_at: deque[float] = deque(maxlen=requests_min)
        self._wal_end = -1
        self.shutting_down = False
        """Once True, it stays so: a server does not change its mind."""

    def observe(self, wal_end: int, *, reply_requested: bool, now_seconds: float) -> bool:
        """Whether the server is shutting down, after a keepalive that arrived at `now_seconds`.

        Keepalives without `reply_requested` answer the client's own questions and count for nothing.
        """
        if not reply_requested or self.shutting_down:
            return self.shutting_down
        if wal_end != self._wal_end:
            self._wal_end = wal_end
            self._requested_at.clear()
        self._requested_at.append(now_seconds)
        full = len(self._requested_at) == self._requested_at.maxlen
        self.shutting_down = full and now_seconds - self._requested_at[0] <= self._within_seconds
        return self.shutting_down
