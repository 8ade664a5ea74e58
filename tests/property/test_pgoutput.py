"""Any message makes a round trip; whatever is done to its bytes, the decoder answers or raises MalformedMessage."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pgstream_relay.pgoutput.decoder import decode_message
from pgstream_relay.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
)
from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.pgoutput.timestamps import POSTGRES_EPOCH_US
from pgstream_relay.pgoutput.walsender import decode_walsender
from tests.support.golden import golden_messages
from tests.support.pgoutput import encode_keepalive, encode_message, encode_xlogdata

MUTATIONS = 100_000

lsns = st.integers(0, 2**64 - 1)
oids = st.integers(0, 2**32 - 1)
timestamps = st.integers(-(2**63), 2**63 - 1).map(lambda us: us + POSTGRES_EPOCH_US)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=63)
schemas = names.map(lambda name: name or "pg_catalog")
tuples = st.lists(st.none() | st.just(UNCHANGED) | st.binary(max_size=40), max_size=12)
old_kinds = st.sampled_from(["K", "O"])
columns = st.builds(Column, st.booleans(), names, oids, st.integers(-(2**31), 2**31 - 1))

messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Begin, lsns, timestamps, oids),
    st.builds(Commit, st.integers(0, 255), lsns, lsns, timestamps),
    st.builds(Origin, lsns, names),
    st.builds(
        Relation, oids, schemas, names, st.sampled_from(["d", "n", "f", "i"]), st.lists(columns, max_size=12).map(tuple)
    ),
    st.builds(Type, oids, schemas, names),
    st.builds(Insert, oids, tuples),
    st.builds(Update, oids, old_kinds, tuples, tuples),
    st.builds(Update, oids, st.none(), st.none(), tuples),
    st.builds(Delete, oids, old_kinds, tuples),
    st.builds(Truncate, st.lists(oids, max_size=9).map(tuple), st.booleans(), st.booleans()),
    st.builds(LogicalMessage, st.booleans(), lsns, names, st.binary(max_size=60)),
)


def try_decode(data: bytes) -> Message | None:
    try:
        return decode_message(data)
    except MalformedMessage:
        return None


@given(messages, st.binary(max_size=30))
def test_round_trip(message: Message, before: bytes) -> None:
    assert decode_message(before + encode_message(message), len(before)) == message


@given(messages)
def test_a_truncated_message_is_malformed(message: Message) -> None:
    data = encode_message(message)
    assert [try_decode(data[:end]) for end in range(len(data))] == [None] * len(data)


def test_every_truncation_of_what_a_server_sent_is_malformed() -> None:
    for data in golden_messages():
        assert [try_decode(data[:end]) for end in range(len(data))] == [None] * len(data)


@given(st.binary(max_size=200))
def test_garbage_decodes_or_is_malformed(data: bytes) -> None:
    for kind in b"BCORYIUDTM":
        try_decode(bytes([kind]) + data)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Some bytes replaced (often by the extremes that lengths and counts fear), a piece cut out, or one doubled."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        position = dice.randrange(len(changed) + 1)
        end = position + dice.choice((1, 1, 2, 4))
        match dice.randrange(4):
            case 0:
                changed[position:end] = dice.choice((b"\xff", b"\x7f", b"\x80", b"\0")) * (end - position)
            case 1:
                changed[position:end] = dice.randbytes(end - position)
            case 2:
                del changed[position:end]
            case _:
                changed[position:position] = changed[position:end]
    return bytes(changed)


def test_mutated_messages_decode_or_are_malformed() -> None:
    dice = random.Random(20260101)
    # The long value of one golden message would only make this slow.
    samples = [data for data in golden_messages() if len(data) < 1000]
    outcomes = [try_decode(mutate(samples[index % len(samples)], dice)) is None for index in range(MUTATIONS)]
    assert any(outcomes)
    assert not all(outcomes)


@given(st.binary(max_size=40))
def test_walsender_payloads_decode_or_are_malformed(tail: bytes) -> None:
    for kind in b"wkx":
        try:
            decode_walsender(bytes([kind]) + tail)
        except MalformedMessage:
            continue


@given(lsns, lsns, timestamps, st.binary(max_size=40), st.booleans())
def test_walsender_round_trip(start: int, end: int, sent_at_us: int, message: bytes, reply_requested: bool) -> None:
    data = encode_xlogdata(message, wal_start=start, wal_end=end, sent_at_us=sent_at_us)
    assert decode_walsender(data) == (start, end, sent_at_us)
    keepalive = encode_keepalive(end, sent_at_us=sent_at_us, reply_requested=reply_requested)
    assert decode_walsender(keepalive) == (end, sent_at_us, reply_requested)
