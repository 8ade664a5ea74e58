"""Which part of a heap is read next, and how much of it at once."""

from __future__ import annotations

from typing import Final, NamedTuple

SECONDS_AIM: Final = 0.25
"""A chunk of twice that is too long, of half of it too short."""
BYTES_MAX: Final = 4 * 1024 * 1024

_BLOCK: Final = 256
"""The size of a block, in line pointers: more do not hold values that would be large together."""
_OFFSETS_END: Final = 2048
"""No block of any size has a line pointer there or behind."""


class Tid(NamedTuple):
    """A place in a heap. Offsets of rows begin at 1, so `Tid(b, 0)` is before all rows of block b."""

    block: int
    offset: int

    def __str__(self) -> str:
        """The text form of the type `tid`."""
        return f"({self.block},{self.offset})"


class TidRange(NamedTuple):
    """`first` <= ctid < `end`."""

    first: Tid
    end: Tid


START: Final = Tid(0, 0)


class ChunkPlan:
    """Goes through the first `blocks` blocks of a heap; rows that came behind them later are in the WAL.

    `position`: everything before it was read. A chunk begins with `block_count` blocks and grows to
    `block_count_max` at most, as fast as it is read; where rows are large it shrinks to parts of a block.
    """

    def __init__(self, blocks: int, start: Tid = START, *, block_count: int, block_count_max: int) -> None:
        if not 0 < block_count <= block_count_max:
            raise ValueError("a chunk has at least one block and at most block_count_max")
        self.blocks = blocks
        self.position = start
        self._size = block_count * _BLOCK
        self._size_max = block_count_max * _BLOCK

    def next(self) -> TidRange | None:
        """What to read next, the same until `done` or `too_large` is called; None when all was read."""
        first = self.position
        block, offset = first
        if block >= self.blocks:
            return None
        if offset == 0 and self._size >= _BLOCK:
            return TidRange(first, Tid(min(block + self._size // _BLOCK, self.blocks), 0))
        end = offset + self._size
        if self._size >= _BLOCK or end >= _OFFSETS_END:
            return TidRange(first, Tid(block + 1, 0))
        return TidRange(first, Tid(block, end))

    def done(self, read: TidRange, *, seconds: float, size_bytes: int) -> None:
        """`read`, the last that `next` gave, was read in `seconds` and had `size_bytes` of text."""
        if read.first != self.position:
            raise ValueError("a chunk that was read is not the next one")
        self.position = read.end
        if seconds > 2 * SECONDS_AIM or size_bytes > BYTES_MAX:
            self._size = max(1, self._size // 2)
        elif seconds <= SECONDS_AIM / 2 and size_bytes <= BYTES_MAX // 2:
            self._size = min(self._size * 2, self._size_max)

    def too_large(self, read: TidRange) -> bool:
        """`read` is more than can be held: `next` gives less. False where it is a single row already."""
        first, end = read
        size = end.offset - first.offset if end.block == first.block else (end.block - first.block) * _BLOCK
        if size == 1:
            return False
        self._size = max(1, size // 2)
        return True
