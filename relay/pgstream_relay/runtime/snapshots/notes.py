"""Where an incremental snapshot goes on after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class LeafPosition:
    """Of a heap that is being read: everything before (block, offset) of the file `filenode` is in NATS."""

    oid: int
    filenode: int
    blocks: int
    block: int = 0
    offset: int = 0


@dataclass(slots=True)
class Notes:
    """`pgstream.snapshots.position` as JSON: where to go on."""

    stream: str | None = None
    subject: str = ""
    sequence: int = 0
    begun: bool = False
    leaf: LeafPosition | None = None
    leaves_done: list[int] = field(default_factory=list)
    blocks_before: int = 0
    """In leaves that are done."""
    reread: list[list[str]] = field(default_factory=list)

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Notes:
        """From what `asdict` gave; empty for a snapshot that has not begun."""
        notes = cls(**document)
        if document.get("leaf"):
            notes.leaf = LeafPosition(**document["leaf"])
        return notes
