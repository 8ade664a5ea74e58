"""What the relay reads from and writes to schema `pgstream`, on a connection of its own beside the walsender's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from pgstream_relay.change.relation import RelationKeys
from pgstream_relay.dsn import parse_target
from pgstream_relay.errors import EXIT_CONFIGURATION, RelayError
from pgstream_relay.event.gaps import Gap
from pgstream_relay.event.values import TypeCatalog
from pgstream_relay.pgoutput.lsn import format_lsn, parse_lsn
from pgstream_relay.pgoutput.messages import Relation
from pgstream_relay.runtime.catalog import read_relation_keys, read_types
from pgstream_relay.runtime.postgres_connect import explain_connection_failure
from pgstream_relay.runtime.postgres_errors import ServerUnavailable
from pgstream_relay.runtime.postgres_queries import explain_query_failure
from pgstream_relay.runtime.replication.connection import NETWORK_DEFAULTS

PUBLICATION: Final = "pgstream"
QUERY_TIMEOUT_SECONDS: Final = 40.0
"""The server's own statement_timeout comes first; this one is for a server, or a line to it, that says nothing."""
SESSION_OPTIONS: Final = (
    "-c search_path=pg_catalog -c statement_timeout=30s -c lock_timeout=10s -c TimeZone=UTC"
    # The relay's own notes need not wait for a standby: a position is confirmed only behind their WAL.
    " -c synchronous_commit=local"
)
STALE_RELAYS_AFTER: Final = "1 day"


class NotInstalled(RelayError):
    """Schema pgstream is missing, or older than this relay needs."""

    exit_code = EXIT_CONFIGURATION


class SettingsOfACopy(RelayError):
    """The kept settings belong to another database: this one is a copy of it."""

    exit_code = EXIT_CONFIGURATION


@dataclass(frozen=True, slots=True)
class KeptState:
    """`pgstream.relay_state`: the settings as of `lsn`, and where the slot stands."""

    slot_name: str
    lsn: int
    document: dict[str, Any]
    system_identifier: str
    database_oid: int
    database: str


@dataclass(frozen=True, slots=True)
class SlotState:
    """The slot's row in pg_replication_slots. LSNs are None where Postgres gives none."""

    confirmed_flush_lsn: int | None
    wal_status: str | None
    retained_bytes: int | None
    safe_bytes: int | None
    server_lsn: int


@dataclass(frozen=True, slots=True)
class KeptPosition:
    """A stream's last sequence, and the LSN up to which everything was stored in it."""

    stream_created: str | None
    last_sequence: int
    lsn: int


