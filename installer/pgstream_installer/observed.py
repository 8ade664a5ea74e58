"""What is there: the server, the role that we are, the schema, the slot. Read-only queries, plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from psycopg.rows import class_row

from pgstream_installer.connect import Connection
from pgstream_installer.desired import Desired

FAILOVER_SLOTS_SINCE = 170000
CREATEROLE_GIVES_REPLICATION_SINCE = 160000

SERVER_QUERY = """
select current_setting('server_version_num')::int as server_version,
       current_setting('server_version') as server_version_text,
       current_database() as database,
       (select system_identifier from pg_control_system()) || '/' ||
           (select oid from pg_database where datname = current_database()) as source,
       pg_is_in_recovery() as in_recovery,
       current_setting('wal_level') as wal_level,
       current_user as role,
       me.rolsuper as superuser,
       me.rolcreaterole as may_create_roles,
       me.rolreplication or exists (
           select from pg_roles as managed
           where managed.rolname = 'rds_replication' and pg_has_role(me.oid, managed.oid, 'MEMBER')
       ) as replication,
       has_database_privilege(current_database(), 'CREATE') as may_create_schema,
       case when namespace.oid is null then 'absent'
            when not exists (select from pg_class where relnamespace = namespace.oid and relname = 'migrations')
            then 'foreign'
            else 'ours' end as schema,
       pg_get_userbyid(namespace.nspowner) as schema_owner,
       coalesce(pg_has_role(namespace.nspowner, 'USAGE'), false) as acts_as_schema_owner,
       exists (select from pg_roles where rolname = %(owner_role)s) as owner_role_exists,
       relay.oid is not null as relay_role_exists,
       coalesce(relay.rolcanlogin and (relay.rolsuper or relay.rolreplication or exists (
           select from pg_roles as managed
           where managed.rolname = 'rds_replication' and pg_has_role(relay.oid, managed.oid, 'MEMBER')
       )), false) as relay_role_fits
from pg_roles as me
left join pg_namespace as namespace on namespace.nspname = 'pgstream'
left join pg_roles as relay on relay.rolname = %(relay_role)s
where me.rolname = current_user
"""

SLOT_QUERY = """
select settings.slot_name as name,
       (select system_identifier from pg_control_system()) || '/' ||
           (select oid from pg_database where datname = current_database()) as source,
       slot.slot_name is not null as present,
       slot.database,
       slot.plugin,
       slot.active_pid,
       coalesce(slot.wal_status = 'lost' or to_jsonb(slot) ->> 'invalidation_reason' is not null, false) as lost,
       coalesce((to_jsonb(slot) ->> 'failover')::boolean, false) as failover,
       kept.source as kept_source,
       exists (select from pgstream.relay_positions where slot_name = settings.slot_name) as has_published,
       exists (
           select from pgstream.relays as relay
           where (relay.details ->> 'publication_missing')::boolean and relay.heartbeat_at > kept.updated_at
       ) as unreadable,
       exists (select from pgstream.gaps where to_lsn is null and published_at is null) as gap_is_open
from pgstream.settings as settings
left join pg_replication_slots as slot on slot.slot_name = settings.slot_name
left join pgstream.relay_state as kept on kept.slot_name = settings.slot_name
"""


@dataclass(frozen=True)
class Server:
    """A server and a database, as the installing role sees them. `server_version` is server_version_num.

    `source` is `<system identifier>/<database oid>`. `schema`: is there a schema pgstream, and did pgstream make it.
    """

    server_version: int
    server_version_text: str
    database: str
    source: str
    in_recovery: bool
    wal_level: str
    role: str
    superuser: bool
    may_create_roles: bool
    replication: bool
    may_create_schema: bool
    schema: Literal["absent", "foreign", "ours"]
    schema_owner: str | None
    acts_as_schema_owner: bool
    owner_role_exists: bool
    relay_role_exists: bool
    relay_role_fits: bool

    @property
    def may_create_slots(self) -> bool:
        return self.superuser or self.replication

    @property
    def may_create_relay_role(self) -> bool:
        """Whether CREATE ROLE … REPLICATION is allowed: before 16 a superuser's right alone."""
        if self.superuser:
            return True
        return self.server_version >= CREATEROLE_GIVES_REPLICATION_SINCE and self.may_create_roles and self.replication


@dataclass(frozen=True)
class Slot:
    """The slot that settings.slot_name names, and what the relay keeps about it.

    `kept_source` is that of pgstream.relay_state (None: no row): another than `source` came with a copied database.
    `unreadable`: a relay says that at its position there was no publication, so nothing can be read from it any more.
    `gap_is_open`: an earlier --new-slot was interrupted between recording the gap and making the new slot.
    """

    name: str
    source: str
    present: bool
    database: str | None
    plugin: str | None
    active_pid: int | None
    lost: bool
    failover: bool
    kept_source: str | None
    has_published: bool
    unreadable: bool
    gap_is_open: bool

    @property
    def is_of_another_source(self) -> bool:
        return self.kept_source not in (None, self.source)


def read_server(connection: Connection, desired: Desired) -> Server:
    """Observes server, role and schema; changes nothing."""

    with connection.cursor(row_factory=class_row(Server)) as cursor:
        cursor.execute(SERVER_QUERY, {"owner_role": desired.owner_role, "relay_role": desired.relay_role})
        server = cursor.fetchone()
    assert server is not None, "pg_roles has a row for current_user"
    return server


def read_slot(connection: Connection) -> Slot:
    """Observes the slot of an installed schema."""
    with connection.cursor(row_factory=class_row(Slot)) as cursor:
        cursor.execute(SLOT_QUERY)
        slot = cursor.fetchone()
    assert slot is not None, "pgstream.settings has one row"
    return slot
