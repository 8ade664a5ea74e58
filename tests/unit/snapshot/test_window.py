"""Which rows of a chunk are emitted, and which are not."""

from __future__ import annotations

import pytest

from pgstream_relay.pgoutput.messages import Column
from pgstream_relay.snapshot.window import KeyMissing
from tests.unit.snapshot.stream import COLUMNS, Stream, key, taken


def test_rows_in_the_order_that_they_were_read() -> None:
    window = Stream().window("10:10:", 3, 1, 2)
    assert window.take(1000, 1000) == [[b"3", b"B"], [b"1", b"B"], [b"2", b"B"]]
    assert window.exhausted


@pytest.mark.parametrize("tracked", [False, True])
def test_slices_by_rows_and_by_bytes(tracked: bool) -> None:
    stream = Stream()
    if tracked:
        stream.update(99).commit(10)
    window = stream.window("10:10:", *range(6))
    assert bool(window.touched) is tracked
    sizes = [len(window.take(rows_max, bytes_max)) for rows_max, bytes_max in [(2, 1000), (9, 8), (9, 1), (9, 1000)]]
    assert sizes == [2, 2, 1, 1]
    assert window.exhausted
    assert window.take(9, 9) == []


def test_an_empty_chunk_is_exhausted() -> None:
    assert Stream().window("10:10:").exhausted


@pytest.mark.parametrize("before", [True, False])
def test_a_row_that_an_invisible_transaction_touched_is_left_out(before: bool) -> None:
    stream = Stream()
    stream.update(1).delete(2).insert(3).update(5, was=4)
    if before:
        stream.commit(10)
    window = stream.window("10:10:", 1, 2, 3, 4, 5, 6)
    stream.commit(10)
    assert taken(window) == [6]
    assert window.exhausted


def test_a_row_is_emitted_as_the_snapshot_saw_the_transaction() -> None:
    stream = Stream()
    stream.update(1).commit(9)
    window = stream.window("10:10:", 1)
    stream.update(1).commit(8)
    assert taken(window) == [1]


def test_a_transaction_in_progress_is_invisible() -> None:
    stream = Stream()
    stream.update(1).commit(9)
    assert taken(stream.window("9:12:9,11", 1, 2)) == [2]


def test_a_change_between_two_slices_counts() -> None:
    stream = Stream()
    window = stream.window("10:10:", 1, 2, 3)
    assert len(window.take(1, 1000)) == 1
    stream.update(2).commit(10)
    assert taken(window) == [3]


def test_what_one_snapshot_saw_later_ones_see() -> None:
    stream = Stream()
    stream.update(1).commit(9)
    stream.window("10:10:")
    stream.update(1).commit(9)
    assert taken(stream.window("10:11:", 1)) == [1]


def test_a_chunk_that_was_read_before_another_but_opened_after_it_is_stale() -> None:
    stream = Stream()
    stream.update(1).commit(9)
    stream.window("10:10:")
    assert stream.window("9:9:", 1).stale


def test_an_older_snapshot_brings_nothing_back() -> None:
    stream = Stream()
    older = stream.window("9:9:", 1, 2)
    stream.window("10:10:")
    stream.update(1).commit(9)
    assert taken(older) == [2]


def test_no_rows_in_the_middle_of_a_transaction_that_changes_the_table() -> None:
    stream = Stream()
    window = stream.window("10:10:", 1)
    stream.update(2)
    with pytest.raises(RuntimeError, match="in the middle of a transaction"):
        window.take(1, 1)
    stream.commit(9)
    assert taken(window) == [1]


@pytest.mark.parametrize("before", [True, False])
def test_a_truncate_makes_what_was_read_before_it_stale(before: bool) -> None:
    stream = Stream()
    stream.track.truncated()
    if before:
        stream.commit(10)
    window = stream.window("10:10:", 1)
    stream.commit(10)
    assert window.stale
    assert not window.exhausted
    assert window.take(9, 9) == []
    assert taken(stream.window("11:11:", 1)) == [1]


def test_a_window_that_is_stale_stays_stale() -> None:
    stream = Stream()
    window = stream.window("10:10:", 1)
    stream.track.restart()
    stream.update(1).commit(10)
    stream.track.relation_changed([(column.name, column.type_oid) for column in COLUMNS])
    stream.commit(11)
    assert window.stale


def test_another_shape_makes_a_window_stale_if_it_may_be_newer() -> None:
    stream = Stream()
    window = stream.window("10:10:", 1)
    stream.track.relation_changed([("id", 20), ("big", 25)])
    assert not window.stale
    stream.track.relation_changed([("id", 20), ("big", 17)])
    assert window.stale
    stream.commit(10)
    assert stream.window("10:10:", 1).stale
    # A table that was altered again, and not changed since: nothing of that is in the stream.
    assert not stream.window("11:11:", 1).stale


def test_a_chunk_without_the_key() -> None:
    with pytest.raises(KeyMissing):
        Stream().window("10:10:", columns=(Column(False, "renamed", 20, -1), COLUMNS[1]))


def test_a_closed_window_is_told_nothing() -> None:
    stream = Stream()
    window = stream.window("10:10:", 1)
    stream.track.close_window(window)
    stream.update(1).commit(10)
    assert window.touched == set()


def test_keys_are_compared_as_texts() -> None:
    stream = Stream()
    stream.update(1).commit(10)
    window = stream.window("10:10:", 1, 11)
    assert window.touched == {key(1)}
    assert taken(window) == [11]
