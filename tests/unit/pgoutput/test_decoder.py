from __future__ import annotations

import struct

import pytest

from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import Column, Insert, Relation, Type
from pgstream_relay.pgoutput.reader import MalformedMessage
from tests.support.pgoutput import encode_message, encode_tuple

INSERT = encode_message(Insert(7, [b"a", None]))


def malformed(data: bytes) -> str:
    with pytest.raises(MalformedMessage) as raised:
        decode_message(data)
    return str(raised.value)


def test_decodes_from_a_position_on() -> None:
    assert decode_message(b"25 bytes of walsender's..." + INSERT, 26) == Insert(7, [b"a", None])


def test_an_empty_schema_is_pg_catalog() -> None:
    assert encode_message(Type(5, "pg_catalog", "x")) == b"Y\0\0\0\5\0x\0"
    assert decode_message(b"Y\0\0\0\5\0x\0") == Type(5, "pg_catalog", "x")


def test_left_over_bytes_are_malformed() -> None:
    assert malformed(INSERT + b"\0") == "1 bytes are left over after the message, at offset 15"


@pytest.mark.parametrize("data", [b"", b"X", b"Q" + INSERT[1:]])
def test_unknown_messages_are_malformed(data: bytes) -> None:
    malformed(data)


@pytest.mark.parametrize("kind", "SEcA")
def test_streamed_transactions_are_malformed(kind: str) -> None:
    assert "not a message of pgoutput's protocol version 1" in malformed(kind.encode() + bytes(30))


@pytest.mark.parametrize("kind", "bPKrp")
def test_two_phase_messages_say_what_is_wrong_with_the_slot(kind: str) -> None:
    assert "created with two_phase = true" in malformed(kind.encode() + bytes(30))


def test_a_name_that_is_not_utf8_is_malformed() -> None:
    assert "is not UTF-8" in malformed(b"Y\0\0\0\5public\0\xff\0")
    column = Column(True, "ok", 23, -1)
    relation = encode_message(Relation(1, "public", "t", "d", (column,)))
    assert "is not UTF-8" in malformed(relation.replace(b"ok\0", b"\xc3\x28\0"))


def test_a_name_without_end_is_malformed() -> None:
    assert "does not end" in malformed(b"Y\0\0\0\5public\0mood")


@pytest.mark.parametrize(
    "data",
    [
        b"R\0\0\0\1public\0t\0d\xff\xff",
        b"T\xff\xff\xff\xff\0",
        b"M\0" + bytes(8) + b"p\0\xff\xff\xff\xff",
        b"I\0\0\0\7N\xff\xff",
    ],
)
def test_a_huge_count_is_refused_before_room_is_made(data: bytes) -> None:
    assert "announce" in malformed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"I\0\0\0\7K" + encode_tuple([]),
        b"U\0\0\0\7K" + encode_tuple([]) + b"K" + encode_tuple([]),
        b"D\0\0\0\7N" + encode_tuple([]),
        b"R\0\0\0\1public\0t\0x\0\0",
    ],
)
def test_an_unknown_choice_is_malformed(data: bytes) -> None:
    malformed(data)


def test_binary_values_are_malformed() -> None:
    assert "unknown kind 'b'" in malformed(b"I\0\0\0\7N\0\1b" + struct.pack("!I", 1) + b"x")


def test_errors_hold_no_values() -> None:
    data = encode_message(Insert(7, [b"secret", b"secret"]))
    texts = [malformed(data[:end]) for end in range(len(data))]
    assert not any("secr" in text for text in texts)
