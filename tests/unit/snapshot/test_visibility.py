from __future__ import annotations

import pytest

from pgstream_relay.snapshot.visibility import XidSnapshot, is_newer

EPOCH = 1 << 32


@pytest.mark.parametrize(
    ("text", "parts"),
    [("10:10:", (10, 10, frozenset())), ("10:20:10,15,19", (10, 20, frozenset({10, 15, 19})))],
)
def test_parses_the_text_of_pg_snapshot(text: str, parts: tuple[int, int, frozenset[int]]) -> None:
    snapshot = XidSnapshot.parse(text)
    assert (snapshot.xmin, snapshot.xmax, snapshot.in_progress) == parts


@pytest.mark.parametrize(
    "text",
    ["", "10", "10:20", "10:20:,", "10:20:10,", "10:20: 10", "-1:20:", "0:20:", "20:10:", "10:20:9",
     "10:20:20", "1:2:a", "١:٢:"],
)  # fmt: skip
def test_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        XidSnapshot.parse(text)


@pytest.mark.parametrize(
    ("xid", "seen"),
    [
        (9, True),
        (10, False),
        (11, True),
        (15, False),
        (19, True),
        (20, False),
        (21, False),
        (20 + (1 << 31) - 1, False),
    ],
)
def test_sees_what_had_ended(xid: int, seen: bool) -> None:
    assert XidSnapshot.parse("10:20:10,15").sees(xid) is seen


def test_ids_of_32_bits_are_those_next_to_the_snapshot() -> None:
    snapshot = XidSnapshot.parse(f"{3 * EPOCH - 2}:{3 * EPOCH + 5}:{3 * EPOCH - 2},{3 * EPOCH + 3}")
    assert [snapshot.sees(xid) for xid in (EPOCH - 3, EPOCH - 2, EPOCH - 1)] == [True, False, True]
    # 0 to 2 are no ordinary ids, and behind the wrap none is used.
    assert [snapshot.sees(xid) for xid in (3, 4, 5, 6)] == [False, True, False, False]


def test_a_transaction_that_is_streamed_and_invisible_stands_behind_xmax() -> None:
    assert not XidSnapshot.parse("201300:201300:").sees(201300)


def test_is_past() -> None:
    snapshot = XidSnapshot.parse("10:20:10,15")
    assert [snapshot.is_past(xid) for xid in (9, 10, 11, 25)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("later", "covers"),
    [("10:20:10,15", True), ("15:20:15", True), ("20:20:", True), ("10:25:10,22", True),
     ("10:25:11", False), ("10:19:10,15", False), ("9:20:9", False)],
)  # fmt: skip
def test_covers_what_sees_as_much(later: str, covers: bool) -> None:
    assert XidSnapshot.parse(later).covers(XidSnapshot.parse("10:20:10,15")) is covers


@pytest.mark.parametrize(("xid", "other", "newer"), [(4, 3, True), (3, 3, False), (3, 4, False), (3, EPOCH - 1, True)])
def test_is_newer_across_the_wrap(xid: int, other: int, newer: bool) -> None:
    assert is_newer(xid, other) is newer
