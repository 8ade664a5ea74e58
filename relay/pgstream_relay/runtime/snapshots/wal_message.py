"""A message in the WAL: the stream brings it when it has brought all that was committed before."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "pgstream.snapshot"
_FLUSH_VERSION: Final = 170000


def message_call(server_version: int) -> str:
    """The SQL call that writes one, and has the WAL up to it flushed and sent at once.

    Before PostgreSQL 17 only a commit flushes, so there it is a transaction; `synchronous_commit` must be local.
    """
    if server_version >= _FLUSH_VERSION:
        return f"pg_logical_emit_message(false, '{PREFIX}', '', true)"
    return f"pg_logical_emit_message(true, '{PREFIX}', '')"
