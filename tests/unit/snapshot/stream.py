"""A track under test, and the stream that it follows."""

from __future__ import annotations

from pgstream_relay.change.plan import DELETE, INSERT, UPDATE
from pgstream_relay.pgoutput.messages import UNCHANGED, Column, Delete, Insert, Relation, TupleValue, Update
from pgstream_relay.snapshot.touch import Key
from pgstream_relay.snapshot.tracking import TableTrack
from pgstream_relay.snapshot.visibility import XidSnapshot
from pgstream_relay.snapshot.window import ChunkRead, Window
from tests.support.pgoutput import encode_message, encode_xlogdata

COLUMNS = (Column(True, "id", 20, -1), Column(False, "big", 25, -1))
RELATION = Relation(1, "public", "t", "d", COLUMNS)
EVERYTHING = frozenset({"insert", "update", "delete"})


def key(number: int) -> Key:
    return (b"%d" % number,)


class Stream:
    """Of changes to rows of `id`, a whole value of `big` where `whole`."""

    def __init__(self, *, keys_max: int = 1000, reread_max: int = 1000, published: frozenset[str] = EVERYTHING) -> None:
        self.track = TableTrack(("id",), keys_max=keys_max, reread_max=reread_max)
        self._touch = self.track.toucher(RELATION, published)

    def insert(self, number: int, *, whole: bool = True) -> Stream:
        return self._tell(INSERT, Insert(1, _row(number, whole)))

    def update(self, number: int, *, whole: bool = True, was: int | None = None) -> Stream:
        old: list[TupleValue] | None = None if was is None else [b"%d" % was, None]
        return self._tell(UPDATE, Update(1, None if was is None else "K", old, _row(number, whole)))

    def delete(self, number: int) -> Stream:
        return self._tell(DELETE, Delete(1, "K", [b"%d" % number, None]))

    def commit(self, xid: int) -> Stream:
        self.track.commit(xid)
        return self

    def window(self, snapshot: str, *numbers: int, columns: tuple[Column, ...] = COLUMNS) -> Window:
        """Rows with these keys, seen by this snapshot."""
        lines = [b"%d\tB\n" % number for number in numbers]
        return self.track.open_window(ChunkRead(XidSnapshot.parse(snapshot), 0, 0, columns, lines))

    def _tell(self, kind: int, message: Insert | Update | Delete) -> Stream:
        # Twice, as the pipeline may: nothing may come of it.
        for _ in range(2):
            self._touch(kind, encode_xlogdata(encode_message(message)))
        return self


def taken(window: Window) -> list[int]:
    """The keys of all rows that a window still gives."""
    return [int(row[0] or b"") for row in window.take(1000, 1 << 20)]


def _row(number: int, whole: bool) -> list[TupleValue]:
    return [b"%d" % number, b"B" if whole else UNCHANGED]
