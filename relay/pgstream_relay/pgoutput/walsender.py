"""The messages between walsender and its client: what each CopyData of the replication stream holds."""

from __future__ import annotations

import struct
from typing import NamedTuple

from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.timestamps import POSTGRES_EPOCH_US

XLOGDATA = ord("w")
KEEPALIVE = ord("k")
XLOGDATA_HEADER_SIZE = 25
"""The pgoutput message of an XLogData starts at this offset of the payload."""

_XLOGDATA = struct.Struct("!xQQq")
_KEEPALIVE = struct.Struct("!xQqB")
_STANDBY_STATUS = struct.Struct("!cQQQqB")


class XLogData(NamedTuple):
    """One pgoutput message, at offset XLOGDATA_HEADER_SIZE of the payload.

    `wal_start` is 0 for Relation and Type, the `end_lsn` for Commit; `sent_at_us` is the server's clock (Unix, µs).
    """

    wal_start: int
    wal_end: int
    sent_at_us: int


class Keepalive(NamedTuple):
    """Every transaction that committed before `wal_end` has been sent. `reply_requested`: a status is due at once."""

    wal_end: int
    sent_at_us: int
    reply_requested: bool


def decode_walsender(payload: bytes) -> XLogData | Keepalive:
    """The header of one CopyData payload. Raises MalformedMessage."""
    try:
        if payload[0] == XLOGDATA:
            wal_start, wal_end, sent_at = _XLOGDATA.unpack_from(payload)
            return XLogData(wal_start, wal_end, sent_at + POSTGRES_EPOCH_US)
        if payload[0] == KEEPALIVE:
            wal_end, sent_at, reply_requested = _KEEPALIVE.unpack(payload)
            return Keepalive(wal_end, sent_at + POSTGRES_EPOCH_US, bool(reply_requested))
    except (IndexError, struct.error):
        raise MalformedMessage(f"a walsender message of {len(payload)} bytes has the wrong size") from None
    raise MalformedMessage(f"{chr(payload[0])!r} is not a walsender message")


def encode_standby_status(received_lsn: int, flushed_lsn: int, clock_us: int, *, reply_requested: bool) -> bytes:
    """Tells walsender what was received and what it may forget; `clock_us` is the client's (Unix, µs).

    `flushed_lsn` is reported as applied too: for pgstream both mean acknowledged by JetStream. ValueError if it lies
    behind `received_lsn`: Postgres would believe it and drop what was never sent.
    """
    if flushed_lsn > received_lsn:
        raise ValueError(f"flushed_lsn {flushed_lsn} is past received_lsn {received_lsn}")
    return _STANDBY_STATUS.pack(
        b"r", received_lsn, flushed_lsn, flushed_lsn, clock_us - POSTGRES_EPOCH_US, reply_requested
    )
