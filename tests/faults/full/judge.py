"""A consumer that clears its copy at `begin` and applies everything after, held against one that never needs to.

The table may have no key: rows are told apart by all that is in them, and counted.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pgstream_relay.pgoutput.lsn import parse_lsn
from tests.faults.judge import Stored
from tests.faults.snapshots.stream_reader import read_stream
from tests.support.streamed import StreamedDatabase


class Judge:
    """`initial`: the rows that were there before the table was streamed. Each rule that is broken is an AssertionError.

    `truth` comes from the changes alone; `copy` is the consumer's, None before its first `begin`; `marks` are those of
    the table, in order, and `snapshot_rows` those between the last `begin` and what followed.
    """

    def __init__(self, table: str, initial: Iterable[str] = ()) -> None:
        self.table = table
        self.truth = Counter(initial)
        self.copy: Counter[str] | None = None
        self.marks: list[str] = []
        self.snapshot_rows = 0
        self.changes = 0
        self._changes_since_begin = 0
        self._inside = False
        self._position = (0, 0)
        self._ids: set[str] = set()

    def take(self, stored: Stored) -> None:
        headers = stored.headers
        assert headers["Nats-Msg-Id"] not in self._ids, f"{headers} is there twice"
        self._ids.add(headers["Nats-Msg-Id"])
        document = json.loads(stored.payload, parse_int=str, parse_float=str)
        if document["operation"] != "snapshot":
            self._take_change(document, headers)
        elif document["table"] == self.table and "Pgstream-Mark" in headers:
            self._take_mark(headers["Pgstream-Mark"], headers)
        elif document["table"] == self.table:
            self._take_row(document["data"], headers)

    def _take_change(self, document: dict[str, Any], headers: Any) -> None:
        position = (parse_lsn(headers["Pgstream-Lsn"]), int(headers["Pgstream-Seq"]))
        assert position > self._position, f"{headers} is out of order"
        self._position = position
        self._changes_since_begin += 1
        if document["table"] != self.table:
            return
        self.changes += 1
        if document["operation"] == "truncate":
            self.truth.clear()
            if self.copy is not None:
                self.copy.clear()
        for name, count in (("before", -1), ("after", 1)):
            if document["data"][name] is None:
                continue
            row = canonical(document["data"][name])
            self.truth[row] += count
            assert self.truth[row] >= 0, f"{headers}: a change before it is missing"
            if self.copy is not None:
                self.copy[row] += count

    def _take_mark(self, mark: str, headers: Any) -> None:
        self.marks.append(mark)
        if mark == "begin":
            self.copy, self.snapshot_rows, self._inside, self._changes_since_begin = Counter(), 0, True, 0
            return
        self._inside = False
        if mark == "end":
            assert self._changes_since_begin == 0, "events of changes stand between begin and end"
            assert int(headers["Pgstream-Rows"]) == self.snapshot_rows
            assert self.copy is not None
            assert +self.copy == +self.truth, "the copy is not the table as of the end"

    def _take_row(self, data: dict[str, Any], headers: Any) -> None:
        assert self._inside, f"{headers} stands outside of begin and end"
        assert self._changes_since_begin == 0 or "end" not in self.marks[-1:], headers
        assert data["before"] is None
        assert data["diff"] is None
        assert self.copy is not None
        self.copy[canonical(data["after"])] += 1
        self.snapshot_rows += 1
        assert int(headers["Pgstream-Seq"]) == self.snapshot_rows


def canonical(row: dict[str, Any]) -> str:
    """Equal for equal rows."""
    return json.dumps(row, sort_keys=True)


def rows_of(streamed: StreamedDatabase, table: str) -> list[str]:
    """The table as it is."""
    rows = streamed.execute(f"select to_jsonb(t)::text from {table} t")
    return [canonical(json.loads(text, parse_int=str, parse_float=str)) for (text,) in rows]


async def judge(streamed: StreamedDatabase, table: str, initial: Iterable[str] = (), *, copied: bool = True) -> Judge:
    """Nobody writes any more: the consumer must hold the table, and nothing else, where it was `copied` to the end."""
    await streamed.catch_up()
    assert "internal error" not in streamed.relay.log
    found = Judge(table, initial)
    await asyncio.to_thread(read_stream, streamed.nats.port, streamed.stream, found.take)
    rows = Counter(rows_of(streamed, table))
    assert +found.truth == rows, "a change was lost"
    if not copied:
        return found
    assert found.copy is not None, "no snapshot has begun"
    # Less than none would be a change of a row that the snapshot had not.
    assert {row: count for row, count in found.copy.items() if count} == rows, "the copy is not the table"
    return found
