"""What the rows mean for one table: its own columns first, then `pgstream.settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pgstream_relay.control.state import ControlRow, ControlState
from pgstream_relay.event.subject import escape_token

DEFAULT_SUBJECT: Final = "{database}.{schema}.{table}.{operation}"


@dataclass(frozen=True, slots=True)
class TableSettings:
    """The settings in force for one table.

    `subjects` maps an operation to a template of its own; `subject` is the template of the rest. `stream` is None for
    an ephemeral table. `key_columns` is None where primary key or replica identity decide.
    """

    enabled: bool
    stream: str | None
    operations: frozenset[str]
    subject: str
    subjects: Mapping[str, str]
    key_columns: tuple[str, ...] | None
    numbers_as_text: bool

    def template(self, operation: str) -> str:
        return self.subjects.get(operation, self.subject)


def database_alias(settings: ControlRow) -> str:
    """The name of the database in events, subjects and stream names."""
    alias: str = settings["database"] or settings["database_at_install"]
    return alias


def default_stream(settings: ControlRow) -> str:
    """The stream of tables that name none."""
    stream: str | None = settings["stream"]
    return stream or f"PGSTREAM_{escape_token(database_alias(settings))}"


def table_settings(settings: ControlRow, row: ControlRow) -> TableSettings:
    """Joins a row of `pgstream.tables` with the row of `pgstream.settings`."""
    mode = row["mode"] or settings["mode"]
    key_columns = row["key_columns"]
    return TableSettings(
        enabled=row["enabled"],
        stream=(row["stream"] or default_stream(settings)) if mode == "persistent" else None,
        operations=frozenset(row["operations"]),
        subject=row["subject"] or settings["subject"] or DEFAULT_SUBJECT,
        subjects=row["event_subjects"] or {},
        key_columns=tuple(key_columns) if key_columns else None,
        numbers_as_text=(row["numbers"] or settings["numbers"]) == "text",
    )


def streamed_settings(state: ControlState, relation_oid: int) -> TableSettings | None:
    """The settings of a relation; None where it is not streamed at this point of the WAL."""
    row = state.table_of(relation_oid)
    settings = table_settings(state.settings, row) if row is not None else None
    return settings if settings is not None and settings.enabled else None
