"""The rows of a window without those that the snapshot has published already."""

from __future__ import annotations

from pgstream_relay.event.encoded import EncodedEvent
from pgstream_relay.runtime.snapshots.recovery import event_key
from pgstream_relay.snapshot.copy_text import split_line
from pgstream_relay.snapshot.touch import Key, key_positions
from pgstream_relay.snapshot.tracking import TableTrack
from pgstream_relay.snapshot.window import RowValues, Window


class Unwritten:
    """A RowSource. `written` are rows that a relay before this one published (as `event_key` names them), `emitted`
    those that were published from a chunk that had to be read again.

    A key that must be read again, for an event of its row lacked something, is published all the same.
    """

    def __init__(self, window: Window, track: TableTrack, written: set[str], emitted: set[Key]) -> None:
        self.window = window
        self._track = track
        self._written = written
        self._emitted = emitted
        self._due: set[Key] = set()
        self._positions = key_positions([name for name, _ in window.shape], track.key_columns) or ()

    @property
    def stale(self) -> bool:
        """See RowSource."""
        return self.window.stale

    @property
    def exhausted(self) -> bool:
        """See RowSource."""
        return self.window.exhausted

    def take(self, rows_max: int, bytes_max: int) -> list[RowValues]:
        """See RowSource."""
        if not self._written and not self._emitted:
            return self.window.take(rows_max, bytes_max)
        track = self._track
        before = {*track.reread, *track.taken}
        rows = []
        for row in self.window.take(rows_max, bytes_max):
            key = self._key(row)
            if key in before:
                self._due.add(key)
            elif key in self._emitted:
                continue
            rows.append(row)
        return rows

    def taken(self) -> set[Key]:
        """Keys of the rows that were published, or left out for a newer event."""
        lines = self.window.read.lines[: self.window.consumed]
        return {self._key(split_line(line, len(self.window.shape))) for line in lines}

    def is_written(self, row: RowValues, event: EncodedEvent) -> bool:
        """Whether a relay before this one published the row."""
        return self._key(row) not in self._due and event_key(event, self._track.key_columns) in self._written

    def _key(self, row: RowValues) -> Key:
        # Key columns are never null.
        return tuple([row[index] or b"" for index in self._positions])
