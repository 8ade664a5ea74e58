"""What NATS takes at most, and the claim check in the place of an event that is larger (CONTRACT section 4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pgstream_relay.event.headers import header

FRAME_OVERHEAD_BYTES: Final = 128
"""What a publisher adds to an event's headers: protocol line, expected sequence, blank line."""
HEADERS_BYTES_MAX: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class StoreObject:
    """Store the event in the object store before the event that refers to it is published."""

    bucket: str
    event_id: str
    content: bytes


def oversize_bucket(alias: str) -> str:
    """The object store bucket of a database's oversize events."""
    safe = "".join(
        character if character.isascii() and (character.isalnum() or character in "_-") else "_" for character in alias
    )
    return f"pgstream_{safe}_oversize"


def claim_check(
    headers: bytes, payload: bytes, event_id: bytes, alias: str, *, persistent: bool
) -> tuple[bytes, StoreObject | None]:
    """The headers of the event without its data, and what to store; an ephemeral event's data is not kept."""
    if not persistent:
        return headers + header("Pgstream-Error", "too-large"), None
    stored = StoreObject(oversize_bucket(alias), event_id.decode(), payload)
    return headers + header("Pgstream-Object", f"{stored.bucket}/{stored.event_id}"), stored
