"""Bytes that a real server sent, kept in tests/golden."""

from __future__ import annotations

from pathlib import Path

_PGOUTPUT = Path(__file__).parents[1] / "golden" / "pgoutput" / "messages.hex"


def golden_messages() -> list[bytes]:
    """The pgoutput messages of PostgreSQL 18 for tests/golden/pgoutput/scenario.sql, in order."""
    return [bytes.fromhex(line) for line in _PGOUTPUT.read_text().split()]
