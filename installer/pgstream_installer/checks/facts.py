"""What the NATS side is held against: the streams that a database wants, and the subjects that its tables give."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import scalar_row

from pgstream_installer.connect import Connection

SOURCE_QUERY = """
select (select system_identifier from pg_control_system()) || '/' || d.oid
from pg_database as d where d.datname = current_database()
"""


@dataclass(frozen=True)
class StreamPlan:
    """One JetStream stream that this database publishes to, and the subjects that its tables give, as patterns.

    `kept`: it has a row in pgstream.streams, so the relay makes it and puts the subjects in.
    """

    name: str
    kept: bool
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatabaseFacts:
    """What the NATS side is held against. `source`: `<system identifier>/<database oid>`.

    No `streams`: not installed. `patterns`: every subject that is published to, persistent and ephemeral.
    """

    source: str
    lag_seconds: float | None = None
    streams: tuple[StreamPlan, ...] = ()
    patterns: tuple[str, ...] = ()


# A placeholder that is filled in row by row ({key}, {row.tenant}) stands for one token.
STREAMS_QUERY = r"""
with publishing as (
    select stream, regexp_replace(subject.value, '[^.]*\{[^}]*\}[^.]*', '*', 'g') as pattern
    from pgstream.table_status as t
    cross join jsonb_each_text(t.subjects) as subject
    where t.enabled
),
wanted as (
    select pgstream.default_stream() as stream, null as pattern
    union select name, null from pgstream.streams
    union select stream, pattern from publishing
)
select stream,
       exists (select from pgstream.streams where name = stream) as kept,
       coalesce(array_agg(distinct pattern) filter (where pattern is not null), '{}') as patterns
from wanted
group by stream
order by stream
"""
LAG_QUERY = "select lag_seconds from pgstream.status"


def read_facts(connection: Connection) -> DatabaseFacts:
    """Needs the rights of the relay or of a DBA; raises psycopg's InsufficientPrivilege without them."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        source = str(cursor.execute(SOURCE_QUERY).fetchone())
        if cursor.execute("select to_regclass('pgstream.status')").fetchone() is None:
            return DatabaseFacts(source)
        lag = cursor.execute(LAG_QUERY).fetchone()
    rows = connection.execute(STREAMS_QUERY).fetchall()
    streams = tuple(StreamPlan(name, kept, tuple(patterns)) for name, kept, patterns in rows if name is not None)
    return DatabaseFacts(
        source,
        lag_seconds=lag,
        streams=streams,
        patterns=tuple(dict.fromkeys(pattern for _, _, patterns in rows for pattern in patterns)),
    )
