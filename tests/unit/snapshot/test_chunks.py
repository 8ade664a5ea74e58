from __future__ import annotations

from itertools import pairwise

import pytest

from pgstream_relay.snapshot.chunks import BYTES_MAX, START, ChunkPlan, Tid, TidRange


def plan(blocks: int, start: Tid = START, *, count: int = 4, count_max: int = 16) -> ChunkPlan:
    return ChunkPlan(blocks, start, block_count=count, block_count_max=count_max)


def read_all(chunks: ChunkPlan, *, seconds: float = 0.2, size_bytes: int = 1) -> list[TidRange]:
    parts = []
    while (part := chunks.next()) is not None:
        parts.append(part)
        chunks.done(part, seconds=seconds, size_bytes=size_bytes)
    return parts


def test_a_tid_as_postgres_writes_it() -> None:
    assert str(Tid(3, 7)) == "(3,7)"


def test_goes_through_all_blocks_once() -> None:
    assert read_all(plan(10)) == [
        (Tid(0, 0), Tid(4, 0)),
        (Tid(4, 0), Tid(8, 0)),
        (Tid(8, 0), Tid(10, 0)),
    ]


@pytest.mark.parametrize(("blocks", "start"), [(0, Tid(0, 0)), (5, Tid(5, 0)), (5, Tid(7, 3))])
def test_nothing_is_left(blocks: int, start: Tid) -> None:
    assert plan(blocks, start).next() is None


def test_goes_on_in_the_middle_of_a_block() -> None:
    assert read_all(plan(8, Tid(1, 64)))[:2] == [(Tid(1, 64), Tid(2, 0)), (Tid(2, 0), Tid(6, 0))]


def test_the_same_chunk_until_it_is_done() -> None:
    chunks = plan(10)
    assert chunks.next() == chunks.next()
    assert chunks.position == Tid(0, 0)


def test_grows_to_its_maximum_while_chunks_are_quick_and_small() -> None:
    sizes = [part.end.block - part.first.block for part in read_all(plan(100), seconds=0.01)]
    assert sizes == [4, 8, 16, 16, 16, 16, 16, 8]


@pytest.mark.parametrize(("seconds", "size_bytes"), [(0.6, 1), (0.01, BYTES_MAX + 1)])
def test_shrinks_where_chunks_are_slow_or_large(seconds: float, size_bytes: int) -> None:
    parts = read_all(plan(8, count=4), seconds=seconds, size_bytes=size_bytes)
    assert parts[:4] == [
        (Tid(0, 0), Tid(4, 0)),
        (Tid(4, 0), Tid(6, 0)),
        (Tid(6, 0), Tid(7, 0)),
        (Tid(7, 0), Tid(7, 128)),
    ]
    assert parts[-1].end == Tid(8, 0)


def test_every_place_of_a_block_is_read_once_whatever_the_sizes() -> None:
    parts = read_all(plan(3, count=1), seconds=9)
    assert parts[0].first == Tid(0, 0)
    assert parts[-1].end == Tid(3, 0)
    assert all(part.end == following.first for part, following in pairwise(parts))


def test_too_large_halves_down_to_a_single_row() -> None:
    chunks = plan(8, count=2)
    ends = []
    while chunks.too_large(part := chunks.next() or TidRange(Tid(0, 0), Tid(0, 0))):
        ends.append(part.end)
    assert ends[:3] == [Tid(2, 0), Tid(1, 0), Tid(0, 128)]
    assert chunks.next() == (Tid(0, 0), Tid(0, 1))


def test_parts_of_a_block_grow_to_blocks_again() -> None:
    chunks = plan(8, count=1)
    while chunks.too_large(chunks.next() or TidRange(Tid(0, 0), Tid(0, 0))):
        pass
    parts = read_all(chunks, seconds=0.01)
    assert parts[:3] == [(Tid(0, 0), Tid(0, 1)), (Tid(0, 1), Tid(0, 3)), (Tid(0, 3), Tid(0, 7))]
    assert parts[-1].end == Tid(8, 0)
    assert any(part.end.block - part.first.block > 1 for part in parts)


def test_too_large_a_rest_of_a_block_is_parted() -> None:
    chunks = plan(8, Tid(2, 100), count=1)
    assert chunks.too_large(TidRange(Tid(2, 100), Tid(3, 0)))
    assert chunks.next() == (Tid(2, 100), Tid(2, 228))


def test_only_the_next_chunk_can_be_done() -> None:
    with pytest.raises(ValueError, match="not the next one"):
        plan(8).done(TidRange(Tid(4, 0), Tid(8, 0)), seconds=0.1, size_bytes=1)


@pytest.mark.parametrize(("count", "count_max"), [(0, 4), (5, 4)])
def test_sizes_that_contradict_each_other(count: int, count_max: int) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        plan(8, count=count, count_max=count_max)
