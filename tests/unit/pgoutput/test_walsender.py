from __future__ import annotations

import pytest

from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.walsender import (
    XLOGDATA_HEADER_SIZE,
    Keepalive,
    XLogData,
    decode_walsender,
    encode_standby_status,
)
from tests.support.pgoutput import encode_keepalive, encode_xlogdata

NOW_US = 1_790_000_000_123_456


def test_xlogdata() -> None:
    payload = encode_xlogdata(b"message", wal_start=1, wal_end=2**64 - 1, sent_at_us=NOW_US)
    assert decode_walsender(payload) == XLogData(1, 2**64 - 1, NOW_US)
    assert payload[XLOGDATA_HEADER_SIZE:] == b"message"


@pytest.mark.parametrize("reply_requested", [True, False])
def test_keepalive(reply_requested: bool) -> None:
    payload = encode_keepalive(77, sent_at_us=NOW_US, reply_requested=reply_requested)
    assert decode_walsender(payload) == Keepalive(77, NOW_US, reply_requested)


@pytest.mark.parametrize("payload", [b"", b"w", b"x" * 40, encode_xlogdata(b"")[:-1], encode_keepalive(1) + b"\0"])
def test_other_payloads_are_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_walsender(payload)


def test_a_standby_status_has_the_bytes_of_the_protocol() -> None:
    assert encode_standby_status(2, 1, 946_684_800_000_005, reply_requested=True) == bytes.fromhex(
        "72 0000000000000002 0000000000000001 0000000000000001 0000000000000005 01"
    )


def test_nothing_is_confirmed_that_was_not_received() -> None:
    with pytest.raises(ValueError, match="past received_lsn"):
        encode_standby_status(1, 2, NOW_US, reply_requested=False)
