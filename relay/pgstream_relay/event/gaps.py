"""The event that announces a gap: WAL that was lost before it was published (CONTRACT section 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pgstream_relay.event.envelope import NULL, data_format, envelope_format, format_timestamp
from pgstream_relay.event.headers import header
from pgstream_relay.event.ulid import format_id
from pgstream_relay.pgoutput.lsn import format_lsn
from pgstream_relay.source import Source

GAPS_SCHEMA: Final = "pgstream"
GAPS_TABLE: Final = "gaps"
GAP_ORDINAL: Final = 0
"""A gap's position is (to_lsn, 0): behind everything before it, ahead of the first change after it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A row of `pgstream.gaps`. Times are Unix, µs; None where it is not known how far was published."""

    id: int
    from_lsn: int | None
    to_lsn: int
    from_time_us: int | None
    to_time_us: int
    reason: str


def encode_gap(gap: Gap, *, alias: str, subject: str, source: Source) -> tuple[bytes, bytes, bytes]:
    """(subject, header lines, payload)."""
    event_id = format_id(gap.to_time_us // 1000, source.tag, gap.to_lsn, GAP_ORDINAL)
    from_lsn = format_lsn(gap.from_lsn) if gap.from_lsn is not None else None
    document = {
        "from_lsn": from_lsn,
        "to_lsn": format_lsn(gap.to_lsn),
        "from_time": format_timestamp(gap.from_time_us).decode() if gap.from_time_us is not None else None,
        "to_time": format_timestamp(gap.to_time_us).decode(),
        "reason": gap.reason,
    }
    envelope = envelope_format(alias, GAPS_SCHEMA, GAPS_TABLE, "unknown", data_format(NULL, b"%b", NULL))
    payload = envelope % (event_id, msgspec.json.encode(document), format_timestamp(gap.to_time_us))
    headers = b"".join(
        (
            b"Nats-Msg-Id: %b\r\nContent-Type: application/json\r\nPgstream-Version: 1\r\n" % event_id,
            header("Pgstream-Source", source.header(gap.to_lsn)),
            header("Pgstream-Lsn", format_lsn(gap.to_lsn)),
            header("Pgstream-Seq", str(GAP_ORDINAL)),
            header("Pgstream-Gap", f"{from_lsn or '0/0'}-{format_lsn(gap.to_lsn)}"),
        )
    )
    return subject.encode(), headers, payload
