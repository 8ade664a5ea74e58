"""What the track holds is bounded; what it forgets makes chunks stale, never wrong."""

from __future__ import annotations

from pgstream_relay.change.plan import INSERT
from pgstream_relay.pgoutput.messages import Column, Insert, Relation
from tests.support.pgoutput import encode_message, encode_xlogdata
from tests.unit.snapshot.stream import EVERYTHING, Stream, taken


def test_a_large_transaction_counts_as_having_touched_everything() -> None:
    stream = Stream(keys_max=20)
    window = stream.window("10:10:", 100)
    for number in range(30):
        stream.insert(number)
    stream.commit(10)
    assert window.stale
    assert stream.window("10:10:", 100).stale
    assert taken(stream.window("11:11:", 100)) == [100]
    assert not stream.track.overflowed


def test_its_incomplete_rows_are_remembered() -> None:
    stream = Stream(keys_max=20, reread_max=5)
    for number in range(30):
        stream.insert(number)
    stream.update(1, whole=False).update(2, whole=False).update(2).update(3, was=1, whole=False).commit(10)
    assert not stream.track.overflowed
    assert [*stream.track.reread] == [(b"1",), (b"3",)]


def test_or_too_many() -> None:
    stream = Stream(keys_max=20, reread_max=5)
    for number in range(30):
        stream.update(number, whole=False)
    assert stream.commit(10).track.overflowed


def test_a_truncate_leaves_nothing_to_read_again() -> None:
    stream = Stream(keys_max=20, reread_max=5)
    for number in range(30):
        stream.update(number, whole=False)
    stream.track.truncated()
    stream.commit(10)
    assert not stream.track.overflowed
    assert stream.track.reread == {}


def test_of_many_transactions_the_oldest_forget_their_keys() -> None:
    stream = Stream(keys_max=40)
    for xid in range(10, 21):
        stream.insert(10 * xid).insert(10 * xid + 1).insert(10 * xid + 2).commit(xid)
    assert stream.window("10:21:10,20", 1).stale
    assert taken(stream.window("20:21:20", 200, 203)) == [203]


def test_so_many_that_they_are_forgotten_whole() -> None:
    stream = Stream(keys_max=20)
    for xid in range(10, 60):
        stream.insert(xid).commit(xid)
    # Not by the transactions that it does not see: those before them are not known any more either.
    assert stream.window("12:60:12", 1).stale
    assert taken(stream.window("60:60:", 1)) == [1]


def test_windows_count() -> None:
    stream = Stream(keys_max=20)
    large, small = stream.window("10:10:", 1, 2), stream.window("11:11:", 1, 2)
    for number in range(15):
        stream.insert(100 + number)
    stream.commit(10)
    stream.insert(1).commit(11)
    for number in range(3):
        stream.insert(200 + number)
    stream.commit(12)
    assert large.stale
    assert taken(small) == [2]


def test_a_relation_that_lost_a_key_column() -> None:
    stream = Stream()
    relation = Relation(1, "public", "t", "d", (Column(True, "renamed", 20, -1),))
    touch = stream.track.toucher(relation, EVERYTHING)
    window = stream.window("10:10:", 1)
    touch(INSERT, encode_xlogdata(encode_message(Insert(1, [b"7"]))))
    stream.commit(10)
    assert window.stale
    assert not stream.track.overflowed


def test_a_row_without_a_known_key_that_is_incomplete() -> None:
    stream = Stream()
    relation = Relation(1, "public", "t", "d", (Column(True, "renamed", 20, -1),))
    touch = stream.track.toucher(relation, frozenset())
    touch(INSERT, encode_xlogdata(encode_message(Insert(1, [b"7"]))))
    assert stream.commit(10).track.overflowed