class ControlStore:
    """Made by `connect`. Every method raises RelayError subclasses and nothing else of Postgres."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, dsn: str) -> ControlStore:
        """Raises ServerUnavailable and its like."""
        target = parse_target(dsn, "the DSN")
        given = conninfo_to_dict(dsn)
        options = f"{given.pop('options', '') or ''} {SESSION_OPTIONS}".strip()
        parameters: dict[str, Any] = {**NETWORK_DEFAULTS, **given, "options": options}
        try:
            connection = await psycopg.AsyncConnection.connect("", **parameters, autocommit=True)
        except psycopg.Error as error:
            raise explain_connection_failure(error, target) from None
        return cls(connection)

    async def close(self) -> None:
        await self._connection.close()

    @property
    def server_version(self) -> int:
        """Of Postgres, such as 180006."""
        return self._connection.info.server_version

    async def read_state(self) -> KeptState:
        """The settings to start from. Raises NotInstalled, SettingsOfACopy."""
        row = await self._one("select to_regclass('pgstream.relay_state') is not null as installed")
        if not row["installed"]:
            raise NotInstalled(
                "pgstream is not installed in this database, so there is nothing to stream",
                hint="run `pgstream install --dsn …` as the database's owner",
            )
        row = await self._one(
            """
            select s.slot_name, k.source, k.lsn::text as lsn, k.control,
                   (select system_identifier::text from pg_control_system()) as system_identifier,
                   (select oid::bigint from pg_database where datname = current_database()) as database_oid,
                   current_database() as database
              from pgstream.settings s left join pgstream.relay_state k on k.slot_name = s.slot_name
            """
        )
        source = f"{row['system_identifier']}/{row['database_oid']}"
        if row["source"] is None:
            raise NotInstalled(
                "pgstream is installed, but there is no replication slot that its settings belong to",
                hint="run `pgstream install --dsn …` to create the slot",
            )
        if row["source"] != source:
            raise SettingsOfACopy(
                f"the settings in this database were made for another one ({row['source']}), of which this is a copy",
                hint="give it an alias of its own (UPDATE pgstream.settings SET database = …), then run "
                "`pgstream install`; or take the other one's streams over: `pgstream install --adopt-stream`",
            )
        return KeptState(
            slot_name=row["slot_name"],
            lsn=parse_lsn(row["lsn"]),
            document=row["control"],
            system_identifier=row["system_identifier"],
            database_oid=row["database_oid"],
            database=row["database"],
        )

    async def read_slot(self, slot_name: str) -> SlotState | None:
        """None where the slot does not exist."""
        rows = await self.rows(
            """
            select confirmed_flush_lsn::text as confirmed, wal_status, safe_wal_size as safe_bytes,
                   pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint as retained_bytes,
                   pg_current_wal_lsn()::text as server_lsn
              from pg_replication_slots where slot_name = %s
            """,
            [slot_name],
        )
        if not rows:
            return None
        row = rows[0]
        return SlotState(
            confirmed_flush_lsn=parse_lsn(row["confirmed"]) if row["confirmed"] else None,
            wal_status=row["wal_status"],
            retained_bytes=row["retained_bytes"],
            safe_bytes=row["safe_bytes"],
            server_lsn=parse_lsn(row["server_lsn"]),
        )

    async def read_newest_settings(self) -> dict[str, Any]:
        """The control tables as they are committed now, as a document like KeptState's."""
        row = await self._one(
            """
            select jsonb_build_object(
                'settings', (select to_jsonb(s) from pgstream.settings s),
                'streams', coalesce((select jsonb_agg(to_jsonb(s)) from pgstream.streams s), '[]'),
                'tables', coalesce((select jsonb_agg(to_jsonb(t)) from pgstream.tables t), '[]')) as document
            """
        )
        document: dict[str, Any] = row["document"]
        return document

    async def write_settings(self, slot_name: str, lsn: int, document: dict[str, Any]) -> int:
        """Keeps the settings as of `lsn`; returns the LSN behind the WAL of doing so."""
        await self.execute(
            "update pgstream.relay_state set lsn = %s, control = %s, updated_at = now() where slot_name = %s",
            [format_lsn(lsn), json.dumps(document), slot_name],
        )
        row = await self._one("select pg_current_wal_insert_lsn()::text as lsn")
        return parse_lsn(row["lsn"])

    async def read_adoptions(self) -> set[str]:
        """The streams that this database is to take over, and has not yet."""
        # A schema of an older version has no such table.
        row = await self._one("select has_table_privilege(to_regclass('pgstream.adoptions'), 'update') as readable")
        if not row["readable"]:
            return set()
        rows = await self.rows("select stream from pgstream.adoptions where done_at is null")
        return {row["stream"] for row in rows}

    async def finish_adoption(self, stream: str) -> None:
        await self.execute("update pgstream.adoptions set done_at = now() where stream = %s", [stream])

    async def read_gaps(self) -> list[Gap]:
        """Those that no stream has been told of yet, and that are complete."""
        rows = await self.rows(
            """
            select id, from_lsn::text, to_lsn::text, reason,
                   (extract(epoch from from_time) * 1000000)::bigint as from_time_us,
                   (extract(epoch from coalesce(to_time, created_at)) * 1000000)::bigint as to_time_us
              from pgstream.gaps where published_at is null and to_lsn is not null order by id
            """
        )
        return [_parse_gap(row) for row in rows]

    async def record_gap(self, from_lsn: int | None, to_lsn: int, reason: str) -> Gap:
        """A gap that the relay found itself."""
        row = await self._one(
            """
            insert into pgstream.gaps (from_lsn, to_lsn, to_time, reason) values (%s, %s, now(), %s)
            returning id, from_lsn::text, to_lsn::text, reason, null::bigint as from_time_us,
                      (extract(epoch from to_time) * 1000000)::bigint as to_time_us
            """,
            [format_lsn(from_lsn) if from_lsn is not None else None, format_lsn(to_lsn), reason],
        )
        return _parse_gap(row)

    async def has_gaps(self) -> bool:
        """Whether there ever was one: streams keep the subject of gap events then."""
        row = await self._one("select exists (select from pgstream.gaps) as any")
        return bool(row["any"])

    async def mark_gap_published(self, gap: Gap) -> None:
        await self.execute("update pgstream.gaps set published_at = now() where id = %s", [gap.id])

    async def read_positions(self, slot_name: str) -> dict[str, KeptPosition]:
        """What each stream held when a relay last looked."""
        rows = await self.rows(
            "select stream, stream_created, last_sequence, lsn::text from pgstream.relay_positions"
            " where slot_name = %s",
            [slot_name],
        )
        return {
            row["stream"]: KeptPosition(row["stream_created"], row["last_sequence"], parse_lsn(row["lsn"]))
            for row in rows
        }

    async def write_positions(self, slot_name: str, positions: Mapping[str, KeptPosition]) -> None:
        """Replaces what `read_positions` reads, for these streams."""
        for stream, kept in positions.items():
            await self.execute(
                """
                insert into pgstream.relay_positions (slot_name, stream, stream_created, last_sequence, lsn, ordinal)
                values (%s, %s, %s, %s, %s, 0)
                on conflict (slot_name, stream) do update
                   set stream_created = excluded.stream_created, last_sequence = excluded.last_sequence,
                       lsn = excluded.lsn, ordinal = excluded.ordinal, updated_at = now()
                """,
                [slot_name, stream, kept.stream_created, kept.last_sequence, format_lsn(kept.lsn)],
            )

    async def describe(self, relation: Relation, type_oids: list[int]) -> tuple[RelationKeys, TypeCatalog]:
        """What the plan of a relation needs from the catalog."""
        async with _answered():
            keys = await read_relation_keys(self._connection, relation.oid)
            types = await read_types(self._connection, type_oids)
        return keys, types

    async def beat(self, relay: str, row: dict[str, Any]) -> None:
        """Writes this relay's row of `pgstream.relays`: its columns by name, `details` as plain data."""
        await self.execute(
            """
            insert into pgstream.relays as r (relay, role, state, version, error, hint, published_lsn, last_event_at,
                                              details, started_at, heartbeat_at)
            values (%(relay)s, %(role)s, %(state)s, %(version)s, %(error)s, %(hint)s, %(published_lsn)s,
                    to_timestamp(%(last_event_at)s), %(details)s, now(), now())
            on conflict (relay) do update
               set role = excluded.role, state = excluded.state, version = excluded.version, error = excluded.error,
                   hint = excluded.hint, published_lsn = coalesce(excluded.published_lsn, r.published_lsn),
                   last_event_at = coalesce(excluded.last_event_at, r.last_event_at), details = excluded.details,
                   heartbeat_at = now()
            """,
            {**row, "relay": relay, "details": json.dumps(row["details"])},
        )

    async def forget(self, relay: str) -> None:
        """Takes this relay's row out, and those of relays that died long ago."""
        await self.execute(
            f"delete from pgstream.relays where relay = %s or heartbeat_at < now() - interval '{STALE_RELAYS_AFTER}'",
            [relay],
        )

    async def active_heartbeat_age_seconds(self) -> float | None:
        """How long ago the active relay last wrote its row; None where there is no active one."""
        row = await self._one(
            "select extract(epoch from now() - max(heartbeat_at))::float8 as age"
            " from pgstream.relays where role = 'active'"
        )
        age: float | None = row["age"]
        return age

    async def terminate_walsender(self, slot_name: str) -> None:
        """Takes the slot from a relay that no longer moves."""
        await self.execute(
            "select pg_terminate_backend(active_pid, 2000) from pg_replication_slots"
            " where slot_name = %s and active_pid is not null",
            [slot_name],
        )

    async def rows(self, query: str, parameters: Any = None) -> list[dict[str, Any]]:
        """The rows of one query, by column name."""
        async with _answered(), self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def _one(self, query: str, parameters: Any = None) -> dict[str, Any]:
        rows = await self.rows(query, parameters)
        if not rows:
            raise NotInstalled(
                "pgstream.settings has no row, so nothing says what to stream", hint="run `pgstream install`"
            )
        return rows[0]

    async def execute(self, query: str, parameters: Any = None) -> None:
        """One statement, committed at once."""
        async with _answered():
            await self._connection.execute(query, parameters)


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    """Turns what goes wrong with a query into a RelayError; also that no answer comes, which ends the connection."""
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_SECONDS):
            yield
    except psycopg.Error as error:
        raise explain_query_failure(error) from None
    except TimeoutError:
        raise ServerUnavailable(
            f"Postgres has not answered a query of the relay's own for {QUERY_TIMEOUT_SECONDS:g} s",
            hint="nothing to do: the relay connects again; look whether the server is frozen or overloaded",
        ) from None


def _parse_gap(row: dict[str, Any]) -> Gap:
    return Gap(
        id=row["id"],
        from_lsn=parse_lsn(row["from_lsn"]) if row["from_lsn"] else None,
        to_lsn=parse_lsn(row["to_lsn"]),
        from_time_us=row["from_time_us"],
        to_time_us=row["to_time_us"],
        reason=row["reason"],
    )
