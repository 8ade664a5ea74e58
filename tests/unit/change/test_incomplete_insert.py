"""An update that brings its row into the publication's filter arrives as insert, perhaps without a TOAST value."""

from __future__ import annotations

import pytest

from pgstream_relay.change.plan import INSERT
from pgstream_relay.change.rowcode import UnexpectedTuple
from pgstream_relay.event.values import UnrepresentableValue
from pgstream_relay.pgoutput.messages import UNCHANGED, Insert, TupleValue
from tests.support.pgoutput import encode_message, encode_xlogdata
from tests.unit.change.test_snapshot_rows import plan


def encoded(values: list[TupleValue], *, cut: int = 0) -> tuple[bytes, bytes, bytes]:
    encode = plan([20, 25, 25]).encoders[INSERT]
    assert encode is not None
    message = encode_xlogdata(encode_message(Insert(1, values)))
    return encode(message[: len(message) - cut], b"ID", b"H\r\n", 1, b"NOW")


def test_leaves_out_what_was_not_sent() -> None:
    subject, headers, payload = encoded([b"7", UNCHANGED, None])
    assert subject == b"db.public.t=25.insert"
    assert headers == b"Nats-Msg-Id: ID\r\nH\r\nPgstream-Seq: 1\r\nPgstream-Key: [7]\r\nPgstream-Unchanged: c1\r\n"
    assert b'"data":{"before":null,"after":{"c0":7,"c2":null},"diff":null}' in payload


def test_a_key_that_was_not_sent_is_no_header() -> None:
    _, headers, _ = encoded([UNCHANGED, b"x", b"y"])
    assert b"Pgstream-Key" not in headers
    assert headers.endswith(b"Pgstream-Unchanged: c0\r\n")


def test_other_columns_are_converted_as_ever() -> None:
    with pytest.raises(UnrepresentableValue):
        encoded([b"7", UNCHANGED, b"\xff"])
    with pytest.raises((UnexpectedTuple, ValueError)):
        encoded([b"7", UNCHANGED, b"long"], cut=1)
