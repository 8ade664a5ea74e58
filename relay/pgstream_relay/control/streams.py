"""Which JetStream streams the settings ask for, and the subjects that each must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pgstream_relay.control.state import ControlRow, ControlState
from pgstream_relay.control.tables import TableSettings, database_alias, default_stream, table_settings
from pgstream_relay.event.gaps import GAPS_SCHEMA, GAPS_TABLE
from pgstream_relay.event.subject import OPERATIONS, escape_token, format_pattern, format_subject, is_covered

MESSAGES_SCHEMA = "pgstream"
MESSAGES_TABLE = "messages"


@dataclass(frozen=True, slots=True)
class KeptStream:
    """A row of `pgstream.streams`: pgstream keeps the stream so. Intervals in the text form of Postgres."""

    storage: str
    replicas: int | None
    max_age: str | None
    max_bytes: int | None
    discard: str
    duplicate_window: str


@dataclass(frozen=True, slots=True)
class StreamNeed:
    """A stream that persistent tables use. `kept` is None where no row asks pgstream to keep it: never altered then.

    `subjects` holds no pattern that another one of them covers (JetStream refuses such a list), sorted.
    """

    name: str
    subjects: tuple[str, ...]
    kept: KeptStream | None


def needed_streams(
    state: ControlState, names: Mapping[int, tuple[str, str]], *, announce_gaps: bool = False
) -> dict[str, StreamNeed]:
    """The streams by name. `names` are the relations' current (schema, name) by oid, where they are known.

    A renamed table goes on under its new name before anybody touches its row, so both names are covered.
    `announce_gaps`: each kept stream takes the subject of gap events too.
    """
    alias = database_alias(state.settings)
    subjects: dict[str, set[str]] = {}
    for row in state.tables.values():
        settings = table_settings(state.settings, row)
        if not settings.enabled or settings.stream is None:
            continue
        wanted = subjects.setdefault(settings.stream, set())
        row_name = (row["table_schema"], row["table_name"])
        for schema, table in {row_name, names.get(int(row["relid"]), row_name)}:
            wanted |= table_patterns(settings, alias, schema, table)
    if state.settings["message_prefixes"]:
        subjects.setdefault(default_stream(state.settings), set()).add(messages_subject(state.settings))
    if announce_gaps:
        for name, wanted in subjects.items():
            if name in state.streams:
                wanted.add(_own_gap_subject(state.settings, name))
    return {
        name: StreamNeed(name, minimal_cover(wanted), _kept_stream(state.streams.get(name)))
        for name, wanted in subjects.items()
    }


def gap_subject(settings: ControlRow, need: StreamNeed) -> str:
    """Where a stream gets its gap events: each stream on a subject of its own, as no two may share one.

    A stream that pgstream does not keep gets them on the `unknown` subject of one of its tables.
    """
    if need.kept is None:
        return need.subjects[0].replace("*", "unknown")
    return _own_gap_subject(settings, need.name)


def _own_gap_subject(settings: ControlRow, stream: str) -> str:
    subject = format_subject(
        settings["subject"],
        database=database_alias(settings),
        schema=GAPS_SCHEMA,
        table=GAPS_TABLE,
        operation="unknown",
    )
    return subject if stream == default_stream(settings) else f"{subject}.{escape_token(stream)}"


def table_patterns(settings: TableSettings, alias: str, schema: str, table: str) -> set[str]:
    """The patterns of one table: one, unless operations have templates of their own."""
    templates = {settings.subject, *settings.subjects.values()}
    if set(OPERATIONS) <= set(settings.subjects):
        templates.discard(settings.subject)
    return {format_pattern(template, database=alias, schema=schema, table=table) for template in templates}


def messages_subject(settings: ControlRow) -> str:
    """Where logical messages with a listed prefix are published."""
    return format_subject(
        settings["subject"],
        database=database_alias(settings),
        schema=MESSAGES_SCHEMA,
        table=MESSAGES_TABLE,
        operation="unknown",
    )


def minimal_cover(subjects: set[str]) -> tuple[str, ...]:
    """Leaves out each subject that another one covers; sorted, so that equal needs compare equal."""
    return tuple(
        sorted(
            subject
            for subject in subjects
            if not any(other != subject and is_covered(subject, other) for other in subjects)
        )
    )


def _kept_stream(row: ControlRow | None) -> KeptStream | None:
    if row is None:
        return None
    return KeptStream(
        storage=row["storage"],
        replicas=row["replicas"],
        max_age=row["max_age"],
        max_bytes=row["max_bytes"],
        discard=row["discard"],
        duplicate_window=row["duplicate_window"],
    )
