from __future__ import annotations

import pytest

from pgstream_relay.pgoutput.messages import UNCHANGED, TupleValues
from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.tuples import split_tuple
from tests.support.pgoutput import encode_tuple


@pytest.mark.parametrize(
    "values",
    [[], [None], [UNCHANGED], [b""], [b"x" * 70_000], [b"1", None, UNCHANGED, b"", "å".encode()], [None] * 1600],
)
def test_splits_a_tuple_and_says_where_it_ends(values: TupleValues) -> None:
    data = b"before" + encode_tuple(values) + b"after"
    assert split_tuple(data, 6) == (values, len(data) - 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\1t",
        b"\0\1t\0\0\0",
        b"\0\1t\0\0\0\1",
        b"\0\1t\xff\xff\xff\xffabc",
        b"\0\2t\xff\xff\xff\xffn",
        b"\0\2nx",
        b"\0\2t\0\0\0\1",
        b"\xff\xffnnn",
    ],
)
def test_a_tuple_that_lies_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        split_tuple(data, 0)


def test_a_position_behind_the_buffer_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        split_tuple(b"\0\0", 2)
