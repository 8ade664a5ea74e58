"""Ids: the layout, the order, and what they must not depend on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from pgstream_relay.event.ulid import ID_TAIL_MASK, ID_TAILS, format_id, id_stem, source_tag

TIME_MS = 1_795_340_710_123


@given(
    st.integers(0, 2**48 - 1), st.integers(0, 1023), st.integers(0, 2**40 - 1), st.integers(0, 2**31 - 1),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_layout_of_the_bits(
    time_ms: int, tag: int, lsn: int, ordinal: int, snapshot: bool, second_half: bool
) -> None:
    text = format_id(time_ms, tag, lsn, ordinal, snapshot=snapshot, second_half=second_half).decode()
    number = int(ULID.from_str(text))
    assert number >> 80 == time_ms
    assert number >> 70 & 0x3FF == tag
    assert number >> 33 & (2**37 - 1) == lsn // 8
    assert number >> 32 & 1 == snapshot
    assert number >> 1 & (2**31 - 1) == ordinal
    assert number & 1 == second_half


@given(st.integers(0, 2**31 - 1))
def test_a_stem_and_a_tail_make_an_id(ordinal: int) -> None:
    stem = id_stem(TIME_MS, 5, 0x16B3748, ordinal)
    assert stem + ID_TAILS[ordinal << 1 & ID_TAIL_MASK] == format_id(TIME_MS, 5, 0x16B3748, ordinal)


@given(st.lists(st.tuples(st.integers(0, 2**40 - 1).map(lambda lsn: lsn * 8 % 2**40), st.integers(1, 2**31 - 1))))
def test_ids_of_a_millisecond_sort_as_positions_do(positions: list[tuple[int, int]]) -> None:
    ordered = sorted(set(positions))
    ids = [format_id(TIME_MS, 7, lsn, ordinal) for lsn, ordinal in ordered]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_the_two_halves_of_a_change_stand_beside_each_other() -> None:
    first, second, following = (
        format_id(TIME_MS, 7, 800, 1),
        format_id(TIME_MS, 7, 800, 1, second_half=True),
        format_id(TIME_MS, 7, 800, 2),
    )
    assert first < second < following


def test_a_clone_has_another_tag() -> None:
    assert source_tag("7300000000000000001", 16384) != source_tag("7300000000000000001", 16385)
