"""A row is read by the pattern of a whole tuple or column by column: the same event either way, and no cut message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.change.rowcode import EncodeRow, RowCompiler
from pgstream_relay.event.values import UnrepresentableValue, compile_converter
from pgstream_relay.pgoutput.reader import MalformedMessage

OIDS = {"bool": 16, "int8": 20, "text": 25, "float8": 701, "timestamp": 1114, "timestamptz": 1184, "numeric": 1700}
POSITION = 3
TEXTS = st.one_of(
    st.sampled_from(
        [b"", b"t", b"n", b"u", b"0", b"-0", b"NaN", b"1e+20", b"-1.50", b"t\x01", b"2026-01-01 00:00:00",
         b"2026-01-01 00:00:00.5+00", b"0044-03-15 00:00:00 BC", b"infinity", b"\xff", "é\"\\".encode(), b"x" * 300]
    ),
    st.binary(max_size=300).map(lambda text: text.replace(b"\0", b"")),
)  # fmt: skip
VALUES = st.one_of(st.none(), TEXTS, TEXTS, TEXTS)
COLUMNS = st.lists(st.tuples(st.sampled_from(sorted(OIDS.values())), VALUES), min_size=1, max_size=8)


def compiled(columns: list[tuple[int, bytes | None]]) -> EncodeRow:
    converters = [compile_converter(oid, {}, numbers_as_text=False) for oid, _ in columns]
    row = b"{" + b",".join(b'"c%d":%%b' % index for index in range(len(columns))) + b"}"
    return RowCompiler(converters, [0], POSITION).compile_whole(
        b"N", b"subject", b"%b %b %d [%b]", b"%b " + row + b" %b"
    )


def message_of(values: list[bytes | None]) -> bytes:
    columns = (b"n" if value is None else b"t" + len(value).to_bytes(4) + value for value in values)
    return b"--N" + len(values).to_bytes(2) + b"".join(columns)


def outcome(encode: EncodeRow, message: bytes, *, by_column: bool) -> object:
    # What a compiled function keeps between two rows: for how many more the pattern is not tried.
    encode.__globals__["skip"] = int(by_column)
    try:
        return encode(message, b"id", b"headers", 1, b"time")
    except (UnrepresentableValue, MalformedMessage) as error:
        return type(error), str(error)


@given(COLUMNS)
def test_the_pattern_of_a_tuple_and_its_columns_one_by_one_give_the_same_event(
    columns: list[tuple[int, bytes | None]],
) -> None:
    keyed = [(OIDS["int8"], b"7"), *columns]
    encode = compiled(keyed)
    message = message_of([value for _, value in keyed])
    assert outcome(encode, message, by_column=False) == outcome(encode, message, by_column=True)


def test_every_cut_and_every_lengthening_of_a_row_is_refused() -> None:
    columns: list[tuple[int, bytes | None]] = [
        (20, b"7"),
        (25, b"new"),
        (1184, b"2026-01-01 00:00:00+00"),
        (25, b"tail"),
    ]
    encode = compiled(columns)
    message = message_of([value for _, value in columns])
    encode(message, b"id", b"headers", 1, b"time")
    for end in range(POSITION - 1, len(message)):
        encode.__globals__["skip"] = 0
        with pytest.raises((MalformedMessage, UnrepresentableValue, IndexError)):
            encode(message[:end], b"id", b"headers", 1, b"time")
    for tail in (b"x", b"\0", b"t\0\0\0\0"):
        encode.__globals__["skip"] = 0
        with pytest.raises(MalformedMessage):
            encode(message + tail, b"id", b"headers", 1, b"time")
