"""What the streams must hold, out of the WAL alone: the changes as Postgres committed them, under the settings that
the same WAL says."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tests.faults.wal_reader import UNCHANGED, Table, WalChange

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Expected(NamedTuple):
    """One event as it must be. `document` is the canonical form of its JSON without `id`."""

    subject: str
    document: bytes
    headers: tuple[tuple[str, str | None], ...]


Position = tuple[int, int]
"""(commit LSN, ordinal)."""


@dataclass
class Truth:
    """`streams`: by stream the events by position, in commit order. `tables`: the rows as they are in the end."""

    database: str
    streams: dict[str, dict[Position, Expected]] = field(default_factory=lambda: defaultdict(dict))
    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    settings_changes: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    _rows: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add_all(self, changes: Iterable[WalChange]) -> Truth:
        for change in changes:
            if change.kind == "message":
                self._add_message(change)
            elif change.table is not None and change.table.schema == "pgstream":
                self._add_settings(change, change.table)
            elif change.table is not None:
                self._add_change(change, change.table)
        return self

    def _add_settings(self, change: WalChange, table: Table) -> None:
        self.settings_changes += 1
        if table.name not in ("settings", "tables"):
            return
        row = dict(zip([name for name, _, _ in table.columns], change.new or change.old, strict=True))
        text = {name: value.decode() if isinstance(value, bytes) else None for name, value in row.items()}
        if table.name == "settings":
            self.settings = text
        elif change.kind == "delete":
            self._rows.pop(int(text["relid"] or 0), None)
        else:
            self._rows[int(text["relid"] or 0)] = text

    def _add_message(self, change: WalChange) -> None:
        if change.old not in (self.settings.get("message_prefixes") or "{}").strip("{}").split(","):
            return
        after = {"prefix": change.old, "content": change.new.decode()}
        self._expect(change, None, "pgstream", "messages", "unknown", {"before": None, "after": after, "diff": None})

    def _add_change(self, change: WalChange, table: Table) -> None:
        data = _data(change, table)
        self._follow(change, table, data)
        row = self._rows.get(table.oid)
        if row is None or row["enabled"] != "t" or change.kind not in (row["operations"] or ""):
            return
        headers: dict[str, str | None] = {"Pgstream-Before": None, "Pgstream-Unchanged": None}
        if change.kind in ("update", "delete"):
            headers["Pgstream-Before"] = "full" if change.old_is_full else "key"
        if change.new is not None:
            missing = [name for name, _, _ in table.columns if name not in data["after"]]
            headers["Pgstream-Unchanged"] = ",".join(missing) or None
        self._expect(change, row, table.schema, table.name, change.kind, data, headers)

    def _expect(
        self,
        change: WalChange,
        row: dict[str, Any] | None,
        schema: str,
        table: str,
        operation: str,
        data: dict[str, Any],
        headers: dict[str, str | None] | None = None,
    ) -> None:
        template = (row and row["subject"]) or self.settings.get("subject") or "{database}.{schema}.{table}.{operation}"
        stream = (row and row["stream"]) or self.settings.get("stream") or f"PGSTREAM_{self.database}"
        subject = template.format(database=self.database, schema=schema, table=table, operation=operation)
        moment = EPOCH + timedelta(microseconds=change.commit_us)
        document = {
            "database": self.database, "schema": schema, "table": table, "operation": operation, "data": data,
            "timestamp": moment.isoformat(timespec="microseconds"),
        }  # fmt: skip
        expected = Expected(subject, canonical(document), (("Pgstream-Xid", str(change.xid)), *(headers or {}).items()))
        self.streams[stream][change.commit_lsn, change.ordinal] = expected

    def _follow(self, change: WalChange, table: Table, data: dict[str, Any]) -> None:
        """Keeps the table's rows, to hold them against Postgres's own in the end: a check of this truth itself."""
        rows = self.tables[table.name]
        if change.kind == "truncate":
            rows.clear()
            return
        after, before = data["after"], data["before"]
        kept: dict[str, Any] = {}
        if before is not None:
            kept = rows.pop(row_key(before))
        if after is not None:
            rows[row_key(after)] = kept | after


def row_key(row: dict[str, Any]) -> str:
    """All tables of the crash test have `id` as key, or `order_id` and `line`."""
    return str(row["id"]) if "id" in row else f"{row['order_id']}/{row['line']}"


def canonical(document: Any) -> bytes:
    return _encode(document).encode()


def parse_exactly(text: str) -> Any:
    """JSON with numbers kept digit by digit, told from strings."""
    return _decode(text)


def number(text: str) -> str:
    return f"\0{text}"


# Made once: json.dumps and json.loads with options make theirs for every call.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode: Final = json.JSONDecoder(parse_int=number, parse_float=number).decode


def _timestamp(text: str) -> str:
    return text.replace(" ", "T", 1).replace("+00", "+00:00")


_CONVERTERS: dict[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    20: number,
    23: number,
    25: str,
    1184: _timestamp,
    1700: number,
    3802: parse_exactly,
}
"""By type oid: bool, bigint, integer, text, timestamptz, numeric, jsonb. Whoever adds a type to the tables adds it."""


def _json(value: bytes | None, type_oid: int) -> Any:
    return None if value is None else _CONVERTERS[type_oid](value.decode())


def _data(change: WalChange, table: Table) -> dict[str, Any]:
    """`data` as the contract says it."""
    columns, old, new = table.columns, change.old, change.new
    if change.kind == "truncate":
        return {"before": None, "after": None, "diff": None}
    after = None
    if new is not None:
        filled = [old[at] if value is UNCHANGED and change.old_is_full else value for at, value in enumerate(new)]
        after = {
            name: _json(value, oid)
            for (name, oid, _), value in zip(columns, filled, strict=True)
            if value is not UNCHANGED
        }
    if change.kind == "insert":
        return {"before": None, "after": after, "diff": None}
    if not change.old_is_full:
        source = new if old is None else old
        before = {name: _json(source[at], oid) for at, (name, oid, is_key) in enumerate(columns) if is_key}
        return {"before": before, "after": after, "diff": None}
    before = {name: _json(old[at], oid) for at, (name, oid, _) in enumerate(columns)}
    diff = None
    if after is not None:
        changed = [name for at, (name, _, _) in enumerate(columns) if filled[at] != old[at]]
        diff = {name: after[name] for name in changed} or None
    return {"before": before, "after": after, "diff": diff}
