"""Consumers that apply a stream in order, and what they must never see.

Two models of each table. The **truth** began with the rows that the table held before it was streamed, and takes every
WAL event: at each place of the stream it is the table as it stood there, and so must a snapshot row be. The
**follower** begins empty at a snapshot's `begin`, takes WAL events and snapshot rows alike, and is the truth at `end`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.judge import Stored
from tests.faults.snapshots.tables import Key, Row, Table, digest_of

SAMPLES: Final = 5
KINDS: Final[Mapping[str, str]] = {
    "regressions": "a snapshot row older than what the stream held already",
    "resurrections": "a snapshot row whose key was deleted, or never there",
    "ahead": "a snapshot row newer than the stream, or of the same version with another content",
    "torn": "a row whose digest is not that of its content",
    "doubles": "a row without reason to read it again, an id, or a position, that stands in the stream twice",
    "disorder": "Pgstream-Lsn falls, or the numbers of a snapshot are not 1, 2, 3 …",
    "misplaced": "a mark or a row before its snapshot's begin, or behind its end, or none where there must be one",
    "miscounted": "an end whose Pgstream-Rows is not the number of rows",
    "malformed": "an event that is not as the contract says",
    "incomplete": "a row that a consumer did not have, had too much, or had wrong, at an end",
    "wrong": "a row that is not the table's when all is over",
    "lost": "a change of a row that the stream does not hold as it was: an event before it is missing",
}


@dataclass(frozen=True)
class SnapshotRecord:
    """A row of `pgstream.snapshots`, as far as the judge asks."""

    id: int
    table: str
    method: str
    state: str
    rows_done: int


@dataclass
class Verdict:
    """`counts`: of KINDS. `problems`: the first few of each in words, without values."""

    events: int = 0
    snapshot_rows: int = 0
    read_again: int = 0
    """Rows that came twice in a snapshot, and had to: an event of the key had lacked a TOAST value."""
    chunks: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    rows_left: int = 0

    @property
    def passed(self) -> bool:
        return not self.counts

    def count(self, kind: str, words: str) -> None:
        assert kind in KINDS
        self.counts[kind] += 1
        if self.counts[kind] <= SAMPLES:
            self.problems.append(f"{kind}: {words}")

    def __str__(self) -> str:
        marks = ", ".join(f"{count} {mark}" for mark, count in sorted(self.marks.items()))
        return (
            f"{self.events} events, {self.snapshot_rows} snapshot rows in {self.chunks} chunks"
            f" ({self.read_again} of them once more for a TOAST value); marks: {marks}\n"
            + ", ".join(f"{self.counts[kind]} {kind}" for kind in KINDS)
            + f"; {self.rows_left} rows in the end"
        )


@dataclass
class _Snapshot:
    """What the stream has told of one snapshot so far."""

    table: str
    state: str = "new"
    rows: int = 0
    number: int = 0
    versions: dict[tuple[Key, int], int] = field(default_factory=dict)
    """Of each row the sequence that it has in the stream."""


@dataclass
class Judge:
    """Takes the events of the stream one after the other, then what is left in the end."""

    tables: Mapping[str, Table]
    truth: dict[str, dict[Key, Row]]
    followers: dict[str, dict[Key, Row]] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    _snapshots: dict[str, _Snapshot] = field(default_factory=dict)
    _chunks: set[tuple[str, str]] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)
    _positions: set[tuple[int, int, str]] = field(default_factory=set)
    _lacking: set[tuple[str, Key]] = field(default_factory=set)
    """Keys of events that lacked an unchanged TOAST value. A relay that starts again reads such WAL once more, and
    their rows with it, also where it had read them after that event."""
    _lsn: int = 0

    def take(self, message: Stored) -> None:
        """One event of the stream."""
        verdict, headers = self.verdict, message.headers
        verdict.events += 1
        document = json.loads(message.payload)
        lsn = parse_position(headers["Pgstream-Lsn"])
        if lsn < self._lsn:
            verdict.count("disorder", f"sequence {message.sequence}: {headers['Pgstream-Lsn']} falls")
        self._lsn = max(lsn, self._lsn)
        event_id = document["id"]
        if event_id in self._ids:
            verdict.count("doubles", f"sequence {message.sequence}: the id {event_id} again")
        self._ids.add(event_id)
        name = document["table"]
        if event_id != headers.get("Nats-Msg-Id") or name not in self.tables or "Pgstream-Error" in headers:
            verdict.count("malformed", f"sequence {message.sequence} on {message.subject}: {dict(headers)}")
            return
        table = self.tables[name]
        if document["operation"] == "snapshot":
            self._take_snapshot_event(message, table, document)
        else:
            position = lsn, int(headers["Pgstream-Seq"]), document["operation"]
            if position in self._positions:
                verdict.count("doubles", f"sequence {message.sequence}: the change {position} again")
            self._positions.add(position)
            self._take_change(message, table, document["data"])

    def _take_change(self, message: Stored, table: Table, data: dict[str, Any]) -> None:
        truth = self.truth[table.name]
        before, after = data["before"], data["after"]
        if before is None and after is None:
            truth.clear()
            self.followers.get(table.name, truth).clear()
            return
        if before is not None:
            former = truth.get(table.key_of(before))
            if former is None or any(former[name] != value for name, value in before.items()):
                self.verdict.count("lost", f"{table.name}, sequence {message.sequence}: the row before is another")
        elif table.key_of(after) in truth:
            self.verdict.count("lost", f"{table.name}, sequence {message.sequence}: inserted, and is there already")
        full = message.headers.get("Pgstream-Before") == "full"
        _apply(truth, table, before, after, full=full)
        if table.name in self.followers:
            _apply(self.followers[table.name], table, before, after, full=full)
        if after is not None:
            self._check_digest(message, truth.get(table.key_of(after), after))
        if "Pgstream-Unchanged" in message.headers:
            self._lacking.add((table.name, table.key_of(after)))

    def _check_digest(self, message: Stored, row: Row) -> None:
        try:
            fits = digest_of(row) == row["digest"]
        except KeyError:
            fits = False
        if not fits:
            self.verdict.count("torn", f"sequence {message.sequence} on {message.subject}")

    def _take_snapshot_event(self, message: Stored, table: Table, document: dict[str, Any]) -> None:
        verdict, headers, data = self.verdict, message.headers, document["data"]
        mark, name = headers.get("Pgstream-Mark"), headers.get("Pgstream-Snapshot", "")
        snapshot = self._snapshots.setdefault(name, _Snapshot(table.name))
        odd = data["before"] is not None or data["diff"] is not None or (data["after"] is None) != bool(mark)
        if odd or not name.isdecimal() or "Pgstream-Xid" in headers or snapshot.table != table.name:
            verdict.count("malformed", f"sequence {message.sequence} on {message.subject}: {dict(headers)}")
            return
        number = int(headers["Pgstream-Seq"])
        if mark is not None:
            self._take_mark(message, snapshot, mark)
        else:
            self._take_row(message, table, snapshot, data["after"])
            self._chunks.add((name, document["timestamp"]))
        if number != (0 if mark == "begin" else snapshot.number + 1):
            verdict.count("disorder", f"snapshot {name}: number {number} behind {snapshot.number}")
        snapshot.number = number

    def _take_mark(self, message: Stored, snapshot: _Snapshot, mark: str) -> None:
        verdict, name = self.verdict, snapshot.table
        place = f"{name}, sequence {message.sequence}, snapshot {message.headers['Pgstream-Snapshot']}"
        verdict.marks[mark] += 1
        if mark == "begin":
            if snapshot.state != "new":
                verdict.count("misplaced", f"{place}: begin, and it is {snapshot.state}")
            snapshot.state = "begun"
            self.followers[name] = {}
            return
        if snapshot.state != "begun":
            verdict.count("misplaced", f"{place}: {mark}, and it is {snapshot.state}")
        snapshot.state = mark
        snapshot.versions.clear()
        if mark == "end":
            if message.headers.get("Pgstream-Rows") != str(snapshot.rows):
                told = message.headers.get("Pgstream-Rows")
                verdict.count("miscounted", f"{place}: Pgstream-Rows {told}, and {snapshot.rows} are there")
            self._compare("incomplete", place, self.followers.get(name, {}), self.truth[name])

    def _take_row(self, message: Stored, table: Table, snapshot: _Snapshot, row: Row) -> None:
        verdict, key = self.verdict, table.key_of(row)
        place = f"{table.name}, sequence {message.sequence}, snapshot {message.headers['Pgstream-Snapshot']}"
        verdict.snapshot_rows += 1
        snapshot.rows += 1
        if snapshot.state != "begun":
            verdict.count("misplaced", f"{place}: a row, and it is {snapshot.state}")
        first = snapshot.versions.setdefault((key, row["version"]), message.sequence)
        if first != message.sequence and (table.name, key) in self._lacking:
            verdict.read_again += 1
        elif first != message.sequence:
            verdict.count("doubles", f"{place}: {key} of version {row['version']} is at {first}, too")
        self._check_digest(message, row)
        now = self.truth[table.name].get(key)
        if now is None:
            verdict.count("resurrections", f"{place}: {key} of version {row['version']}")
        elif now["version"] > row["version"]:
            verdict.count("regressions", f"{place}: {key} from version {now['version']} to {row['version']}")
        elif now != row:
            verdict.count("ahead", f"{place}: {key} from version {now['version']} to {row['version']}")
        self.followers.setdefault(table.name, {})[key] = row

    def end(self, rows: Mapping[str, Mapping[Key, Row]], snapshots: list[SnapshotRecord]) -> Verdict:
        """`rows`: the tables as Postgres holds them now; `snapshots`: all that there were."""
        for name, held in rows.items():
            self.verdict.rows_left += len(held)
            self._compare("lost", f"{name}, the WAL events", self.truth[name], held)
            if name in self.followers:
                self._compare("wrong", f"{name}, the consumer", self.followers[name], held)
        for record in snapshots:
            self._check_record(record)
        self.verdict.chunks = len(self._chunks)
        return self.verdict

    def _check_record(self, record: SnapshotRecord) -> None:
        told = self._snapshots.get(str(record.id), _Snapshot(record.table))
        expected = {"completed": "end", "stopped": "stopped", "failed": "failed"}.get(record.state, record.state)
        if told.state != expected and (told.state != "new" or record.state == "completed"):
            self.verdict.count("misplaced", f"snapshot {record.id} is {record.state}, the stream says {told.state}")
        elif told.state != "new" and record.rows_done != told.rows:
            words = f"snapshot {record.id}: rows_done {record.rows_done}, and {told.rows} are there"
            self.verdict.count("miscounted", words)

    def _compare(self, kind: str, place: str, found: Mapping[Key, Row], expected: Mapping[Key, Row]) -> None:
        if found == expected:
            return
        for key in found.keys() | expected.keys():
            if key not in found:
                self.verdict.count(kind, f"{place}: {key} is missing")
            elif key not in expected:
                self.verdict.count(kind, f"{place}: {key} is too much")
            elif found[key] != expected[key]:
                names = [name for name, value in expected[key].items() if found[key].get(name, ...) != value]
                self.verdict.count(kind, f"{place}: {key} differs in {names}")


def _apply(model: dict[Key, Row], table: Table, before: Row | None, after: Row | None, *, full: bool) -> None:
    """A change. Columns that `after` does not hold keep their former value; unknown ones stay unknown."""
    former: Row = {}
    if before is not None:
        former = model.pop(table.key_of(before), {})
        if full:
            former = former | before
    if after is not None:
        model[table.key_of(after)] = former | after


def parse_position(lsn: str) -> int:
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)
