from __future__ import annotations

import pytest

from pgstream_relay.change.plan import DELETE, INSERT, UPDATE
from pgstream_relay.pgoutput.messages import UNCHANGED, Column, Delete, Insert, Relation, TupleValue, Update
from pgstream_relay.pgoutput.reader import MalformedMessage
from pgstream_relay.snapshot.touch import Touch, touch_reader
from tests.support.pgoutput import encode_message, encode_xlogdata

RELATION = Relation(
    1, "public", "t", "d", (Column(True, "b", 25, -1), Column(True, "a", 20, -1), Column(False, "big", 25, -1))
)
read = touch_reader(RELATION, ("a", "b"))
KEY, OTHER = (b"1", b"x"), (b"2", b"x")
NEW: list[TupleValue] = [b"x", b"1", b"B"]
OLD: list[TupleValue] = [b"x", b"2", None]
FULL: list[TupleValue] = [b"x", b"1", b"old"]
SAME: list[TupleValue] = [b"x", b"1", UNCHANGED]


def touch(message: Insert | Update | Delete) -> Touch:
    kind = {Insert: INSERT, Update: UPDATE, Delete: DELETE}[type(message)]
    return read(kind, encode_xlogdata(encode_message(message)))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Insert(1, NEW), Touch(None, KEY, True)),
        (Insert(1, SAME), Touch(None, KEY, False)),
        (Delete(1, "K", OLD), Touch(OTHER, None, True)),
        (Delete(1, "O", FULL), Touch(KEY, None, True)),
        (Update(1, None, None, NEW), Touch(None, KEY, True)),
        (Update(1, None, None, SAME), Touch(None, KEY, False)),
        (Update(1, "K", OLD, NEW), Touch(OTHER, KEY, True)),
        (Update(1, "K", OLD, SAME), Touch(OTHER, KEY, False)),
        (Update(1, "O", FULL, NEW), Touch(None, KEY, True)),
        (Update(1, "O", FULL, SAME), Touch(None, KEY, True)),
    ],
)
def test_keys_in_key_order_and_whether_the_event_is_complete(
    message: Insert | Update | Delete, expected: Touch
) -> None:
    assert touch(message) == expected


def test_a_key_tuple_that_is_marked_as_full_makes_nothing_known() -> None:
    """As a partition has it whose replica identity is another than its root's."""
    assert touch(Update(1, "O", [b"x", b"1", None], SAME)) == Touch(None, KEY, False)
    assert touch(Update(1, "O", OLD, SAME)) == Touch(OTHER, KEY, False)


def test_a_toasted_key_that_did_not_change_stands_in_the_old_tuple() -> None:
    assert touch(Update(1, "K", OLD, [UNCHANGED, b"1", b"B"])) == Touch(OTHER, KEY, False)
    assert touch(Update(1, "O", [b"x", b"2", b"old"], [UNCHANGED, b"1", b"B"])) == Touch((b"2", b"x"), KEY, True)


@pytest.mark.parametrize(
    "message",
    [
        Update(1, None, None, [UNCHANGED, b"1", b"B"]),
        Update(1, "K", [None, b"2", None], NEW),
        Delete(1, "K", [None, b"2", None]),
        Insert(1, [None, b"1", b"B"]),
    ],
)
def test_a_key_of_which_a_part_is_not_known_is_not_known(message: Insert | Update | Delete) -> None:
    assert touch(message)[:2] == (None, None)


def test_a_relation_without_the_key_columns() -> None:
    message = encode_xlogdata(encode_message(Insert(1, NEW)))
    assert touch_reader(RELATION, ("a", "gone"))(INSERT, message) == Touch(None, None, True)
    assert touch_reader(RELATION, ())(INSERT, message) == Touch(None, None, True)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (INSERT, Insert(1, [b"x", b"1"])),
        (INSERT, Delete(1, "K", OLD)),
        (DELETE, Insert(1, NEW)),
        (UPDATE, Delete(1, "K", OLD)),
        (UPDATE, Update(1, "K", [b"2"], NEW)),
        (INSERT, Update(1, "K", OLD, NEW)),
    ],
)
def test_a_tuple_that_does_not_fit(kind: int, message: Insert | Update | Delete) -> None:
    with pytest.raises(MalformedMessage):
        read(kind, encode_xlogdata(encode_message(message)))


@pytest.mark.parametrize("message", [Insert(1, NEW), Update(1, "K", OLD, NEW), Delete(1, "K", OLD)])
def test_a_cut_or_longer_message(message: Insert | Update | Delete) -> None:
    kind = {Insert: INSERT, Update: UPDATE, Delete: DELETE}[type(message)]
    whole = encode_xlogdata(encode_message(message))
    for damaged in [whole + b"n", *(whole[:end] for end in range(31, len(whole)))]:
        with pytest.raises(MalformedMessage):
            read(kind, damaged)
