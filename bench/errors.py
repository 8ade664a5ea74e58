"""What ends a benchmark before it has a result."""

from __future__ import annotations


class BenchError(RuntimeError):
    """A run has no result; the message says why, with the log of the process that failed where there is one."""
