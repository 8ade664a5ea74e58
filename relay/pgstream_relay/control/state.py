"""The rows of the control tables as of one position in the WAL (law 7: only the WAL is believed)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ControlRow = Mapping[str, Any]
"""One row as `to_jsonb` gives it, parsed."""

CONTROL_SCHEMA: Final = "pgstream"
SIGNALS: Final = "signals"
CONTROL_TABLES: Final = frozenset({"settings", "streams", "tables", SIGNALS})


class ControlState:
    """`settings` is the one row, `streams` by name, `tables` by (schema, name) of the row, not of the relation."""

    def __init__(
        self,
        settings: ControlRow,
        streams: Mapping[str, ControlRow],
        tables: Mapping[tuple[str, str], ControlRow],
    ) -> None:
        self.settings = settings
        self.streams = dict(streams)
        self.tables = dict(tables)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ControlState:
        """From `pgstream.relay_state.control`. Raises KeyError where a part is missing."""
        return cls(
            document["settings"],
            {row["name"]: row for row in document["streams"]},
            {(row["table_schema"], row["table_name"]): row for row in document["tables"]},
        )

    def to_document(self) -> dict[str, Any]:
        """What `from_document` reads."""
        return {
            "settings": self.settings,
            "streams": list(self.streams.values()),
            "tables": list(self.tables.values()),
        }

    def apply(self, table: str, old: ControlRow | None, new: ControlRow | None) -> None:
        """One change of a control table: an insert has no `old`, a delete no `new`."""
        if table == "settings":
            if new is not None:
                self.settings = new
        elif table == "streams":
            if old is not None:
                self.streams.pop(old["name"], None)
            if new is not None:
                self.streams[new["name"]] = new
        else:
            if old is not None:
                self.tables.pop((old["table_schema"], old["table_name"]), None)
            if new is not None:
                self.tables[new["table_schema"], new["table_name"]] = new

    def table_of(self, relation_oid: int) -> ControlRow | None:
        """The row whose settings hold for a relation: settings belong to the table, not to its name."""
        for row in self.tables.values():
            if int(row["relid"]) == relation_oid:
                return row
        return None
