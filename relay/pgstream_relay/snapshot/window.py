"""Rows that were read from a table and wait for their place in the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pgstream_relay.pgoutput.messages import Column
from pgstream_relay.snapshot.copy_text import split_line
from pgstream_relay.snapshot.touch import Key, key_positions
from pgstream_relay.snapshot.visibility import XidSnapshot

if TYPE_CHECKING:
    from pgstream_relay.snapshot.tracking import TableTrack

RowValues: TypeAlias = list[bytes | None]


class KeyMissing(ValueError):
    """A chunk lacks a column of the key: it was renamed or dropped since the snapshot looked the key up."""


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """What one query saw: `snapshot` is the one that it ran under, `lsn` the insert LSN after that was taken.

    `read_at_us` is the server's clock, Unix µs. `lines` are of COPY's text format, `columns` say what stands in them.
    """

    snapshot: XidSnapshot
    lsn: int
    read_at_us: int
    columns: tuple[Column, ...]
    lines: list[bytes]


class Window:
    """The rows of one chunk. They may be taken once the stream has passed `read.lsn`, between two transactions.

    `stale`: what is left of it can't be emitted, and must be read again.
    """

    def __init__(self, track: TableTrack, read: ChunkRead) -> None:
        names = [column.name for column in read.columns]
        positions = key_positions(names, track.key_columns)
        if positions is None:
            raise KeyMissing("a chunk lacks columns of the snapshot's key")
        self.read = read
        self.shape = tuple((column.name, column.type_oid) for column in read.columns)
        self.stale = False
        self.touched: set[Key] = set()
        """Keys of rows whose newer state was published: they are left out."""
        self._track = track
        self._positions = positions
        self._position = 0

    @property
    def exhausted(self) -> bool:
        """Whether each row was taken or left out. Never true of a stale window."""
        return self._position == len(self.read.lines) and not self.stale

    @property
    def consumed(self) -> int:
        """How many lines were taken or left out."""
        return self._position

    def mark_stale(self) -> None:
        """Forgets which rows are to be left out: all are."""
        self.stale = True
        self.touched = set()

    def take(self, rows_max: int, bytes_max: int) -> list[RowValues]:
        """The next rows to emit, one at least where any is left; their keys need not be read again then.

        Raises ValueError where a line does not fit the columns, RuntimeError in the middle of a transaction that
        changes the table.
        """
        if self.stale:
            return []
        if self._track.in_transaction:
            raise RuntimeError("rows of a snapshot were asked for in the middle of a transaction")
        if not (self.touched or self._track.reread or self._track.taken):
            return self._take_all(rows_max, bytes_max)
        lines, columns, touched, positions = self.read.lines, len(self.shape), self.touched, self._positions
        reread, taken, emitted = self._track.reread, self._track.taken, self._track.emitted
        rows: list[RowValues] = []
        size, position = 0, self._position
        while position < len(lines) and len(rows) < rows_max:
            line = lines[position]
            if rows and size + len(line) > bytes_max:
                break
            position += 1
            row = split_line(line, columns)
            key = tuple([row[index] for index in positions])
            if key in touched:
                continue
            size += len(line)
            # A key that is null can't be among the keys.
            reread.pop(key, None)  # type: ignore[arg-type]
            if key in taken:
                emitted.add(key)  # type: ignore[arg-type]
            rows.append(row)
        self._position = position
        return rows

    def _take_all(self, rows_max: int, bytes_max: int) -> list[RowValues]:
        """Without a look at the keys."""
        start, columns = self._position, len(self.shape)
        lines = self.read.lines[start : start + rows_max]
        text = b"".join(lines)
        if len(text) > bytes_max and len(lines) > 1:
            # Half of them, as often as it takes: rows of one table are of about one size.
            return self._take_all(max(1, len(lines) // 2), bytes_max)
        self._position = start + len(lines)
        if columns and b"\\" not in text:
            # No null and nothing escaped; whoever encodes a row counts its values.
            return [line[:-1].split(b"\t") for line in lines]  # type: ignore[misc]  # see split_line
        return [split_line(line, columns) for line in lines]
