"""Keys that must be read again: which, until when, and what happens where they are too many."""

from __future__ import annotations

import pytest

from tests.unit.snapshot.stream import Stream, key, taken


def reread(stream: Stream) -> list[int]:
    return [int(part) for (part,) in stream.track.reread]


def test_what_events_left_incomplete() -> None:
    stream = Stream()
    stream.insert(1).update(2).update(3, whole=False).update(5, was=4, whole=False).insert(6, whole=False).delete(7)
    assert reread(stream) == []
    assert reread(stream.commit(10)) == [3, 5, 6]


def test_the_last_change_of_a_transaction_counts() -> None:
    stream = Stream()
    stream.update(1, whole=False).update(1).update(2, whole=False).delete(2).update(3).update(3, whole=False)
    assert reread(stream.commit(10)) == [3]


def test_a_change_that_is_not_published_leaves_readers_without_the_row() -> None:
    stream = Stream(published=frozenset({"delete"}))
    stream.insert(1).update(2).update(4, was=3).delete(5).commit(10)
    assert reread(stream) == [1, 2, 4]
    assert taken(stream.window("10:10:", 1, 2, 3, 4, 5, 6)) == [6]


def test_an_emitted_row_need_not_be_read_again() -> None:
    stream = Stream()
    stream.update(1, whole=False).update(2, whole=False).commit(9)
    assert taken(stream.window("10:10:", 1, 3)) == [1, 3]
    assert reread(stream) == [2]


def test_a_row_that_is_left_out_must() -> None:
    stream = Stream()
    stream.update(1, whole=False).commit(10)
    assert taken(stream.window("10:10:", 1)) == []
    assert reread(stream) == [1]


def test_taken_in_order_and_given_back() -> None:
    stream = Stream()
    for number in (3, 1, 2):
        stream.update(number, whole=False)
    stream.commit(9)
    keys = stream.track.take_reread(2)
    assert keys == [key(3), key(1)]
    assert reread(stream) == [2]
    stream.track.give_back(keys)
    assert reread(stream) == [2, 3, 1]


def test_taken_but_not_seen_as_it_is_now() -> None:
    """The query that reads it again does not see the transaction, perhaps not even a row of that key."""
    stream = Stream()
    stream.update(2, was=1, whole=False).commit(10)
    assert stream.track.take_reread(9) == [key(2)]
    assert taken(stream.window("10:10:")) == []
    assert reread(stream) == [2]
    assert stream.track.take_reread(9) == [key(2)]
    assert taken(stream.window("11:11:", 2)) == [2]
    assert reread(stream) == []


def test_an_emitted_key_stays_taken_until_the_next_are() -> None:
    """It may not be stored yet, and whoever notes what must be read again has to note it."""
    stream = Stream()
    stream.update(1, whole=False).commit(9)
    stream.track.take_reread(9)
    assert taken(stream.window("10:10:", 1)) == [1]
    assert stream.track.taken == {key(1)}
    assert stream.track.take_reread(9) == []
    assert stream.track.taken == set()


@pytest.mark.parametrize(("keys", "due"), [(0, False), (24, False), (25, True)])
def test_due_before_they_are_too_many(keys: int, due: bool) -> None:
    stream = Stream(reread_max=100)
    for number in range(keys):
        stream.update(number, whole=False)
    assert stream.commit(10).track.reread_due is due


def test_at_the_end_each_is_due() -> None:
    stream = Stream()
    stream.track.drain()
    assert not stream.track.reread_due
    stream.track.give_back([key(1)])
    assert stream.track.reread_due


class TestDrained:
    """All blocks were read: readers hold each row whole whose key is not to be read again."""

    def test_incomplete_events_ask_for_nothing(self) -> None:
        stream = Stream()
        stream.track.drain()
        assert reread(stream.update(1, whole=False).update(3, was=2, whole=False).commit(10)) == []

    def test_but_where_readers_lack_the_row(self) -> None:
        stream = Stream()
        stream.update(1, whole=False).update(2, whole=False).commit(8)
        stream.track.drain()
        stream.track.take_reread(1)
        stream.update(1, whole=False).update(3, was=2, whole=False).update(4, was=3, whole=False).commit(9)
        assert reread(stream) == [2, 1, 3, 4]

    def test_a_row_that_comes_into_the_filter_is_new_to_readers(self) -> None:
        stream = Stream()
        stream.track.drain()
        assert reread(stream.insert(1, whole=False).commit(10)) == [1]

    def test_what_is_not_published_is_as_if_it_were_behind_the_end(self) -> None:
        stream = Stream(published=frozenset({"delete"}))
        stream.track.drain()
        assert reread(stream.insert(1).update(2).commit(10)) == []

    def test_an_emitted_row_is_held_whole(self) -> None:
        stream = Stream()
        stream.update(1, whole=False).commit(8)
        stream.track.drain()
        stream.track.take_reread(1)
        assert taken(stream.window("9:9:", 1)) == [1]
        assert reread(stream.update(1, whole=False).commit(9)) == []

    def test_a_restart_ends_it(self) -> None:
        stream = Stream()
        stream.track.drain()
        stream.track.restart()
        assert reread(stream.update(1, whole=False).commit(10)) == [1]


class TestTooMany:
    @pytest.mark.parametrize("transactions", [1, 2])
    def test_then_the_table_is_read_again(self, transactions: int) -> None:
        stream = Stream(reread_max=3)
        for number in range(4):
            stream.update(number, whole=False)
            if transactions == 2 and number == 1:
                stream.commit(8)
        stream.commit(9)
        assert stream.track.overflowed
        assert reread(stream) == []
        assert reread(stream.update(9, whole=False).commit(10)) == []
        stream.track.restart()
        assert not stream.track.overflowed

    def test_what_is_invisible_at_the_restart_makes_chunks_stale(self) -> None:
        stream = Stream(reread_max=1)
        stream.update(1, whole=False).update(2, whole=False).commit(10)
        stream.track.restart()
        assert stream.window("10:10:", 1, 2, 3).stale
        assert taken(stream.window("11:11:", 1, 2, 3)) == [1, 2, 3]

    def test_what_was_complete_does_not(self) -> None:
        stream = Stream()
        stream.update(1).commit(10)
        stream.track.restart()
        assert taken(stream.window("10:10:", 1, 2)) == [2]

    def test_open_windows_are_stale_after_a_restart(self) -> None:
        stream = Stream()
        window = stream.window("10:10:", 1)
        stream.track.restart()
        assert window.stale


def test_what_a_transaction_leaves_incomplete_behind_its_truncate() -> None:
    stream = Stream()
    stream.update(1, whole=False)
    stream.track.truncated()
    stream.insert(2, whole=False).commit(10)
    assert reread(stream) == [2]
