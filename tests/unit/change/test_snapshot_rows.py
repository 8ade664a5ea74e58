"""A row that a snapshot read becomes the event that its insert would have been, but for operation and headers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.change.plan import INSERT, RelationPlan
from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.change.rowcode import UnexpectedTuple
from pgstream_relay.control.tables import TableSettings, table_settings
from pgstream_relay.event.headers import mark_header, snapshot_headers
from pgstream_relay.event.values import UnrepresentableValue
from pgstream_relay.pgoutput.messages import Column, Insert, Relation
from tests.support.pgoutput import encode_message, encode_xlogdata

OIDS = [16, 20, 25, 701, 1114, 1184, 1700, 2950, 3802, 17]
TEXTS: dict[int, list[bytes]] = {
    16: [b"t", b"f"],
    20: [b"0", b"-7"],
    25: [b"", b"x", 'é"\\%b\n'.encode(), b"\\N"],
    701: [b"1.5", b"-0", b"NaN", b"1e+20"],
    1114: [b"2026-01-01 00:00:00.5", b"infinity"],
    1184: [b"2026-01-01 00:00:00+00", b"0044-03-15 00:00:00+00 BC"],
    1700: [b"1.50", b"NaN"],
    2950: [b"0b1c2d3e-0000-0000-0000-000000000000"],
    3802: [b'{"a": 1}'],
    17: [b"\\x00ff"],
}
SETTINGS: dict[str, Any] = {"database": "db", "mode": "persistent", "subject": None, "stream": None, "numbers": "json"}


def settings(operations: tuple[str, ...] = ("insert", "snapshot")) -> TableSettings:
    row: dict[str, Any] = dict.fromkeys(
        ("mode", "subject", "event_subjects", "stream", "key_columns", "numbers", "columns", "row_filter")
    )
    found = table_settings(SETTINGS, {**row, "enabled": True, "operations": [*operations]})
    assert found is not None
    return found


def plan(oids: list[int], keys: tuple[str, ...] = ("c0",), *, chosen: TableSettings | None = None) -> RelationPlan:
    columns = tuple(Column(index == 0, f"c{index}", oid, -1) for index, oid in enumerate(oids))
    return RelationPlan(
        Relation(1, "public", "t%", "d" if keys else "n", columns),
        chosen or settings(),
        RelationKeys(primary_key=keys),
        {},
        alias="db",
        target=0,
        published=defaultdict(int),
    )


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[int], list[bytes | None]]:
    oids = draw(st.lists(st.sampled_from(OIDS), max_size=8))
    values = [draw(st.one_of(st.none(), st.sampled_from(TEXTS[oid]))) for oid in oids]
    return [25, *oids], ["ключ".encode(), *values]


@given(rows())
def test_the_same_row_as_in_an_insert(row: tuple[list[int], list[bytes | None]]) -> None:
    oids, values = row
    made = plan(oids)
    encode, encode_insert = made.snapshot_encoder(), made.encoders[INSERT]
    assert encode is not None
    assert encode_insert is not None
    event = encode(values, b"ID", b"H\r\n", 7, b"NOW")
    insert = encode_insert(encode_xlogdata(encode_message(Insert(1, [*values]))), b"ID", b"H\r\n", 7, b"NOW")
    assert event[0] == insert[0].replace(b"insert", b"snapshot")
    assert event[1] == insert[1]
    assert event[2] == insert[2].replace(b'"operation":"insert"', b'"operation":"snapshot"')


def test_a_table_without_columns_or_key() -> None:
    encode = plan([], ()).snapshot_encoder()
    assert encode is not None
    assert encode([], b"ID", b"H\r\n", 1, b"NOW") == (
        b"db.public.t=25.snapshot",
        b"Nats-Msg-Id: ID\r\nH\r\nPgstream-Seq: 1\r\n",
        (
            b'{"id":"ID","database":"db","schema":"public","table":"t%","operation":"snapshot",'
            b'"data":{"before":null,"after":{},"diff":null},"timestamp":"NOW"}'
        ),
    )


def test_as_many_columns_as_there_can_be() -> None:
    encode = plan([20] * 1600).snapshot_encoder()
    assert encode is not None
    _, _, payload = encode([b"1"] * 1599 + [None], b"ID", b"", 1, b"NOW")
    assert payload.count(b":1") == 1599
    assert b'"c1599":null' in payload


@pytest.mark.parametrize("values", [[], [b"1"], [b"1", None, None]])
def test_another_number_of_values(values: list[bytes | None]) -> None:
    encode = plan([20, 25]).snapshot_encoder()
    assert encode is not None
    with pytest.raises(UnexpectedTuple):
        encode(values, b"ID", b"", 1, b"NOW")


@pytest.mark.parametrize("key", [True, False])
def test_text_that_is_not_utf8_is_unrepresentable_and_not_in_the_error(key: bool) -> None:
    encode = plan([25, 25]).snapshot_encoder()
    assert encode is not None
    with pytest.raises(UnrepresentableValue, match="UTF-8") as caught:
        encode([b"\xffsecret", b""] if key else [b"", b"\xffsecret"], b"ID", b"", 1, b"NOW")
    assert caught.value.__context__ is None
    assert "secret" not in str(caught.value)


def test_not_published() -> None:
    assert plan([20], chosen=settings(("insert",))).snapshot_encoder() is None


def test_compiled_once() -> None:
    made = plan([20])
    assert made.snapshot_encoder() is made.snapshot_encoder()


def test_headers() -> None:
    assert snapshot_headers("7/5/1", (3 << 32) | 0xAB, 12) == (
        b"Content-Type: application/json\r\nPgstream-Version: 1\r\nPgstream-Source: 7/5/1\r\n"
        b"Pgstream-Lsn: 3/AB\r\nPgstream-Snapshot: 12\r\n"
    )
    assert mark_header("begin") == b"Pgstream-Mark: begin\r\n"
    assert mark_header("end", 0) == b"Pgstream-Mark: end\r\nPgstream-Rows: 0\r\n"
