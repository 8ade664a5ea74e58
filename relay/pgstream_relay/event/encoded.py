"""What an event is between the pure core and the publisher."""

from __future__ import annotations

from typing import TypeAlias

EncodedEvent: TypeAlias = tuple[bytes, bytes, bytes]
"""(subject, header lines, payload): ready to be framed."""
